/* SPDX-License-Identifier: MIT */
/* Objects that are mapped, and their locks: object.c. */
#ifndef IPCFS_OBJECT_H
#define IPCFS_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/timer.h"
#include "object/engine.h"
#include "state/tree.h"

#define PATIENCE_NS 200000000 /* how long the mount file's lock is waited for */

struct parked;
struct poller;

/* An object that is mapped, or was mapped and is still needed. */
struct object {
	struct ipc_obj o;
	struct node *node;
	/*
	 * Not mapped: object_lock() and object_of() map it again. Did it have handles, holds,
	 * waiters, something that happens by itself, when it was last mapped?
	 */
	bool away, open, holding, waits, due;
	struct parked *parked;  /* parked.c: by waiter */
	struct parked *telling; /* settle.c: those that are to be answered at the end of the turn */
	bool turn;              /* … and it is the turn of a writer */
	struct object *lru_next, *lru_prev; /* in fs.lru, or fs.away */
	/* turn.c: in fs.idle */
	bool idle;
	struct object *idle_next, *idle_prev;
	/* memory.c: somebody waits for memory with it */
	bool hungry;
	struct object *hungry_next, *hungry_prev;
	/* roomy.c: it has much free memory */
	bool roomy;
	struct object *roomy_next, *roomy_prev;
	/* turn.c: to be looked at when the turn ends */
	bool look;
	struct object *look_next;
	/* damaged.c */
	bool told;              /* whoever waited knows that it is damaged */
	struct poller *pollers; /* pollers.c */
	bool adopted;           /* checked, and its handles are this mount's */
	bool unseen;            /* not yet, when it was looked at after the start: takeup.c */
	bool direct;            /* direct clients may change it at any time */
	int data_fd;            /* array: its memory; -1 */
	unsigned int pins;  /* who needs it beyond the turn: requests that wait in another object */
	struct timer timer; /* pollers.c: for limits and pollers of those that do not wait; … */
	bool expired;       /* … it has gone off */
	/* door.c */
	uint64_t stalled;    /* since when a running thread has kept its lock; 0: none does */
	uint64_t kept_since; /* … and by this one: */
	uint32_t keeper;
	bool refuses; /* for too long: requests get EIO */
	struct object *stalled_next, *stalled_prev;
	struct deferred *deferred; /* what is to be done first when it is locked */
	struct kept *aside;        /* aside.c: its requests that are put aside */
	int8_t tidy;               /* close.c: do its writers end their lines? */
	bool late_polls;           /* pollers.c: some handles polled while it was stalled */
};

/* It is mapped, at least to the end of the turn. A blank one gets its file. */
struct object *object_of(struct node *n, int *ret_error);
/* Map it if it is away. false: that failed; if its file is the reason, it is damaged. */
bool object_back(struct object *ob);
void object_away(struct object *ob); /* turn.c only: it is unmapped, and not freed */
/* For turn.c only: free it; its mapping and files … */
void object_unmap(struct object *ob);  /* … are left as they are */
void object_remove(struct object *ob); /* … go, and so does its node */
/*
 * It has not been used for some time: it keeps what it holds, and the memory for that. One that is
 * as it was created is freed, and loses its file (true).
 */
bool object_rest(struct object *ob);
void object_idle(struct object *ob, bool idle); /* idle: it is not in use */
/* For state/ and the door to it (wait/door.h) alone. -EIO damaged; -EBUSY: not within so many ns. */
int object_lock(struct object *ob, int64_t ns);
void object_unlock(struct object *ob);
uint64_t object_memory(struct object *ob);

static inline struct object *node_mapped(const struct node *n) /* NULL */
{
	return n->ob && !n->ob->away ? n->ob : NULL;
}

#endif
