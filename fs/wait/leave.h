/* SPDX-License-Identifier: MIT */
/* To leave an object that was changed: leave.c. */
#ifndef IPCFS_LEAVE_H
#define IPCFS_LEAVE_H

#include <stdbool.h>

struct object;
struct parked;

/*
 * Unlock it after a change. Whatever can be granted is granted; the object is dirty if anybody has
 * to be told.
 */
void object_leave(struct object *ob);

/* ---- for settle.c ---- */

bool leave_round(struct object *ob); /* true: somebody has to be told, or has his turn */
void leave_pump(struct object *ob);
struct parked *
leave_turn(struct object *ob); /* the writer whose turn it is, if its request is here */

#endif
