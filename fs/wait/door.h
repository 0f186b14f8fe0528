/* SPDX-License-Identifier: MIT */
/*
 * The door to an object's lock: door.c. Nothing else in the daemon takes one, except state/: before
 * it hands an object out, and to trim it. Changes are asked for by ask.h, and nobody else enters.
 */
#ifndef IPCFS_DOOR_H
#define IPCFS_DOOR_H

#include "device/request.h"

/*
 * Lock an object to change it, for a request or (NULL) for the daemon itself. What was left to be done when it is
 * locked has been done then.
 *
 *	0	It is locked. Give it back with object_leave() (leave.h).
 *	-EBUSY	It is stalled: some process keeps the lock. It is tried again until it can be locked, and
 *		then settled; the request is put aside until then.
 *	-EIO	It cannot be locked: it is damaged; or its lock has been kept for so long that requests
 *		are refused.
 */
int object_enter(struct object *ob, struct request *rq);
/*
 * The same to look at it only: give it back with object_unlock(). LOOK_UNLOCKED, to a request: it has waited long enough, or the process
 * that keeps the lock is stopped; report that, and what can be seen without the lock.
 */
int object_look(struct object *ob, struct request *rq);
#define LOOK_UNLOCKED 1
/* The request cannot be handled yet, for another reason than the lock: try it again a little later. */
void object_wait(struct object *ob, struct request *rq);

/* ---- work that is put off ---- */

/* A change that nobody waits for: `run`, with the object locked, and what it needs to know. */
struct deferred {
	struct deferred *next;
	void (*run)(struct object *ob, const struct deferred *d);
	ref_t waiter;
	uint32_t pid;
	int error;             /* … with which a wait ends */
	struct parked *parked; /* the request whose answer depends on it: not if it is put off */
	size_t max;            /* what was read of an answer, … */
	uint64_t pos;          /* … and where: ipc_finish() */
	uint64_t unique;       /* a request */
	struct ipc_lent lent;
};

/* Settle it a little later, for another reason than its lock. */
void object_again(struct object *ob);

/* Do it before anything else when the object is next locked; it cannot be locked now. */
void object_defer(struct object *ob, const struct deferred *what);
/* The same; somebody is about to lock it. */
void object_first(struct object *ob, const struct deferred *what);

/* ---- stalled objects ---- */

bool stalled_any(void); /* from every thread */
extern int stalled_fd;  /* an eventfd: tells the event thread that there are some */
/* Try to lock one again. 0: it is no longer stalled, and is to be left; -EBUSY: it is; -EIO: damaged. */
int stalled_try(struct object *ob);
void stalled_forget(struct object *ob);       /* it is unmapped */
bool keeper_stopped(const struct object *ob); /* by a signal or a debugger */
uint32_t keeper_pid(const struct object *ob); /* the process that keeps it, since ob->kept_since */

#define RETRY_MS 10

#endif
