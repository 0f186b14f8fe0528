/* SPDX-License-Identifier: MIT */
/* The blocks of an object's heap: messages, handles, and who waits or holds. See format.h. */
#ifndef IPC_FORMAT_BLOCKS_H
#define IPC_FORMAT_BLOCKS_H

#include "format/base.h"

/* A message, or a segment of one. The bytes follow; what does not fit goes on in `more`. */
struct ipc_msg {
	ref_t next;        /* [lock] the next message of its queue or answer */
	ref_t more;        /* [plain] next segment; with MSG_APART: the block of all its bytes */
	uint32_t len;      /* bytes of the whole message (first segment) or of this one */
	uint16_t refs;     /* [lock] who needs it: its place, and answers in hand */
	uint16_t attempts; /* [lock] times that it was leased */
	uint64_t id;       /* [plain] of a queue: its number in the order of puts */
	uint64_t since;    /* [plain] of a queue: when, CLOCK_REALTIME, ns */
	char data[];
};

#define MSG_APART 0x80000000u /* no reference has this bit: see IPC_RESERVE_MOST */

/* What a handle was last given, and can read again: see answer.h. */
struct ipc_answer {
	uint32_t kind;  /* enum ipc_answer_kind */
	ref_t first;    /* first message */
	uint32_t count; /* messages */
	uint32_t skip;  /* bytes of the first message that are not part of it */
	uint64_t len;   /* bytes of the whole answer, as text */
	uint64_t off;   /* bytes that were given out */
	uint64_t base;  /* position of its first byte (handles with a position) */
	int64_t number; /* the answer of types that give numbers; a lease's id */
};

/* What a read-only handle does: takes like any other, or only looks. */
enum ipc_take { TAKE_ANY, TAKE_RW };

/* An open file description or a direct client. */
struct ipc_handle {
	struct ipc_link link;      /* [lock] header.handles */
	uint32_t gen;              /* [once] tells it from a later one in the same place */
	uint32_t kind;             /* [once] enum ipc_handle_kind */
	struct ipc_link poll_link; /* [lock] header.polls, while poll_events is not 0 */
	uint32_t flags;            /* [lock] HANDLE_* */
	uint32_t oflags;           /* [once] open(2)'s flags */
	uint32_t tid, pid;    /* [lock] who used it last: thread, and the process it belongs to */
	uint32_t uid;         /* [once] who opened it */
	uint32_t opener;      /* [lock] process that opened it, or stands for it: ipc_adopt() */
	uint64_t since;       /* [once] CLOCK_MONOTONIC, ns */
	uint64_t nodeid;      /* [once] as which inode the kernel knows it */
	uint64_t open_unique; /* [once] the request that opened it */
	int64_t timeout;      /* [daemon] ns for each operation, -1 for ever */
	int64_t deadline;     /* [daemon] CLOCK_MONOTONIC ns, -1 none */
	uint64_t poll_kh;     /* [daemon] the kernel's name for whoever polls */
	uint32_t poll_events; /* [lock] what it polls for; 0: nobody does */
	uint32_t waiters;     /* [lock] how many waiters are this handle's */
	uint32_t holds;       /* [lock] how many holds are */
	uint32_t leases;      /* [lock] how many leases are */
	uint32_t rests;       /* [lock] how many rests are */
	union {
		uint32_t peer_opens[2]; /* [lock] pipes: mq.opens[] of the peers when it was opened */
		struct {                /* [lock] lock, rlock: what a condition's read gave up */
			uint32_t lent_levels, lent_flock;
		};
	};
	union {
		uint32_t line_pid; /* [lock] process that wrote the unfinished line */
		uint32_t lent_pid; /* [lock] lock, rlock: whose read gave it up; 0 */
	};
	ref_t line;             /* [lock] unfinished line */
	ref_t line_last;        /* [lock] its last segment */
	uint32_t parked;        /* [lock] how many waiters are WAITER_PARKED (also in `waiters`) */
	ref_t standing;         /* [lock] its waiter that is WAITER_STANDS; 0 */
	uint64_t seen;          /* [lock] value: the version that this handle saw last */
	uint64_t companion;     /* [daemon] fh of its handle of ctl/lock's object; 0 */
	struct ipc_answer hand; /* [lock] the answer in hand */
	uint32_t poll_told;     /* [lock] what its poller was told, as far as it is still true */
	uint32_t poll_state;    /* [lock] poll.c */
	uint32_t poll_late; /* [daemon] it polled while somebody kept the lock: fs/wait/poll.c */
	uint32_t pad;
	uint64_t poll_level[2]; /* [lock] how much there was to read, to write, as it was told */
	int64_t clock[2];       /* [daemon] read, write: when the time limit of what got EAGAIN has
					 * passed, CLOCK_MONOTONIC ns; 0: none runs */
};

