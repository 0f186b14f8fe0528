/* SPDX-License-Identifier: MIT */
/* Requests that wait: park.c. */
#ifndef IPCFS_PARK_H
#define IPCFS_PARK_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "base/timer.h"
#include "format/format.h"

struct object;
struct request;

/*
 * A request that waits. Whoever takes it out of its object's table answers it. There may be very
 * many, so keep it small.
 */
struct parked {
	ref_t waiter; /* key */
	ref_t cond_waiter;
	struct asker *asker; /* key, for interrupts */
	struct object *ob;
	struct object *cond;        /* waits in `ob` for the lock of this condition's waiter */
	struct parked *next, *prev; /* in ob->telling */
	uint64_t unique;
	union {
		uint64_t pos;
		int64_t result; /* write, ended */
	};
	union {
		size_t max; /* read: bytes wanted */
		size_t len; /* write: bytes of data */
	};
	char *data;         /* write */
	struct timer timer; /* its time limit */
	uint32_t tid, uid;
	int16_t why;   /* it ends with this as soon as its object can be locked; 0 */
	int16_t error; /* this error takes the place of its answer; 0 */
	uint8_t op;
	bool atomic;
	bool telling; /* it was granted, or has ended: it is answered at the end of the turn */
	bool ended;   /* its waiter is gone */
	UT_hash_handle hh, by_asker;
};

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

/* ---- for settle.c ---- */

struct parked *park_find(struct object *ob, ref_t waiter); /* NULL */
void park_tell(struct parked *p);                          /* answer it at the end of the turn */
/* It waits for another waiter from here on, without a time limit. */
void park_move(struct parked *p, struct object *ob, ref_t waiter);
/* It no longer waits: the caller answers and frees it. */
struct asker *park_take_out(struct parked *p);
bool park_has(struct object *ob,
	      ref_t waiter); /* is there a request of this waiter's, somewhere? */

#endif
