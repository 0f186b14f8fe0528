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
 * Framing. In line framing a write is cut at newlines, and what follows the last one stays with
 * the handle as its unfinished line, a message that no queue holds yet. In record framing one
 * write is one message. Newlines are never stored.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "types/queue.h"

#define Q(o) (&(o)->h->b.queue)

static void init(struct ipc_header *h, const struct ipc_defaults *d)
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

/* The end of a lease reader that is not in line: if it may wait, it is told when all are. */
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
			return waiter_add(o, c, LINE_JOIN, 0);
		answer_number(&c->got, 0);
		return 0;
	}
	if (Q(o)->mq[0].count && !line_first(o, LINE_GET)) {
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
	return waiter_add(o, c, LINE_GET, c->max);
}

/* ---- putting ---- */

/* Whoever will be refused need not wait to hear so, neither for room nor for memory. */
static bool refuses(struct ipc_obj *o, uint64_t need)
{
	return Q(o)->closed || (Q(o)->maxbytes && need > Q(o)->maxbytes);
}

static bool fits(struct ipc_obj *o, unsigned int line, uint64_t need)
{
	struct ipc_queue *q = Q(o);

	(void)line;
	return refuses(o, need) || ((!q->maxsize || q->mq[0].count < q->maxsize) &&
				    (!q->maxbytes || q->mq[0].bytes + need <= q->maxbytes));
}

/* Must a writer that is not at the front wait although there is room? */
static bool others_first(struct ipc_obj *o, struct ipc_call *c)
{
	return !c->waiter && line_first(o, LINE_PUT);
}

static bool too_large(struct ipc_obj *o, struct ipc_call *c, uint64_t len)
{
	return len > c->limit || (Q(o)->maxbytes && len > Q(o)->maxbytes);
}

static void put_message(struct ipc_obj *o, ref_t msg)
{
	mq_push(o, &Q(o)->mq[0], msg);
	set64(o, Q(o)->unfinished, Q(o)->unfinished + 1);
}

/* The queue cannot take a message of `len` bytes now: let readers take what is there, or wait. */
static int put_full(struct ipc_obj *o, struct ipc_call *c, uint32_t len)
{
	call_record(o, c, (int64_t)c->done, true);
	commit(o);
	if (line_first(o, LINE_GET) && Q(o)->mq[0].count) {
		queue_grant(o);
		if (fits(o, LINE_PUT, len) && !others_first(o, c))
			return IPC_AGAIN;
	}
	return put_wait(o, c, LINE_PUT, len, false);
}

static void line_forget(struct ipc_obj *o, struct ipc_handle *hd)
{
	ref_t line = hd->line;

	if (!line)
		return;
	set32(o, hd->line, 0);
	set32(o, hd->line_last, 0);
	msg_free(o, line);
}

/* Add bytes to the handle's unfinished line. 0; -ENOMEM with nothing changed. */
static int line_add(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c, const char *data,
		    size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct msg_walk w = { 0 };
	ref_t last;

	call_record(o, c, (int64_t)c->done, true);
	commit(o);
	if (!hd->line) {
		ref_t line = msg_new(o, &iov, 1, len);

		if (!line)
			return -ENOMEM;
		for (last = line; msg_at(o, last)->more && !msg_again(o, &w, last);)
			last = msg_at(o, last)->more;
		set32(o, hd->line, line);
		set32(o, hd->line_last, last);
	} else {
		last = hd->line_last;
		if (!msg_append(o, hd->line, &last, data, len))
			return -ENOMEM;
		set32(o, hd->line_last, last);
	}
	set32(o, hd->line_pid, c->pid);
	return 0;
}

/* One whole line of `len` bytes, the unfinished one's continuation if there is one. */
static int put_line(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c, const char *data,
		    size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)data, len };
	ref_t msg;

	if (hd->line) {
		if (len && line_add(o, hd, c, data, len) < 0)
			return -ENOMEM;
		msg = hd->line;
		set32(o, hd->line, 0);
		set32(o, hd->line_last, 0);
	} else {
		if (len > 60000) { /* several blocks: be able to go back to before them */
			call_record(o, c, (int64_t)c->done, true);
			commit(o);
		}
		msg = msg_new(o, &iov, 1, len);
		if (!msg) {
			if (len <= 60000) {
				call_record(o, c, (int64_t)c->done, true);
				commit(o);
			}
			return -ENOMEM;
		}
	}
	put_message(o, msg);
	return 0;
}

