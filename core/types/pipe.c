/* SPDX-License-Identifier: MIT */
/*
 * pipe: bytes, or messages in record framing, from writers to readers.
 *
 * A one-way pipe uses mq[0]. A two-way pipe has an end a, which writes mq[0] and reads mq[1], and
 * an end b, which does the reverse.
 *
 * A reader sees end of file when the pipe is empty, no writer has it open, and this reader has had
 * a peer since it opened; until then it waits. EPIPE is the mirror image for writers. Counters tell
 * whether a handle "has had a peer": mq.opens[] counts how often each side was opened, and a handle
 * remembers the other side's count as of its own opening (less one if a peer was already there).
 *
 * Bytes are kept as messages too. A write is appended to the last message while its block has room.
 * A reader that takes only part of the first message leaves it in place and advances `skip`; its
 * answer and the pipe then share that message (ipc_msg.refs).
 */
#include <poll.h>
#include <stdio.h>

#include "file/list.h"
#include "file/log.h"
#include "object/answer.h"
#include "object/facts.h"
#include "object/look.h"
#include "object/msg.h"
#include "object/put.h"
#include "object/stats.h"
#include "object/type.h"
#include "object/waiter.h"
#include "types/check.h"
#include "types/queue.h"

#define P(o) (&(o)->h->b.queue)

static void init(struct ipc_header *h, const struct ipc_defaults *d)
{
	(void)d;
	h->b.queue.framing = FRAMING_BYTES;
	h->b.queue.maxbytes = 1 << 20;
}

static bool may(const struct ipc_handle *hd, unsigned int side)
{
	unsigned int mode = hd->oflags & 3;

	return mode == 2 || mode == side; /* O_RDWR, or O_RDONLY / O_WRONLY as the side */
}

static void opened(struct ipc_obj *o, struct ipc_handle *hd)
{
	struct ipc_mq *in = ipc_reads_from(o, hd), *out = ipc_writes_to(o, hd);

	if (may(hd, READER)) {
		set32(o, in->readers, in->readers + 1);
		set32(o, in->opens[READER], in->opens[READER] + 1);
	}
	if (may(hd, WRITER)) {
		set32(o, out->writers, out->writers + 1);
		set32(o, out->opens[WRITER], out->opens[WRITER] + 1);
	}
	set32(o, hd->peer_opens[READER], in->opens[WRITER] - (in->writers > 0));
	set32(o, hd->peer_opens[WRITER], out->opens[READER] - (out->readers > 0));
}

static void closed(struct ipc_obj *o, struct ipc_handle *hd)
{
	struct ipc_mq *in = ipc_reads_from(o, hd), *out = ipc_writes_to(o, hd);

	if (hd->kind != HANDLE_OBJECT || hd->flags & HANDLE_LOOK || hd->flags & HANDLE_COUNTED_OUT)
		return;
	if (may(hd, READER))
		set32(o, in->readers, in->readers - 1);
	if (may(hd, WRITER))
		set32(o, out->writers, out->writers - 1);
	set32(o, hd->flags, hd->flags | HANDLE_COUNTED_OUT);
}

/* No writer is left, nor will one come, for this reader to wait for. */
static bool at_end(struct ipc_obj *o, struct ipc_handle *hd)
{
	struct ipc_mq *q = ipc_reads_from(o, hd);

	return !q->count && !q->writers && q->opens[WRITER] != hd->peer_opens[READER];
}

static void take_record(struct ipc_obj *o, struct ipc_mq *q, struct ipc_answer *ret)
{
	uint32_t skip = q->skip;
	ref_t msg = mq_pop(o, q);

	*ret = (struct ipc_answer){
		.kind = ANSWER_RAW,
		.first = msg,
		.count = 1,
		.skip = skip,
		.len = msg_at(o, msg)->len - skip,
	};
	if (skip) {
		set64(o, q->bytes, q->bytes + skip); /* were taken off already */
		set32(o, q->skip, 0);
	}
}

static void take_bytes(struct ipc_obj *o, struct ipc_mq *q, size_t max, struct ipc_answer *ret)
{
	struct msg_walk w = { 0 };
	uint64_t len = 0;

	*ret = (struct ipc_answer){ .kind = ANSWER_RAW, .first = q->head, .skip = q->skip };
	while (q->count && len < max && !o->damage) {
		struct ipc_msg *m = msg_at(o, q->head);
		uint32_t n = m->len - q->skip;

		if (msg_again(o, &w, q->head))
			break;
		ret->count++;
		if (len + n > max) {
			n = (uint32_t)(max - len);
			msg_get(o, q->head);
			set32(o, q->skip, q->skip + n);
			set64(o, q->bytes, q->bytes - n);
			len += n;
			break;
		}
		set64(o, q->bytes, q->bytes - n);
		set32(o, q->head, m->next);
		if (!m->next)
			set32(o, q->tail, 0);
		set32(o, q->count, q->count - 1);
		set32(o, q->skip, 0);
		len += n;
	}
	ret->len = len;
}

