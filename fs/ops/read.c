/* SPDX-License-Identifier: MIT */
/*
 * READ: the rest of the answer in hand, or the next answer, or a wait for it.
 */

#include "object/answer.h"
#include "object/hand.h"
#include "object/waiter.h"
#include "wait/ask.h"
#include "ctl/plain.h"
#include "object/type.h"
#include "ops/io.h"
#include "state/array.h"
#include "state/nodeid.h"
#include "wait/call.h"
#include "wait/monitor.h"
#include "wait/nonblock.h"
#include "wait/watch.h"

/* A reply that fills the request would make the kernel ask for the rest of a longer read(). */
static size_t usable(size_t size)
{
	return size > MAX_IO - 4096 ? size - 1 : size;
}

/* The answer in hand, from `off` on. */
static int read_hand(struct request *rq, uint64_t off, uint64_t len)
{
	rq->reply = (struct reply){
		.kind = REPLY_ANSWER,
		.ob = rq->ob,
		.answer = &rq->hd->hand,
		.off = off,
		.len = len,
	};
	return 0;
}

static int read_rest(struct request *rq, uint64_t off)
{
	return read_hand(rq, off, ipc_answer_read(&rq->ob->o, rq->hd, &rq->call, off));
}

static const uint32_t op_of_kind[] = {
	[HANDLE_OBJECT] = OP_READ, [HANDLE_STREAM] = OP_STREAM, [HANDLE_DRAIN] = OP_STREAM,
	[HANDLE_LEASE] = OP_LEASE, [HANDLE_JOIN] = OP_JOIN,     [HANDLE_CHANGED] = OP_CHANGED,
};

/*
 * A value is a file with its text: a read at 0 takes the text as it is now, later reads continue in
 * it. At the position where a write through this handle ended is the result of that write.
 */
static int read_value(struct request *rq)
{
	struct ipc_call *c = &rq->call;
	uint64_t off = c->pos;
	int r = 0;

	touch(rq, rq->t.node, false);
	if (!ipc_in_hand(&rq->ob->o, rq->hd, c->pos, &off)) {
		off = c->pos;
		c->pos = 0;
		r = ipc_read(&rq->ob->o, c);
	}
	return r == 0 ? read_hand(rq, off, c->max) : r;
}

/* Handles that only look, and an array's memory, need no lock, and so never wait for one. */
static bool needs_no_lock(const struct request *rq)
{
	return rq->hd->flags & HANDLE_LOOK || ipc_is(&rq->ob->o, TYPE_MEMORY);
}

static bool found_unlocked(struct request *rq)
{
	return enter_unlocked(rq) == 0 && rq->ob->adopted && needs_no_lock(rq);
}

static int no_change(struct request *rq)
{
	(void)rq;
	return 0;
}

/* An object that was not locked since it was mapped has not been checked. */
static int adopt_first(struct request *rq)
{
	if (enter_unlocked(rq) < 0 || rq->ob->adopted || !needs_no_lock(rq))
		return 0;
	return object_change(rq->ob, rq, no_change);
}

static enum outcome read_unlocked(struct request *rq)
{
	if (rq->hd->flags & HANDLE_LOOK)
		return plain_read(rq);
	return done_buffer(rq, array_read(rq->ob, reply_buffer(),
					  rq->size < MAX_IO ? rq->size : MAX_IO, rq->off));
}

/* special: see lib_call() */
static void fill_read(struct request *rq, bool *ret_special)
{
	uint32_t kind = __atomic_load_n(&rq->hd->kind, __ATOMIC_RELAXED);
	struct ipc_call *c = &rq->call;

	fill_call(c, rq, rq->flags);
	c->op = op_of_kind[kind <= HANDLE_CHANGED ? kind : 0];
	c->pos = lib_call(c, rq->hd, rq->off, ret_special);
	if (*ret_special && ipc_is(&rq->ob->o, TYPE_JOIN))
		c->op = OP_JOIN;
	c->max = usable(rq->size);
}

/* The next answer. */
static int take(struct request *rq)
{
	struct object *ob = rq->ob, *lock = ipc_is(&ob->o, TYPE_MONITOR) ? lock_object(ob) : NULL;
	struct ipc_call *c = &rq->call;
	int r = lock ? monitor_find(rq, lock) : 0;

	nonblock_stand(ob, rq->hd, c, rq->flags);
	if (r == 0 && lock)
		r = monitor_fetch(rq, lock);
	if (r == 0)
		r = nonblock_ended(ob, c, 0, rq->flags, ipc_read(&ob->o, c));
	return r;
}

static int took(struct request *rq, int r)
{
	struct object *ob = rq->ob;
	struct ipc_call *c = &rq->call;

	if (r == IPC_WAIT && ipc_is(&ob->o, TYPE_MONITOR))
		monitor_lend(ob, c->waiter, c->tid);
	if (r == IPC_WAIT && waiter_at(&ob->o, c->waiter)->flags & WAITER_STANDS)
		r = -EAGAIN;
	if (r != IPC_DONE)
		return r;
	touch(rq, rq->t.node, false);
	watch_holder(ob, rq->hd->opener, c->pid);
	reply_read(&rq->reply, ob, rq->hd, &c->got, c->max);
	return -rq->reply.error; /* the end, to libipcfs */
}

static int read_nothing(struct request *rq)
{
	done_data(rq, NULL, 0);
	return 0;
}

static int read_object(struct request *rq)
{
	struct object *ob = rq->ob;
	struct ipc_handle *hd = rq->hd;
	struct ipc_call *c = &rq->call;
	bool special;
	uint64_t off;
	int r;

	fill_read(rq, &special);
	if (ipc_is(&ob->o, TYPE_TEXT) && hd->kind == HANDLE_OBJECT && hd->flags & HANDLE_POSITION)
		return read_value(rq);
	if (ipc_is(&ob->o, TYPE_PID) || c->op == OP_LEASE)
		fill_pid(c, hd);
	watch_opener(ob, hd, c->pid);
	c->done = SIZE_MAX;
	if (again_call(rq, &r))
		c->got = hd->hand;
	else if (c->done != SIZE_MAX) /* it was given a rest before, from here on */
		return read_rest(rq, c->done);
	else if (!special && ipc_in_hand(&ob->o, hd, c->pos, &off))
		return read_rest(rq, off);
	else if (!c->pos || hd->flags & HANDLE_POSITION)
		r = take(rq);
	else /* A later part of a read() that the kernel has split: it has something already. */
		return read_nothing(rq);
	return took(rq, r);
}

enum outcome file_read(struct request *rq)
{
	int r;

	if (rq->fh & FH_PLAIN)
		return plain_read(rq);
	if (rq->by_cache && target_of(rq->ino, &rq->t) == 0 && !node_is(rq->t.node, TYPE_MEMORY))
		return mapped_read(rq, EINVAL);
	r = adopt_first(rq);
	if (r < 0)
		return done(rq, r);
	if (found_unlocked(rq))
		return read_unlocked(rq);
	return done(rq, handle_change(rq, read_object));
}
