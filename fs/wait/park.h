/* SPDX-License-Identifier: MIT */
/* Requests that wait: park.c. */
#ifndef IPCFS_PARK_H
#define IPCFS_PARK_H

#include <stdbool.h>
#include <stdint.h>

#include "format/format.h"

struct asker;
struct object;
struct request;

/* The request now waits for rq->call.waiter. Unlocks rq->ob. */
void park(struct request *rq);
void park_interrupted(struct asker *a);
void park_end_all(int error); /* the worker ends: every waiter gets this */
/*
 * The handle closes. The kernel leaves no request waiting on it; if there is one, it must not
 * remain.
 */
void park_end_handle(struct object *ob, ref_t handle);
/* EIO to all who wait for this object, or hold it up in another one. */
void park_damaged(struct object *ob);

bool park_has(struct object *ob,
	      ref_t waiter); /* is there a request of this waiter's, somewhere? */

#endif
