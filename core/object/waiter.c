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
 * A direct waiter whose answer is only a number takes that without the lock, and leaves the waiter
 * to whoever has it next (ipc_take_given, ipc_reap): a thousand that are woken at once would else
 * queue again, for the lock.
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
#include "object/completion.h"
#include "object/type.h"
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
		.need = c->max < UINT32_MAX ? (uint32_t)c->max : UINT32_MAX,
		.got = { .base = c->pos },
	};
	list_push(o, &o->h->waitqs[waitq], r);
	set32(o, hd->waiters, hd->waiters + 1);
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

	/* Otherwise, granting to the head of a wait queue would find it there again. */
	if (w->state != WAITER_WAITING && w->state != WAITER_TURN) {
		obj_damage(o, "a queued waiter is not waiting");
		return;
	}
	set64(o, w->result, result);
	if (got)
		answer_move(o, &w->got, got);
	set64(o, w->got.base, pos);
	move(o, r, WAITER_GRANTED);
	wake_later(o, w);
	commit(o);
}

void waiter_turn(struct ipc_obj *o, ref_t r)
{
	struct ipc_waiter *w = waiter_at(o, r);

	if (w->state != WAITER_WAITING)
		return;
	set32(o, w->state, WAITER_TURN);
	wake_later(o, w);
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
	if (w->flags & WAITER_PARKED)
		set32(o, hd->parked, hd->parked - 1);
	if (w->flags & WAITER_STANDS)
		set32(o, hd->standing, 0);
	heap_free(o, r);
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
		return; /* and the clock of its time limit runs on */
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

	/* A lock that it lent is reacquired, as for any waiter whose caller waits. */
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
		answer_pass(o, hd, c->pos);
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
		set64(o, w->deadline, IPC_NEVER);
		commit(o);
		return false;
	}
	/* What went in stays in: a short count. */
	*ret = w->op == OP_WRITE && w->arg ? (int64_t)w->arg : why;
	call_record(o, &c, *ret, false);
	if (left == LEFT_PARKED)
		waiter_park(o, r);
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
	for (unsigned int i = 0; i < IPC_WAITQS; i++)
		LIST_EACH(o, &h->waitqs[i], r)
			if (waiter_at(o, r)->unique == unique)
				return r;
	return 0;
}

void ipc_finish_told(struct ipc_obj *o, ref_t r)
{
	struct ipc_waiter *w = waiter_at(o, r);
	struct ipc_call c = { .pos = w->got.base,
			      .max = w->flags & WAITER_LENT ? SIZE_MAX : w->need };

	ipc_finish(o, r, &c);
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

/* End its wait: it is granted this error, which its caller is then told. Committed. */
static void send_away(struct ipc_obj *o, ref_t r, int why)
{
	struct ipc_waiter *w = waiter_at(o, r);
	struct ipc_answer none = { 0 };

	o->work = true;
	set64(o, w->deadline, IPC_NEVER);
	if (o->ops->left && o->ops->left(o, w, why) != LEFT_GOES) {
		commit(o);
	} else if (w->flags & WAITER_PARKED) {
		waiter_done(o, r);
		commit(o);
	} else { /* What went in stays in: a short count. */
		waiter_grant(o, r, w->op == OP_WRITE && w->arg ? (int64_t)w->arg : why, &none);
	}
}

void ipc_expire(struct ipc_obj *o, int64_t now)
{
	for (unsigned int i = IPC_WAITQS; i-- > 0;)
		LIST_EACH(o, &o->h->waitqs[i], r)
			if (waiter_at(o, r)->flags & WAITER_STANDS &&
			    waiter_at(o, r)->deadline <= now)
				send_away(o, r, -ETIMEDOUT);
}

static int cancel(struct ipc_obj *o, uint32_t pid, bool direct)
{
	int n = 0;

	/*
	 * Backwards: a condition's waiter moves to a later wait queue, and must not be met again.
	 */
	for (unsigned int i = IPC_WAITQS; i-- > 0;)
		LIST_EACH(o, &o->h->waitqs[i], r) {
			struct ipc_waiter *w = waiter_at(o, r);

			if (pid && w->pid != pid && w->tid != pid)
				continue;
			if (direct && !(w->flags & WAITER_DIRECT))
				continue;
			n++;
			send_away(o, r, -ECANCELED);
		}
	o->work = true;
	return n;
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

int ipc_cancel(struct ipc_obj *o, uint32_t pid)
{
	return cancel(o, pid, false);
}

void ipc_cancel_direct(struct ipc_obj *o)
{
	cancel(o, 0, true);
	/* A condition's waiter, if its lock is free; others learn that the mount is gone. */
	ipc_pump(o);
}
