/* SPDX-License-Identifier: MIT */
/*
 * Requests that wait: parking them, and answering them when their waiter is granted, interrupted,
 * timed out or has its turn.
 *
 * A parked request and the engine's waiter are two halves of one thing, found from each other by
 * the waiter's reference. Exactly one place answers: whoever takes the entry out of the object's
 * table.
 *
 * Interrupts. libfuse runs the callback at once, inside fuse_req_interrupt_func(), if the
 * interrupt came first, and then the request must not be answered there. So we register before
 * the operation (dispatch.c), with a callback that does nothing for a request that is not
 * parked; and look at fuse_req_interrupted() once more when we park. INTERRUPTs are requests
 * themselves and are read by the loop thread, under the daemon lock like everything else.
 */
#include <stdlib.h>
#include <syslog.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utlist.h>

#include "base/proc.h"
#include "wait/held.h"
#include "state/memory.h"
#include "wait/monitor.h"
#include "wait/nonblock.h"
#include "object/type.h"
#include "wait/watch.h"

/* ---- parking ---- */

static struct parked *find(struct object *ob, ref_t waiter)
{
	struct parked *p;

	HASH_FIND(hh, ob->parked, &waiter, sizeof(waiter), p);
	return p;
}

static struct parked *by_req;		/* every parked request, to find one when it is interrupted */

static struct parked *find_req(fuse_req_t req)
{
	struct parked *p;

	HASH_FIND(hh_req, by_req, &req, sizeof(req), p);
	return p;
}

/* Take it out, and it is gone: from here on the caller answers. */
static fuse_req_t unpark(struct parked *p)
{
	fuse_req_t req = p->req;

	if (p->cond) {
		p->cond->pins--;
		object_used(p->cond);
	}
	HASH_DELETE(hh_req, by_req, p);
	HASH_DEL(p->ob->parked, p);
	timer_remove(&p->timer);
	free(p->data);
	free(p);
	return req;
}

static void tell_result(fuse_req_t req, uint32_t op, int64_t result)
{
	struct reply r;

	reply_result(&r, result, op == OP_WRITE);
	reply_send(req, &r);
}

/* Its object cannot be locked: as soon as it can. */
static void give_up_later(struct parked *p, int why)
{
	p->why = (int16_t)why;
	timer_set(&p->timer, (int64_t)ipc_now() + RETRY_MS * 1000000);
}

/* Nor is its caller to wait until it can: whatever becomes of the waiter is not its answer. */
static void give_up_unseen(struct parked *p, int why)
{
	int64_t put = p->op == OP_WRITE ? (int64_t)waiter_at(&p->ob->o, p->waiter)->arg : 0;
	uint32_t op = p->op;

	if (p->cond)
		held_forsake(p->cond, p->cond_waiter);
	held_forsake(p->ob, p->waiter);
	tell_result(unpark(p), op, put ? put : why);
}

/* It was served: that is the answer. */
static void give_up_served(struct object *ob, struct parked *p)
{
	fuse_req_t req = p->req;
	ref_t w = p->waiter;

	settle(ob);
	p = find_req(req);
	if (!p || p->ob != ob || p->waiter != w)
		return;
	if (ob->held) {		/* a condition's, whose lock object cannot be locked now */
		give_up_later(p, p->why ? p->why : -ETIMEDOUT);
		return;
	}
	/* Its file says so, and its lists do not: nobody would ever answer it. */
	obj_damage(&ob->o, "a served waiter is in no list");
}

/*
 * A condition's waiter that has its notify, and waits in `lock`, which is locked: it leaves that line.
 * Interrupted, it keeps its place (and its notify) for the next read.
 */
static void give_up_relock(struct object *lock, struct parked *p, int why)
{
	struct object *cond = p->cond;
	ref_t w = p->cond_waiter;
	fuse_req_t req;
	int64_t result;

	ipc_leave(&lock->o, p->waiter, why, &result);
	req = unpark(p);
	settle(lock);
	if (object_lock_patiently(cond) == 0) {
		ipc_cond_park(&cond->o, w);
		settle(cond);
	}
	reply_error(req, -why);
}

