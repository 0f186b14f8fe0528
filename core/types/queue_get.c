/* SPDX-License-Identifier: MIT */
/* queue: taking, and granting to those who wait for a message or for the end. See queue.c. */
#include <stdio.h>

#include "file/heap.h"
#include "file/list.h"
#include "file/log.h"
#include "object/answer.h"
#include "object/msg.h"
#include "object/type.h"
#include "object/waiter.h"
#include "types/queue.h"

#define Q(o) (&(o)->h->b.queue)

uint32_t ipc_framing(const struct ipc_obj *o, const struct ipc_handle *hd)
{
	return hd->flags & HANDLE_RECORD ? FRAMING_RECORD : o->h->b.queue.framing;
}

struct ipc_mq *ipc_reads_from(struct ipc_obj *o, const struct ipc_handle *hd)
{
	return &Q(o)->mq[hd->flags & HANDLE_END_A ? 1 : 0];
}

struct ipc_mq *ipc_writes_to(struct ipc_obj *o, const struct ipc_handle *hd)
{
	return &Q(o)->mq[hd->flags & HANDLE_END_B ? 1 : 0];
}

/* Take messages off the queue, as many as fit, but one at least. */
static void take(struct ipc_obj *o, const struct ipc_handle *hd, uint32_t op, size_t max,
		 struct ipc_answer *ret)
{
	struct ipc_mq *q = &Q(o)->mq[0];
	bool raw = ipc_framing(o, hd) == FRAMING_RECORD, many = op == OP_STREAM;
	uint64_t len = 0, bytes = 0;
	struct msg_walk w = { 0 };
	uint32_t count = 0;
	ref_t r = q->head;

	*ret = (struct ipc_answer){ .kind = raw ? ANSWER_RAW : ANSWER_LINES, .first = r };
	while (r && count < q->count && !o->damage) {
		struct ipc_msg *m = msg_at(o, r);
		uint64_t n = (uint64_t)m->len + !raw;

		if ((count && (!many || len + n > max)) || msg_again(o, &w, r))
			break;
		len += n;
		bytes += m->len;
		count++;
		r = m->next;
	}
	ret->count = count;
	ret->len = len;
	set32(o, q->head, r);
	if (!r)
		set32(o, q->tail, 0);
	set32(o, q->count, q->count - count);
	set64(o, q->bytes, q->bytes - bytes);
	o->freed = true;
}

/* Take the first message as a lease. -ENOMEM. */
static int take_lease(struct ipc_obj *o, const struct ipc_handle *hd, uint32_t tid, uint32_t pid,
		      struct ipc_answer *ret)
{
	bool raw = ipc_framing(o, hd) == FRAMING_RECORD;
	ref_t lease = lease_new(o, ref_of(o, hd), tid, pid), msg;
	struct ipc_lease *l;
	char id[24];

	if (!lease)
		return -ENOMEM;
	l = AT(o, ipc_lease, lease);
	msg = l->msg;
	msg_get(o, msg);
	*ret = (struct ipc_answer){
		.kind = raw ? ANSWER_LEASE_RAW : ANSWER_LEASE,
		.first = msg,
		.count = 1,
		.number = (int64_t)msg_at(o, msg)->id,
	};
	ret->len = (uint64_t)snprintf(id, sizeof(id), "%lld\t", (long long)ret->number) +
		   msg_at(o, msg)->len + !raw;
	return 0;
}

/* A plain read sees the end: nothing is there, or will be. */
static bool drained(struct ipc_obj *o)
{
	return Q(o)->closed && !Q(o)->mq[0].count && !Q(o)->delayed.count;
}

bool queue_ended(struct ipc_obj *o, const struct ipc_handle *hd, bool waits)
{
	if (!drained(o) || hd->kind != HANDLE_LEASE)
		return drained(o);
	return Q(o)->leased.count <= hd->leases ||
	       (!waits && hd->leases && lease_stuck(o, ref_of(o, hd)));
}

/* How many are done, as soon as that is not what this handle saw last. */
static int read_finished(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
	c->op = OP_CHANGED;
	if (hd->seen == Q(o)->ended)
		return waiter_add(o, c, WAITQ_FINISHED, 0);
	set64(o, hd->seen, Q(o)->ended);
	answer_number(&c->got, (int64_t)hd->seen);
	return 0;
}

int queue_read(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
	if (c->op == OP_JOIN || hd->kind == HANDLE_JOIN) {
		if (Q(o)->unfinished)
			return waiter_add(o, c, WAITQ_JOIN, 0);
		answer_number(&c->got, 0);
		return 0;
	}
	if (hd->kind == HANDLE_CHANGED)
		return read_finished(o, hd, c);
	queue_due(o);
	if (Q(o)->mq[0].count && !waitq_first(o, WAITQ_GET)) {
		if (hd->kind == HANDLE_LEASE)
			return take_lease(o, hd, c->tid, c->pid, &c->got);
		take(o, hd, c->op, c->max, &c->got);
		return 0;
	}
	if (hd->kind == HANDLE_DRAIN || queue_ended(o, hd, c->deadline != 0)) {
		answer_end(&c->got);
		return 0;
	}
	return waiter_add(o, c, WAITQ_GET, c->max);
}

/* ---- what happens by itself ---- */

static void put_delayed(struct ipc_obj *o)
{
	uint64_t now = ipc_wall();
	ref_t r;

	while ((r = Q(o)->delayed.root) && delay_at(o, r)->due <= now && !o->damage) {
		mq_push(o, &Q(o)->mq[0], delay_take(o, r));
		queue_most(o);
		heap_free(o, r);
		o->work = true;
		commit(o);
	}
}

void queue_due(struct ipc_obj *o)
{
	if (Q(o)->ttr && Q(o)->leased.count)
		lease_expire(o);
	if (Q(o)->delayed.root)
		put_delayed(o);
}

/* ---- granting ---- */

static void grant_end(struct ipc_obj *o)
{
	bool stuck = lease_stuck(o, 0);
	struct ipc_answer end;

	answer_end(&end);
	LIST_EACH(o, &o->h->waitqs[WAITQ_GET], r) {
		struct ipc_waiter *w = waiter_at(o, r);

		if (w->op != OP_LEASE || !Q(o)->leased.count ||
		    (stuck && handle_at(o, w->handle)->leases))
			waiter_grant(o, r, 0, &end);
	}
}

void queue_grant(struct ipc_obj *o)
{
	struct ipc_answer got;
	ref_t r;

	while ((r = waitq_first(o, WAITQ_GET)) && Q(o)->mq[0].count && !o->damage) {
		struct ipc_waiter *w = waiter_at(o, r);
		struct ipc_handle *hd = handle_at(o, w->handle);

		if (w->op != OP_LEASE) {
			take(o, hd, w->op, w->arg, &got);
		} else if (take_lease(o, hd, w->tid, w->pid, &got) < 0) {
			obj_rollback(o);
			if (heap_grow(o, true) < 0)
				return;
			continue;
		}
		waiter_grant(o, r, (int64_t)got.len, &got);
	}
	if (drained(o) && waitq_first(o, WAITQ_GET))
		grant_end(o);
}

uint64_t queue_next(struct ipc_obj *o, struct ipc_handle *hd)
{
	struct ipc_mq *q = ipc_reads_from(o, hd);
	uint32_t framing = ipc_framing(o, hd);

	if (hd->kind != HANDLE_OBJECT)
		return 2;
	if (!q->count)
		return 0;
	if (framing == FRAMING_BYTES)
		return q->bytes;
	return msg_at(o, q->head)->len - q->skip + (framing == FRAMING_LINE);
}
