/* SPDX-License-Identifier: MIT */
/*
 * Requests that wait: parking them, and ending their wait when they are interrupted or their time is up.
 * (Who is granted what he waits for is answered in settle.c.)
 *
 * Interrupts. If one came before its request, libfuse tells us while it registers our callback, and
 * the request must not be answered there. So the transport registers before the operation (fuse.c), a
 * request that is not parked is not answered, and when we park one we look once more. INTERRUPTs are
 * requests themselves, read by the loop thread, under the daemon lock like everything else.
 */
#include <stdlib.h>
#include <utlist.h>

#include "base/alloc.h"
#include "base/proc.h"
#include "file/list.h"
#include "object/lend.h"
#include "object/waiter.h"
#include "state/object.h"
#include "wait/aside.h"
#include "wait/ask.h"
#include "wait/leave.h"
#include "wait/park.h"
#include "wait/parked.h"
#include "wait/turn.h"

/* Take it out and free it: from here on the caller must answer. */
static struct asker *unpark(struct parked *p)
{
	struct asker *asker = parked_take_out(p);

	free(p);
	return asker;
}

static void tell_result(struct asker *asker, uint32_t op, int64_t result)
{
	struct reply r;

	reply_result(&r, result, op == OP_WRITE);
	reply_send(asker, &r);
}

/* Its object cannot be locked: try again soon. */
static void give_up_later(struct parked *p, int why)
{
	p->why = (int16_t)why;
	timer_set(&p->timer, (int64_t)ipc_now() + RETRY_MS * 1000000);
}

static void forsake(struct object *ob, const struct deferred *d)
{
	ipc_forsake(&ob->o, d->waiter);
}

/*
 * Its caller is not to wait for that, either: whatever becomes of the waiter is no longer its
 * answer.
 */
static void give_up_unseen(struct parked *p, int why)
{
	int64_t put = p->op == OP_WRITE ? (int64_t)waiter_at(&p->ob->o, p->waiter)->arg : 0;
	uint32_t op = p->op;

	if (p->cond)
		object_do(p->cond, &(struct deferred){ .run = forsake, .waiter = p->cond_waiter });
	object_defer(p->ob, &(struct deferred){ .run = forsake, .waiter = p->waiter });
	tell_result(unpark(p), op, put ? put : why);
}

static bool is_granted(struct ipc_obj *o, ref_t w)
{
	LIST_EACH(o, &o->h->granted, r)
		if (r == w)
			return true;
	return false;
}

/* It was served: that is the answer, at the end of the turn. */
static void was_served(struct object *ob, struct parked *p)
{
	timer_remove(&p->timer);
	/* The waiter says so but is in no list: nobody would ever answer it. */
	if (!is_granted(&ob->o, p->waiter))
		obj_damage(&ob->o, "a served waiter is in no list");
}

/* With the object locked: the waiter leaves its wait queue, unless it waits on (see ipc_leave). */
static void end_wait(struct object *ob, struct parked *p, int why)
{
	int64_t result;

	p->why = 0;
	if (waiter_at(&ob->o, p->waiter)->state == WAITER_GRANTED)
		was_served(ob, p);
	else if (ipc_leave(&ob->o, p->waiter, why, &result) || p->cond)
		parked_end(p, p->cond ? why : result);
	else
		timer_remove(&p->timer);
}

static void end_this_wait(struct object *ob, const struct deferred *d)
{
	end_wait(ob, d->parked, d->error);
}

static void keep_place(struct object *cond, const struct deferred *d)
{
	ipc_cond_park(&cond->o, d->waiter);
}

/*
 * If it has ended that is its answer. A condition's waiter that was notified and waited for the lock keeps
 * its place, and the notification, for the next read.
 */
static void answer_ended(struct parked *p)
{
	uint32_t op = p->op;
	int64_t result = p->result;

	if (!p->ended)
		return;
	if (p->cond)
		object_do(p->cond,
			  &(struct deferred){ .run = keep_place, .waiter = p->cond_waiter });
	tell_result(unpark(p), op, result);
}

/* Its object is stalled. */
static void give_up_stalled(struct parked *p, int why)
{
	if (p->ob->refuses)
		give_up_unseen(p, -EIO);
	else if (proc_dying(waiter_at(&p->ob->o, p->waiter)->tid))
		give_up_unseen(p, -EINTR);
	else
		give_up_later(p, why);
}

