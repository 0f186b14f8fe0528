/* SPDX-License-Identifier: MIT */
/*
 * Waiters without a caller: a signal has interrupted it (WAITER_PARKED), or it must not wait
 * (WAITER_STANDS). waiter.c has the picture.
 */
#ifndef IPC_PARKED_H
#define IPC_PARKED_H

#include "object/engine.h"

/*
 * The parked waiter of the caller's handle in this wait queue, preferably its own thread's; 0:
 * none.
 */
ref_t waiter_parked(struct ipc_obj *o, const struct ipc_call *c, unsigned int waitq);
void waiter_park(struct ipc_obj *o, ref_t w);
/* The handle has a standing waiter, queued or granted: continue the call with it. */
int waiter_again(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c);
static inline bool waiter_granted_standing(struct ipc_obj *o, const struct ipc_handle *hd)
{
	return hd->standing && AT(o, ipc_waiter, hd->standing)->state == WAITER_GRANTED;
}
/* It is the caller's from now on: c->waiter. */
void waiter_unpark(struct ipc_obj *o, ref_t w, struct ipc_call *c);

#endif
