/* SPDX-License-Identifier: MIT */
/* Waiters and their wait queues: waiter.c has a picture. */
#ifndef IPC_WAITER_H
#define IPC_WAITER_H

#include "object/engine.h"

/* Put the caller into a wait queue: IPC_WAIT, or -EAGAIN if it may not wait, or -ENOMEM. */
int waiter_add(struct ipc_obj *o, struct ipc_call *c, unsigned int waitq, uint64_t arg);
/* Take it out of its wait queue and let it continue with this result. Committed. */
void waiter_grant(struct ipc_obj *o, ref_t w, int64_t result, const struct ipc_answer *got);
/* It is first in its wait queue and may act now. Committed. */
void waiter_turn(struct ipc_obj *o, ref_t w);

static inline struct ipc_waiter *waiter_at(struct ipc_obj *o, ref_t r)
{
	return AT(o, ipc_waiter, r);
}

/* The first in the wait queue; 0: nobody. */
static inline ref_t waitq_first(struct ipc_obj *o, unsigned int waitq)
{
	return o->h->waitqs[waitq].head;
}

/* Part of its answer was used; the rest is for later reads of its handle. */
void waiter_rests(struct ipc_obj *o, ref_t w);
/* Move it to the tail or head of a wait queue (also one that was granted). */
void waiter_to_waitq(struct ipc_obj *o, ref_t w, unsigned int waitq, bool head);
/* Does one of the daemon's requests belong to it? */
static inline bool waiter_is_request(const struct ipc_waiter *w)
{
	return w->unique && !(w->flags & (WAITER_DIRECT | WAITER_PARKED | WAITER_STANDS));
}
/* It was granted a message, whose bytes its owner reads from now on: WAITER_BEGUN. */
void waiter_begin(struct ipc_obj *o, ref_t w);
/* The waiter is done (its turn came, and it acted): take it out and free it. */
void waiter_done(struct ipc_obj *o, ref_t w);

#endif
