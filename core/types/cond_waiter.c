/* SPDX-License-Identifier: MIT */
/* The waiters of a condition: see cond_waiter.h; for those that lent a lock, lend.h. */
#include "file/list.h"
#include "file/log.h"
#include "object/answer.h"
#include "object/lend.h"
#include "object/parked.h"
#include "object/stats.h"
#include "object/type.h"
#include "object/waiter.h"
#include "types/cond_waiter.h"

void cond_notified(struct ipc_obj *o, struct ipc_waiter *w)
{
	set32(o, w->flags, w->flags | WAITER_NOTIFIED);
	set64(o, C(o)->waiting, C(o)->waiting - 1);
	set64(o, C(o)->to_notify, C(o)->to_notify - 1);
	STAT_ADD(o, puts, 1);
}

void cond_move_on(struct ipc_obj *o, ref_t r)
{
	struct ipc_waiter *w = waiter_at(o, r);
	struct ipc_answer got;

	if (w->flags & WAITER_RELOCK) {
		if (w->waitq != WAITQ_LOCK)
			waiter_to_waitq(o, r, WAITQ_LOCK, false);
		commit(o);
		return;
	}
	answer_number(&got, 1);
	if (w->result < 0)
		waiter_grant(o, r, w->result, NULL);
	else
		waiter_grant(o, r, (int64_t)got.len, &got);
}

void cond_settle(struct ipc_obj *o, struct ipc_waiter *w)
{
	uint64_t before = 0;
	ref_t self = ref_of(o, w);

	if (cond_settled(w) || !C(o)->to_notify)
		return;
	LIST_EACH(o, &o->h->waitqs[WAITQ_WAIT], r) {
		if (r == self)
			break;
		before += !cond_settled(waiter_at(o, r));
	}
	if (before < C(o)->to_notify)
		cond_notified(o, w);
}

void cond_give_up(struct ipc_obj *o, struct ipc_waiter *w)
{
	struct ipc_cond *c = C(o);

	if (w->flags & WAITER_NOTIFIED) {
		if (c->to_notify < c->waiting)
			set64(o, c->to_notify, c->to_notify + 1);
	} else if (!cond_settled(w)) {
		set64(o, c->waiting, c->waiting - 1);
	}
	o->work = true;
}

bool ipc_cond_lent(struct ipc_obj *o, ref_t r, struct ipc_lent *ret)
{
	struct ipc_waiter *w = waiter_at(o, r);

	if (!(w->flags & WAITER_LENT))
		return false;
	*ret = (struct ipc_lent){ .handle = w->hold, .gen = w->need };
	return true;
}

void ipc_cond_park(struct ipc_obj *o, ref_t r)
{
	struct ipc_waiter *w = waiter_at(o, r);
	struct ipc_answer none = { 0 };

	if (w->state != WAITER_GRANTED)
		return;
	answer_move(o, &w->got, &none); /* a number: it has no messages */
	set64(o, w->result, w->result < 0 ? w->result : 0);
	waiter_to_waitq(o, r, WAITQ_WAIT, true);
	waiter_park(o, r);
	commit(o);
}

void ipc_cond_busy(struct ipc_obj *o, struct ipc_waiter *w, bool busy)
{
	set32(o, w->flags, busy ? w->flags | WAITER_BUSY : w->flags & ~WAITER_BUSY);
	commit(o);
}
