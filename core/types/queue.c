/* SPDX-License-Identifier: MIT */
/*
 * queue: messages, first in, first out.
 *
 * A message is in one place at a time:
 *
 *	put -> [waiting] -> read, stream, drain -> in the reader's hand -> gone
 *	          ^  |
 *	    nack, |  `-> lease -> [leased] -> ack -> gone
 *	    close |                  |
 *	          `------------------+-- after max_attempts -> [dead] -> discard -> gone
 *	          ^                                              |
 *	          `------------------------- revive -------------'
 *
 * `unfinished` counts what was put and not yet reported as done; dead letters count as done.
 *
 * What a reader's hand holds in part goes back to the head when the reader closes (answer.c).
 *
 * Closed: puts are refused (EPIPE), gets drain what is there and then see the end. A lease reader
 * sees it only when nothing is leased out by other handles, for that could come back. Handles that
 * wait for each other's leases would do so for ever: when all that is leased out belongs to handles
 * that wait for the end, it has come for these. (For who waits and holds none it has not.)
 *
 * Here: taking, granting, and the table of operations. Putting: queue_put.c and, for short messages
 * of direct clients, queue_now.c. Leases: lease.c.
 */
#include <poll.h>
#include <stdio.h>

#include "file/heap.h"
#include "file/list.h"
#include "file/log.h"
#include "object/answer.h"
#include "object/facts.h"
#include "object/look.h"
#include "object/msg.h"
#include "object/put.h"
#include "object/type.h"
#include "object/waiter.h"
#include "types/check.h"
#include "types/queue.h"

#define Q(o) (&(o)->h->b.queue)

static void queue_init(struct ipc_header *h, const struct ipc_defaults *d)
{
	h->b.queue.framing = d ? d->framing : FRAMING_LINE;
	h->b.queue.next_id = 1;
}

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

/* ---- taking ---- */

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
		.number = (int64_t)l->id,
	};
	ret->len = (uint64_t)snprintf(id, sizeof(id), "%llu\t", (unsigned long long)l->id) +
		   msg_at(o, msg)->len + !raw;
	return 0;
}

/* Closed and drained: a plain read sees the end. */
static bool drained(struct ipc_obj *o)
{
	return Q(o)->closed && !Q(o)->mq[0].count;
}

/* The end of a lease reader that is not queued: if it may wait, it is told when all are. */
static bool lease_end(struct ipc_obj *o, const struct ipc_handle *hd, bool waits)
{
	if (!drained(o))
		return false;
	return Q(o)->leased.count <= hd->leases ||
	       (!waits && hd->leases && lease_stuck(o, ref_of(o, hd)));
}

