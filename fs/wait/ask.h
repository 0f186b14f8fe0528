/* SPDX-License-Identifier: MIT */
/*
 * To ask for a change of an object: ask.c. All changes are, by requests and by the daemon itself; this is
 * the seam to another engine (doc/architecture.md).
 */
#ifndef IPCFS_ASK_H
#define IPCFS_ASK_H

#include "device/request.h"
#include "wait/door.h"

/*
 * Make a change that a request asks for: lock rq->ob = ob, `change` it, leave it. What `change` says is
 * returned: 0 or -errno, with rq->reply filled in; IPC_WAIT: rq->call waits, and the object is locked
 * still, for park() to leave it. Or what object_enter() says.
 */
int object_change(struct object *ob, struct request *rq, int (*change)(struct request *rq));
/*
 * object_change() for a request on an open file: rq->hd is its handle. NULL afterwards: the object could
 * not be locked, or has no such handle.
 */
int handle_change(struct request *rq, int (*change)(struct request *rq));
/*
 * A change of the object whose lock rq->ob uses (ctl/lock): rq->lock = lock. For a request that changes
 * both, it is made within the change of rq->ob, and is part of it. (Locked in this order only.)
 */
int lock_change(struct object *lock, struct request *rq, int (*change)(struct request *rq));

/* The daemon's own. Do it now; or, if the object is stalled, once it can be locked, before anything else. */
void object_do(struct object *ob, const struct deferred *what);
/* The same, but now or not at all. -EBUSY, -EIO: as object_enter() says, and it was not done. */
int object_try(struct object *ob, const struct deferred *what);

#endif
