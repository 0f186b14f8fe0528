/* SPDX-License-Identifier: MIT */
/*
 * Waiting is data. A waiter is a block in one of the object's wait queues; nobody sleeps in here.
 *
 * 	            waiter_add                 waiter_grant                 ipc_finish
 * 	(no waiter) ----------> WAITING (queued) ----------> GRANTED ------------------> (gone)
 * 	                        |     ^                      (granted: FUSE,   \
 * 	            waiter_turn |     | would block again    woken: direct)     `-> REST (rests)
 * 	                        v     |
 * 	                        TURN (first in queue) - acts itself --> (gone, waiter_done)
 *
 * A direct waiter whose answer is only a number takes it without the lock, and leaves the waiter to
 * be freed by whoever has the lock next (ipc_take_given, ipc_reap). Otherwise a thousand waiters
 * woken at once would queue again, for the lock.
 *
 * A wait queue is served strictly from its head. Takers are granted: whoever makes the answer
 * possible moves it into the waiter. Putters get their turn instead, because only they have their
 * data. A waiter that gives up (signal, time limit, close) leaves from WAITING or TURN; from
 * GRANTED the only way back is its type's regret(). A condition's or barrier's waiter that a signal
 * interrupts stays queued without a request (WAITER_PARKED), until its handle reads again.
 *
 * Such a waiter may also stand for a caller that must not wait (WAITER_STANDS): the caller has had
 * its EAGAIN; the waiter is served like others and, once granted, stays until its handle reads. A
 * handle has at most one of these (handle.standing).
 */
#include "file/heap.h"
#include "file/list.h"
#include "file/log.h"
#include "object/answer.h"
#include "object/stats.h"
#include "object/waiter.h"

int waiter_add(struct ipc_obj *o, struct ipc_call *c, unsigned int waitq, uint64_t arg)
{
	struct ipc_handle *hd = handle_at(o, c->handle);
	ref_t r;

	if (c->deadline == 0)
		return -EAGAIN;
	r = heap_alloc(o, sizeof(struct ipc_waiter));
	if (!r)
		return -ENOMEM;
	*waiter_at(o, r) = (struct ipc_waiter){
		.handle = c->handle,
		.op = c->op,
		.waitq = waitq,
		.state = WAITER_WAITING,
		.flags = c->stand  ? WAITER_STANDS :
			 c->unique ? 0 :
				     WAITER_DIRECT,
		.tid = c->tid,
		.pid = c->pid,
		.uid = c->uid,
		.since = ipc_now(),
		.deadline = c->deadline,
		.unique = c->unique,
		.arg = arg,
		.need = c->keeps            ? 0 :
			c->max < UINT32_MAX ? (uint32_t)c->max :
					      UINT32_MAX,
		.got = { .base = c->pos },
	};
	list_push(o, &o->h->waitqs[waitq], r);
	set32(o, hd->waiters, hd->waiters + 1);
	STAT_ADD(o, waits, 1);
	if (c->stand)
		set32(o, hd->standing, r);
	c->waiter = r;
	return IPC_WAIT;
}

static struct ipc_list *list_of(struct ipc_obj *o, const struct ipc_waiter *w)
{
	switch (w->state) {
	case WAITER_GRANTED:
		return w->flags & WAITER_DIRECT ? &o->h->woken : &o->h->granted;
	case WAITER_REST:
	case WAITER_BEGUN:
		return &o->h->rests;
	default:
		return &o->h->waitqs[w->waitq % IPC_WAITQS];
	}
}

static void move(struct ipc_obj *o, ref_t r, uint32_t state)
{
	struct ipc_waiter *w = waiter_at(o, r);

	list_remove(o, list_of(o, w), r);
	set32(o, w->state, state);
	list_push(o, list_of(o, w), r);
}

/* Part of the change that lets it continue. */
static void wake_later(struct ipc_obj *o, const struct ipc_waiter *w)
{
	if (w->flags & WAITER_DIRECT)
		set32(o, o->h->to_wake, o->h->to_wake + 1);
}

