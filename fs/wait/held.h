/* SPDX-License-Identifier: MIT */
/* Requests for objects whose lock somebody keeps: held.c. */
#ifndef IPCFS_HELD_H
#define IPCFS_HELD_H

#include "object/engine.h"
#include "device/request.h"

/* object_lock() found it taken: it is looked at again soon, and settled then. */
void held_add(struct object *ob);
/* It is locked again, or goes. */
void held_remove(struct object *ob);
/* Are there any? From every thread. */
bool held_any(void);
/* Lock it for a request. -EBUSY: somebody keeps it, and the request is put aside: it is STALLED. */
int object_enter(struct request *rq, struct object *ob);
/* There is something that comes before the next request for it. */
bool held_first(const struct object *ob);
/*
 * For one that only looks: 0: it is locked. HELD_STALLED: somebody keeps the lock; say so, with
 * what can be seen without. -EBUSY: it is put aside. -EIO.
 */
int held_look(struct request *rq, struct object *ob);
#define HELD_STALLED 1
bool held_stopped(const struct object *ob); /* who keeps it is stopped, by a signal or a debugger */
uint32_t held_pid(const struct object *ob); /* the process that keeps it, since ob->held_since */
/*
 * Of a FLUSH: the process, and whether it is ending by a signal; as it was when the request came,
 * for when it is done at last that process may be gone.
 */
void held_closer(struct request *rq, uint32_t *ret_pid, bool *ret_killed);

/* ---- held_limit.c ---- */

struct held_limit {
	int64_t deadline; /* CLOCK_MONOTONIC ns, IPC_NEVER */
	int error;        /* what it gets then */
	int64_t least;    /* no time limit of the caller's ends it before */
};

/* How long this request may wait for the object's lock. looks: it only looks. */
void held_limit(const struct object *ob, const void *msg, size_t len, bool looks,
		struct held_limit *ret);

/* The request is to be dealt with again a little later: it is put aside. */
void held_later(struct request *rq, struct object *ob);

/* ---- for the loop thread ---- */

extern int held_fd; /* an eventfd, to have the event thread know that there are some */
/* Keep a request that is put aside. */
void held_keep(const void *msg, size_t len, const struct aside *as);
/* Deal with one that was. true: it is put aside again. */
typedef bool (*held_again)(void *msg, size_t len, struct aside *as);
void held_retry(held_again again); /* look at all of them */
/* An INTERRUPT: was it for one that is kept? It is answered then. */
bool held_interrupted(uint64_t unique);
bool held_has(uint64_t unique); /* is it kept? */
void held_end_all(int error);

/* What retrying is to do first, for a waiter whose answer was given and could not be finished. */
void held_finish(struct object *ob, ref_t waiter, const struct ipc_call *c);
/* For a waiter whose request is gone: ipc_forsake(). */
void held_forsake(struct object *ob, ref_t waiter);
/* The same for a companion that is to be closed: monitor_closed(). */
void held_close(struct object *ob, uint64_t fh, uint64_t id, uint64_t back);
/* The object is unmapped. */
void held_forget(struct object *ob);

#define RETRY_MS 10

#endif
