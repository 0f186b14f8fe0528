/* SPDX-License-Identifier: MIT */
/*
 * What a change of an object makes possible: requests that were granted are answered, writers have their
 * turn, pollers and direct clients are woken.
 *
 * Whoever has changed an object gives its lock back with object_leave() (leave.c). That grants what can be
 * granted, while the lock is held anyway, and lists the requests that have to be told. If there are none,
 * the rest is done at once, and the object was locked only once. Otherwise the end of the turn continues
 * (settle):
 *
 *	tell	each listed request is answered; but a condition's reader first takes back the lock that
 *		it gave up, or waits for it. The object is not locked.
 *	finish	it is locked again; what was told is finished (the waiters go), the next writer
 *		puts its data, and what that grants is listed for another round.
 *
 * So a change costs one lock round, and all to whom it grants something one more, however many they are.
 *
 * Why in this order:
 *
 *  - A reply comes after the unlock. The kernel copies it to its caller, who may run on this CPU the
 *    next moment and want the lock; and copying up to 1 MiB is too long for a lock.
 *  - Reading an answer without the lock is safe: it is in a granted waiter or in a handle's hand, and
 *    holds references to its messages. Only its owner, this daemon, gives these up: the waiter by
 *    ipc_finish(), the hand by the handle's next request or its close. Direct clients never touch
 *    another's. (A process that scribbles in the file can change the text at any time; each reference is
 *    checked when it is followed.)
 *  - A request is finished after its reply. If the worker dies before the reply, the next one finds the
 *    waiter granted, and the request comes again; if it dies after the reply, no request comes, and the
 *    waiter is finished as one that was told (takeup_told).
 *  - The current request is answered before anything is settled. The result of a put is recorded in
 *    the object's header, which has room for one: so a writer has its turn after the replies before it
 *    are sent, and only one has it in a round.
 */
#include <stdlib.h>
#include <utlist.h>

#include "file/list.h"
#include "object/lend.h"
#include "object/waiter.h"
#include "state/fs.h"
#include "wait/ask.h"
#include "wait/leave.h"
#include "wait/monitor.h"
#include "wait/park.h"
#include "wait/parked.h"
#include "wait/pollers.h"
#include "wait/turn.h"

/* ---- at the end of the turn ---- */

static void reply_for(struct object *ob, const struct parked *p, struct reply *r)
{
	const struct ipc_waiter *w = waiter_at(&ob->o, p->waiter);
	int64_t result = p->ended ? p->result : p->error ? p->error : w->result;

	if (result < 0 || p->op == OP_FLOCK || p->op == OP_FLOCK_SHARED || p->op == OP_WRITE)
		reply_result(r, result, p->op == OP_WRITE);
	else
		reply_read(r, ob, handle_at(&ob->o, w->handle), &w->got, p->max);
}

/* It puts more of its data. */
static void have_turn(struct object *ob, struct parked *p)
{
	struct ipc_waiter *w = waiter_at(&ob->o, p->waiter);
	struct ipc_call c = {
		.handle = w->handle,
		.op = OP_WRITE,
		.tid = w->tid,
		.pid = w->pid,
		.uid = w->uid,
		.unique = w->unique,
		.deadline = w->deadline,
		.data = p->data,
		.len = p->len,
		.done = w->arg,
		.limit = mount_body()->message_limit,
		.atomic = p->atomic,
		.waiter = p->waiter,
	};
	int r = ipc_put(&ob->o, &c);

	if (r == IPC_WAIT)
		return;
	parked_end(p, r == 0 && c.result > 0 ? c.result : r);
	parked_tell(p);
}

/* With the lock that it gave up locked: it has it back, or waits for it. */
static void retake_lock(struct object *lock, const struct deferred *d)
{
	struct parked *p = d->parked;
	struct object *cond = p->ob;
	struct ipc_call c = {
		.tid = p->tid,
		.uid = p->uid,
		.unique = p->unique,
		.deadline = IPC_NEVER,
	};
	int r = monitor_retake(lock, &c, &d->lent);

	p->retakes = false;
	p->error = (int16_t)(r == IPC_WAIT ? 0 : r);
	if (r != IPC_WAIT)
		return;
	parked_keep(p);
	cond->pins++; /* p->cond */
	p->cond = cond;
	p->cond_waiter = p->waiter;
	parked_move(p, lock, c.waiter);
}

/* The lock is stalled: none of them overtakes another. */
static void retake_later(struct object *ob)
{
	struct parked *p, *tmp;

	DL_FOREACH_SAFE(ob->telling, p, tmp)
		if (p->retakes)
			parked_keep(p);
	object_again(ob);
}

/* true: it has its lock, or cannot have it. */
static bool retake(struct object *ob, struct parked *p)
{
	struct object *lock = lock_object(ob);
	struct deferred d = { .run = retake_lock, .parked = p };
	int r;

	if (!lock || !ipc_cond_lent(&ob->o, p->waiter, &d.lent)) {
		p->retakes = false;
		return true;
	}
	r = object_try(lock, &d);
	if (r == -EBUSY)
		retake_later(ob);
	else if (r < 0)
		p->error = (int16_t)r;
	return r != -EBUSY && p->ob == ob && p->telling;
}

/* Without the lock. Returns the list of those that were told; they are no longer parked. */
static struct parked *tell(struct object *ob)
{
	struct parked *told = NULL, *p;

	while ((p = ob->telling)) {
		struct reply r;

		if (p->retakes && !retake(ob, p))
			continue;
		reply_for(ob, p, &r);
		reply_send(parked_take_out(p), &r);
		DL_APPEND(told, p);
	}
	return told;
}

static void finish_waiter(struct object *ob, const struct deferred *d)
{
	struct ipc_call c = { .max = d->max, .pos = d->pos };

	ipc_finish(&ob->o, d->waiter, &c);
}

/* r: whether the object could be locked. If it is stalled they are finished later. */
static void finish(struct object *ob, struct parked *told, int r)
{
	struct parked *p, *tmp;

	DL_FOREACH_SAFE(told, p, tmp) {
		struct deferred d = { .run = finish_waiter,
				      .waiter = p->waiter,
				      .max = p->keeps ? 0 : p->max,
				      .pos = p->pos };

		if (!p->ended && r == 0)
			d.run(ob, &d);
		else if (!p->ended && r == -EBUSY)
			object_defer(ob, &d);
		free(p);
	}
}

/* Is there anything to be done with it locked? */
static bool needs_round(const struct object *ob, const struct parked *told)
{
	const struct parked *p;

	DL_FOREACH(told, p)
		if (!p->ended)
			return true;
	return ob->turn || ob->expired || ob->o.work || ob->o.freed;
}

/* Locked. true: there is another round. */
static bool next_round(struct object *ob)
{
	struct parked *p;

	leave_pump(ob);
	p = leave_turn(ob);
	if (p)
		have_turn(ob, p);
	return leave_round(ob);
}

void settle(struct object *ob)
{
	bool more = true;

	while (more) {
		struct parked *told = tell(ob);
		bool round = needs_round(ob, told);
		int r = round ? object_enter(ob, NULL) : 0;

		finish(ob, told, r);
		if (r < 0)
			return;
		more = round && next_round(ob);
	}
	object_used(ob);
}
