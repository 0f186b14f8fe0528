/* SPDX-License-Identifier: MIT */
/*
 * A handle's hand: see hand.h. The rules by which an answer is taken or goes back are in answer.c.
 */
#include "file/list.h"
#include "file/log.h"
#include "object/answer.h"
#include "object/completion.h"
#include "object/hand.h"
#include "object/type.h"
#include "object/waiter.h"

void hand_pass(struct ipc_obj *o, struct ipc_handle *hd, uint64_t pos)
{
	if (hd->flags & HANDLE_POSITION && pos < hd->hand.base)
		answer_leave(o, hd, &hd->hand);
	else
		answer_drop(o, &hd->hand);
}

void ipc_next_rest(struct ipc_obj *o, struct ipc_handle *hd)
{
	ref_t handle = ref_of(o, hd);

	if (!hd->rests || answer_left(&hd->hand))
		return;
	answer_drop(o, &hd->hand);
	LIST_EACH(o, &o->h->rests, r) {
		struct ipc_waiter *w = waiter_at(o, r);

		if (w->handle != handle || w->state != WAITER_REST)
			continue;
		answer_move(o, &hd->hand, &w->got);
		waiter_done(o, r);
		commit(o);
		return;
	}
}

bool ipc_in_hand(struct ipc_obj *o, struct ipc_handle *hd, uint64_t pos, uint64_t *ret_off)
{
	struct ipc_answer *a = &hd->hand;

	if (hd->flags & HANDLE_POSITION) {
		if (a->kind == ANSWER_NONE || pos < a->base)
			return false;
		*ret_off = pos - a->base;
		/* Types that answer once: the end, until somebody seeks to 0 and asks again. */
		if (!ipc_is_stream(o->ops) || hd->kind == HANDLE_JOIN || hd->kind == HANDLE_CHANGED)
			return pos != 0;
		return *ret_off < a->len;
	}
	ipc_next_rest(o, hd);
	*ret_off = a->off;
	return answer_left(a) != 0;
}

uint64_t ipc_answer_read(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c, uint64_t off)
{
	struct ipc_answer *a = &hd->hand;
	uint64_t n = off < a->len ? a->len - off : 0;

	n = n < c->max ? n : c->max;
	/* Without a position, only this tells a resent one where its part began. */
	if (!(hd->flags & HANDLE_POSITION))
		call_record(o, c, (int64_t)off, true);
	if (off + n > a->off) /* the furthest: see above */
		set64(o, a->off, off + n);
	commit(o);
	return n;
}

void ipc_advance(struct ipc_obj *o, struct ipc_handle *hd, uint64_t n)
{
	set64(o, hd->hand.off, hd->hand.off + n);
	commit(o);
}

void ipc_finish(struct ipc_obj *o, ref_t r, const struct ipc_call *c)
{
	struct ipc_waiter *w = waiter_at(o, r);
	struct ipc_handle *hd = handle_at(o, w->handle);
	bool position = hd->flags & HANDLE_POSITION;
	uint64_t used = w->got.len < c->max ? w->got.len : c->max;

	if (w->state != WAITER_GRANTED)
		return;
	if (w->got.kind != ANSWER_NONE && (position || used < w->got.len)) {
		set64(o, w->got.off, used);
		set64(o, w->got.base, c->pos);
		if (!position && answer_left(&hd->hand)) {
			waiter_rests(o, r);
			commit(o);
			return;
		}
		commit(o);
		hand_pass(o, hd, c->pos);
		answer_move(o, &hd->hand, &w->got);
	} else {
		answer_drop(o, &w->got);
	}
	waiter_done(o, r);
	commit(o);
}

void ipc_finish_told(struct ipc_obj *o, ref_t r)
{
	struct ipc_waiter *w = waiter_at(o, r);
	struct ipc_call c = { .pos = w->got.base,
			      .max = w->flags & WAITER_LENT ? SIZE_MAX : w->need };

	ipc_finish(o, r, &c);
}
