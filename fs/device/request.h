/* SPDX-License-Identifier: MIT */
/*
 * A request: what is asked, whom it concerns, and what it is told.
 *
 * dispatch.c makes it from what the kernel sent, calls its handler, and does what that returns. A
 * handler sends no reply, parks nothing and waits for nobody: it fills in `reply` and says
 *
 *	DONE	send `reply`. What else came of the request is settled behind that (turn.c).
 *	WAIT	`call.waiter` is in a wait queue of `ob`, which is still locked: keep the request until
 *		it is granted (park.c). Without a waiter, another thread has it, and replies.
 *	STALLED	some process keeps the lock of the object `aside.ob`: put the request aside, as the
 *		kernel sent it, and handle it again when the lock can be had (aside.c).
 *
 * Once a request has changed anything it is DONE or WAITs, or its completion record says how far it
 * came: a STALLED one begins again like one that the kernel sends again after a restart (again.c).
 */
#ifndef IPCFS_REQUEST_H
#define IPCFS_REQUEST_H

#include "device/reply.h"
#include "state/caller.h"
#include "state/object.h"
#include "state/target.h"

enum outcome { DONE, WAIT, STALLED };

/* What is asked for, as far as it matters to others than the handler of it. */
enum request_kind {
	ASKS_OTHER,
	ASKS_OPEN,
	ASKS_READ,
	ASKS_WRITE,
	ASKS_FLOCK,
	ASKS_IOCTL,
	ASKS_CREATE,
	ASKS_ATTR, /* to set attributes */
	ASKS_SPACE,
	ASKS_FLUSH,   /* a descriptor is closed */
	ASKS_RELEASE, /* the last one of a handle was: nobody waits for the reply */
};

/* How a request is put aside. Kept with it, and there again when it is next handled. */
struct aside {
	uint64_t number; /* by which reply_to() knows it */
	enum request_kind kind;
	struct object *ob; /* it has to wait for this one; NULL */
	bool later;        /* for something other than the lock: without a limit */
	bool looks;        /* when its time is up it is handled without the lock: … */
	bool unlocked;     /* … now */
	bool told;         /* a FLUSH whose caller no longer waits */
	bool killed;       /* FLUSH: its process was ending by a signal, … */
	uint32_t closer;   /* … and is this one; 0: not known */
	bool judged;       /* RELEASE: `killed` says so of who wrote the unfinished line */
	bool limited;      /* how long it may wait has been decided: aside_limit.c */
	int64_t until;     /* … CLOCK_MONOTONIC ns, IPC_NEVER … */
	int late;          /* … and which error it gets then */
};

/* What is to be set. */
enum {
	SET_MODE = 1 << 0,
	SET_UID = 1 << 1,
	SET_GID = 1 << 2,
	SET_SIZE = 1 << 3,
	SET_ATIME = 1 << 4,
	SET_MTIME = 1 << 5,
	SET_ATIME_NOW = 1 << 7,
	SET_MTIME_NOW = 1 << 8,
};

struct request {
	struct asker *asker;
	struct caller by;
	enum request_kind kind;
	uint64_t ino; /* the nodeid; of a name: its directory's */
	uint64_t fh;  /* of an open file */
	int flags;    /* the open file's, as open(2)'s */
	struct aside aside;

	/* What is asked for; each handler knows which of these it uses. */
	const char *name, *new_name; /* SYMLINK: … */
	uint64_t new_dir;
	mode_t mode;
	const struct stat *attr;
	bool open;   /* SETATTR: ftruncate(2) */
	size_t size; /* READ, READDIR: bytes wanted; WRITE, IOCTL: bytes of `data` */
	uint64_t off, len;
	const char *data;
	int how;           /* flock(2)'s operation, FALLOCATE's mode, … */
	unsigned int cmd;  /* IOCTL; RENAME: flags; SETATTR: SET_* */
	uint32_t events;   /* POLL */
	uint64_t poll_kh;  /* POLL: the kernel's name for whoever polls */
	bool asks;         /* POLL: to be notified */
	bool by_cache;     /* READ: the page cache reads: mapped.c */
	bool unprivileged; /* WRITE: clears setuid and setgid bits */

	/* What the handler found, and asks the engine. */
	struct target t;
	struct object *ob;
	struct object *lock; /* what the object's ctl/lock names; NULL: its own */
	uint64_t companion;  /* … rq->hd's handle there; 0: none is known */
	struct ipc_handle *hd;
	struct ipc_call call;
	struct ipc_opening opening;

	struct reply reply;
	bool settle_first; /* settle what it changed before the reply */
};

static inline bool request_is_close(enum request_kind kind)
{
	return kind == ASKS_FLUSH || kind == ASKS_RELEASE;
}

/* ---- for handlers: what it comes to ---- */

/* 0, IPC_WAIT or -errno. A request that was put aside (-EBUSY) is not answered. */
static inline enum outcome done(struct request *rq, int r)
{
	if (r == IPC_WAIT)
		return WAIT;
	if (rq->aside.ob)
		return STALLED;
	rq->reply.error = -r;
	return DONE;
}

static inline enum outcome done_number(struct request *rq, enum reply_kind kind, uint64_t n)
{
	rq->reply.kind = kind;
	rq->reply.number = n;
	return DONE;
}

static inline enum outcome done_data(struct request *rq, const char *data, size_t len)
{
	rq->reply.kind = REPLY_DATA;
	rq->reply.data = data;
	rq->reply.len = len;
	return DONE;
}

/* n bytes in reply_buffer(), or -errno. */
static inline enum outcome done_buffer(struct request *rq, ssize_t n)
{
	return n < 0 ? done(rq, (int)n) : done_data(rq, reply_buffer(), (size_t)n);
}

/* ---- reply.c ---- */

bool request_in_group(const struct request *rq, gid_t group); /* is it one of the caller's? */
bool asker_interrupted(struct asker *a);                      /* by a signal */

/* ---- again.c: was it handled before? ---- */

/*
 * Was rq->call made before? If it waited it goes on in its place; if it was completed at once the
 * object has a completion record. true: rq->call is filled in as if it had just been made, and *ret
 * is its result. (false, but call.done: part of it was done.)
 */
bool again_call(struct request *rq, int *ret);
/* The recorded result of this request's change of rq->ob, by this handle or none (0). */
bool again_completed(const struct request *rq, ref_t handle, int64_t *ret);
/* The handle that the OPEN of this number made; 0. */
ref_t opened_by(struct object *ob, uint64_t unique);
ref_t again_opened(const struct request *rq, struct object *ob);
/* This change of names was made before, of this node (NULL: it is gone since). */
bool again_named(const struct request *rq, struct node **ret);

#endif
