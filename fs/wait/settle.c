/* SPDX-License-Identifier: MIT */
/*
 * What a change of an object makes possible: requests that were granted are answered, writers have their
 * turn, pollers and direct clients are woken.
 *
 * Whoever has changed an object gives its lock back with object_leave(). That grants what can be
 * granted, while the lock is held anyway, and lists the requests that have to be told. If there are none,
 * the rest is done at once, and the object was locked only once. Otherwise the end of the turn continues
 * (settle):
 *
 *	tell	each listed request is answered. The object is not locked.
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
 *    waiter is finished as one that was told (settle_told).
 *  - The current request is answered before anything is settled. The result of a put is recorded in
 *    the object's header, which has room for one: so a writer has its turn after the replies before it
 *    are sent, and only one has it in a round.
 */
#include <stdlib.h>
#include <utlist.h>

#include "file/list.h"
#include "object/type.h"
#include "object/waiter.h"
#include "object/wake.h"
#include "state/memory.h"
#include "wait/door.h"
#include "wait/monitor.h"
#include "wait/nonblock.h"
#include "wait/park.h"
#include "wait/turn.h"
#include "wait/watch.h"

/* ---- with the object locked: who is to be told ---- */

static void pump(struct object *ob)
{
	struct ipc_obj *o = &ob->o;

	if (o->work || o->freed) {
		o->starved = false;
		ipc_pump(o);
	}
	o->freed = false;
}

/* It has its answer. Watch the process at whose end what it took is returned. */
static void tell_granted(struct object *ob, struct parked *p, int error)
{
	const struct ipc_waiter *w = waiter_at(&ob->o, p->waiter);

	if (!error && w->result >= 0)
		watch_holder(ob, handle_at(&ob->o, w->handle)->opener, w->pid);
	p->error = (int16_t)error;
	park_tell(p);
}

/* It waited for this lock on behalf of a condition, and has it back: now the condition answers. */
static void back_to_condition(struct object *lock, struct parked *p)
{
	struct object *cond = p->cond;
	struct ipc_call none = { 0 };

	ipc_finish(&lock->o, p->waiter, &none);
	park_move(p, cond, p->cond_waiter);
	p->cond = NULL;
	cond->pins--;
	park_tell(p);
	turn_look(cond);
}

/*
 * A condition's reader that has its result takes back the lock that it gave up, or waits for it.
 * false: not now.
 */
static bool retake(struct object *ob, struct parked *p)
{
	struct ipc_call c = {
		.tid = p->tid,
		.uid = p->uid,
		.unique = p->unique,
		.deadline = IPC_NEVER,
	};
	struct object *lock;
	int r = monitor_retake(ob, p->waiter, &lock, &c);

	if (r == IPC_WAIT) {
		ob->pins++; /* p->cond */
		p->cond = ob;
		p->cond_waiter = p->waiter;
		park_move(p, lock, c.waiter);
		object_leave(lock);
	} else if (r != -EBUSY) {
		tell_granted(ob, p, r);
	}
	return r != -EBUSY;
}

/* Those that were granted and whose requests are here (after a restart they may still arrive). */
static void list_granted(struct object *ob)
{
	struct ipc_obj *o = &ob->o;

	LIST_EACH(o, &o->h->granted, r) {
		struct parked *p = park_find(ob, r);

		if (!p || p->telling)
			continue;
		if (p->cond)
			back_to_condition(ob, p);
		else if (!ipc_is(o, TYPE_MONITOR))
			tell_granted(ob, p, 0);
		else if (!retake(ob, p))
			return;
	}
}

/* The writer whose turn it is, if its request is here. */
static struct parked *next_turn(struct object *ob)
{
	ref_t w = ipc_turn(&ob->o);

	return w ? park_find(ob, w) : NULL;
}

/*
 * Grant what can be granted. true: it must be locked again, to finish those who are told, or for a
 * writer's turn. (A writer that has ended leaves nothing to finish, and there is only one.)
 */
static bool grant(struct object *ob)
{
	struct ipc_obj *o = &ob->o;

	do {
		pump(ob);
		if (o->h->granted.count && !o->damage)
			list_granted(ob);
	} while (o->work && !o->damage); /* (a process had ended that was granted something) */
	if (o->damage)
		return false;
	return (ob->telling && (!ob->telling->ended || ob->telling->next)) || next_turn(ob);
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
	p->ended = true;
	p->result = r == 0 && c.result > 0 ? c.result : r;
	park_tell(p);
}

static bool waits_for_memory(struct ipc_obj *o)
{
	for (unsigned int i = 0; i < IPC_WAITQS; i++) {
		ref_t w = o->h->waitqs[i].head;

		if (w && waiter_at(o, w)->flags & WAITER_MEMORY)
			return true;
	}
	return false;
}

