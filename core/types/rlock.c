/* SPDX-License-Identifier: MIT */
/*
 * rlock: a lock that its owner, a handle, may take again.
 *
 * Free: value 1, owner 0. Held: value 0, owner is the handle, and its holds say how deep: `count`
 * levels by OP_READ, and at most one by OP_FLOCK. The depth is their sum. When the last level goes,
 * the lock is free.
 *
 *	        read, flock                   read (depth + 1), flock (+ 1 once)
 *	free ---------------> held (depth 1) <-----------------------------> held (depth n)
 *	    <---------------                  write, LOCK_UN
 *	     the last level
 *
 * The handle is the owner, so whoever shares the handle shares the levels. When one of its waiters
 * gets the lock, so do all its others, wherever they are in the wait queue.
 *
 * With `undo` 0, levels taken by reading stay taken when the handle closes: value 0, owner 0, and
 * nobody may release it. Setting `undo` to 1 frees it.
 */
#include <poll.h>
#include <sys/file.h>

#include "file/heap.h"
#include "file/list.h"
#include "file/log.h"
#include "object/answer.h"
#include "object/fast.h"
#include "object/hold.h"
#include "object/type.h"
#include "object/waiter.h"
#include "types/lock.h"
#include "types/permit.h"

#define S(o)  (&(o)->h->b.sem)
#define WAITQ 0

static uint64_t depth_of(struct ipc_obj *o, ref_t handle)
{
	uint64_t n = 0;

	LIST_EACH(o, &o->h->holds, r) {
		struct ipc_hold *hold = AT(o, ipc_hold, r);

		if (hold->handle == handle)
			n += hold->count;
	}
	return n;
}

/* It is free and nobody else is waiting, or this handle has it. */
static bool mine(struct ipc_obj *o, ref_t handle)
{
	return (S(o)->value && !waitq_first(o, WAITQ)) || (!S(o)->value && S(o)->owner == handle);
}

static void own(struct ipc_obj *o, ref_t handle)
{
	set64(o, S(o)->value, 0);
	set32(o, S(o)->owner, handle);
	set64(o, S(o)->taken, S(o)->taken + 1);
}

static void set_free(struct ipc_obj *o)
{
	set64(o, S(o)->value, 1);
	set32(o, S(o)->owner, 0);
	o->work = true;
}

static int rlock_read(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
	(void)hd;
	if (!mine(o, c->handle))
		return waiter_add(o, c, WAITQ, 0);
	own(o, c->handle);
	answer_number(&c->got, (int64_t)depth_of(o, c->handle) + 1);
	return hold_add(o, c, OP_READ, 1);
}

static uint64_t rlock_next(struct ipc_obj *o, struct ipc_handle *hd)
{
	struct ipc_answer a;

	answer_number(&a, (int64_t)depth_of(o, ref_of(o, hd)) + 1);
	return a.len;
}

static int rlock_flock(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c, int how)
{
	struct ipc_hold *hold = hold_find(o, c->handle, OP_FLOCK);

	(void)hd;
	c->op = OP_FLOCK;
	if (how == LOCK_UN) {
		if (hold) {
			o->ops->unhold(o, hold);
			hold_drop(o, hold);
		}
		return 0;
	}
	if (hold)
		return 0;
	if (!mine(o, c->handle))
		return waiter_add(o, c, WAITQ, 0);
	own(o, c->handle);
	return hold_add(o, c, OP_FLOCK, 1);
}

/* Release levels, those taken by reading first. */
static int rlock_give(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c,
		      const struct ipc_cmd *cmd)
{
	struct ipc_hold *hold;
	uint64_t depth;
	uint32_t n;

	(void)hd;
	if (cmd->verb != CMD_ADD || cmd->n < 0)
		return -EINVAL;
	if (S(o)->value || S(o)->owner != c->handle)
		return -EPERM;
	depth = depth_of(o, c->handle);
	if ((uint64_t)cmd->n > depth)
		return -ERANGE;
	n = (uint32_t)cmd->n;
	if (n == depth)
		set_free(o);
	while (n && log_room(o) > 60 && (hold = hold_find(o, c->handle, OP_READ)))
		n -= hold_reduce(o, hold, n);
	if (n) {
		hold = hold_find(o, c->handle, OP_FLOCK);
		if (hold)
			hold_drop(o, hold);
	}
	return 0;
}

