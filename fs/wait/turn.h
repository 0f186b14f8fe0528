/* SPDX-License-Identifier: MIT */
/*
 * A turn: what the daemon does for one request or one event (turn.c). What has changed in it is dirty, and
 * settled once, when the request is answered (settle.c). Objects live at least as long (lifetime.c).
 */
#ifndef IPCFS_TURN_H
#define IPCFS_TURN_H

#include <stdbool.h>

struct object;

void turn_look(struct object *ob); /* it is dirty */
/* Settle what is dirty. Objects that are no longer needed are freed here, and nowhere else. */
void turn_end(void);
/* For the end of the turn only. The object is not locked. Never frees it. */
void settle(struct object *ob);
/* After handles of it were opened or closed: record whether it is in use. */
void object_used(struct object *ob);
/*
 * Each object in use, mapped and not locked. Unused objects are unmapped meanwhile if too many are
 * mapped, so the caller must not have a pointer to an object.
 */
void turn_each_active(void (*fn)(struct object *ob, void *arg), void *arg);
/* ---- for the end of the turn ---- */

bool object_is_garbage(const struct object *ob); /* it has no name, and nobody needs it */
void turn_trim(void); /* what is not in use is unmapped, if too much is mapped */
void turn_rest(void); /* objects that nobody uses give up what they need not keep */

/* How many objects stay mapped; how many of those not in use keep their memory. For tests to change. */
extern unsigned int turn_mapped_most, turn_idle_most;

#endif