static int queue_read(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
	if (c->op == OP_JOIN || hd->kind == HANDLE_JOIN) {
		if (Q(o)->unfinished)
			return waiter_add(o, c, WAITQ_JOIN, 0);
		answer_number(&c->got, 0);
		return 0;
	}
	if (Q(o)->mq[0].count && !waitq_first(o, WAITQ_GET)) {
		if (hd->kind == HANDLE_LEASE)
			return take_lease(o, hd, c->tid, c->pid, &c->got);
		take(o, hd, c->op, c->max, &c->got);
		return 0;
	}
	if (hd->kind == HANDLE_DRAIN ||
	    (hd->kind == HANDLE_LEASE ? lease_end(o, hd, c->deadline != 0) : drained(o))) {
		answer_end(&c->got);
		return 0;
	}
	return waiter_add(o, c, WAITQ_GET, c->max);
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

static void queue_pump(struct ipc_obj *o)
{
	ref_t w = waitq_first(o, WAITQ_PUT);
	struct ipc_answer zero;

	queue_grant(o);
	if (w && queue_refuses(o, waiter_at(o, w)->need))
		waiter_turn(o, w);
	else
		put_pump(o, WAITQ_PUT, queue_fits);
	if (Q(o)->unfinished)
		return;
	answer_number(&zero, 0);
	LIST_EACH(o, &o->h->waitqs[WAITQ_JOIN], r)
		waiter_grant(o, r, (int64_t)zero.len, &zero);
}

static int queue_back(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_answer *a, bool begun)
{
	ref_t first = a->first;
	uint32_t count = a->count;

	(void)hd;
	if (begun && count && Q(o)->max_attempts) {
		ref_t next = msg_at(o, first)->next;
		int r = lease_attempt(o, first);

		if (r < 0)
			return r;
		if (r) {
			first = next;
			count--;
		}
	}
	mq_return(o, &Q(o)->mq[0], first, count);
	set32(o, a->count, 0);
	return 0;
}

static void queue_regret(struct ipc_obj *o, struct ipc_waiter *w)
{
	/* A lease goes back with its handle's other leases. */
	if (w->got.kind == ANSWER_LINES || w->got.kind == ANSWER_RAW)
		queue_back(o, handle_at(o, w->handle), &w->got, false);
}

static unsigned int queue_poll(struct ipc_obj *o, struct ipc_handle *hd)
{
	unsigned int p = 0;

	switch (hd->kind) {
	case HANDLE_JOIN:
		return Q(o)->unfinished ? 0 : POLLIN;
	case HANDLE_DRAIN:
		return POLLIN;
	default:
		if (Q(o)->mq[0].count)
			p |= POLLIN;
		else if (hd->kind == HANDLE_LEASE ? lease_end(o, hd, false) : drained(o))
			p |= POLLIN | POLLHUP;
	}
	if (hd->kind == HANDLE_OBJECT && queue_fits(o, WAITQ_PUT, 1) && !waitq_first(o, WAITQ_PUT))
		p |= POLLOUT;
	return p;
}

static uint64_t queue_units(struct ipc_obj *o, struct ipc_handle *hd, bool out, uint64_t *ret)
{
	struct ipc_queue *q = Q(o);
	uint64_t room = q->maxsize > q->mq[0].count ? q->maxsize - q->mq[0].count : 0;

	*ret = 0;
	if (hd->kind == HANDLE_JOIN || hd->kind == HANDLE_DRAIN || (out && q->closed))
		return 0;
	if (out) {
		*ret = room + (q->maxbytes > q->mq[0].bytes ? q->maxbytes - q->mq[0].bytes : 0);
		return q->maxbytes ? 1 : room;
	}
	*ret = q->mq[0].count;
	return q->mq[0].count;
}

static uint64_t queue_size(struct ipc_obj *o)
{
	return __atomic_load_n(&Q(o)->mq[0].count, __ATOMIC_RELAXED);
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

static void queue_look(struct ipc_obj *o, struct ipc_sink *to)
{
	look_messages(o, &Q(o)->mq[0], Q(o)->framing == FRAMING_LINE, to);
}

static int queue_check(struct ipc_obj *o, struct ipc_check *k)
{
	struct ipc_queue *q = Q(o);

	if (check_mq(o, &q->mq[0], k) < 0 || check_leases(o, &q->leased, true, k) < 0 ||
	    check_leases(o, &q->dead, false, k) < 0)
		return -EIO;
	if (k->leases != q->leased.count)
		k->why = "wrong count of leases in handles";
	else if (q->framing > FRAMING_RECORD)
		k->why = "unknown framing";
	else if (q->unfinished >
		 (uint64_t)q->mq[0].count + q->leased.count + q->next_id + UINT32_MAX)
		k->why = "too many unfinished messages";
	return k->why ? -EIO : 0;
}

static int queue_words(const struct ipc_facts *f, char *ret, size_t size)
{
	uint64_t maxsize = facts_count(f, "maxsize");
	char amount[48];

	words_amount(f->size, "message", amount, sizeof(amount));
	return snprintf(ret, size, "%s%s%s", amount, maxsize && f->size >= maxsize ? ", full" : "",
			facts_hold(f, "closed") ? ", closed" : "");
}

const struct ipc_type ipc_queue_type = {
	.id = IPC_QUEUE,
	.name = "queue",
	.suffix = ".queue",
	.traits = TYPE_LARGE | TYPE_MESSAGES | TYPE_LINES | TYPE_JOIN,
	.ready = IPC_WORD(b.queue.mq[0].count),
	.most = IPC_WORD(b.queue.maxsize),
	.init = queue_init,
	.read = queue_read,
	.put = queue_put,
	.put_now = queue_put_now,
	.get_now = queue_get_now,
	.put_one = queue_put_one,
	.get_one = queue_get_one,
	.pump = queue_pump,
	.poll = queue_poll,
	.units = queue_units,
	.size = queue_size,
	.flush = queue_flush,
	.unlease = lease_return_all,
	.regret = queue_regret,
	.back = queue_back,
	.next = queue_next,
	.look = queue_look,
	.words = queue_words,
	.check = queue_check,
};