/*
 * Grant this waiter: its handle has the lock or may take it. Committed. -ENOMEM: nothing was done.
 */
static int grant(struct ipc_obj *o, ref_t r)
{
	struct ipc_waiter *w = waiter_at(o, r);
	struct ipc_answer got;
	int e = 0;

	own(o, w->handle);
	answer_number(&got, (int64_t)depth_of(o, w->handle) + 1);
	if (w->flags & WAITER_RETAKE)
		e = permit_retake(o, w);
	else if (w->op == OP_READ || !hold_find(o, w->handle, OP_FLOCK))
		e = hold_add_for(o, w, w->op, 1);
	if (e < 0) {
		obj_rollback(o);
		return e;
	}
	waiter_grant(o, r, w->op == OP_READ ? (int64_t)got.len : 0, w->op == OP_READ ? &got : NULL);
	return 0;
}

/* Grant all of the owner's waiters. false: one of them must wait for memory. */
static bool grant_owner(struct ipc_obj *o)
{
	LIST_EACH(o, &o->h->waitqs[WAITQ], r) {
		if (waiter_at(o, r)->handle != S(o)->owner)
			continue;
		while (grant(o, r) < 0)
			if (heap_grow(o, true) < 0)
				return false;
	}
	return true;
}

static void rlock_pump(struct ipc_obj *o)
{
	if (!S(o)->value && !S(o)->owner && S(o)->undo) {
		set_free(o);
		commit(o);
	}
	while (S(o)->value && waitq_first(o, WAITQ) && !o->damage)
		if (grant(o, waitq_first(o, WAITQ)) < 0 && heap_grow(o, true) < 0)
			return;
	if (S(o)->owner && waitq_first(o, WAITQ))
		grant_owner(o);
}

static unsigned int rlock_poll(struct ipc_obj *o, struct ipc_handle *hd)
{
	ref_t handle = ref_of(o, hd);

	return (mine(o, handle) ? POLLIN : 0) |
	       (!S(o)->value && S(o)->owner == handle ? POLLOUT : 0);
}

static uint64_t rlock_units(struct ipc_obj *o, struct ipc_handle *hd, bool out, uint64_t *ret)
{
	*ret = out ? 0 : S(o)->value;
	return S(o)->owner == ref_of(o, hd) ? 0 : *ret;
}

/* The caller drops the hold; when none is left, the lock is free. */
static void rlock_unhold(struct ipc_obj *o, struct ipc_hold *hold)
{
	if (S(o)->owner != hold->handle || depth_of(o, hold->handle) > hold->count)
		return;
	if (hold->op == OP_READ && !S(o)->undo &&
	    handle_at(o, hold->handle)->flags & HANDLE_CLOSING)
		set32(o, S(o)->owner, 0);
	else
		set_free(o);
}

static int rlock_check(struct ipc_obj *o, struct ipc_check *k)
{
	struct ipc_sem *s = S(o);

	LIST_EACH(o, &o->h->holds, r) {
		struct ipc_hold *hold = AT(o, ipc_hold, r);

		if (hold->handle != s->owner)
			k->why = "held by a handle that does not own it";
		if (!hold->count ||
		    (hold->op != OP_READ && (hold->op != OP_FLOCK || hold->count > 1)))
			k->why = "a hold of an unknown kind";
	}
	if (s->value > 1 || (s->value && s->owner) || (s->owner && !o->h->holds.count))
		k->why = "owner and value disagree";
	return k->why ? -EIO : permit_check_lock(o, k);
}

const struct ipc_type ipc_rlock_type = {
	.id = IPC_RLOCK,
	.name = "rlock",
	.suffix = ".rlock",
	.traits = TYPE_LOCK | TYPE_OWNED | TYPE_PID,
	.verbs = VERB(CMD_ADD),
	.init = permit_init_lock,
	.scope = permit_scope,
	.read = rlock_read,
	.parse = lock_parse,
	.give = rlock_give,
	.flock = rlock_flock,
	.pump = rlock_pump,
	.poll = rlock_poll,
	.units = rlock_units,
	.size = lock_size,
	.next = rlock_next,
	.unhold = rlock_unhold,
	.words = lock_words,
	.counts = lock_counts,
	.check = rlock_check,
	.rest = fast_rest,
	.entered = fast_entered,
	.leaving = fast_leaving,
};