static void take(struct ipc_obj *o, struct ipc_handle *hd, size_t max, struct ipc_answer *ret)
{
	struct ipc_mq *q = ipc_reads_from(o, hd);

	if (ipc_framing(o, hd) == FRAMING_BYTES)
		take_bytes(o, q, max, ret);
	else
		take_record(o, q, ret);
	STAT_ADD(o, gets, 1);
	/* Data counts as a peer: a reader that got some sees the end after it. */
	set32(o, hd->peer_opens[READER], q->opens[WRITER] - 1);
	o->freed = true;
}

static int pipe_read(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
	struct ipc_mq *q = ipc_reads_from(o, hd);
	unsigned int waitq = WAITQ_GET + 2 * pipe_dir(o, q);

	if (q->count && !waitq_first(o, waitq)) {
		take(o, hd, c->max, &c->got);
		return 0;
	}
	if (at_end(o, hd)) {
		answer_end(&c->got);
		return 0;
	}
	return waiter_add(o, c, waitq, c->max);
}

static void pipe_pump(struct ipc_obj *o)
{
	struct ipc_answer got;
	ref_t r;

	for (unsigned int dir = 0; dir < 2; dir++) {
		unsigned int get = WAITQ_GET + 2 * dir, put = WAITQ_PUT + 2 * dir;
		struct ipc_mq *q = &P(o)->mq[dir];

		while ((r = waitq_first(o, get)) && q->count && !o->damage) {
			struct ipc_waiter *w = waiter_at(o, r);

			take(o, handle_at(o, w->handle), w->arg, &got);
			waiter_grant(o, r, (int64_t)got.len, &got);
		}
		answer_end(&got);
		if (!q->count && !q->writers)
			LIST_EACH(o, &o->h->waitqs[get], k)
				if (at_end(o, handle_at(o, waiter_at(o, k)->handle)))
					waiter_grant(o, k, 0, &got);
		r = waitq_first(o, put);
		if (r && !q->readers && pipe_broken(o, handle_at(o, waiter_at(o, r)->handle)))
			waiter_turn(o, r);
		else
			put_pump(o, put, pipe_fits);
	}
}

/*
 * Byte readers have already taken part of the first message, so nothing can go in front of it: this
 * one goes behind it, whole.
 */
static void back_behind(struct ipc_obj *o, struct ipc_mq *q, ref_t msg)
{
	ref_t head = q->head;

	set32(o, msg_at(o, msg)->next, msg_at(o, head)->next);
	set32(o, msg_at(o, head)->next, msg);
	if (q->tail == head)
		set32(o, q->tail, msg);
	set32(o, q->count, q->count + 1);
	set64(o, q->bytes, q->bytes + msg_at(o, msg)->len);
}

/*
 * A record in hand is whole. Bytes in hand may share their last message with the pipe. That message
 * is then still the pipe's first, unless others have read on from there; what they have read past
 * is lost.
 */
static int pipe_back(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_answer *a, bool begun)
{
	struct ipc_mq *q = ipc_reads_from(o, hd);
	uint64_t before = 0, end = a->skip + a->len; /* in bytes from the start of the first */
	struct msg_walk walk = { 0 };
	ref_t last = 0, r = a->first;

	(void)begun;
	for (uint32_t i = 0; i < a->count && !o->damage && !msg_again(o, &walk, r); i++) {
		before += last ? msg_at(o, last)->len : 0;
		last = r;
		r = msg_at(o, r)->next;
	}
	if (!last)
		return 0;
	if (last == q->head && end - before == q->skip) {
		set32(o, q->head, a->first);
		set32(o, q->count, q->count + a->count - 1);
		set64(o, q->bytes, q->bytes + a->len);
		set32(o, q->skip, a->skip);
		msg_put(o, last); /* it is in the queue, and stays in it */
	} else if (last == q->head || end != before + msg_at(o, last)->len) {
		return 0;
	} else if (!q->skip) {
		mq_return(o, q, a->first, a->count);
		set64(o, q->bytes, q->bytes - a->skip);
		set32(o, q->skip, a->skip);
	} else if (ipc_framing(o, hd) == FRAMING_RECORD) {
		back_behind(o, q, last);
	} else {
		return 0;
	}
	set32(o, a->count, 0);
	return 0;
}

