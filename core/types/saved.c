/* SPDX-License-Identifier: MIT */
/*
 * queue, pipe: what a copy needs (saved.h). See queue.c.
 *
 * To restore a queue, each message is put in the ordinary way and then becomes what it was: a waiting one
 * keeps its place at the tail; a dead or a delayed one is there alone, as these come first.
 */
#include "file/heap.h"
#include "file/list.h"
#include "file/log.h"
#include "object/msg.h"
#include "object/type.h"
#include "types/queue.h"
#include "types/saved.h"

#define Q(o) (&(o)->h->b.queue)

struct each {
	void (*f)(void *arg, struct ipc_obj *o, const struct saved_message *m);
	void *arg;
	struct saved_message m;
};

static void one(struct each *e, struct ipc_obj *o, ref_t msg)
{
	const struct ipc_msg *m = msg_at(o, msg);

	e->m.msg = msg;
	e->m.id = m->id;
	e->m.since = m->since;
	e->m.attempts = m->attempts;
	e->f(e->arg, o, &e->m);
	e->m.skip = 0;
}

static bool one_waiting(void *arg, struct ipc_obj *o, ref_t msg)
{
	one(arg, o, msg);
	return true;
}

static bool one_delayed(void *arg, struct ipc_obj *o, ref_t delay)
{
	struct each *e = arg;

	e->m.due = delay_at(o, delay)->due;
	one(e, o, delay_at(o, delay)->msg);
	return true;
}

static void each_way(struct ipc_obj *o, struct each *e, unsigned int way, enum saved_place place)
{
	e->m.place = place;
	e->m.skip = Q(o)->mq[way].skip;
	ipc_peek(o, &Q(o)->mq[way], one_waiting, e);
}

void saved_each(struct ipc_obj *o,
		void (*f)(void *arg, struct ipc_obj *o, const struct saved_message *m), void *arg)
{
	struct each e = { .f = f, .arg = arg };

	if (!ipc_is(o, TYPE_JOIN)) {
		each_way(o, &e, 0, SAVED_BYTES);
		each_way(o, &e, 1, SAVED_BACK);
		return;
	}
	e.m.place = SAVED_DEAD;
	LIST_EACH(o, &Q(o)->dead, r)
		one(&e, o, AT(o, ipc_lease, r)->msg);
	e.m.place = SAVED_DELAYED;
	delay_each(o, one_delayed, &e);
	e.m.due = 0;
	each_way(o, &e, 0, SAVED_WAITING);
	LIST_EACH(o, &Q(o)->leased, r)
		one(&e, o, AT(o, ipc_lease, r)->msg);
}

void saved_counts(struct ipc_obj *o, struct saved_counts *ret)
{
	*ret = (struct saved_counts){ .closed = Q(o)->closed };
	if (!ipc_is(o, TYPE_JOIN))
		return;
	ret->unfinished = Q(o)->unfinished;
	ret->last_id = queue_last_id(o);
}

/* It is the only one in the queue, and goes elsewhere: into a block of these. */
static int move(struct ipc_obj *o, const struct saved_message *m)
{
	ref_t r = heap_alloc(o, sizeof(struct ipc_lease)), msg;

	if (!r)
		return -ENOMEM;
	msg = mq_pop(o, &Q(o)->mq[0]);
	if (m->place == SAVED_DELAYED) {
		delay_put(o, r, msg, m->due);
		return 0;
	}
	*AT(o, ipc_lease, r) = (struct ipc_lease){ .msg = msg };
	list_push(o, &Q(o)->dead, r);
	return 0;
}

int saved_restore(struct ipc_obj *o, const struct saved_message *m)
{
	ref_t msg = Q(o)->mq[0].tail;
	int r = 0;

	if (!ipc_is(o, TYPE_JOIN) || !msg || (m->place != SAVED_WAITING && Q(o)->mq[0].count != 1))
		return -EINVAL;
	if (m->place != SAVED_WAITING)
		r = move(o, m);
	if (r < 0) {
		obj_rollback(o);
		return r;
	}
	msg_attempt(o, msg, m->attempts < UINT16_MAX ? (unsigned int)m->attempts : UINT16_MAX);
	set64(o, msg_at(o, msg)->id, m->id);
	set64(o, msg_at(o, msg)->since, m->since);
	commit(o);
	return 0;
}

void saved_restore_counts(struct ipc_obj *o, const struct saved_counts *c)
{
	const struct ipc_queue *q = Q(o);
	uint64_t least = queue_load(q), unfinished = c->unfinished, ids = c->last_id;

	/* Whatever the copy says: what is there is unfinished, and was put. */
	unfinished = unfinished < least ? least : unfinished;
	ids = ids < unfinished + q->dead.count ? unfinished + q->dead.count : ids;
	set64(o, Q(o)->unfinished, unfinished);
	set64(o, o->h->stats.puts, ids - unfinished);
	set64(o, o->h->stats.gets, ids - unfinished);
	commit(o);
}