/* When nobody is to be told anything. */
static void end_round(struct object *ob)
{
	struct ipc_obj *o = &ob->o;
	int64_t due = ipc_due(o);

	if (o->damage)
		return;
	if (due != IPC_NEVER)
		look_again_at(ob, due);
	if (ob->late_polls)
		wake_late_pollers(ob);
	if (o->h->polls.count)
		wake_pollers(ob);
	memory_trim(ob);
	memory_hungry(ob, waits_for_memory(o) || o->starved);
}

/* Unlock, and wake direct clients: those that were granted, and a putter whose turn it is. */
static void unlock_and_wake(struct object *ob)
{
	/*
	 * No more of them than there can be: a hostile client may keep marking them as not woken.
	 */
	uint32_t most = ob->o.locked ? list_most(&ob->o, &ob->o.h->woken) + 2 * IPC_WAKES : 0;
	struct ipc_wakes wakes;
	uint32_t n = 0;
	bool more;

	wakes.n = 0; /* the rest need not be cleared */
	do {
		more = ob->o.locked && !ob->o.damage && ipc_wake(&ob->o, &wakes);
		object_unlock(ob);
		ipc_wake_send(&wakes);
		n += wakes.n;
	} while (more && n < most && object_enter(ob, NULL) == 0);
}

void object_leave(struct object *ob)
{
	if (grant(ob))
		turn_look(ob);
	else
		end_round(ob);
	unlock_and_wake(ob);
	object_used(ob);
}

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

/* Without the lock. Returns the list of those that were told; they are no longer parked. */
static struct parked *tell(struct object *ob)
{
	struct parked *told = NULL, *p;

	while ((p = ob->telling)) {
		struct reply r;

		reply_for(ob, p, &r);
		reply_send(park_take_out(p), &r);
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
		struct deferred d = {
			.run = finish_waiter, .waiter = p->waiter, .max = p->max, .pos = p->pos
		};

		if (!p->ended && r == 0)
			d.run(ob, &d);
		else if (!p->ended && r == -EBUSY)
			object_defer(ob, &d);
		free(p);
	}
}

void settle(struct object *ob)
{
	bool more = true;

	while (more) {
		struct parked *told = tell(ob), *p;
		int r = object_enter(ob, NULL);

		finish(ob, told, r);
		if (r < 0)
			return;
		pump(ob);
		p = next_turn(ob);
		if (p)
			have_turn(ob, p);
		more = grant(ob);
		if (!more)
			end_round(ob);
		unlock_and_wake(ob);
	}
	if (!ob->o.damage)
		finish(ob, tell(ob), 0); /* a writer that ended in the last round, if any */
	object_used(ob);
}

/* ---- after a start ---- */

/*
 * Everything that the kernel resends has arrived, so a waiter without a request was answered before
 * the last worker died, or its caller is gone. Others may still have its handle, and then no
 * RELEASE comes.
 */
static void end_told(struct object *ob, const struct deferred *d)
{
	struct ipc_obj *o = &ob->o;
	int64_t result;

	/* Last of all: the request of one may have been put aside, and forsaken meanwhile (aside.c). */
	if (ob->deferred) {
		object_defer(ob, d);
		return;
	}
	LIST_EACH(o, &o->h->granted, r)
		if (waiter_is_request(waiter_at(o, r)) && !park_has(ob, r))
			ipc_finish_told(o, r);
	for (unsigned int i = 0; i < IPC_WAITQS; i++)
		LIST_EACH(o, &o->h->waitqs[i], r)
			if (waiter_is_request(waiter_at(o, r)) && !park_has(ob, r))
				ipc_leave(o, r, -EINTR, &result);
}

static bool somebody_waits(const struct object *ob)
{
	uint32_t n;

	if (ob->away)
		return ob->waits;
	n = ob->o.h->granted.count;
	for (unsigned int i = 0; i < IPC_WAITQS; i++)
		n |= ob->o.h->waitqs[i].count;
	return n;
}

void settle_told(void)
{
	struct node *n, *tmp;

	HASH_ITER(by_id, fs.by_id, n, tmp) {
		turn_trim();
		if (n->ob && !n->ob->o.damage && somebody_waits(n->ob))
			object_do(n->ob, &(struct deferred){ .run = end_told });
	}
}

static void begin_again(struct object *ob, const struct deferred *d)
{
	(void)d;
	ob->o.work = true;
	poll_rearm(ob);
}

static void settle_one(struct object *ob, void *arg)
{
	(void)arg;
	object_do(ob, &(struct deferred){ .run = begin_again });
}

void settle_all(void)
{
	turn_each_active(settle_one, NULL);
}