/* The waiter leaves its line; its request is answered, unless it waits on (see ipc_leave). */
static void give_up(struct parked *p, int why)
{
	struct object *ob = p->ob;
	uint32_t op = p->op;
	int64_t result;
	fuse_req_t req;
	int r = object_lock(ob);

	if (r == -EBUSY) {
		if (ob->held_failed)
			give_up_unseen(p, -EIO);
		else if (proc_dying(waiter_at(&ob->o, p->waiter)->tid))
			give_up_unseen(p, -EINTR);
		else
			give_up_later(p, why);
		return;
	}
	if (r < 0) {
		reply_error(unpark(p), EIO);
		return;
	}
	p->why = 0;
	if (waiter_at(&ob->o, p->waiter)->state == WAITER_GRANTED) {
		give_up_served(ob, p);
		return;
	}
	if (p->cond) {
		give_up_relock(ob, p, why);
		return;
	}
	if (!ipc_leave(&ob->o, p->waiter, why, &result)) {
		timer_remove(&p->timer);
		settle(ob);
		return;
	}
	req = unpark(p);
	object_unlock(ob);
	tell_result(req, op, result);
	if (object_lock(ob) == 0)
		settle(ob);
}

void parked_interrupted(fuse_req_t req, void *data)
{
	struct parked *p = find_req(req);

	(void)data;
	if (p)
		give_up(p, -EINTR);
}

static void time_is_up(struct timer *t)
{
	struct parked *p = (struct parked *)((char *)t - offsetof(struct parked, timer));

	give_up(p, p->why ? p->why : -ETIMEDOUT);
}

/* The kernel's buffer is for the next request. */
static char *copy_of(const struct ipc_call *c)
{
	char *copy = malloc(c->len + 1);

	if (!copy)
		abort();	/* the next worker finds the waiter, and gets the data again */
	memcpy(copy, c->data, c->len);
	return copy;
}

void park(struct request *rq)
{
	const struct ipc_call *c = &rq->call;
	struct parked *p = calloc(1, sizeof(*p));
	struct object *ob = rq->ob;
	fuse_req_t req = rq->req;

	if (!p)
		abort();	/* the supervisor starts another worker, and nothing is lost */
	p->waiter = c->waiter;
	p->req = req;
	p->ob = ob;
	p->unique = c->unique;
	p->op = c->op;
	p->max = c->op == OP_WRITE ? c->len : c->max;
	p->pos = c->pos;
	p->data = c->op == OP_WRITE ? copy_of(c) : NULL;
	p->more = c->more;
	p->timer.fire = time_is_up;
	HASH_ADD(hh, ob->parked, waiter, sizeof(p->waiter), p);
	HASH_ADD(hh_req, by_req, req, sizeof(p->req), p);
	timer_set(&p->timer, waiter_at(&ob->o, c->waiter)->deadline);
	if (fuse_req_interrupted(req)) {
		object_unlock(ob);
		give_up(p, -EINTR);
	} else {
		settle(ob);
	}
}

/* ---- answering ---- */

/* A writer's turn: put more of its data. With the object locked. */
static void run_turn(struct object *ob, ref_t w)
{
	struct parked *p = find(ob, w);
	struct ipc_waiter *wt = waiter_at(&ob->o, w);
	struct ipc_call c = {
		.handle = wt->handle, .op = OP_WRITE, .tid = wt->tid, .pid = wt->pid, .uid = wt->uid,
		.unique = wt->unique, .deadline = wt->deadline, .data = p->data, .len = p->len,
		.done = wt->arg, .limit = mount_body()->message_limit, .more = p->more, .waiter = w,
	};
	fuse_req_t req;
	int r = ipc_put(&ob->o, &c);

	if (r == IPC_WAIT)
		return;
	ipc_pump(&ob->o);
	req = unpark(p);
	object_unlock(ob);
	if (r == 0 && c.result > 0)
		r = (int)c.result;
	tell_result(req, OP_WRITE, r);
	if (object_lock(ob) < 0)
		return;
}

/* error: what it is told instead of its answer; 0. */
static bool answer_plainly(struct object *ob, ref_t w, struct parked *p, int error)
{
	struct ipc_waiter *wt = waiter_at(&ob->o, w);
	struct ipc_call c = { .max = p->max, .pos = p->pos };
	int64_t result = error ? error : wt->result;
	uint32_t op = p->op, pid = wt->pid, opener = handle_at(&ob->o, wt->handle)->opener;
	fuse_req_t req = unpark(p);
	struct reply reply;
	int r;

	if (result >= 0)
		watch_holder(ob, opener, pid);
	object_unlock(ob);
	if (result < 0 || op == OP_FLOCK || op == OP_FLOCK_SHARED || op == OP_WRITE)
		reply_result(&reply, result, op == OP_WRITE);
	else
		reply_read(&reply, ob, handle_at(&ob->o, wt->handle), &wt->got, c.max);
	reply_send(req, &reply);
	r = object_lock(ob);
	if (r == -EBUSY)
		held_finish(ob, w, &c);
	if (r < 0)
		return false;
	ipc_finish(&ob->o, w, &c);
	return true;
}

