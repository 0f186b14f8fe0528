/* SPDX-License-Identifier: MIT */
/*
 * A condition whose lock is another object, a .lock or .rlock.
 *
 * Two objects cannot change in one step, so whoever drives them (the daemon) goes through steps
 * that can each be done again after a crash:
 *
 *	1. ipc_lent_find(lock)		what the caller's process holds; nothing has changed
 *	2. ipc_read(cond), c.lent set	the waiter stands in line and knows what it lends
 *	3. ipc_lend(lock)		the lock is free	(again: it is already)
 *	   ... the waiter is granted: notified, timed out or cancelled ...
 *	4. ipc_lent_retake(lock)	a waiter in the lock	(again: it has it already)
 *	5. ipc_finish(cond)		the caller is answered
 *
 * Between 2 and 3 a notify may come already: the waiter stood in line before the lock was free, so
 * none is missed.
 */
#include "type.h"

bool ipc_lent_find(struct ipc_obj *o, uint32_t pid, struct ipc_lent *ret)
{
	struct ipc_lent l = { 0 };

	LIST_EACH(o, &o->h->holds, r) {
		struct ipc_hold *hold = AT(o, ipc_hold, r);
		struct ipc_handle *hd = handle_at(o, hold->handle);

		if (hold->pid != pid && hd->opener != pid)
			continue;
		l.handle = hold->handle;
		l.gen = hd->gen;
		break;
	}
	if (!l.handle)
		return false;
	LIST_EACH(o, &o->h->holds, r) {
		struct ipc_hold *hold = AT(o, ipc_hold, r);

		if (hold->handle != l.handle)
			continue;
		if (hold->op == OP_READ)
			l.levels += hold->count;
		else
			l.flock = hold->op;
	}
	*ret = l;
	return true;
}

void ipc_lend(struct ipc_obj *o, const struct ipc_lent *l)
{
	struct ipc_hold *hold;

	if (!ipc_handle(o, l->handle, l->gen))
		return;
	while (!o->damage && (hold = hold_find(o, l->handle, OP_NONE))) {
		o->ops->unhold(o, hold);
		hold_drop(o, hold);
		commit(o);
	}
	o->work = true;
}

int ipc_lent_retake(struct ipc_obj *o, struct ipc_call *c, const struct ipc_lent *l)
{
	struct ipc_waiter *w;
	int r;

	if (!ipc_handle(o, l->handle, l->gen))
		return -EBADF;
	if (hold_find(o, l->handle, OP_NONE))
		return 0;
	/* The caller may not wait; but the waiter is granted as soon as it is there. */
	if (c->deadline == 0) {
		if (!o->h->b.sem.value || line_first(o, 0))
			return -EAGAIN;
		c->deadline = IPC_NEVER;
	}
	c->handle = l->handle;
	c->op = l->flock ? l->flock : OP_FLOCK;
	while ((r = waiter_add(o, c, 0, l->flock)) == -ENOMEM) {
		obj_rollback(o);
		r = heap_grow(o, true);
		if (r < 0)
			return r;
	}
	if (r != IPC_WAIT)
		return r;
	w = waiter_at(o, c->waiter);
	set32(o, w->flags, w->flags | WAITER_RETAKE);
	set32(o, w->depth, l->levels);
	commit(o);
	o->work = true;
	return IPC_WAIT;
}
