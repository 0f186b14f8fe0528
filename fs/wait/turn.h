/* SPDX-License-Identifier: MIT */
/*
 * A turn: what the daemon does for one request or one event (turn.c). What has changed in it is dirty, and
 * settled once, when the request is answered (settle.c). Objects live at least as long (lifetime.c).
 */
#ifndef IPCFS_TURN_H
#define IPCFS_TURN_H

#include <stdbool.h>

struct object;

/*
 * Unlock it after a change. Whatever can be granted is granted; the object is dirty if anybody has
 * to be told.
 */
void object_leave(struct object *ob);
void turn_look(struct object *ob); /* it is dirty */
/* Settle what is dirty. Objects that are no longer needed are freed here, and nowhere else. */
void turn_end(void);
/* For the end of the turn only. The object is not locked. Never frees it. */
void settle(struct object *ob);
/* After handles of it were opened or closed: record whether it is in use. */
void object_used(struct object *ob);
/*
 * Unmap unused objects if too many are mapped. For loops over all objects that keep no pointer to
 * one from step to step.
 */
void turn_trim(void);
/* ---- for the end of the turn ---- */

bool object_is_garbage(const struct object *ob); /* it has no name, and nobody needs it */
void turn_rest(void); /* objects that nobody uses give up what they need not keep */

/* How many objects stay mapped; how many of those not in use keep their memory. For tests to change. */
extern unsigned int turn_mapped_most, turn_idle_most;

/* ---- after a start ---- */

void settle_all(void); /* look at every object in use */
/* All requests that the kernel resends have arrived: a waiter without one is done. */
void settle_told(void);

#endif
