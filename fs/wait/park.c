/* SPDX-License-Identifier: MIT */
/*
 * Requests that wait: parking them, and answering them when their waiter is granted, interrupted,
 * timed out or has its turn.
 *
 * A parked request and the engine's waiter are two halves of one thing, found from each other by
 * the waiter's reference. Exactly one place answers: whoever takes the entry out of the object's
 * table.
 *
 * Interrupts. If one came before its request, libfuse tells us while it registers our callback, and
 * the request must not be answered there. So the transport registers before the operation (fuse.c), a
 * request that is not parked is not answered, and when we park one we look once more. INTERRUPTs are
 * requests themselves, read by the loop thread, under the daemon lock like everything else.
 */
#include <stdlib.h>
#include <syslog.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utlist.h>

#include "base/alloc.h"
#include "base/proc.h"
#include "file/list.h"
#include "object/lend.h"
#include "object/waiter.h"
#include "wait/aside.h"
#include "state/memory.h"
#include "wait/monitor.h"
#include "wait/nonblock.h"
#include "wait/watch.h"
#include "wait/turn.h"
#include "wait/park.h"

/* ---- parking ---- */

struct parked *park_find(struct object *ob, ref_t waiter)
{
	struct parked *p;

	HASH_FIND(hh, ob->parked, &waiter, sizeof(waiter), p);
	return p;
}

static struct parked *waiting; /* all of them, by who is interrupted */

void park_tell(struct parked *p)
{
	p->telling = true;
	DL_APPEND(p->ob->telling, p);
}

void park_move(struct parked *p, struct object *ob, ref_t waiter)
{
	HASH_DEL(p->ob->parked, p);
	timer_remove(&p->timer);
	p->ob = ob;
	p->waiter = waiter;
	HASH_ADD(hh, ob->parked, waiter, sizeof(p->waiter), p);
}

struct asker *park_take_out(struct parked *p)
{
	if (p->cond) {
		p->cond->pins--;
		object_used(p->cond);
	}
	HASH_DELETE(by_asker, waiting, p);
	HASH_DEL(p->ob->parked, p);
	if (p->telling)
		DL_DELETE(p->ob->telling, p);
	timer_remove(&p->timer);
	free(p->data);
	p->data = NULL;
	return p->asker;
}

/* Take it out and free it: from here on the caller must answer. */
static struct asker *unpark(struct parked *p)
{
	struct asker *asker = park_take_out(p);

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
static void give_up_served(struct object *ob, struct parked *p)
{
	timer_remove(&p->timer);
	/* The waiter says so but is in no list: nobody would ever answer it. */
	if (!is_granted(&ob->o, p->waiter))
		obj_damage(&ob->o, "a served waiter is in no list");
	object_leave(ob);
}

static void keep_place(struct object *cond, const struct deferred *d)
{
	ipc_cond_park(&cond->o, d->waiter);
}

/*
 * A condition's waiter that was notified and waits for `lock`, which is locked here: it leaves that
 * wait queue. If interrupted, it keeps its place (and the notification) for the next read.
 */
static void give_up_relock(struct object *lock, struct parked *p, int why)
{
	struct object *cond = p->cond;
	ref_t w = p->cond_waiter;
	struct asker *asker;
	int64_t result;

	ipc_leave(&lock->o, p->waiter, why, &result);
	asker = unpark(p);
	object_leave(lock);
	object_do(cond, &(struct deferred){ .run = keep_place, .waiter = w });
	reply_error(asker, -why);
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

/* The waiter leaves its wait queue; its request is answered, unless it waits on (see ipc_leave). */
static void give_up_waiting(struct object *ob, struct parked *p, int why)
{
	uint32_t op = p->op;
	int64_t result;
	struct asker *asker;

	if (!ipc_leave(&ob->o, p->waiter, why, &result)) {
		timer_remove(&p->timer);
		object_leave(ob);
		return;
	}
	asker = unpark(p);
	object_leave(ob);
	tell_result(asker, op, result);
}

static void give_up(struct parked *p, int why)
{
	struct object *ob = p->ob;
	int r = object_enter(ob, NULL);

	if (r == 0)
		p->why = 0;
	if (r == -EBUSY)
		give_up_stalled(p, why);
	else if (r < 0)
		reply_error(unpark(p), EIO);
	else if (waiter_at(&ob->o, p->waiter)->state == WAITER_GRANTED)
		give_up_served(ob, p);
	else if (p->cond)
		give_up_relock(ob, p, why);
	else
		give_up_waiting(ob, p, why);
}

void park_interrupted(struct asker *a)
{
	struct parked *p;

	HASH_FIND(by_asker, waiting, &a, sizeof(a), p);
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

void park(struct request *rq)
{
	const struct ipc_call *c = &rq->call;
	struct parked *p = must_alloc(sizeof(*p));
	struct object *ob = rq->ob;
	struct asker *asker = rq->asker;

	p->waiter = c->waiter;
	p->asker = asker;
	p->ob = ob;
	p->unique = c->unique;
	p->tid = c->tid;
	p->uid = c->uid;
	p->op = c->op;
	p->max = c->op == OP_WRITE ? c->len : c->max;
	p->pos = c->pos;
	p->data = c->op == OP_WRITE ? copy_of(c) : NULL;
	p->atomic = c->atomic;
	p->timer.fire = time_is_up;
	HASH_ADD(hh, ob->parked, waiter, sizeof(p->waiter), p);
	HASH_ADD(by_asker, waiting, asker, sizeof(p->asker), p);
	timer_set(&p->timer, waiter_at(&ob->o, c->waiter)->deadline);
	if (asker_interrupted(asker)) {
		object_unlock(ob);
		give_up(p, -EINTR);
	} else {
		object_leave(ob);
	}
}

/* ---- from outside of requests ---- */

void park_end_all(int error)
{
	struct parked *p, *tmp;

	aside_end_all(-error);
	HASH_ITER(by_asker, waiting, p, tmp)
		reply_error(unpark(p), error);
	for (struct node *n = fs.by_id; n; n = n->by_id.next) {
		struct object *ob;

		turn_trim();
		ob = n->ob;
		/* Direct clients sleep on, unless they are told. */
		if (!ob || !ob->direct || object_enter(ob, NULL) < 0)
			continue;
		ipc_cancel_direct(&ob->o);
		object_leave(ob);
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

/* Its condition is damaged, so it is not to get the lock that it waits for. */
static void leave_lock(struct parked *p)
{
	struct object *lock = p->ob;
	int64_t result;
	int r = object_enter(lock, NULL);

	if (r == -EBUSY) {
		give_up_later(p, -EIO);
		return;
	}
	if (r == 0) {
		ipc_leave(&lock->o, p->waiter, -EIO, &result);
		object_leave(lock);
	}
	reply_error(unpark(p), EIO);
}

void park_damaged(struct object *ob)
{
	struct parked *p, *tmp;

	HASH_ITER(by_asker, waiting, p, tmp) {
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

/* A condition's waiter may have its request in the lock that it waits for (settle.c). */
bool park_has(struct object *ob, ref_t r)
{
	struct ipc_waiter *w = waiter_at(&ob->o, r);
	struct parked *p, *tmp;

	if (park_find(ob, r) || aside_has(w->unique))
		return true;
	if (!(w->flags & WAITER_LENT))
		return false;
	HASH_ITER(by_asker, waiting, p, tmp)
		if (p->cond == ob && p->cond_waiter == r)
			return true;
	return false;
}
