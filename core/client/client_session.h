/* SPDX-License-Identifier: MIT */
/* One direct operation of libipcfs, from lock to unlock: client_session.c. */
#ifndef IPC_CLIENT_SESSION_H
#define IPC_CLIENT_SESSION_H

#include "client/client.h"
#include "object/lend.h"

#define FREE_BLOCKS 64u /* of the largest order: 4 MiB */

/* Is there so much free memory that some should go back, and does the daemon not know of it? */
static inline bool much_free(const struct ipc_header *h)
{
	if (__atomic_load_n(&h->memory_low, __ATOMIC_RELAXED))
		return h->free_top >= 1;
	return h->free_top >= FREE_BLOCKS && !__atomic_load_n(&h->roomy, __ATOMIC_RELAXED);
}

/* Has anybody to be woken or told of a change, or is there memory to return? */
static inline bool session_anybody(const struct ipc_header *h)
{
	uint32_t n = h->granted.count | h->to_wake | h->polls.count | h->trash |
		     __atomic_load_n(&h->taken, __ATOMIC_RELAXED);

	for (unsigned int i = 0; i < IPC_WAITQS; i++)
		n |= h->waitqs[i].count;
	return n || much_free(h);
}

struct session {
	struct ipcfs_obj *client;
	struct ipc_obj *o;     /* the client's: the holder of the object's lock may change it */
	struct ipc_handle *hd; /* NULL: we do not have the lock */
	struct ipc_call c;     /* set by session_call() */
	bool spun;             /* has spun before it joined the wait queue: sleeps at once */
	bool looked;           /* whether others give memory back: grow() */
	bool asked;            /* whether a close is on its way: session_again() */
};

/* All that return int: enum ipc_outcome or -errno. */
int session_begin(struct ipcfs_obj *c, struct session *s, int64_t deadline);
void session_call(struct session *s, uint32_t op, int64_t deadline);
/* Take the lock (again), for one that has begun. */
int session_lock(struct session *s, int64_t deadline);
/* End a change that was committed or rolled back: take care of the others, and unlock. */
void session_leave(struct session *s);
void session_end(struct session *s); /* the same, if the lock is still ours */
/* Operations that the daemon must know of as they happen, or that need more than one object. */
static inline bool session_elsewhere(const struct session *s)
{
	return ipc_scope(s->o) != SCOPE_HANDLE || ipc_lock_id(s->o);
}
/* An operation has come to r: if it waits, until it is granted, and then what it was given. */
int session_waited(struct session *s, int r);
/* ---- client_long.c ---- */
/* One message, whole or as far as c->done says. Locked before. */
int session_put(struct session *s, const void *bytes, size_t len);
/* Is one of this length to be copied without the lock? From which length on, for a read? 0: none. */
bool session_is_long(const struct session *s, size_t len);
size_t session_begins(const struct session *s);
int session_put_long(struct session *s, const struct iovec *msg);
/* s->c.begun, into buf: s->c.result. The lock may be lost. */
int session_get_long(struct session *s, struct iovec *buf);
/* ---- client_close.c ---- */
/* Every close that was made before this has been dealt with afterwards. */
void session_sync(struct ipcfs_obj *c);
/*
 * A try has come to *r. true: it was refused, closes that were on their way have been dealt with,
 * and it is to be made again, once. Locked before, and afterwards if it says so.
 */
bool session_retry(struct session *s, int *r);
static inline bool session_again(struct session *s, int *r)
{
	return *r == -EAGAIN && session_retry(s, r);
}
/* Before somebody looks at the size column. */
void session_sync_size(struct ipcfs_obj *c);
/* ---- client_wait.c ---- */
/*
 * Wait for s->c.waiter, which is in the wait queue; locked before. IPC_DONE: locked, and its turn
 * has come, or it is granted; or, with s->c.waiter 0, not locked, and it has its answer. -errno: it
 * is gone.
 */
int session_wait(struct session *s);
/* ---- client_spin.c ---- */
void session_pause(void);                                           /* one round of a spin */
void session_spun(struct ipcfs_obj *c, uint32_t rounds, bool come); /* how long the next spin is */
/*
 * Spin until it is ready, for as long as that has paid off on this object: each success makes the
 * next spin longer, each failure shorter. A caller that is not in the wait queue yet then lets
 * others run once: the one it waits for may be among them, and then nobody has to sleep and be
 * woken. (A caller in the queue, `queued`, must not: a signal handler that runs before the sleep
 * does not end the wait.)
 */
bool session_spin(struct ipcfs_obj *c, bool (*ready)(struct ipcfs_obj *c, void *arg), void *arg,
		  bool queued);
/* client_soon.c: true: it has polled, and need not spin in the wait queue. */
bool look_before_reading(struct ipcfs_obj *c, uint32_t op, int64_t deadline);
bool look_before_putting(struct ipcfs_obj *c, int64_t deadline);
bool is_full(const struct ipcfs_obj *c); /* a queue, now */

#endif
