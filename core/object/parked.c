/* SPDX-License-Identifier: MIT */
/* Waiters without a caller: see parked.h. */
#include "file/list.h"
#include "file/log.h"
#include "object/completion.h"
#include "object/parked.h"
#include "object/waiter.h"

void waiter_park(struct ipc_obj *o, ref_t r)
{
	struct ipc_waiter *w = waiter_at(o, r);
	struct ipc_handle *hd = handle_at(o, w->handle);

	set32(o, w->flags, w->flags | WAITER_PARKED);
	set32(o, hd->parked, hd->parked + 1);
	set64(o, w->unique, 0);
	set64(o, w->deadline, IPC_NEVER);
}

ref_t waiter_parked(struct ipc_obj *o, const struct ipc_call *c, unsigned int waitq)
{
	ref_t found = 0;

	if (!handle_at(o, c->handle)->parked)
		return 0;
	LIST_EACH(o, &o->h->waitqs[waitq], r) {
		struct ipc_waiter *w = waiter_at(o, r);

		if (w->handle != c->handle || !(w->flags & WAITER_PARKED))
			continue;
		if (w->tid == c->tid)
			return r;
		if (!found)
			found = r;
	}
	return found;
}

void waiter_unpark(struct ipc_obj *o, ref_t r, struct ipc_call *c)
{
	struct ipc_waiter *w = waiter_at(o, r);
	struct ipc_handle *hd = handle_at(o, w->handle);
	uint32_t was = w->flags;
	uint32_t flags =
		was & ~(WAITER_PARKED | WAITER_DIRECT | WAITER_WOKEN | WAITER_STANDS | WAITER_BUSY);

	c->waiter = r;
	if (c->stand && was & WAITER_STANDS)
		return; /* its time limit keeps running */
	flags |= c->stand ? WAITER_STANDS : c->unique ? 0 : WAITER_DIRECT;
	set32(o, w->flags, flags);
	if (was & WAITER_PARKED)
		set32(o, hd->parked, hd->parked - 1);
	if (flags & WAITER_STANDS || was & WAITER_STANDS)
		set32(o, hd->standing, c->stand ? r : 0);
	set32(o, w->futex, 0);
	set32(o, w->tid, c->tid);
	set32(o, w->pid, c->pid);
	set32(o, w->uid, c->uid);
	set64(o, w->unique, c->unique);
	set64(o, w->deadline, c->deadline ? c->deadline : IPC_NEVER);
}

int waiter_again(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
	ref_t r = hd->standing;
	struct ipc_waiter *w = waiter_at(o, r);
	int64_t result = w->result;

	bool lent = w->flags & WAITER_LENT && !c->stand && c->deadline;

	/* If it lent a lock, that is reacquired as for any waiter whose caller waits. */
	if (w->state != WAITER_GRANTED || lent) {
		if (!c->deadline)
			return -EAGAIN;
		waiter_unpark(o, r, c);
		return IPC_WAIT;
	}
	c->got = w->got; /* a number: it has no messages */
	waiter_done(o, r);
	if (result >= 0)
		return 0;
	call_record(o, c, result, false);
	commit(o);
	return (int)result;
}
