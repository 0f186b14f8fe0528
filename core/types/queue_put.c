/* SPDX-License-Identifier: MIT */
/*
 * queue: putting. See queue.c.
 *
 * Framing. In line framing a write is cut at newlines, and what follows the last one stays with
 * the handle as its unfinished line, a message that no queue holds yet. In record framing one
 * write is one message. Newlines are never stored.
 */
#include <string.h>

#include "file/heap.h"
#include "file/log.h"
#include "object/begun.h"
#include "object/completion.h"
#include "object/msg.h"
#include "object/number.h"
#include "object/put.h"
#include "object/waiter.h"
#include "types/queue.h"

#define Q(o) (&(o)->h->b.queue)

bool queue_refuses(struct ipc_obj *o, uint64_t need)
{
	return Q(o)->closed || (Q(o)->maxbytes && need > Q(o)->maxbytes);
}

bool queue_fits(struct ipc_obj *o, unsigned int waitq, uint64_t need)
{
	struct ipc_queue *q = Q(o);

	(void)waitq;
	return queue_refuses(o, need) ||
	       ((!q->maxsize || queue_load(q) < q->maxsize) &&
		(!q->maxbytes || queue_load_bytes(q) + need <= q->maxbytes));
}

/* Must a writer that is not at the front wait although there is room? */
static bool others_first(struct ipc_obj *o, struct ipc_call *c)
{
	return !c->waiter && waitq_first(o, WAITQ_PUT);
}

static bool too_large(struct ipc_obj *o, struct ipc_call *c, uint64_t len)
{
	return len > c->limit || (Q(o)->maxbytes && len > Q(o)->maxbytes);
}

/*
 * It is put now, but for ctl/later: `delay` ns from now. -ENOMEM, only then: what was done for this
 * message is to be rolled back.
 */
static int put_message(struct ipc_obj *o, const struct ipc_handle *hd, ref_t msg, int64_t delay)
{
	ref_t block = delay ? heap_alloc(o, sizeof(struct ipc_delay)) : 0;
	struct ipc_msg *m = msg_at(o, msg);

	if (delay && !block)
		return -ENOMEM;
	set64(o, Q(o)->unfinished, Q(o)->unfinished + 1);
	/* (Others can see it already, if it was a handle's unfinished line, or begun.) */
	set64(o, m->id, queue_last_id(o));
	set64(o, m->since, ipc_wall_coarse());
	if (delay)
		delay_put(o, block, msg, ipc_wall() + (uint64_t)delay);
	else if (hd->kind == HANDLE_FRONT)
		mq_push_head(o, &Q(o)->mq[0], msg);
	else
		mq_push(o, &Q(o)->mq[0], msg);
	queue_most(o);
	return 0;
}

/* What was put so far is a change of its own. */
static void so_far(struct ipc_obj *o, struct ipc_call *c)
{
	call_record(o, c, (int64_t)c->done, true);
	commit(o);
}

