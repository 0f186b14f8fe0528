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
 * Here: the table of operations, and what closing and looking are. Taking and granting: queue_get.c.
 * Putting: queue_put.c. Short messages of direct clients: queue_now.c. Leases: lease.c.
 * Counting: queue_count.c.
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
}

static void grant_finished(struct ipc_obj *o)
{
	struct ipc_answer got;

	LIST_EACH(o, &o->h->waitqs[WAITQ_FINISHED], r) {
		struct ipc_handle *hd = handle_at(o, waiter_at(o, r)->handle);

		if (hd->seen == Q(o)->ended)
			continue;
		set64(o, hd->seen, Q(o)->ended);
		answer_number(&got, (int64_t)hd->seen);
		waiter_grant(o, r, (int64_t)got.len, &got);
	}
}

static void queue_pump(struct ipc_obj *o)
{
	ref_t w = waitq_first(o, WAITQ_PUT);
	struct ipc_answer zero;

	queue_due(o);
	queue_grant(o);
	if (w && queue_refuses(o, waiter_at(o, w)->need))
		waiter_turn(o, w);
	else
		put_pump(o, WAITQ_PUT, queue_fits);
	grant_finished(o);
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
	queue_came_back(o, count);
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
	case HANDLE_CHANGED:
		return hd->seen != Q(o)->ended ? POLLIN : 0;
	default:
		if (Q(o)->mq[0].count)
			p |= POLLIN;
		else if (queue_ended(o, hd, false))
			p |= POLLIN | POLLHUP;
	}
	if (ipc_kind_puts(hd->kind) && queue_fits(o, WAITQ_PUT, 1) && !waitq_first(o, WAITQ_PUT))
		p |= POLLOUT;
	return p;
}

static uint64_t queue_units(struct ipc_obj *o, struct ipc_handle *hd, bool out, uint64_t *ret)
{
	struct ipc_queue *q = Q(o);
	uint64_t load = queue_load(q), bytes = queue_load_bytes(q);
	uint64_t room = q->maxsize > load ? q->maxsize - load : 0;

	*ret = 0;
	if (hd->kind == HANDLE_CHANGED) /* everybody who has it open hears of each */
		*ret = Q(o)->ended;
	if (hd->kind == HANDLE_CHANGED || hd->kind == HANDLE_JOIN || hd->kind == HANDLE_DRAIN ||
	    (out && q->closed))
		return 0;
	if (out) {
		*ret = room + (q->maxbytes > bytes ? q->maxbytes - bytes : 0);
		return q->maxbytes ? 1 : room;
	}
	*ret = q->mq[0].count;
	return q->mq[0].count;
}

static void queue_opened(struct ipc_obj *o, struct ipc_handle *hd)
{
	if (hd->kind == HANDLE_CHANGED)
		set64(o, hd->seen, Q(o)->ended);
}

static uint64_t queue_size(struct ipc_obj *o)
{
	return __atomic_load_n(&Q(o)->mq[0].count, __ATOMIC_RELAXED);
}

static void queue_look(struct ipc_obj *o, struct ipc_sink *to)
{
	look_messages(o, &Q(o)->mq[0], Q(o)->framing == FRAMING_LINE, to);
}

/* When something happens to it by itself. What is due at a wall clock's time may be due earlier, or later. */
static int64_t queue_next_due(struct ipc_obj *o)
{
	struct ipc_queue *q = Q(o);
	ref_t lease = q->ttr ? list_first(o, &q->leased) : 0;
	uint64_t now = ipc_now(), wall, due = (uint64_t)IPC_NEVER;

	if (lease && q->ttr < due - AT(o, ipc_lease, lease)->since)
		due = AT(o, ipc_lease, lease)->since + q->ttr;
	if (!q->delayed.root)
		return (int64_t)due;
	wall = ipc_wall();
	if (delay_at(o, q->delayed.root)->due <= wall)
		return (int64_t)now;
	wall = delay_at(o, q->delayed.root)->due - wall; /* so long yet */
	return wall < due - now ? (int64_t)(now + wall) : (int64_t)due;
}

struct delayed {
	struct ipc_check *k;
	uint64_t count, bytes;
};

static bool check_delay(void *arg, struct ipc_obj *o, ref_t r)
{
	const struct ipc_delay *d, *left, *right;
	struct delayed *all = arg;

	if (check_block(o, r, sizeof(*d), all->k) < 0 ||
	    check_shared(o, delay_at(o, r)->msg, all->k) < 0)
		return false;
	d = delay_at(o, r);
	left = d->below.left ? delay_at(o, d->below.left) : NULL;
	right = d->below.right ? delay_at(o, d->below.right) : NULL;
	if ((left && (left->above.up != r || left->due < d->due)) ||
	    (right && (!left || right->above.up != r || right->due < d->due ||
		       right->above.rank > left->above.rank)) ||
	    d->above.rank != (right ? right->above.rank : 0) + 1)
		all->k->why = "delayed messages out of order";
	all->count++;
	all->bytes += msg_at(o, d->msg)->len;
	return !all->k->why;
}

static int check_delayed(struct ipc_obj *o, struct ipc_check *k)
{
	const struct ipc_delayed *d = &Q(o)->delayed;
	struct delayed all = { .k = k };

	if (d->root && obj_has(o, (uint64_t)d->root * IPC_UNIT, sizeof(struct ipc_delay)) &&
	    delay_at(o, d->root)->above.up)
		k->why = "the root of the delayed messages is below another";
	delay_each(o, check_delay, &all);
	if (!k->why && (all.count != d->count || all.bytes != d->bytes))
		k->why = "wrong count of delayed messages";
	return k->why ? -EIO : 0;
}

static int queue_check(struct ipc_obj *o, struct ipc_check *k)
{
	struct ipc_queue *q = Q(o);

	if (check_mq(o, &q->mq[0], k) < 0 || check_leases(o, &q->leased, true, k) < 0 ||
	    check_leases(o, &q->dead, false, k) < 0 || check_delayed(o, k) < 0)
		return -EIO;
	if (k->leases != q->leased.count)
		k->why = "wrong count of leases in handles";
	else if (q->framing > FRAMING_RECORD)
		k->why = "unknown framing";
	else if (queue_last_id(o) < q->unfinished)
		k->why = "more messages unfinished than were ever put";
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
	.opened = queue_opened,
	.read = queue_read,
	.put = queue_put,
	.put_now = queue_put_now,
	.get_now = queue_get_now,
	.put_one = queue_put_one,
	.get_one = queue_get_one,
	.pump = queue_pump,
	.due = queue_next_due,
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
	.rest = queue_rest,
	.counts = queue_counts,
	.check = queue_check,
};