static void pipe_regret(struct ipc_obj *o, struct ipc_waiter *w)
{
	if (w->got.kind == ANSWER_RAW)
		pipe_back(o, handle_at(o, w->handle), &w->got, false);
}

static unsigned int pipe_poll(struct ipc_obj *o, struct ipc_handle *hd)
{
	struct ipc_mq *in = ipc_reads_from(o, hd), *out = ipc_writes_to(o, hd);
	unsigned int p = 0;

	if (may(hd, READER)) {
		if (in->count)
			p |= POLLIN;
		else if (at_end(o, hd))
			p |= POLLIN | POLLHUP;
	}
	if (may(hd, WRITER)) {
		if (pipe_broken(o, hd))
			p |= POLLOUT | POLLERR;
		else if (pipe_fits(o, WAITQ_PUT + 2 * pipe_dir(o, out), 1) &&
			 !waitq_first(o, WAITQ_PUT + 2 * pipe_dir(o, out)))
			p |= POLLOUT;
	}
	return p;
}

static uint64_t pipe_units(struct ipc_obj *o, struct ipc_handle *hd, bool out, uint64_t *ret)
{
	struct ipc_mq *q = out ? ipc_writes_to(o, hd) : ipc_reads_from(o, hd);

	*ret = 0;
	if (out ? pipe_broken(o, hd) : !q->count)
		return 0;
	if (out)
		*ret = P(o)->maxbytes > q->bytes ? P(o)->maxbytes - q->bytes : 0;
	else
		*ret = q->bytes + q->count;
	return !out && P(o)->framing == FRAMING_RECORD ? q->count : 1;
}

static uint64_t pipe_size(struct ipc_obj *o)
{
	return __atomic_load_n(&P(o)->mq[0].bytes, __ATOMIC_RELAXED) +
	       __atomic_load_n(&P(o)->mq[1].bytes, __ATOMIC_RELAXED);
}

uint64_t ipc_end_size(struct ipc_obj *o, bool b)
{
	return __atomic_load_n(&P(o)->mq[!b].bytes, __ATOMIC_RELAXED);
}

/* Each write and each read is counted; bytes that were read, by what is there. */
static void pipe_counts(const struct ipc_obj *o, struct ipc_counts *c)
{
	c->bytes_put = o->h->stats.others;
	c->bytes_got = c->bytes_put - P(o)->mq[0].bytes - P(o)->mq[1].bytes;
	c->most = o->h->stats.most;
}

static void pipe_rest(struct ipc_obj *o)
{
	for (unsigned int i = 0; i < 2; i++)
		for (unsigned int k = 0; k < 2; k++)
			set32(o, P(o)->mq[i].opens[k], 0);
}

static void pipe_look(struct ipc_obj *o, struct ipc_sink *to)
{
	look_messages(o, &P(o)->mq[0], P(o)->framing == FRAMING_LINE, to);
	look_messages(o, &P(o)->mq[1], P(o)->framing == FRAMING_LINE, to);
}

static int pipe_check(struct ipc_obj *o, struct ipc_check *k)
{
	struct ipc_queue *p = P(o);

	if (check_mq(o, &p->mq[0], k) < 0 || check_mq(o, &p->mq[1], k) < 0)
		return -EIO;
	if (p->framing != FRAMING_RECORD && p->framing != FRAMING_BYTES)
		k->why = "unknown framing";
	return k->why ? -EIO : 0;
}

static int words(const struct ipc_facts *f, char *ret, size_t size)
{
	return words_amount(f->size, "byte", ret, size);
}

const struct ipc_type ipc_pipe_type = {
	.id = IPC_PIPE,
	.name = "pipe",
	.suffix = ".pipe",
	.folder = IPC_TWOWAY,
	.traits = TYPE_LARGE,
	.init = init,
	.read = pipe_read,
	.put = pipe_put,
	.pump = pipe_pump,
	.poll = pipe_poll,
	.units = pipe_units,
	.size = pipe_size,
	.opened = opened,
	.closed = closed,
	.rest = pipe_rest,
	.regret = pipe_regret,
	.back = pipe_back,
	.next = queue_next,
	.look = pipe_look,
	.words = words,
	.counts = pipe_counts,
	.check = pipe_check,
};
