/* SPDX-License-Identifier: MIT */
/*
 * Waiting is data. A waiter is a block in one of the object's lines; nobody sleeps in here.
 *
 *	            waiter_add                 waiter_grant                 ipc_finish
 *	(no waiter) ----------> WAITING (line) ------------> GRANTED ------------------> (gone)
 *	                        |     ^                      (granted: FUSE,   \
 *	            waiter_turn |     | would block again    woken: direct)     `-> REST (rests)
 *	                        v     |
 *	                        TURN (first in line) -- acts itself --> (gone, waiter_done)
 *
 * A line is served strictly from its head. Takers are granted: whoever makes the answer possible
 * moves it into the waiter. Putters get their turn instead, because only they have their data.
 * A waiter that gives up (signal, time limit, close) leaves from WAITING or TURN; from GRANTED
 * there is no way back but its type's regret().
 */
#define _GNU_SOURCE
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "type.h"

void call_record(struct ipc_obj *o, struct ipc_call *c, int64_t result, bool partial)
{
	struct ipc_header *h = o->h;

	c->result = result;
	if (!c->unique)
		return;
	if (c->waiter) {
		set64(o, waiter_at(o, c->waiter)->arg, result);
		return;
	}
	set64(o, h->unique, c->unique);
	set64(o, h->result, result);
	set32(o, h->unique_handle, c->handle);
	set32(o, h->unique_partial, partial);
}

int waiter_add(struct ipc_obj *o, struct ipc_call *c, unsigned int line, uint64_t arg)
{
	struct ipc_handle *hd = handle_at(o, c->handle);
	ref_t r;

	if (c->deadline == 0)
		return -EAGAIN;
	r = heap_alloc(o, sizeof(struct ipc_waiter));
	if (!r)
		return -ENOMEM;
	*waiter_at(o, r) = (struct ipc_waiter){
		.handle = c->handle, .op = c->op, .line = line, .state = WAITER_WAITING,
		.flags = c->unique ? 0 : WAITER_DIRECT, .tid = c->tid, .pid = c->pid,
		.uid = c->uid, .since = ipc_now(), .deadline = c->deadline, .unique = c->unique,
		.arg = arg,
	};
	list_push(o, &o->h->lines[line], r);
	set32(o, hd->waiters, hd->waiters + 1);
	c->waiter = r;
	return IPC_WAIT;
}

static struct ipc_list *list_of(struct ipc_obj *o, const struct ipc_waiter *w)
{
	switch (w->state) {
	case WAITER_GRANTED:
		return w->flags & WAITER_DIRECT ? &o->h->woken : &o->h->granted;
	case WAITER_REST:
		return &o->h->rests;
	default:
		return &o->h->lines[w->line % IPC_LINES];
	}
}

static void move(struct ipc_obj *o, ref_t r, uint32_t state)
{
	struct ipc_waiter *w = waiter_at(o, r);

	list_remove(o, list_of(o, w), r);
	set32(o, w->state, state);
	list_push(o, list_of(o, w), r);
}

static void answer_move(struct ipc_obj *o, struct ipc_answer *to, const struct ipc_answer *from)
{
	const uint64_t *f = (const uint64_t *)from;
	uint64_t *t = (uint64_t *)to;

	for (unsigned int i = 0; i < sizeof(*to) / 8; i++)
		set64_at(o, t + i, f[i]);
}

void waiter_grant(struct ipc_obj *o, ref_t r, int64_t result, const struct ipc_answer *got)
{
	struct ipc_waiter *w = waiter_at(o, r);

	set64(o, w->result, result);
	if (got)
		answer_move(o, &w->got, got);
	move(o, r, WAITER_GRANTED);
	commit(o);
}

void waiter_turn(struct ipc_obj *o, ref_t r)
{
	struct ipc_waiter *w = waiter_at(o, r);

	if (w->state != WAITER_WAITING)
		return;
	set32(o, w->state, WAITER_TURN);
	commit(o);
}