enum ipc_handle_kind { /* 0 the object itself, otherwise the .ctl file that waits or takes */
		       HANDLE_OBJECT,
		       HANDLE_STREAM,
		       HANDLE_DRAIN,
		       HANDLE_LEASE,
		       HANDLE_JOIN,
		       HANDLE_CHANGED,
		       HANDLE_FRONT, /* of these two the file that puts */
		       HANDLE_LATER,
};

#define HANDLE_LOOK        1u /* read-only, where those only look: TAKE_RW */
#define HANDLE_POSITION    2u /* read-only: the kernel's position counts */
#define HANDLE_RECORD      4u /* O_DIRECT: record framing whatever the object says */
#define HANDLE_END_A       8u /* of a two-way pipe */
#define HANDLE_END_B       16u
#define HANDLE_CLOSING     64u   /* is being closed: takes no more */
#define HANDLE_DIRECT      128u  /* a direct client works with it */
#define HANDLE_WRITER      512u  /* may write to a queue or pipe */
#define HANDLE_LIB         1024u /* libipcfs: offsets are time limits (lib.h), the end is -EPIPE */
#define HANDLE_FLUSHED     2048u /* each close of it is told, and who closes */
#define HANDLE_COUNTED_OUT 256u  /* pipes: no longer counted as a reader or writer */

/* One that waits. */
struct ipc_waiter {
	struct ipc_link link;   /* [lock] header.waitqs[waitq] or header.granted */
	ref_t handle;           /* [once] */
	uint32_t op;            /* [once] enum ipc_op */
	uint32_t waitq;         /* [lock] */
	uint32_t state;         /* [lock] enum ipc_waiter_state */
	uint32_t futex;         /* [atomic] direct: enum ipc_futex */
	uint32_t flags;         /* [lock] WAITER_* */
	uint32_t tid, pid, uid; /* [lock] pid: where a hold will be made */
	uint32_t need;          /* [lock] put: bytes of the message that does not fit; read: bytes
					 * that the caller can use (got.base: at which position);
					 * lent: the generation of `hold` */
	uint64_t since;         /* [once] CLOCK_MONOTONIC, ns */
	int64_t deadline;       /* [lock] CLOCK_MONOTONIC ns, IPC_NEVER */
	uint64_t unique;        /* [lock] its FUSE request, 0 for a direct or parked one */
	uint64_t arg;           /* [lock] what the type needs to know: bytes, round, operation */
	int64_t result;         /* [lock] once granted: 0 or more, or -errno; a condition keeps
					 * here what it will be, while it takes the lock back */
	struct ipc_answer got;  /* [lock] once granted: what it was given */
	ref_t hold;             /* [lock] lent: the handle (in the other object) that held it */
	uint32_t depth;         /* [lock] retake: levels by read */
};

enum ipc_waiter_state {
	WAITER_WAITING,
	WAITER_TURN,    /* first in its wait queue, and what it waits for is there: act now */
	WAITER_GRANTED, /* in header.granted or .woken: result and got are set */
	WAITER_REST,    /* in header.rests: got is the rest of an answer */
	WAITER_BEGUN, /* in header.rests: a direct client reads or writes the bytes of got: begun.c */
};

