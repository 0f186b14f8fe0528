/* SPDX-License-Identifier: MIT */
/* The waiters of a condition, and how their waits end: cond.c has the picture. */
#ifndef IPC_COND_WAITER_H
#define IPC_COND_WAITER_H

#include "object/engine.h"

#define C(o) (&(o)->h->b.cond)
enum { WAITQ_WAIT, WAITQ_LOCK };

static inline bool cond_settled(const struct ipc_waiter *w)
{
	return w->flags & WAITER_NOTIFIED || w->result < 0;
}

/* It has its notify. */
void cond_notified(struct ipc_obj *o, struct ipc_waiter *w);
/* A waiter that is not parked has its outcome: move it on to its lock, or grant it. Committed. */
void cond_move_on(struct ipc_obj *o, ref_t r);
/* If a notify is on its way to this waiter, deliver it now. */
void cond_settle(struct ipc_obj *o, struct ipc_waiter *w);
/* A waiter goes without an answer: its notify passes to the next, if there is one. */
void cond_give_up(struct ipc_obj *o, struct ipc_waiter *w);

#endif
