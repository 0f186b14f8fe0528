/* SPDX-License-Identifier: MIT */
/* Permits: see permit.h. */
#include <poll.h>
#include <sys/file.h>

#include "file/heap.h"
#include "file/list.h"
#include "file/log.h"
#include "object/answer.h"
#include "object/hold.h"
#include "object/stats.h"
#include "object/type.h"
#include "object/waiter.h"
#include "types/check.h"
#include "types/permit.h"

#define S(o)     (&(o)->h->b.sem)
#define WAITQ(o) ((o)->ops->lock_waitq)

void permit_init_lock(struct ipc_header *h, const struct ipc_defaults *d)
{
	(void)d;
	h->b.sem.value = h->b.sem.bound = h->b.sem.undo = 1;
}

bool permit_has_undo(const struct ipc_obj *o)
{
	return S(o)->undo || S(o)->jobserver;
}

/* What a read through this handle gives. (libipcfs takes permits by calls, and wants no bytes.) */
static void permit_answer(struct ipc_obj *o, ref_t handle, struct ipc_answer *a)
{
	if (S(o)->jobserver && !(handle_at(o, handle)->flags & HANDLE_LIB))
		answer_token(a);
	else
		answer_number(a, 1);
}

uint64_t permit_next(struct ipc_obj *o, struct ipc_handle *hd)
{
	struct ipc_answer a;

	permit_answer(o, ref_of(o, hd), &a);
	return a.len;
}

static bool grantable(const struct ipc_obj *o, bool shared)
{
	return S(o)->value || (shared && S(o)->shared);
}

static void permit_take(struct ipc_obj *o, bool shared)
{
	if (shared)
		set32(o, S(o)->shared, S(o)->shared + 1);
	if (S(o)->value)
		set64(o, S(o)->value, S(o)->value - 1);
	set64(o, S(o)->taken, S(o)->taken + 1);
}

void permit_put_back(struct ipc_obj *o, uint64_t n)
{
	uint64_t v = S(o)->value + n;

	set64(o, S(o)->value, S(o)->bound && v > S(o)->bound ? S(o)->bound : v);
	o->work = true;
}

void permit_unhold(struct ipc_obj *o, struct ipc_hold *hold)
{
	if (hold->op == OP_FLOCK_SHARED) {
		if (S(o)->shared)
			set32(o, S(o)->shared, S(o)->shared - 1);
		if (!S(o)->shared)
			permit_put_back(o, 1);
		return;
	}
	permit_put_back(o, hold->count);
}

int permit_read(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
	(void)hd;
	if (!S(o)->value || waitq_first(o, WAITQ(o)))
		return waiter_add(o, c, WAITQ(o), 0);
	permit_take(o, false);
	permit_answer(o, c->handle, &c->got);
	return permit_has_undo(o) ? hold_add(o, c, OP_READ, 1) : 0;
}

static struct ipc_hold *flock_of(struct ipc_obj *o, ref_t handle)
{
	struct ipc_hold *hold = hold_find(o, handle, OP_FLOCK);

	return hold ? hold : hold_find(o, handle, OP_FLOCK_SHARED);
}

static void unlock(struct ipc_obj *o, struct ipc_hold *hold)
{
	permit_unhold(o, hold);
	hold_drop(o, hold);
	commit(o);
	o->work = true;
}

int permit_flock(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c, int how)
{
	struct ipc_hold *hold = flock_of(o, c->handle);
	bool shared = how == LOCK_SH && ipc_is(o, TYPE_SHARED);

	(void)hd;
	c->op = shared ? OP_FLOCK_SHARED : OP_FLOCK;
	if (how == LOCK_UN) {
		if (hold)
			unlock(o, hold);
		return 0;
	}
	if (hold) {
		if (hold->op == c->op)
			return 0;
		if (shared) { /* in one change, so that nobody gets in between */
			set32(o, hold->op, OP_FLOCK_SHARED);
			set32(o, S(o)->shared, S(o)->shared + 1);
			return 0;
		}
		/* As with flock(2): gives up the old lock, then asks for the new one. */
		unlock(o, hold);
		if (waitq_first(o, WAITQ(o)))
			o->ops->pump(o);
	}
	if (grantable(o, shared) && !waitq_first(o, WAITQ(o))) {
		permit_take(o, shared);
		return hold_add(o, c, c->op, 1);
	}
	return waiter_add(o, c, WAITQ(o), 0);
}