/* A condition's reader whose outcome is settled waits in the lock that it gave up, as c->waiter. */
static void move_to_lock(struct object *ob, ref_t w, struct parked *p, struct object *lock,
			 const struct ipc_call *c)
{
	ob->pins++;		/* p->cond */
	HASH_DEL(ob->parked, p);
	timer_remove(&p->timer);
	p->cond = ob;
	p->cond_waiter = w;
	p->ob = lock;
	p->waiter = c->waiter;
	HASH_ADD(hh, lock->parked, waiter, sizeof(p->waiter), p);
	object_unlock(ob);
	settle(lock);
}

/* It has the lock again: now the condition answers. */
static bool answer_condition(struct object *lock, ref_t w, struct parked *p)
{
	struct object *ob = p->cond;
	struct ipc_call c = { .max = p->max, .pos = p->pos };
	struct ipc_call none = { 0 };
	struct ipc_waiter *wt;
	int64_t result;
	fuse_req_t req;
	int r;

	ipc_finish(&lock->o, w, &none);
	object_unlock(lock);
	w = p->cond_waiter;
	req = unpark(p);
	wt = waiter_at(&ob->o, w);
	result = wt->result;
	reply_send(req, &(struct reply){
		.kind = REPLY_ANSWER, .error = error_of(result), .ob = ob, .answer = &wt->got, .len = c.max,
	});
	r = object_lock(ob);
	if (r == -EBUSY)
		held_finish(ob, w, &c);
	if (r == 0) {
		ipc_finish(&ob->o, w, &c);
		settle(ob);
	}
	return object_lock(lock) == 0;
}

/* Answer one that was granted. With the object locked, and locked again afterwards. */
static bool answer(struct object *ob, ref_t w)
{
	struct parked *p = find(ob, w);
	const struct fuse_ctx *ctx = fuse_req_ctx(p->req);
	struct ipc_call c = {
		.tid = (uint32_t)ctx->pid, .uid = ctx->uid, .unique = p->unique,
		.deadline = IPC_NEVER,
	};
	struct object *lock;
	int r;

	if (p->cond)
		return answer_condition(ob, w, p);
	r = monitor_retake(ob, w, &lock, &c);
	if (r == -EBUSY)
		return false;
	if (r != IPC_WAIT)
		return answer_plainly(ob, w, p, r);
	move_to_lock(ob, w, p, lock, &c);
	return object_lock(ob) == 0;
}

/* A waiter that has been granted and whose request is here (after a restart it may yet come). */
static ref_t next_granted(struct object *ob)
{
	LIST_EACH(&ob->o, &ob->o.h->granted, r)
		if (find(ob, r))
			return r;
	return 0;
}

/* Let go, and wake the direct clients: those that were granted, and a putter whose turn it is. */
static void unlock_and_wake(struct object *ob)
{
	/* No more of them than there can be: somebody may keep saying that they were not woken. */
	uint32_t most = ob->o.locked ? list_most(&ob->o, &ob->o.h->woken) + 2 * IPC_WAKES : 0;
	struct ipc_wakes wakes;
	uint32_t n = 0;
	bool more;

	wakes.n = 0;			/* and not the rest of it */
	do {
		more = ob->o.locked && !ob->o.damage && ipc_wake(&ob->o, &wakes);
		object_unlock(ob);
		ipc_wake_send(&wakes);
		n += wakes.n;
	} while (more && n < most && object_lock(ob) == 0);
}

static bool waits_for_memory(struct ipc_obj *o)
{
	for (unsigned int i = 0; i < IPC_LINES; i++) {
		ref_t w = o->h->lines[i].head;

		if (w && waiter_at(o, w)->flags & WAITER_MEMORY)
			return true;
	}
	return false;
}

void settle(struct object *ob)
{
	struct ipc_obj *o = &ob->o;
	ref_t w;

	for (;;) {
		if (o->work || o->freed) {
			o->starved = false;
			ipc_pump(o);
		}
		o->freed = false;
		if (o->damage)
			break;
		w = o->h->granted.count ? next_granted(ob) : 0;
		if (w) {
			if (!answer(ob, w))
				break;
			continue;
		}
		w = ipc_turn(o);
		if (!w || !find(ob, w))
			break;
		run_turn(ob, w);
		if (!o->locked)
			break;
	}
	if (!o->damage && o->locked) {
		if (ob->late_polls)
			wake_late_pollers(ob);
		if (o->h->polls.count)
			wake_pollers(ob);
		heap_trim(o, fs.hungry != NULL);
		memory_hungry(ob, waits_for_memory(o) || o->starved);
	}
	unlock_and_wake(ob);
	object_used(ob);
}

