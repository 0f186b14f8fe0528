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

static void put_message(struct ipc_obj *o, ref_t msg)
{
	struct ipc_msg *m = msg_at(o, msg);

	set64(o, Q(o)->unfinished, Q(o)->unfinished + 1);
	/* (Others can see it already, if it was a handle's unfinished line, or begun.) */
	set64(o, m->id, queue_last_id(o));
	set64(o, m->since, ipc_wall_coarse());
	mq_push(o, &Q(o)->mq[0], msg);
	queue_most(o);
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

/* One whole line of `len` bytes, the unfinished one's continuation if there is one. */
static int put_line(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c, const char *data,
		    size_t len)
{
	ref_t msg;

	if (hd->line) {
		if (len && line_add(o, hd, c, data, len) < 0)
			return -ENOMEM;
		msg = hd->line;
		set32(o, hd->line, 0);
		set32(o, hd->line_last, 0);
	} else {
		bool several = len > HEAP_RUN_MOST; /* blocks: be able to go back to before them */

		if (several)
			so_far(o, c);
		msg = msg_new(o, data, len);
		if (!msg) {
			if (!several)
				so_far(o, c);
			return -ENOMEM;
		}
	}
	put_message(o, msg);
	return 0;
}

/* The next line, or the beginning of one with which the write ends. IPC_AGAIN: and go on. */
static int put_next(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
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
	if (nl && (others_first(o, c) || !queue_fits(o, WAITQ_PUT, whole)))
		return put_full(o, c, (uint32_t)whole);
	r = nl ? put_line(o, hd, c, p, n) : line_add(o, hd, c, p, n);
	if (r == -ENOMEM)
		return put_grow(o, c, WAITQ_PUT, (uint32_t)whole);
	c->done += n + !!nl;
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

static int put_record(struct ipc_obj *o, struct ipc_call *c)
{
	if (too_large(o, c, c->len))
		return put_end(o, c, -EMSGSIZE);
	for (;;) {
		ref_t msg;
		int r;

		if (Q(o)->closed)
			return put_end(o, c, -EPIPE);
		if (others_first(o, c) || !queue_fits(o, WAITQ_PUT, c->len)) {
			r = put_full(o, c, (uint32_t)c->len);
			if (r != IPC_AGAIN)
				return r;
			continue;
		}
		msg = c->begun ? begun_message(o, c) : msg_new(o, c->data, c->len);
		if (msg) {
			put_message(o, msg);
			c->done = c->len;
			return put_end(o, c, 0);
		}
		r = put_grow(o, c, WAITQ_PUT, (uint32_t)c->len);
		if (r != IPC_AGAIN)
			return r;
	}
}

int queue_put(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
	if (c->begun || ipc_framing(o, hd) == FRAMING_RECORD)
		return put_record(o, c);
	return put_lines(o, hd, c);
}

int queue_flush(struct ipc_obj *o, ref_t handle, uint32_t pid, bool killed, bool last)
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
