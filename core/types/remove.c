/* SPDX-License-Identifier: MIT */
/* queue: a message that waits, or is delayed, is taken out by its ID. See queue.c. */
#include "file/heap.h"
#include "file/log.h"
#include "object/completion.h"
#include "object/msg.h"
#include "object/stats.h"
#include "types/queue.h"

#define Q(o) (&(o)->h->b.queue)

/* What follows it takes its place. before: 0: it is the first. */
static void unlink_message(struct ipc_obj *o, ref_t before, ref_t r)
{
	struct ipc_mq *q = &Q(o)->mq[0];
	struct ipc_msg *m = msg_at(o, r);

	if (before)
		set32(o, msg_at(o, before)->next, m->next);
	else
		set32(o, q->head, m->next);
	if (!m->next)
		set32(o, q->tail, before);
	set32(o, q->count, q->count - 1);
	set64(o, q->bytes, q->bytes - m->len);
}

/* 0: no message of this ID waits. */
static ref_t take_waiting(struct ipc_obj *o, uint64_t id)
{
	struct ipc_mq *q = &Q(o)->mq[0];
	struct msg_walk w = { 0 };
	ref_t before = 0, r = q->head;

	for (uint32_t n = q->count; r && n && !o->damage && !msg_again(o, &w, r); n--) {
		if (msg_at(o, r)->id == id) {
			unlink_message(o, before, r);
			return r;
		}
		before = r;
		r = msg_at(o, r)->next;
	}
	return 0;
}

struct search {
	uint64_t id;
	ref_t found;
};

static bool is_another(void *arg, struct ipc_obj *o, ref_t delay)
{
	struct search *s = arg;

	if (msg_at(o, delay_at(o, delay)->msg)->id == s->id)
		s->found = delay;
	return !s->found;
}

static ref_t take_delayed(struct ipc_obj *o, uint64_t id)
{
	struct search s = { .id = id };
	ref_t msg;

	delay_each(o, is_another, &s);
	if (!s.found)
		return 0;
	msg = delay_take(o, s.found);
	heap_free(o, s.found);
	return msg;
}

int ipc_remove(struct ipc_obj *o, uint64_t unique, uint64_t id)
{
	struct ipc_call c = { .unique = unique };
	ref_t msg;

	queue_due(o);
	msg = take_waiting(o, id);
	if (!msg)
		msg = take_delayed(o, id);
	if (!msg)
		return -EINVAL;
	STAT_ADD(o, gets, -1); /* nobody got it */
	if (Q(o)->unfinished)
		queue_finished(o, 1);
	msg_put(o, msg);
	call_record(o, &c, 0, false);
	commit(o);
	o->work = o->freed = true;
	return 0;
}