/* ---- from outside of requests ---- */

void park_end_all(int error)
{
	struct parked *p, *tmp;

	held_end_all(-error);
	HASH_ITER(hh_req, by_req, p, tmp)
		reply_error(unpark(p), error);
	for (struct node *n = fs.by_id; n; n = n->by_id.next) {
		struct object *ob = n->ob;

		/* Direct clients sleep on, unless they are told. */
		if (!ob || !ob->o.h->handles.count || object_lock(ob) < 0)
			continue;
		ipc_cancel_direct(&ob->o);
		unlock_and_wake(ob);
	}
}

void park_end_handle(struct object *ob, ref_t handle)
{
	struct parked *p, *tmp;

	HASH_ITER(hh, ob->parked, p, tmp)
		if (waiter_at(&ob->o, p->waiter)->handle == handle)
			reply_error(unpark(p), EBADF);
}

/* Its request is answered; what is left to do is done now, or when the object can be locked. */
static void finish_elsewhere(struct object *ob, ref_t w)
{
	struct ipc_call none = { 0 };
	int r = object_lock(ob);

	if (r == -EBUSY)
		held_finish(ob, w, &none);
	if (r < 0)
		return;
	ipc_finish(&ob->o, w, &none);
	object_unlock(ob);
	turn_look(ob);
}

/* The condition that it is for is damaged, and so it is not to get the lock that it waits for. */
static void leave_lock(struct parked *p)
{
	struct object *lock = p->ob;
	int64_t result;
	int r = object_lock(lock);

	if (r == -EBUSY) {
		give_up_later(p, -EIO);
		return;
	}
	if (r == 0) {
		ipc_leave(&lock->o, p->waiter, -EIO, &result);
		object_unlock(lock);
		turn_look(lock);
	}
	reply_error(unpark(p), EIO);
}

void park_damaged(struct object *ob)
{
	struct parked *p, *tmp;

	HASH_ITER(hh_req, by_req, p, tmp) {
		struct object *cond = p->cond;
		ref_t w = p->cond_waiter;

		if (p->ob == ob) {
			reply_error(unpark(p), EIO);
			if (cond)
				finish_elsewhere(cond, w);
		} else if (cond == ob) {
			leave_lock(p);
		}
	}
}

/* A condition's waiter may have its request in the lock that it waits for (move_to_lock). */
static bool has_request(struct object *ob, ref_t r)
{
	struct ipc_waiter *w = waiter_at(&ob->o, r);
	struct parked *p, *tmp;

	if (find(ob, r) || held_has(w->unique))
		return true;
	if (!(w->flags & WAITER_LENT))
		return false;
	HASH_ITER(hh_req, by_req, p, tmp)
		if (p->cond == ob && p->cond_waiter == r)
			return true;
	return false;
}

/*
 * All that the kernel sends again has come, so a waiter without a request was told before the last
 * worker died, or its caller is gone. Its handle may yet be another's, so that no RELEASE comes.
 */
void settle_told_in(struct object *ob)
{
	struct ipc_obj *o = &ob->o;
	int64_t result;

	ob->untold = held_first(ob) || object_lock(ob) == -EBUSY;	/* held.c calls again */
	if (!o->locked)
		return;
	LIST_EACH(o, &o->h->granted, r)
		if (waiter_is_request(waiter_at(o, r)) && !has_request(ob, r))
			ipc_finish_told(o, r);
	for (unsigned int i = 0; i < IPC_LINES; i++)
		LIST_EACH(o, &o->h->lines[i], r)
			if (waiter_is_request(waiter_at(o, r)) && !has_request(ob, r))
				ipc_leave(o, r, -EINTR, &result);
	settle(ob);
}

void settle_told(void)
{
	struct node *n, *tmp;

	HASH_ITER(by_id, fs.by_id, n, tmp) {
		struct object *ob = n->ob;
		unsigned int waiting = 0;

		if (!ob || !ob->o.h || ob->o.damage)
			continue;
		for (unsigned int i = 0; i < IPC_LINES; i++)
			waiting += ob->o.h->lines[i].count;
		if (waiting || ob->o.h->granted.count)
			settle_told_in(ob);
	}
}

void settle_all(void)
{
	struct node *n, *tmp;

	HASH_ITER(by_id, fs.by_id, n, tmp) {
		struct object *ob;
		int e;

		if (n->type == IPC_DIR || !node_block(n)->active)
			continue;
		turn_trim();
		ob = object_of(n, &e);
		if (!ob || object_lock(ob) < 0)
			continue;
		ob->o.work = true;
		poll_rearm(ob);
		settle(ob);
	}
}
