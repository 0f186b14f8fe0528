/* SPDX-License-Identifier: MIT */
/* See wake.h. */
#define _GNU_SOURCE
#include "object/wake.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "object/type.h"

/* true: its futex call is to be made. */
static bool must_wake(struct ipc_waiter *w)
{
	if (!(w->flags & WAITER_DIRECT) || w->flags & WAITER_WOKEN)
		return false;
	w->flags |= WAITER_WOKEN;
	IPC_FAULT();
	/* 0: it spins and will see it. 1: somebody died before the call. */
	return __atomic_exchange_n(&w->futex, 1, __ATOMIC_RELEASE) != 0;
}

bool ipc_wake(struct ipc_obj *o, struct ipc_wakes *ret)
{
	ret->n = 0;
	if (!o->h->to_wake)
		return false;
	LIST_EACH(o, &o->h->woken, r) {
		if (ret->n == IPC_WAKES - IPC_WAITQS)
			return true;
		if (must_wake(waiter_at(o, r)))
			ret->futex[ret->n++] = &waiter_at(o, r)->futex;
	}
	for (unsigned int i = 0; i < IPC_WAITQS; i++) { /* a putter whose turn it is */
		ref_t r = waitq_first(o, i);

		if (r && waiter_at(o, r)->state == WAITER_TURN && must_wake(waiter_at(o, r)))
			ret->futex[ret->n++] = &waiter_at(o, r)->futex;
	}
	o->h->to_wake = 0;
	return false;
}

void ipc_wake_send(const struct ipc_wakes *wakes)
{
	for (unsigned int i = 0; i < wakes->n; i++)
		syscall(SYS_futex, wakes->futex[i], FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void ipc_wake_again(struct ipc_obj *o)
{
	LIST_EACH(o, &o->h->woken, r)
		waiter_at(o, r)->flags &= ~WAITER_WOKEN;
	for (unsigned int i = 0; i < IPC_WAITQS; i++)
		if (waitq_first(o, i))
			waiter_at(o, waitq_first(o, i))->flags &= ~WAITER_WOKEN;
	o->h->to_wake = 1;
	o->work = true;
}