/* The queue cannot take a message of `len` bytes now: let readers take what is there, or wait. */
static int put_full(struct ipc_obj *o, struct ipc_call *c, uint32_t len)
{
	so_far(o, c);
	if (waitq_first(o, WAITQ_GET) && Q(o)->mq[0].count) {
		queue_grant(o);
		if (queue_fits(o, WAITQ_PUT, len) && !others_first(o, c))
			return IPC_AGAIN;
	}
	return put_wait(o, c, WAITQ_PUT, len, false);
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
	ref_t last;

	so_far(o, c);
	if (!hd->line) {
		ref_t line = msg_line(o, data, len, &last);

		if (!line)
			return -ENOMEM;
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

/* What comes next in a write: a whole line, or the beginning of one with which the write ends. */
struct line {
	const char *text; /* of it in this write */
	size_t len;
	bool whole;
	size_t skip;   /* ctl/later: bytes of the line before its message, */
	int64_t delay; /* and what they say, ns */
	size_t message;
};

#define SECONDS_MOST 32 /* bytes, with the tab */

/* ctl/later: what the line, which may have been begun by an earlier write, begins with. -EINVAL. */
static int line_delay(struct ipc_obj *o, const struct ipc_handle *hd, struct line *l)
{
	char text[SECONDS_MOST];
	size_t n = hd->line ? msg_copy(o, hd->line, 0, text, sizeof(text)) : 0;
	size_t more = l->len < sizeof(text) - n ? l->len : sizeof(text) - n;
	const char *tab;

	if (hd->kind != HANDLE_LATER)
		return 0;
	if (more)
		memcpy(text + n, l->text, more);
	tab = memchr(text, '\t', n + more);
	if (!tab || number_seconds(text, (size_t)(tab - text), &l->delay) < 0)
		return -EINVAL;
	l->skip = (size_t)(tab - text) + 1;
	l->message -= l->skip;
	return 0;
}

/* The message of a line of ctl/later. What was written of the line before is copied. */
static ref_t line_message(struct ipc_obj *o, const struct ipc_handle *hd, const struct line *l)
{
	size_t before = hd->line ? msg_at(o, hd->line)->len : 0;

	if (l->skip >= before)
		return msg_new(o, l->text + (l->skip - before), l->message);
	return msg_join(o, hd->line, l->skip, l->text, l->len);
}

/* The handle's unfinished line is its own no more. */
static ref_t line_take(struct ipc_obj *o, struct ipc_handle *hd)
{
	ref_t line = hd->line;

	set32(o, hd->line, 0);
	set32(o, hd->line_last, 0);
	return line;
}

/* One of ctl/later. Nothing else is in this change. */
static int put_line_later(struct ipc_obj *o, struct ipc_handle *hd, const struct line *l)
{
	ref_t msg = line_message(o, hd, l);

	if (!msg || put_message(o, hd, msg, l->delay) < 0)
		return -ENOMEM;
	line_forget(o, hd);
	return 0;
}

/* A whole line, the unfinished one's continuation if there is one. */
static int put_line(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c,
		    const struct line *l)
{
	bool several = l->len > HEAP_RUN_MOST; /* blocks: be able to go back to before them */
	ref_t msg;

	if (several || hd->kind == HANDLE_LATER)
		so_far(o, c);
	if (hd->kind == HANDLE_LATER)
		return put_line_later(o, hd, l);
	if (hd->line) {
		if (l->len && line_add(o, hd, c, l->text, l->len) < 0)
			return -ENOMEM;
		return put_message(o, hd, line_take(o, hd), 0);
	}
	msg = msg_new(o, l->text, l->len);
	if (msg)
		return put_message(o, hd, msg, 0);
	if (!several)
		so_far(o, c);
	return -ENOMEM;
}

/* 0; -EMSGSIZE, -EPIPE, -EINVAL: it cannot be put. */
static int next_line(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c, struct line *l)
{
	const char *p = c->data + c->done, *nl = memchr(p, '\n', c->len - c->done);
	int r;

	*l = (struct line){
		.text = p,
		.len = nl ? (size_t)(nl - p) : c->len - c->done,
		.whole = nl,
	};
	l->message = l->len + (hd->line ? msg_at(o, hd->line)->len : 0);
	r = nl ? line_delay(o, hd, l) : 0;
	if (r == 0 && too_large(o, c, l->message))
		r = -EMSGSIZE;
	if (r < 0 && !c->done)
		line_forget(o, hd);
	return r == 0 && nl && Q(o)->closed ? -EPIPE : r;
}

/* Put what comes next. IPC_AGAIN: and go on. */
static int put_next(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
	struct line l;
	int r;

	if (o->damage)
		return -EIO;
	r = next_line(o, hd, c, &l);
	if (r < 0)
		return put_end(o, c, r);
	if (l.whole && (others_first(o, c) || !queue_fits(o, WAITQ_PUT, l.message)))
		return put_full(o, c, (uint32_t)l.message);
	r = l.whole ? put_line(o, hd, c, &l) : line_add(o, hd, c, l.text, l.len);
	if (r == -ENOMEM)
		return put_grow(o, c, WAITQ_PUT, (uint32_t)l.message);
	c->done += l.len + l.whole;
	if (log_room(o) < 110)
		so_far(o, c);
	return IPC_AGAIN;
}

static int put_lines(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
	while (c->done < c->len) {
		int r = put_next(o, hd, c);

		if (r != IPC_AGAIN)
			return r;
	}
	return put_end(o, c, 0);
}

/* All of the write. IPC_AGAIN: there is room now. */
static int put_whole(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c,
		     const struct line *l)
{
	ref_t msg;

	if (Q(o)->closed)
		return put_end(o, c, -EPIPE);
	if (others_first(o, c) || !queue_fits(o, WAITQ_PUT, l->message))
		return put_full(o, c, (uint32_t)l->message);
	msg = c->begun ? begun_message(o, c) : msg_new(o, l->text + l->skip, l->message);
	if (!msg || put_message(o, hd, msg, l->delay) < 0)
		return put_grow(o, c, WAITQ_PUT, (uint32_t)l->message);
	c->done = c->len;
	return put_end(o, c, 0);
}

static int put_record(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
	struct line l = { .text = c->data, .len = c->len, .whole = true, .message = c->len };
	int r = line_delay(o, hd, &l);

	if (r == 0 && too_large(o, c, l.message))
		r = -EMSGSIZE;
	if (r < 0)
		return put_end(o, c, r);
	do
		r = put_whole(o, hd, c, &l);
	while (r == IPC_AGAIN);
	return r;
}

int queue_put(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
	if (c->begun || ipc_framing(o, hd) == FRAMING_RECORD)
		return put_record(o, hd, c);
	return put_lines(o, hd, c);
}

/* Why its unfinished line cannot be put as it is. */
static int line_refused(struct ipc_obj *o, const struct ipc_handle *hd, struct line *l)
{
	*l = (struct line){ .text = "", .whole = true, .message = msg_at(o, hd->line)->len };
	return Q(o)->closed ? -EPIPE : line_delay(o, hd, l);
}

/* -ENOSPC, -ENOMEM: the line is left as it is, and goes with its handle. */
static int flush_later(struct ipc_obj *o, struct ipc_handle *hd, const struct line *l)
{
	int r = 0;

	commit(o);
	while (r == 0 && put_line_later(o, hd, l) < 0) {
		obj_rollback(o);
		r = heap_grow(o, true);
	}
	return r;
}

int queue_flush(struct ipc_obj *o, ref_t handle, uint32_t pid, bool killed, bool last)
{
	struct ipc_handle *hd = handle_at(o, handle);
	struct line l;
	int r = 0;

	if (!hd->line || (!last && hd->line_pid != pid))
		return 0;
	if (!killed)
		r = line_refused(o, hd, &l);
	if (killed || r < 0)
		line_forget(o, hd);
	else if (hd->kind == HANDLE_LATER)
		r = flush_later(o, hd, &l);
	else
		put_message(o, hd, line_take(o, hd), 0);
	commit(o);
	o->work = true;
	return r;
}

int ipc_flush_for(struct ipc_obj *o, struct ipc_call *c, bool killed)
{
	const struct ipc_handle *hd = handle_at(o, c->handle);
	struct line l;
	int r = 0;

	if (hd->line && hd->line_pid == c->pid && !killed)
		r = line_refused(o, hd, &l);
	if (r < 0) /* with the change that drops the line */
		call_record(o, c, r, false);
	return ipc_flush(o, c->handle, c->pid, killed, false);
}