static void give_up(struct parked *p, int why)
{
	int r = object_try(p->ob,
			   &(struct deferred){ .run = end_this_wait, .parked = p, .error = why });

	if (r == -EBUSY)
		give_up_stalled(p, why);
	else if (r < 0)
		reply_error(unpark(p), EIO);
	else
		answer_ended(p);
}

void park_interrupted(struct asker *a)
{
	struct parked *p = parked_by(a);

	if (p)
		give_up(p, -EINTR);
}

static void time_is_up(struct timer *t)
{
	struct parked *p = (struct parked *)((char *)t - offsetof(struct parked, timer));

	give_up(p, p->why ? p->why : -ETIMEDOUT);
}

/* The kernel's buffer is reused for the next request. */
static char *copy_of(const struct ipc_call *c)
{
	char *copy = must_alloc(c->len + 1);

	memcpy(copy, c->data, c->len);
	return copy;
}

static struct parked *parked_of(const struct request *rq)
{
	const struct ipc_call *c = &rq->call;
	struct parked *p = must_alloc(sizeof(*p));

	p->waiter = c->waiter;
	p->asker = rq->asker;
	p->ob = rq->ob;
	p->unique = c->unique;
	p->tid = c->tid;
	p->uid = c->uid;
	p->op = c->op;
	p->max = c->op == OP_WRITE ? c->len : c->max;
	p->pos = c->pos;
	p->data = c->op == OP_WRITE ? copy_of(c) : NULL;
	p->atomic = c->atomic;
	p->keeps = c->keeps;
	p->timer.fire = time_is_up;
	return p;
}

void park(struct request *rq)
{
	struct object *ob = rq->ob;
	struct parked *p = parked_of(rq);

	parked_add(p);
	timer_set(&p->timer, waiter_at(&ob->o, p->waiter)->deadline);
	if (asker_interrupted(p->asker))
		end_wait(ob, p, -EINTR);
	object_leave(ob);
	answer_ended(p);
}

/* ---- from outside of requests ---- */

static void cancel_direct(struct object *ob, const struct deferred *d)
{
	(void)d;
	ipc_cancel_direct(&ob->o);
}

void park_end_all(int error)
{
	const struct deferred cancel = { .run = cancel_direct };
	struct parked *p, *tmp;

	aside_end_all(error);
	PARKED_EACH(p, tmp)
	reply_error(unpark(p), error);
	for (struct node *n = fs.by_id; n; n = n->by_id.next) {
		struct object *ob;

		turn_trim();
		ob = n->ob;
		/* Direct clients sleep on, unless they are told. */
		if (ob && ob->direct)
			object_try(ob, &cancel);
	}
}

void park_end_handle(struct object *ob, ref_t handle)
{
	struct parked *p, *tmp;

	HASH_ITER(hh, ob->parked, p, tmp)
		if (waiter_at(&ob->o, p->waiter)->handle == handle)
			reply_error(unpark(p), EBADF);
}

/* Its request was answered. */
static void finish_answered(struct object *ob, const struct deferred *d)
{
	struct ipc_call none = { 0 };

	ipc_finish(&ob->o, d->waiter, &none);
}

static void leave_queue(struct object *lock, const struct deferred *d)
{
	int64_t result;

	ipc_leave(&lock->o, d->waiter, d->error, &result);
}

/* Its condition is damaged, so it is not to get the lock that it waits for. */
static void leave_lock(struct parked *p)
{
	int r = object_try(p->ob, &(struct deferred){
					  .run = leave_queue, .waiter = p->waiter, .error = -EIO });

	if (r == -EBUSY)
		give_up_later(p, -EIO);
	else
		reply_error(unpark(p), EIO);
}

void park_damaged(struct object *ob)
{
	struct parked *p, *tmp;

	PARKED_EACH(p, tmp)
	{
		struct object *cond = p->cond;
		ref_t w = p->cond_waiter;

		if (p->ob == ob) {
			reply_error(unpark(p), EIO);
			if (cond)
				object_do(cond, &(struct deferred){ .run = finish_answered,
								    .waiter = w });
		} else if (cond == ob) {
			leave_lock(p);
		}
	}
}

/* A condition's waiter may have its request in the lock that it waits for. */
bool park_has(struct object *ob, ref_t r)
{
	struct ipc_waiter *w = waiter_at(&ob->o, r);
	struct parked *p, *tmp;

	if (parked_find(ob, r) || aside_has(w->unique))
		return true;
	if (!(w->flags & WAITER_LENT))
		return false;
	PARKED_EACH(p, tmp)
	if (p->cond == ob && p->cond_waiter == r)
		return true;
	return false;
}
