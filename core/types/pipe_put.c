/* SPDX-License-Identifier: MIT */
/* pipe: putting. See pipe.c. */
#include "file/log.h"
#include "object/completion.h"
#include "object/msg.h"
#include "object/put.h"
#include "object/stats.h"
#include "object/type.h"
#include "object/waiter.h"
#include "types/queue.h"

#define P(o) (&(o)->h->b.queue)

unsigned int pipe_dir(struct ipc_obj *o, const struct ipc_mq *q)
{
	return q == &P(o)->mq[1];
}

bool pipe_broken(struct ipc_obj *o, struct ipc_handle *hd)
{
	struct ipc_mq *q = ipc_writes_to(o, hd);

	return !q->readers && q->opens[READER] != hd->peer_opens[WRITER];
}

bool pipe_fits(struct ipc_obj *o, unsigned int waitq, uint64_t need)
{
	struct ipc_mq *q = &P(o)->mq[waitq / 2];

	/* An empty pipe takes any record. */
	return !P(o)->maxbytes || !q->count || q->bytes + need <= P(o)->maxbytes;
}

/* How many of `len` bytes fit now. As with a FIFO, a writer waits only if none do. */
static size_t room(struct ipc_obj *o, struct ipc_mq *q, size_t len)
{
	uint64_t most = P(o)->maxbytes;

	if (!most || q->bytes + len <= most)
		return len;
	return q->bytes < most ? (size_t)(most - q->bytes) : 0;
}

/* One change: a short write goes in whole even if memory is low or the caller dies. */
static int put_bytes(struct ipc_obj *o, struct ipc_mq *q, const char *data, size_t len)
{
	size_t filled = q->tail && len <= 2048 ? msg_fill(o, q->tail, data, len) : 0;
	size_t rest = len - filled < 60000 ? len - filled : 60000;
	ref_t msg;

	set64(o, q->bytes, q->bytes + filled);
	if (!rest)
		return (int)filled;
	msg = msg_new(o, data + filled, rest);
	if (!msg)
		return -ENOMEM;
	mq_push(o, q, msg);
	return (int)(filled + rest);
}

static int put_record(struct ipc_obj *o, struct ipc_mq *q, struct ipc_call *c)
{
	ref_t msg = msg_new(o, c->data, c->len);

	if (!msg)
		return -ENOMEM;
	mq_push(o, q, msg);
	return (int)c->len;
}

/* The pipe is full: let readers take what is there, or wait. */
static int put_full(struct ipc_obj *o, struct ipc_call *c, struct ipc_mq *q, uint32_t need)
{
	unsigned int dir = pipe_dir(o, q);

	call_record(o, c, (int64_t)c->done, true);
	commit(o);
	if (waitq_first(o, WAITQ_GET + 2 * dir) && q->count) {
		o->ops->pump(o);
		if (pipe_fits(o, WAITQ_PUT + 2 * dir, need) &&
		    (c->waiter || !waitq_first(o, WAITQ_PUT + 2 * dir)))
			return IPC_AGAIN;
	}
	return put_wait(o, c, WAITQ_PUT + 2 * dir, need, false);
}

/* As with a FIFO, a write of up to PIPE_BUF bytes goes in whole, if it ever can. */
static bool is_short(struct ipc_obj *o, size_t len)
{
	return len <= 4096 && (!P(o)->maxbytes || len <= P(o)->maxbytes);
}

/* So many bytes went in, the first of this write or others. */
static void counted(struct ipc_obj *o, const struct ipc_call *c, size_t n)
{
	struct ipc_stats *s = &o->h->stats;
	uint64_t bytes = P(o)->mq[0].bytes + P(o)->mq[1].bytes;

	STAT_ADD(o, others, n);
	if (!c->done)
		STAT_ADD(o, puts, 1);
	if (bytes > s->most)
		__atomic_store_n(&s->most, bytes, __ATOMIC_RELAXED);
}

/* One change: put what fits, or wait. IPC_AGAIN; *more: some is left. Or what to return. */
static int put_step(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c, bool bytes,
		    bool *more)
{
	struct ipc_mq *q = ipc_writes_to(o, hd);
	unsigned int waitq = WAITQ_PUT + 2 * pipe_dir(o, q);
	size_t left = c->len - c->done, n;
	bool whole = !bytes || is_short(o, left);
	int r;

	n = bytes ? room(o, q, left) : pipe_fits(o, waitq, left) ? left : 0;
	if (whole && n < left)
		n = 0;
	if ((!n && left) || (!c->waiter && waitq_first(o, waitq)))
		return put_full(o, c, q, whole ? (uint32_t)left : 1);
	call_record(o, c, (int64_t)c->done, true);
	commit(o);
	r = bytes ? put_bytes(o, q, c->data + c->done, n) : put_record(o, q, c);
	if (r == -ENOMEM)
		return put_grow(o, c, waitq, (uint32_t)n);
	counted(o, c, (size_t)r);
	c->done += (size_t)r;
	set32(o, hd->peer_opens[WRITER],
	      q->readers ? q->opens[READER] - 1 : hd->peer_opens[WRITER]);
	*more = c->done < c->len;
	return IPC_AGAIN;
}

int pipe_put(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
	/* (A long write that must go in whole is put as a record.) */
	bool bytes = ipc_framing(o, hd) == FRAMING_BYTES && (!c->atomic || is_short(o, c->len));
	bool more = c->done < c->len || (!c->len && !bytes);

	if (!bytes && c->len > c->limit)
		return put_end(o, c, -EMSGSIZE);
	while (more) {
		int r;

		if (o->damage)
			return -EIO;
		if (pipe_broken(o, hd))
			return put_end(o, c, -EPIPE);
		r = put_step(o, hd, c, bytes, &more);
		if (r != IPC_AGAIN)
			return r;
	}
	return put_end(o, c, 0);
}
