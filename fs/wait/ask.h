/* SPDX-License-Identifier: MIT */
/* Changes of objects that requests ask for: ask.c. Those of the daemon's own: object_do() in door.h. */
#ifndef IPCFS_ASK_H
#define IPCFS_ASK_H

#include "device/request.h"

/*
 * Make a change that a request asks for: lock rq->ob = ob, `change` it, leave it. What `change` says is
 * returned: 0 or -errno, with rq->reply filled in; IPC_WAIT: rq->call waits, and the object is locked
 * still, for park() to leave it. Or what object_enter() says.
 */
int object_change(struct object *ob, struct request *rq, int (*change)(struct request *rq));
/* object_change() for a request on an open file: rq->hd is its handle. */
int handle_change(struct request *rq, int (*change)(struct request *rq));

#endif
