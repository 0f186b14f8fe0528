/* SPDX-License-Identifier: MIT */
/* The bodies of the types: what each keeps in the header of its object. See format.h. */
#ifndef IPC_FORMAT_BODIES_H
#define IPC_FORMAT_BODIES_H

#include "format/base.h"

/* Messages in order: a queue has one, a pipe one for each direction. */
struct ipc_mq {
	ref_t head, tail; /* [lock] */
	uint32_t count;   /* [atomic] messages */
	uint32_t skip;    /* [lock] bytes of the first that were read (byte pipes) */
	uint64_t bytes;   /* [atomic] */
	union {
		struct {                           /* pipes */
			uint32_t readers, writers; /* [lock] open handles */
			uint32_t opens[2]; /* [lock] how often one was opened to read, to write */
		};
		uint32_t most; /* [plain] queue: messages that there were at once */
	};
};

enum ipc_framing { FRAMING_LINE, FRAMING_RECORD, FRAMING_BYTES };

struct ipc_delayed {
	ref_t root;     /* [lock] struct ipc_delay: the one that is due first */
	uint32_t count; /* [lock] */
	uint64_t bytes; /* [lock] of the messages */
};

struct ipc_queue {                  /* queue: mq[0]; pipe: mq[0], and mq[1] for the way back */
	uint64_t maxsize, maxbytes; /* [lock] 0: no limit */
	uint64_t unfinished;        /* [lock] with mq[0] in one cache line */
	struct ipc_mq mq[2];
	uint32_t framing;             /* [lock] enum ipc_framing */
	uint32_t closed;              /* [lock] */
	uint64_t max_attempts;        /* [lock] 0: no limit */
	struct ipc_list leased, dead; /* [lock] struct ipc_lease; leased: the oldest first */
	uint64_t ttr;                 /* [lock] ns after which a lease goes back; 0: never */
	struct ipc_delayed delayed;
	uint64_t ended; /* [lock] reported as done, since it was last at rest */
};

struct ipc_sem {        /* sem, lock, rlock; the lock of cond, value and array */
	uint64_t value; /* [atomic] permits free; lock, rlock: 1 free, 0 held */
	uint64_t bound; /* [lock] 0: none */
	uint32_t undo;  /* [lock] */
	uint32_t scope; /* [lock] enum ipc_scope */
	union {
		struct {                 /* locks */
			uint32_t shared; /* [lock] holders of a shared lock */
			ref_t owner;     /* [lock] rlock: the handle that holds it */
		};
		uint64_t given; /* [plain] sem: permits, since it was last at rest */
	};
	uint64_t fast;      /* [atomic] fast.h; sem: count.h */
	uint32_t fast_tid;  /* [plain] which thread took it by the fast word */
	uint32_t direct;    /* [lock] there was a direct client: the fast word is of use */
	ref_t spare;        /* [lock] block of the hold that the fast word may need; 0 */
	uint32_t jobserver; /* [lock] sem: each byte read or written is a permit */
	uint64_t taken;     /* [plain] how often, since it was last at rest */
};

enum ipc_scope {                /* with what a permit, lock or level returns at the latest */
		 SCOPE_HANDLE,  /* the handle's close */
		 SCOPE_PROCESS, /* the end of the process that took it */
		 SCOPE_OPENER,  /* the end of the process that opened the handle */
		 SCOPES,
};

struct ipc_event {
	uint64_t set;  /* [atomic] */
	uint64_t fast; /* [atomic] count.h */
	uint64_t sets; /* [plain] how often it was set, since it was last at rest */
};

struct ipc_cond {
	struct ipc_sem lock;
	uint64_t lock_id;   /* [lock] the object used as lock, 0 its own */
	uint64_t to_notify; /* [lock] notifies that are not yet handed out; <= waiting */
	uint64_t waiting;   /* [atomic] waiters without a notify */
};

struct ipc_barrier {
	uint64_t parties;   /* [lock] 0: not set */
	uint64_t arrived;   /* [atomic] waiting, of the round that is filling */
	uint64_t round;     /* [lock] rounds that have ended: opened, or were reset */
	uint64_t index;     /* [lock] of the round that opened last: handed out so far */
	uint32_t broken;    /* [lock] */
	uint32_t was_reset; /* [lock] the round that ended last was reset */
};

struct ipc_value {
	struct ipc_sem lock;
	uint64_t lock_id;
	ref_t text;        /* [lock] struct ipc_msg; 0: empty */
	uint32_t typecode; /* [lock] 0 text, or the letter: see number.h */
	uint64_t length;   /* [atomic] bytes of the text */
	uint64_t version;  /* [atomic] counts changes of the text */
};

struct ipc_array {
	struct ipc_sem lock;
	uint64_t lock_id;
	uint64_t length;   /* [atomic] bytes */
	uint32_t typecode; /* [lock] */
	uint32_t pad;
};

static_assert(sizeof(struct ipc_mq) == 40, "format");
static_assert(offsetof(struct ipc_queue, mq[1]) == 64, "format");
static_assert(sizeof(struct ipc_sem) == 64, "format");

#endif
