/* SPDX-License-Identifier: MIT */
/* See wake.h. */
#define _GNU_SOURCE
#include "object/wake.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "file/list.h"
#include "file/log.h"
#include "object/answer.h"
#include "object/waiter.h"

/* All that is left is for its owner to take the answer, and there is nothing to copy. */
static bool is_given(const struct ipc_waiter *w)
{
	return w->state == WAITER_GRANTED && w->op != OP_WRITE &&
	       (w->got.kind == ANSWER_NUMBER || w->got.kind == ANSWER_NONE) &&
	       !(w->flags & (WAITER_LENT | WAITER_RETAKE));
}

/* true: it needs a futex call. */
static bool must_wake(struct ipc_waiter *w)
{
	uint32_t go = is_given(w) ? FUTEX_GIVEN : FUTEX_GO;
	uint32_t was = __atomic_load_n(&w->futex, __ATOMIC_RELAXED);

	if (!(w->flags & WAITER_DIRECT) || w->flags & WAITER_WOKEN)
		return false;
	w->flags |= WAITER_WOKEN;
	IPC_FAULT();
	do
		if (was == FUTEX_TAKEN)
			return false;
	while (!__atomic_compare_exchange_n(&w->futex, &was, go, false, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED));
	/*
	 * If it spins, it will see it. If it was already told to go, somebody died before the call.
	 */
	return was != FUTEX_SPINS;
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
		/*
		 * Only one can sleep there. If asked for more, the kernel would search its whole
		 * hash chain.
		 */
		syscall(SYS_futex, wakes->futex[i], FUTEX_WAKE, 1, NULL, NULL, 0);
}

void ipc_wake_gone(struct ipc_waiter *w)
{
	if (__atomic_exchange_n(&w->futex, FUTEX_GO, __ATOMIC_RELEASE) == FUTEX_SLEEPS)
		syscall(SYS_futex, &w->futex, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
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
