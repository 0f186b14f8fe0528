/* SPDX-License-Identifier: MIT */
/*
 * Waiters without a caller: WAITER_PARKED, whose caller a signal has interrupted, and WAITER_STANDS,
 * whose caller must not wait. waiter.c has the picture.
 */
#ifndef IPC_PARKED_H
#define IPC_PARKED_H

#include "object/engine.h"

/* The waiter in this wait queue that the caller's handle left behind when it was interrupted; 0. */
ref_t waiter_parked(struct ipc_obj *o, const struct ipc_call *c, unsigned int waitq);
void waiter_park(struct ipc_obj *o, ref_t w);
/* The handle has a standing waiter, queued or granted: the call continues with that one. */
int waiter_again(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c);
static inline bool waiter_granted_standing(struct ipc_obj *o, const struct ipc_handle *hd)
{
	return hd->standing && AT(o, ipc_waiter, hd->standing)->state == WAITER_GRANTED;
}
/* From now on it is the caller's: c->waiter. */
void waiter_unpark(struct ipc_obj *o, ref_t w, struct ipc_call *c);

#endif
