/* SPDX-License-Identifier: MIT */
/* Objects that are mapped, and their locks: object.c. */
#ifndef IPCFS_OBJECT_H
#define IPCFS_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/timer.h"
#include "object/engine.h"
#include "state/tree.h"

#define PATIENCE_NS 200000000 /* how long a lock is waited for where it must be had now */

struct parked;
struct poller;

/* An object that is mapped. */
struct object {
	struct ipc_obj o;
	struct node *node;
	struct parked *parked;  /* park.c: by waiter */
	struct parked *telling; /* settle.c: those that are to be answered at the end of the turn */
	struct object *lru_next, *lru_prev;
	/* memory.c: somebody waits for memory with it */
	bool hungry;
	struct object *hungry_next, *hungry_prev;
	/* turn.c: to be looked at when the turn ends */
	bool look;
	struct object *look_next;
	/* damaged.c */
	bool told; /* whoever waited knows that it is damaged */
	struct poller *pollers;
	bool adopted;       /* checked, and its handles are this mount's */
	bool direct;        /* direct clients may change it at any time */
	int data_fd;        /* array: its memory; -1 */
	unsigned int pins;  /* who needs it beyond the turn: requests that wait in another object */
	struct timer timer; /* poll.c: limits and pollers of what does not wait */
	/* held.c */
	uint64_t held;       /* since when somebody who is not stopped keeps its lock; 0: nobody */
	uint64_t held_since; /* since when it is this one */
	uint32_t held_word;  /* who */
	bool held_failed;    /* for too long */
	bool untold;         /* settle_told_in() was not possible */
	bool late_polls;     /* some handles polled while it was: poll.c */
	struct object *held_next, *held_prev;
	struct kept *kept; /* its requests that are put aside */
	struct to_finish *to_finish;
};

/* Mapped now; to the end of the turn at least. */
struct object *object_of(struct node *n, int *ret_error);
void object_unmap(struct object *ob); /* turn.c only: it is freed */
/*
 * 0; -EIO damaged; -EBUSY: somebody keeps it; then it is settled when it can be
 * locked again (held.c). No longer than some ms.
 */
int object_lock(struct object *ob);
/* For what cannot be done later: some 200 ms. */
int object_lock_patiently(struct object *ob);
int object_try(struct object *ob); /* now, or -EBUSY */
void object_unlock(struct object *ob);
uint64_t object_memory(struct object *ob);

#endif