void waiter_done(struct ipc_obj *o, ref_t r)
{
	struct ipc_waiter *w = waiter_at(o, r);
	struct ipc_handle *hd = handle_at(o, w->handle);

	list_remove(o, list_of(o, w), r);
	if (w->state == WAITER_REST)
		set32(o, hd->rests, hd->rests - 1);
	else
		set32(o, hd->waiters, hd->waiters - 1);
	if (hd->waiting == r)
		set32(o, hd->waiting, 0);
	heap_free(o, r);
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
			move(o, r, WAITER_REST);
			set32(o, hd->waiters, hd->waiters - 1);
			set32(o, hd->rests, hd->rests + 1);
			commit(o);
			return;
		}
		commit(o);
		answer_drop(o, &hd->hand);
		answer_move(o, &hd->hand, &w->got);
	} else {
		answer_drop(o, &w->got);
	}
	waiter_done(o, r);
	commit(o);
}

void ipc_next_rest(struct ipc_obj *o, struct ipc_handle *hd)
{
	ref_t handle = ref_of(o, hd);

	if (!hd->rests || answer_left(&hd->hand))
		return;
	answer_drop(o, &hd->hand);
	LIST_EACH(o, &o->h->rests, r) {
		struct ipc_waiter *w = waiter_at(o, r);

		if (w->handle != handle)
			continue;
		answer_move(o, &hd->hand, &w->got);
		waiter_done(o, r);
		commit(o);
		return;
	}
}

bool ipc_leave(struct ipc_obj *o, ref_t r, int why, int64_t *ret)
{
	struct ipc_waiter *w = waiter_at(o, r);
	enum ipc_left left = o->ops->left ? o->ops->left(o, w, why) : LEFT_GOES;
	struct ipc_call c = { .unique = w->unique, .handle = w->handle };

	o->work = true;
	if (left == LEFT_WAITS) {
		commit(o);
		return false;
	}
	/* What went in stays in: a short count. */
	*ret = w->op == OP_WRITE && w->arg ? (int64_t)w->arg : why;
	call_record(o, &c, *ret, false);
	if (left == LEFT_PARKED)
		set64(o, w->unique, 0);
	else
		waiter_done(o, r);
	commit(o);
	return true;
}

ref_t ipc_find_waiter(struct ipc_obj *o, uint64_t unique)
{
	struct ipc_header *h = o->h;

	LIST_EACH(o, &h->granted, r)
		if (waiter_at(o, r)->unique == unique)
			return r;
	for (unsigned int i = 0; i < IPC_LINES; i++)
		LIST_EACH(o, &h->lines[i], r)
			if (waiter_at(o, r)->unique == unique)
				return r;
	return 0;
}

ref_t ipc_turn(struct ipc_obj *o)
{
	for (unsigned int i = 0; i < IPC_LINES; i++) {
		ref_t r = o->h->lines[i].head;

		if (r && waiter_at(o, r)->state == WAITER_TURN &&
		    !(waiter_at(o, r)->flags & WAITER_DIRECT))
			return r;
	}
	return 0;
}

int ipc_cancel(struct ipc_obj *o, uint32_t pid)
{
	struct ipc_answer none = { 0 };
	int n = 0;

	for (unsigned int i = 0; i < IPC_LINES; i++)
		LIST_EACH(o, &o->h->lines[i], r) {
			struct ipc_waiter *w = waiter_at(o, r);

			if (pid && w->pid != pid && w->tid != pid)
				continue;
			if (o->ops->left)
				o->ops->left(o, w, -ECANCELED);
			if (w->flags & WAITER_PARKED)
				continue;
			waiter_grant(o, r, -ECANCELED, &none);
			n++;
		}
	o->work = true;
	return n;
}

void ipc_wake(struct ipc_obj *o)
{
	LIST_EACH(o, &o->h->woken, r) {
		struct ipc_waiter *w = waiter_at(o, r);

		if (w->flags & WAITER_WOKEN)
			continue;
		w->flags |= WAITER_WOKEN;
		__atomic_store_n(&w->futex, 1, __ATOMIC_RELEASE);
		syscall(SYS_futex, &w->futex, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	}
}