/* A direct waiter's word: its owner says that it sleeps, and that it has its answer. */
enum ipc_futex {
	FUTEX_SPINS,
	FUTEX_GO, /* look at the waiter, under the lock */
	FUTEX_SLEEPS,
	FUTEX_GIVEN, /* the answer is in the waiter, and needs no lock: see ipc_take_given() */
	FUTEX_TAKEN, /* and its owner has it: whoever has the lock frees the waiter */
};

#define WAITER_DIRECT   1u    /* sleeps on the futex; otherwise a FUSE request */
#define WAITER_SHARED   2u    /* wants a shared lock */
#define WAITER_NOTIFIED 4u    /* cond: has its notify, wants the lock back */
#define WAITER_MEMORY   8u    /* put: waits for memory of the mount */
#define WAITER_PARKED   16u   /* cond, barrier: interrupted, its handle may read again */
#define WAITER_WOKEN    32u   /* the futex call is due: ipc_wake() */
#define WAITER_RELOCK   64u   /* cond: gave up its own lock and takes it back */
#define WAITER_LENT     128u  /* cond: gave up a lock in another object: struct ipc_lent */
#define WAITER_RETAKE   256u  /* lock, rlock: takes back what it lent to a condition */
#define WAITER_STANDS   512u  /* cond, barrier: its caller was told EAGAIN; the next read has it */
#define WAITER_BUSY     1024u /* cond: stands and is granted, but somebody has the lock it lent */

enum ipc_op { /* what a handle does, waits for, or holds by */
	      OP_NONE,
	      OP_READ,
	      OP_WRITE,
	      OP_FLOCK,
	      OP_FLOCK_SHARED,
	      OP_JOIN,
	      OP_LEASE,
	      OP_STREAM,
	      OP_CHANGED,
	      OP_OPS,
};

/* A permit, lock or level of a handle; it returns when the handle (or its process) ends. */
struct ipc_hold {
	struct ipc_link link;   /* [lock] header.holds */
	ref_t handle;           /* [once] */
	uint32_t op;            /* [lock] OP_READ or OP_FLOCK or OP_FLOCK_SHARED */
	uint32_t count;         /* [lock] permits or levels */
	uint32_t tid, pid, uid; /* [once] who took it */
	uint64_t since;         /* [once] CLOCK_MONOTONIC, ns */
};

/* A message that is leased, or dead. */
struct ipc_lease {
	struct ipc_link link; /* [lock] queue.leased or queue.dead */
	ref_t msg;            /* [once] */
	ref_t handle;         /* [lock] 0 when dead */
	uint32_t tid, pid;    /* [once] */
	uint64_t since;       /* [lock] CLOCK_MONOTONIC, ns */
};

/* A message that is to be put later: a node of queue.delayed. See types/delay.c. */
struct ipc_delay {
	union {
		uint64_t word;
		struct {
			ref_t left, right;
		};
	} below; /* [lock] */
	union {
		uint64_t word;
		struct {
			ref_t up;
			uint32_t rank;
		};
	} above;   /* [lock] */
	ref_t msg; /* [once] */
	uint32_t pad;
	uint64_t due; /* [once] CLOCK_REALTIME, ns */
};

static_assert(sizeof(struct ipc_msg) == 32, "format");
static_assert(sizeof(struct ipc_answer) == 48, "format");
static_assert(sizeof(struct ipc_handle) == 256, "format");
static_assert(offsetof(struct ipc_handle, poll_link) == IPC_UNIT, "a link needs a ref_t");
static_assert(sizeof(struct ipc_waiter) == 144, "format");
static_assert(sizeof(struct ipc_hold) == 40, "format");
static_assert(sizeof(struct ipc_lease) == 32, "format");
static_assert(sizeof(struct ipc_delay) == sizeof(struct ipc_lease), "one becomes the other");

#endif
