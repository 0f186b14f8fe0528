/* SPDX-License-Identifier: MIT */
/*
 * What queues and pipes share: how a write() that does not fit waits.
 *
 * A put is a series of small changes, each of which moves whole messages in and records how far the
 * write() has got: in the waiter if there is one, otherwise in the header. So if a daemon dies in
 * the middle, the next one continues after the last change.
 */
#include "file/heap.h"
#include "file/log.h"
#include "object/completion.h"
#include "object/put.h"
#include "object/waiter.h"

int put_end(struct ipc_obj *o, struct ipc_call *c, int error)
{
	int64_t result = c->done || !error ? (int64_t)c->done : error;

	if (c->waiter) {
		waiter_done(o, c->waiter);
		c->waiter = 0;
	}
	call_record(o, c, result, false);
	commit(o);
	return result < 0 ? (int)result : 0;
}

int put_wait(struct ipc_obj *o, struct ipc_call *c, unsigned int waitq, uint32_t need, bool memory)
{
	struct ipc_waiter *w;
	int r;

	if (!c->waiter && c->deadline == 0)
		return put_end(o, c, memory ? -ENOSPC : -EAGAIN);
	commit(o);
	while (!c->waiter) {
		r = waiter_add(o, c, waitq, c->done);
		if (r == IPC_WAIT)
			break;
		obj_rollback(o);
		c->waiter = 0;
		r = heap_grow(o, true);
		if (r == -ENOMEM && c->grow)
			return r;
		if (r < 0)
			return put_end(o, c, r);
	}
	w = waiter_at(o, c->waiter);
	set32(o, w->state, WAITER_WAITING);
	set64(o, w->arg, c->done);
	set32(o, w->need, need);
	set32(o, w->flags,
	      (w->flags & ~(WAITER_MEMORY | WAITER_WOKEN)) | (memory ? WAITER_MEMORY : 0));
	set32(o, w->futex, 0);
	commit(o);
	return IPC_WAIT;
}

int put_grow(struct ipc_obj *o, struct ipc_call *c, unsigned int waitq, uint32_t need)
{
	int r;

	if (o->damage)
		return -EIO;
	obj_rollback(o);
	r = heap_grow(o, false);
	if (r == -ENOSPC)
		return put_wait(o, c, waitq, need, true);
	if (r == -ENOMEM) /* this process may not: see ipc_call.grow */
		return r;
	return r < 0 ? put_end(o, c, r) : IPC_AGAIN;
}

void put_pump(struct ipc_obj *o, unsigned int waitq,
	      bool (*fits)(struct ipc_obj *o, unsigned int waitq, uint64_t need))
{
	ref_t r = waitq_first(o, waitq);
	struct ipc_waiter *w;

	if (!r)
		return;
	w = waiter_at(o, r);
	if (w->state != WAITER_WAITING)
		return;
	if (w->flags & WAITER_MEMORY && !o->freed)
		return;
	if (!fits(o, waitq, w->need))
		return;
	o->freed = false;
	waiter_turn(o, r);
}