static int put_lines(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
	while (c->done < c->len) {
		const char *p = c->data + c->done, *nl = memchr(p, '\n', c->len - c->done);
		size_t n = nl ? (size_t)(nl - p) : c->len - c->done;
		size_t whole = n + (hd->line ? msg_at(o, hd->line)->len : 0);
		int r;

		if (o->damage)
			return -EIO;
		if (too_large(o, c, whole)) {
			if (!c->done)
				line_forget(o, hd);
			return put_end(o, c, -EMSGSIZE);
		}
		if (Q(o)->closed && nl)
			return put_end(o, c, -EPIPE);
		if (nl && (others_first(o, c) || !fits(o, LINE_PUT, whole))) {
			r = put_full(o, c, (uint32_t)whole);
			if (r != IPC_AGAIN)
				return r;
			continue;
		}
		r = nl ? put_line(o, hd, c, p, n) : line_add(o, hd, c, p, n);
		if (r == -ENOMEM) {
			r = put_grow(o, c, LINE_PUT, (uint32_t)whole);
			if (r != IPC_AGAIN)
				return r;
			continue;
		}
		c->done += n + !!nl;
		if (log_room(o) < 110) {
			call_record(o, c, (int64_t)c->done, true);
			commit(o);
		}
	}
	return put_end(o, c, 0);
}

static int put_record(struct ipc_obj *o, struct ipc_call *c)
{
	struct iovec iov = { (void *)(uintptr_t)c->data, c->len };

	if (c->more || too_large(o, c, c->len))
		return put_end(o, c, -EMSGSIZE);
	for (;;) {
		ref_t msg;
		int r;

		if (Q(o)->closed)
			return put_end(o, c, -EPIPE);
		if (others_first(o, c) || !fits(o, LINE_PUT, c->len)) {
			r = put_full(o, c, (uint32_t)c->len);
			if (r != IPC_AGAIN)
				return r;
			continue;
		}
		msg = msg_new(o, &iov, 1, c->len);
		if (msg) {
			put_message(o, msg);
			c->done = c->len;
			return put_end(o, c, 0);
		}
		r = put_grow(o, c, LINE_PUT, (uint32_t)c->len);
		if (r != IPC_AGAIN)
			return r;
	}
}

static int queue_put(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
	return ipc_framing(o, hd) == FRAMING_RECORD ? put_record(o, c) : put_lines(o, hd, c);
}

static int queue_flush(struct ipc_obj *o, ref_t handle, uint32_t pid, bool killed, bool last)
{
	struct ipc_handle *hd = handle_at(o, handle);
	ref_t line = hd->line;

	if (!line || (!last && hd->line_pid != pid))
		return 0;
	if (killed || Q(o)->closed) {
		line_forget(o, hd);
		commit(o);
		return killed ? 0 : -EPIPE;
	}
	set32(o, hd->line, 0);
	set32(o, hd->line_last, 0);
	put_message(o, line);
	commit(o);
	o->work = true;
	return 0;
}

int ipc_flush_for(struct ipc_obj *o, struct ipc_call *c, bool killed)
{
	/* With the change that drops the line. */
	if (handle_at(o, c->handle)->line_pid == c->pid && !killed && Q(o)->closed)
		call_record(o, c, -EPIPE, false);
	return ipc_flush(o, c->handle, c->pid, killed, false);
}

/* ---- granting ---- */

static void grant_end(struct ipc_obj *o)
{
	bool stuck = lease_stuck(o, 0);
	struct ipc_answer end;

	answer_end(&end);
	LIST_EACH(o, &o->h->lines[LINE_GET], r) {
		struct ipc_waiter *w = waiter_at(o, r);

		if (w->op != OP_LEASE || !Q(o)->leased.count ||
		    (stuck && handle_at(o, w->handle)->leases))
			waiter_grant(o, r, 0, &end);
	}
}

/* Give messages to whoever waits for one, and the end to whom it has come. */
void queue_grant(struct ipc_obj *o)
{
	struct ipc_answer got;
	ref_t r;

	while ((r = line_first(o, LINE_GET)) && Q(o)->mq[0].count && !o->damage) {
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
	if (drained(o) && line_first(o, LINE_GET))
		grant_end(o);
}

static void queue_pump(struct ipc_obj *o)
{
	ref_t w = line_first(o, LINE_PUT);
	struct ipc_answer zero;

	queue_grant(o);
	if (w && refuses(o, waiter_at(o, w)->need))
		waiter_turn(o, w);
	else
		put_pump(o, LINE_PUT, fits);
	if (Q(o)->unfinished)
		return;
	answer_number(&zero, 0);
	LIST_EACH(o, &o->h->lines[LINE_JOIN], r)
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
	if (hd->kind == HANDLE_OBJECT && fits(o, LINE_PUT, 1) && !line_first(o, LINE_PUT))
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

const struct ipc_type ipc_queue_type = {
	.id = IPC_QUEUE,
	.name = "queue",
	.suffix = ".queue",
	.traits = TYPE_LARGE | TYPE_MESSAGES | TYPE_SHORT_CUT | TYPE_LINES | TYPE_JOIN,
	.ready = IPC_WORD(b.queue.mq[0].count),
	.most = IPC_WORD(b.queue.maxsize),
	.init = init,
	.read = queue_read,
	.put = queue_put,
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
	.check = queue_check,
};