void waiter_grant(struct ipc_obj *o, ref_t r, int64_t result, const struct ipc_answer *got)
{
	struct ipc_waiter *w = waiter_at(o, r);

	uint64_t pos = w->got.base;

	/*
	 * Otherwise, whoever grants the head of a wait queue would find it there again and again.
	 */
	if (w->state != WAITER_WAITING && w->state != WAITER_TURN) {
		obj_damage(o, "a queued waiter is not waiting");
		return;
	}
	set64(o, w->result, result);
	if (got)
		answer_move(o, &w->got, got);
	set64(o, w->got.base, pos);
	move(o, r, WAITER_GRANTED);
	stats_ended(o, result);
	wake_later(o, w);
	commit(o);
}

void waiter_turn(struct ipc_obj *o, ref_t r)
{
	struct ipc_waiter *w = waiter_at(o, r);

	if (w->state != WAITER_WAITING)
		return;
	set32(o, w->state, WAITER_TURN);
	stats_ended(o, 0);
	wake_later(o, w);
	commit(o);
}

void waiter_done(struct ipc_obj *o, ref_t r)
{
	struct ipc_waiter *w = waiter_at(o, r);
	struct ipc_handle *hd = handle_at(o, w->handle);

	list_remove(o, list_of(o, w), r);
	if (w->state == WAITER_REST || w->state == WAITER_BEGUN)
		set32(o, hd->rests, hd->rests - 1);
	else
		set32(o, hd->waiters, hd->waiters - 1);
	if (w->flags & WAITER_PARKED)
		set32(o, hd->parked, hd->parked - 1);
	if (w->flags & WAITER_STANDS)
		set32(o, hd->standing, 0);
	heap_free(o, r);
}

static void to_rests(struct ipc_obj *o, ref_t r, enum ipc_waiter_state state)
{
	struct ipc_handle *hd = handle_at(o, waiter_at(o, r)->handle);

	move(o, r, state);
	set32(o, hd->waiters, hd->waiters - 1);
	set32(o, hd->rests, hd->rests + 1);
}

void waiter_rests(struct ipc_obj *o, ref_t r)
{
	to_rests(o, r, WAITER_REST);
}

void waiter_begin(struct ipc_obj *o, ref_t r)
{
	to_rests(o, r, WAITER_BEGUN);
	set32(o, waiter_at(o, r)->futex, FUTEX_SPINS);
}

void waiter_to_waitq(struct ipc_obj *o, ref_t r, unsigned int waitq, bool head)
{
	struct ipc_waiter *w = waiter_at(o, r);

	list_remove(o, list_of(o, w), r);
	set32(o, w->waitq, waitq);
	set32(o, w->state, WAITER_WAITING);
	if (head)
		list_push_head(o, list_of(o, w), r);
	else
		list_push(o, list_of(o, w), r);
}

ref_t ipc_find_waiter(struct ipc_obj *o, uint64_t unique)
{
	struct ipc_header *h = o->h;

	LIST_EACH(o, &h->granted, r)
		if (waiter_at(o, r)->unique == unique)
			return r;
	for (unsigned int i = 0; i < IPC_WAITQS; i++)
		LIST_EACH(o, &h->waitqs[i], r)
			if (waiter_at(o, r)->unique == unique)
				return r;
	return 0;
}

ref_t ipc_turn(struct ipc_obj *o)
{
	for (unsigned int i = 0; i < IPC_WAITQS; i++) {
		ref_t r = o->h->waitqs[i].head;

		if (r && waiter_at(o, r)->state == WAITER_TURN &&
		    !(waiter_at(o, r)->flags & WAITER_DIRECT))
			return r;
	}
	return 0;
}

void ipc_name_waiters(struct ipc_obj *o, uint32_t (*pid_of)(uint32_t tid))
{
	for (unsigned int i = 0; i < IPC_WAITQS; i++)
		LIST_EACH(o, &o->h->waitqs[i], r) {
			struct ipc_waiter *w = waiter_at(o, r);

			if (!w->pid)
				set32(o, w->pid, pid_of(w->tid));
			commit(o);
		}
}
