/* SPDX-License-Identifier: MIT */
/*
 * A condition whose lock is another object, a .lock or .rlock.
 *
 * Two objects cannot change in one step, so the daemon takes several steps, each of which can be
 * repeated after a crash:
 *
 * 	1. ipc_lent_find(lock)		what the caller's process holds; nothing has changed
 * 	2. ipc_read(cond), c.lent set	the waiter is queued and knows what it lends
 * 	3. ipc_lend(lock)		the lock is free	(again: it is already)
 * 	   ... the waiter is granted: notified, timed out or cancelled ...
 * 	4. ipc_lent_retake(lock)	a waiter in the lock	(again: it has it already)
 * 	5. ipc_finish(cond)		the caller is answered
 *
 * A notify may come between 2 and 3, but none is missed, because the waiter was queued before the
 * lock was free.
 *
 * Users who may write the condition's file may have no access to the lock. So the waiter there only
 * names a handle. Who owns that handle, and what it held and gave up, is in the lock's own file,
 * and the request says which process is asking.
 */
#include "file/heap.h"
#include "file/list.h"
#include "file/log.h"
#include "object/hold.h"
#include "object/lend.h"
#include "object/type.h"
#include "object/waiter.h"

uint64_t ipc_lock_id(const struct ipc_obj *o)
{
	return ipc_is(o, TYPE_INNER_LOCK) ? o->h->b.cond.lock_id : 0;
}

int ipc_set_lock_id(struct ipc_obj *o, uint64_t id)
{
	/* Holders and waiters would be left behind with the old lock. */
	if (o->h->holds.count || o->h->waitqs[0].count || o->h->waitqs[1].count)
		return -EBUSY;
	set64(o, o->h->b.cond.lock_id, id);
	commit(o);
	o->work = true;
	return 0;
}

static bool belongs_to(const struct ipc_handle *hd, const struct ipc_hold *hold, uint32_t pid)
{
	return hold->pid == pid || hd->opener == pid;
}

bool ipc_lent_find(struct ipc_obj *o, uint32_t pid, struct ipc_lent *ret)
{
	LIST_EACH(o, &o->h->holds, r) {
		struct ipc_hold *hold = AT(o, ipc_hold, r);
		struct ipc_handle *hd = handle_at(o, hold->handle);

		if (!belongs_to(hd, hold, pid))
			continue;
		*ret = (struct ipc_lent){ hold->handle, hd->gen };
		return true;
	}
	return false;
}

/* Record what the handle holds. false: nothing, or nothing that is this process's. */
static bool record_lent(struct ipc_obj *o, ref_t handle, struct ipc_handle *hd, uint32_t pid)
{
	uint32_t levels = 0, flock = OP_NONE;
	bool its = false;

	LIST_EACH(o, &o->h->holds, r) {
		struct ipc_hold *hold = AT(o, ipc_hold, r);

		if (hold->handle != handle)
			continue;
		its |= belongs_to(hd, hold, pid);
		if (hold->op == OP_READ)
			levels += hold->count;
		else
			flock = hold->op;
	}
	if (!its)
		return false;
	set32(o, hd->lent_levels, levels);
	set32(o, hd->lent_flock, flock);
	set32(o, hd->lent_pid, pid);
	return true;
}

void ipc_lend(struct ipc_obj *o, const struct ipc_lent *l, uint32_t pid)
{
	struct ipc_handle *hd = ipc_handle_from_outside(o, l->handle, l->gen);
	struct ipc_hold *hold;

	if (!hd || !record_lent(o, l->handle, hd, pid))
		return;
	/* One change. Otherwise, after a death, nobody could tell how far this had got. */
	while (!o->damage && (hold = hold_find(o, l->handle, OP_NONE))) {
		o->ops->unhold(o, hold);
		hold_drop(o, hold);
		if (log_room(o) < 60)
			commit(o);
	}
	commit(o);
	o->work = true;
}

int ipc_lent_retake(struct ipc_obj *o, struct ipc_call *c, const struct ipc_lent *l)
{
	struct ipc_handle *hd = ipc_handle_from_outside(o, l->handle, l->gen);
	struct ipc_waiter *w;
	int r;

	if (!hd)
		return -EBADF;
	if (hold_find(o, l->handle, OP_NONE))
		return 0;
	if (!c->pid || hd->lent_pid != c->pid)
		return -EBADF;
	/* The caller may not wait, but the waiter is granted as soon as it exists. */
	if (c->deadline == 0) {
		if (!o->h->b.sem.value || waitq_first(o, 0))
			return -EAGAIN;
		c->deadline = IPC_NEVER;
	}
	c->handle = l->handle;
	c->op = hd->lent_flock ? hd->lent_flock : OP_FLOCK;
	while ((r = waiter_add(o, c, 0, hd->lent_flock)) == -ENOMEM) {
		obj_rollback(o);
		r = heap_grow(o, true);
		if (r < 0)
			return r;
	}
	if (r != IPC_WAIT)
		return r;
	w = waiter_at(o, c->waiter);
	set32(o, w->flags, w->flags | WAITER_RETAKE);
	set32(o, w->depth, hd->lent_levels);
	commit(o);
	o->work = true;
	return IPC_WAIT;
}