void permit_pump(struct ipc_obj *o)
{
	struct ipc_answer got;
	ref_t r;

	while ((r = waitq_first(o, WAITQ(o))) && !o->damage) {
		struct ipc_waiter *w = waiter_at(o, r);
		uint32_t op = w->flags & WAITER_RELOCK ? OP_FLOCK : w->op;
		bool shared = op == OP_FLOCK_SHARED;
		int e = 0;

		if (!grantable(o, shared))
			break;
		permit_take(o, shared);
		if (w->flags & WAITER_RETAKE)
			e = permit_retake(o, w);
		else if (op != OP_READ || permit_has_undo(o))
			e = hold_add_for(o, w, op, 1);
		if (e < 0) {
			obj_rollback(o);
			if (heap_grow(o, true) < 0)
				break;
			continue;
		}
		permit_answer(o, w->handle, &got);
		if (w->op == OP_READ && w->result >= 0)
			waiter_grant(o, r, (int64_t)got.len, &got);
		else
			waiter_grant(o, r, w->result, NULL);
	}
}

int permit_retake(struct ipc_obj *o, const struct ipc_waiter *w)
{
	int e = w->depth ? hold_add_for(o, w, OP_READ, w->depth) : 0;

	set32(o, handle_at(o, w->handle)->lent_pid, 0);
	return e == 0 && w->arg ? hold_add_for(o, w, (uint32_t)w->arg, 1) : e;
}

unsigned int permit_poll(struct ipc_obj *o, struct ipc_handle *hd)
{
	(void)hd;
	return (S(o)->value && !waitq_first(o, WAITQ(o)) ? POLLIN : 0) | POLLOUT;
}

uint64_t permit_units(struct ipc_obj *o, struct ipc_handle *hd, bool out, uint64_t *ret)
{
	(void)hd;
	*ret = out ? 0 : S(o)->value;
	return *ret;
}

uint32_t permit_scope(const struct ipc_obj *o)
{
	/* Jobs share descriptors, so a close says nothing about any one of them. */
	return S(o)->jobserver ? SCOPE_PROCESS : S(o)->scope;
}

void permit_counts_inner(const struct ipc_obj *o, struct ipc_counts *c)
{
	c->locks = o->h->stats.others + __atomic_load_n(&S(o)->taken, __ATOMIC_RELAXED);
}

/*
 * A direct client died with a permit that it had been granted: its hold returns the permit. Without
 * undo the permit was never taken.
 */
void permit_regret(struct ipc_obj *o, struct ipc_waiter *w)
{
	if (w->op == OP_READ && !permit_has_undo(o) && w->result >= 0)
		permit_put_back(o, 1);
}

int permit_check(struct ipc_obj *o, struct ipc_check *k, uint64_t expected, uint64_t *ret_held)
{
	uint64_t shared = 0, held = 0;

	if (S(o)->spare && check_block(o, S(o)->spare, sizeof(struct ipc_hold), k) < 0)
		return -EIO;
	LIST_EACH(o, &o->h->holds, r) {
		struct ipc_hold *hold = AT(o, ipc_hold, r);

		if (hold->op == OP_FLOCK_SHARED)
			shared += hold->count;
		else
			held += hold->count;
	}
	if (S(o)->bound && S(o)->value > S(o)->bound)
		k->why = "more free permits than the bound";
	else if (shared != expected)
		k->why = "wrong count of shared holders";
	else if (S(o)->undo > 1 || S(o)->scope >= SCOPES || S(o)->jobserver > 1)
		k->why = "unknown setting";
	*ret_held = shared + held;
	return k->why ? -EIO : 0;
}

int permit_check_lock(struct ipc_obj *o, struct ipc_check *k)
{
	uint64_t held;

	if (permit_check(o, k, S(o)->shared, &held) < 0)
		return -EIO;
	if (S(o)->value && held)
		k->why = "free and held at once";
	else if (ipc_is(o, TYPE_INNER_LOCK) && S(o)->value + held != 1)
		k->why = "held by nobody, or by two";
	return k->why ? -EIO : 0;
}
