/* SPDX-License-Identifier: MIT */
/* The table of requests that wait: parked.c. */
#ifndef IPCFS_PARKED_H
#define IPCFS_PARKED_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "base/timer.h"
#include "format/format.h"

struct object;
struct asker;

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
		int64_t result; /* ended */
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
	bool keeps;
	bool telling; /* it was granted, or has ended: it is answered at the end of the turn */
	bool retakes; /* … but first it takes back the lock that it lent */
	bool ended;   /* its waiter is gone, and `result` is its answer */
	UT_hash_handle hh, by_asker;
};

extern struct parked *parked_all; /* by_asker */
#define PARKED_EACH(p, tmp) HASH_ITER(by_asker, parked_all, p, tmp)

/* With its object, waiter and asker. */
void parked_add(struct parked *p);
struct parked *parked_by(struct asker *a);                   /* NULL */
struct parked *parked_find(struct object *ob, ref_t waiter); /* NULL */
void parked_tell(struct parked *p);                          /* answer it at the end of the turn */
void parked_keep(struct parked *p);                          /* … no, it waits on */
/* Its waiter is gone: nobody finds it by that any more. */
void parked_end(struct parked *p, int64_t result);
/* It waits for another waiter from here on, without a time limit. */
void parked_move(struct parked *p, struct object *ob, ref_t waiter);
/* It no longer waits: the caller answers and frees it. */
struct asker *parked_take_out(struct parked *p);

#endif
