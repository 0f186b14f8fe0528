/* SPDX-License-Identifier: MIT */
/*
 * Leases and dead letters of a queue: see the picture in queue.c.
 *
 * A lease belongs to the handle that read it and is returned when that handle goes, however it
 * dies. When the last attempt fails, the lease's block becomes the dead letter, so giving up on a
 * message needs no memory.
 */
#include "file/heap.h"
#include "file/list.h"
#include "file/log.h"
#include "object/answer.h"
#include "object/completion.h"
#include "object/msg.h"
#include "object/waiter.h"
#include "types/queue.h"

#define Q(o) (&(o)->h->b.queue)

struct ipc_list *ipc_leased(struct ipc_obj *o)
{
	return &o->h->b.queue.leased;
}

ref_t lease_new(struct ipc_obj *o, ref_t handle, uint32_t tid, uint32_t pid)
{
	struct ipc_queue *q = Q(o);
	struct ipc_handle *hd = handle_at(o, handle);
	ref_t r = heap_alloc(o, sizeof(struct ipc_lease)), msg;

	if (!r)
		return 0;
	msg = mq_pop(o, &q->mq[0]);
	msg_attempt(o, msg, msg_at(o, msg)->attempts + 1u);
	*AT(o, ipc_lease, r) = (struct ipc_lease){
		.msg = msg,
		.handle = handle,
		.tid = tid,
		.pid = pid,
		.since = ipc_now(),
	};
	list_push(o, &q->leased, r);
	set32(o, hd->leases, hd->leases + 1);
	return r;
}

static ref_t find(struct ipc_obj *o, struct ipc_list *l, uint64_t id)
{
	LIST_EACH(o, l, r)
		if (msg_at(o, AT(o, ipc_lease, r)->msg)->id == id)
			return r;
	return 0;
}

static void unlease(struct ipc_obj *o, ref_t r)
{
	struct ipc_lease *l = AT(o, ipc_lease, r);
	struct ipc_handle *hd = handle_at(o, l->handle);

	list_remove(o, &Q(o)->leased, r);
	set32(o, hd->leases, hd->leases - 1);
	o->work = o->freed = true;
}

static void finish_one(struct ipc_obj *o)
{
	if (Q(o)->unfinished)
		queue_finished(o, 1);
	else /* `done` was told of it before */
		queue_note_end(o, 1);
}

static void die(struct ipc_obj *o, ref_t r)
{
	list_push(o, &Q(o)->dead, r);
	finish_one(o);
}

/* Back to the tail, now or after so many ns; or to the dead letters. Needs no memory. */
static void give_back(struct ipc_obj *o, ref_t r, int64_t delay)
{
	struct ipc_queue *q = Q(o);
	struct ipc_lease *l = AT(o, ipc_lease, r);
	ref_t msg = l->msg;

	unlease(o, r);
	if (q->max_attempts && msg_at(o, msg)->attempts >= q->max_attempts) {
		set32(o, l->handle, 0);
		die(o, r);
		return;
	}
	if (delay) {
		delay_put(o, r, msg, ipc_wall() + (uint64_t)delay);
		queue_came_back(o, 1);
		return;
	}
	mq_push(o, &q->mq[0], msg);
	queue_came_back(o, 1);
	heap_free(o, r);
}

void lease_expire(struct ipc_obj *o)
{
	uint64_t now = ipc_now();
	ref_t r;

	while ((r = list_first(o, &Q(o)->leased)) && !o->damage &&
	       now - AT(o, ipc_lease, r)->since >= Q(o)->ttr) {
		give_back(o, r, 0);
		commit(o);
	}
}

void lease_return_all(struct ipc_obj *o, ref_t handle)
{
	commit(o);
	LIST_EACH(o, &Q(o)->leased, r) {
		if (AT(o, ipc_lease, r)->handle != handle)
			continue;
		give_back(o, r, 0);
		commit(o);
	}
}

/*
 * Does it wait for a message or, failing that, for the end? (So does one that was just told of it.)
 */
static bool waits(struct ipc_obj *o, ref_t handle)
{
	uint32_t n = handle_at(o, handle)->waiters;

	LIST_EACH(o, &o->h->granted, r)
		n -= waiter_at(o, r)->handle == handle && waiter_at(o, r)->got.kind != ANSWER_END;
	LIST_EACH(o, &o->h->woken, r)
		n -= waiter_at(o, r)->handle == handle && waiter_at(o, r)->got.kind != ANSWER_END;
	return n != 0;
}

bool lease_stuck(struct ipc_obj *o, ref_t asking)
{
	ref_t last = asking;

	LIST_EACH(o, &Q(o)->leased, r) {
		ref_t handle = AT(o, ipc_lease, r)->handle;

		if (handle != asking && handle != last && !waits(o, handle))
			return false;
		last = handle;
	}
	return true;
}

int lease_attempt(struct ipc_obj *o, ref_t msg)
{
	struct ipc_queue *q = Q(o);
	unsigned int attempts = msg_at(o, msg)->attempts + 1u;
	ref_t r;

	if (attempts < q->max_attempts) {
		msg_attempt(o, msg, attempts);
		return 0;
	}
	r = heap_alloc(o, sizeof(struct ipc_lease));
	if (!r)
		return -ENOMEM;
	*AT(o, ipc_lease, r) = (struct ipc_lease){
		.msg = msg,
		.since = ipc_now(),
	};
	msg_attempt(o, msg, attempts);
	die(o, r);
	return 1;
}

static int finish(struct ipc_obj *o, uint64_t unique, int64_t result)
{
	struct ipc_call c = { .unique = unique };

	call_record(o, &c, result, false);
	commit(o);
	o->work = true;
	return 0;
}

int ipc_done(struct ipc_obj *o, uint64_t unique, uint64_t n)
{
	if (n > Q(o)->unfinished)
		return -ERANGE;
	queue_finished(o, n);
	return finish(o, unique, 0);
}

int ipc_ack(struct ipc_obj *o, uint64_t unique, uint64_t id)
{
	ref_t r = find(o, &Q(o)->leased, id);
	ref_t msg;

	if (!r)
		return -EINVAL;
	msg = AT(o, ipc_lease, r)->msg;
	unlease(o, r);
	finish_one(o);
	heap_free(o, r);
	msg_put(o, msg);
	return finish(o, unique, 0);
}

int ipc_nack(struct ipc_obj *o, uint64_t unique, uint64_t id, int64_t delay)
{
	ref_t r = find(o, &Q(o)->leased, id);

	if (!r)
		return -EINVAL;
	give_back(o, r, delay);
	return finish(o, unique, 0);
}

int ipc_touch(struct ipc_obj *o, uint64_t unique, uint64_t id)
{
	ref_t r = find(o, &Q(o)->leased, id);

	if (!r)
		return -EINVAL;
	set64(o, AT(o, ipc_lease, r)->since, ipc_now());
	list_remove(o, &Q(o)->leased, r);
	list_push(o, &Q(o)->leased, r);
	return finish(o, unique, 0);
}

/* Remove one dead letter: back into the queue, or for good. Committed. */
static void bury(struct ipc_obj *o, ref_t r, bool revive)
{
	struct ipc_queue *q = Q(o);
	ref_t msg = AT(o, ipc_lease, r)->msg;

	list_remove(o, &q->dead, r);
	if (revive) {
		msg_attempt(o, msg, 0);
		mq_push(o, &q->mq[0], msg);
		queue_finished(o, (uint64_t)-1);
		queue_came_back(o, 1);
		heap_free(o, r);
	} else {
		heap_free(o, r);
		msg_put(o, msg);
		o->freed = true;
	}
	commit(o);
}

static int dead(struct ipc_obj *o, uint64_t unique, uint64_t id, bool all, bool revive)
{
	struct ipc_call c = { .unique = unique };
	ref_t r;

	if (all) {
		LIST_EACH(o, &Q(o)->dead, k)
			bury(o, k, revive);
		return finish(o, unique, 0);
	}
	r = find(o, &Q(o)->dead, id);
	if (!r)
		return -EINVAL;
	/* The completion record is part of the change, so that nothing is revived twice. */
	call_record(o, &c, 0, false);
	bury(o, r, revive);
	o->work = true;
	return 0;
}

int ipc_revive(struct ipc_obj *o, uint64_t unique, uint64_t id, bool all)
{
	return dead(o, unique, id, all, true);
}

int ipc_discard(struct ipc_obj *o, uint64_t unique, uint64_t id, bool all)
{
	return dead(o, unique, id, all, false);
}
