/* SPDX-License-Identifier: MIT */
/*
 * An engine file may be written by whoever may use the object, so every word of it may be anything.
 *
 * Each type is brought into a state with a bit of everything (waiters, holds, leases, answers in
 * hand, unfinished lines). Then words of its file are changed, one or several at once, and every
 * operation is done on what came of it. Any result is fine; what is not: an access outside of the
 * mapping (the sanitizers tell), and a loop. Loops that store are found by counting stores, so
 * always at the same one; the others by the processor's time.
 *
 * One of IPCFS_MUTATE_SKIP + 1 changes of a single word is tried (0: all of them, some minutes);
 * IPCFS_SEED decides which, and what the changes of several words are. IPCFS_MUTATE_STATE: one only.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "file/heap.h"
#include "file/list.h"
#include "file/log.h"
#include "object/answer.h"
#include "object/hand.h"
#include "object/msg.h"
#include "object/hold.h"
#include "object/begun.h"
#include "object/completion.h"
#include "object/waiter.h"
#include "env.h"
#include "object/count.h"
#include "object/fast.h"
#include "object/lend.h"
#include "object/wake.h"
#include "types/queue.h"
#include "mutate.h"
#include "test.h"

#define STORES_MOST 300000 /* of one operation */
#define CPU_MOST    4      /* seconds of one round of all operations */
#define HANDLES     8
#define WAITERS     16

static struct ipc_obj *o;
static struct ipc_obj clean; /* *o, before anything was damaged */
static char *image;
static size_t image_len;
static ref_t handles[HANDLES], waits[WAITERS];
static uint32_t gens[HANDLES];
static unsigned int n_handles, n_waits;
static unsigned int seed;

static unsigned int any(unsigned int n)
{
	return (unsigned int)rand_r(&seed) % n;
}

/* ---- what is there ---- */

static ref_t handle(uint32_t kind, uint32_t oflags, uint32_t flags)
{
	ref_t h = h_new(o, kind, oflags, flags);

	gens[n_handles] = handle_at(o, h)->gen;
	return handles[n_handles++] = h;
}

/* A waiter, of a request or of a direct client. */
static void waits_for(ref_t h, uint32_t op, uint64_t unique)
{
	struct ipc_call c = call_new(h, op);
	int r;

	c.unique = unique;
	c.data = "waits\n";
	c.len = 6;
	if (op == OP_WRITE)
		r = ipc_put(o, &c);
	else if (op == OP_FLOCK || op == OP_FLOCK_SHARED)
		r = ipc_flock(o, &c, op == OP_FLOCK ? LOCK_EX : LOCK_SH);
	else
		r = ipc_read(o, &c);
	if (r == IPC_WAIT)
		waits[n_waits++] = c.waiter;
	ipc_pump(o);
}

static void poll_it(ref_t h)
{
	list_push(o, &o->h->polls, h + 1);
	set32(o, handle_at(o, h)->poll_events, POLLIN | POLLOUT);
	commit(o);
}

static void fill_queue(void)
{
	static char big[200000];
	ref_t a = handle(HANDLE_OBJECT, RW, 0), b = handle(HANDLE_OBJECT, RW, HANDLE_RECORD);
	ref_t lease = handle(HANDLE_LEASE, R, 0), stream = handle(HANDLE_STREAM, R, 0);
	ref_t position = handle(HANDLE_OBJECT, R, HANDLE_POSITION);
	ref_t join = handle(HANDLE_JOIN, R, 0);

	memset(big, 'x', sizeof(big));
	put(o, a, "one\ntwo\nthree\nfour\nfive\nsix\n\n\nseven\n");
	get_some(o, lease, OP_LEASE, 4096);
	get_some(o, lease, OP_LEASE, 4096);
	ipc_setting64(o, &o->h->b.queue.max_attempts, 1);
	ipc_nack(o, 0, 1, 0);
	get_some(o, a, OP_READ, 2);
	get(o, position);
	get_some(o, stream, OP_STREAM, 6);
	put_bytes(o, b, big, sizeof(big));
	put_bytes(o, b, "", 0);
	put(o, a, "unfinished");
	waits_for(join, OP_JOIN, 11);
	waits_for(handle(HANDLE_OBJECT, RW, HANDLE_LIB | HANDLE_DIRECT), OP_JOIN, 0);
	ipc_setting64(o, &o->h->b.queue.maxsize, 2);
	waits_for(b, OP_WRITE, 13);
	waits_for(handles[6], OP_WRITE, 0);
	poll_it(a);
}

static ref_t begun[3];
static unsigned int n_begun;

static ref_t begin(ref_t h, uint32_t op, size_t len)
{
	struct ipc_call c = call_new(h, op);

	c.at_once = true;
	c.begins = 1;
	c.max = SIZE_MAX;
	c.len = len;
	CHECK_INT(op == OP_READ ? ipc_read(o, &c) : ipc_put_begin(o, &c), IPC_DONE);
	return c.begun;
}

/* Messages that are written and read in place, and such as are in two blocks. */
static void fill_begun_queue(void)
{
	static char big[65536];
	ref_t a = handle(HANDLE_OBJECT, RW, HANDLE_RECORD | HANDLE_DIRECT);

	for (unsigned int i = 0; i < 4; i++)
		put_bytes(o, a, big, sizeof(big));
	for (unsigned int i = 0; i < 2; i++)
		begun[i] = begin(a, OP_READ, 0);
	begun[2] = begin(a, OP_WRITE, sizeof(big));
	n_begun = 3;
	get_some(o, handle(HANDLE_OBJECT, RW, 0), OP_READ, 5);
}

static void fill_empty_queue(void)
{
	ref_t a = handle(HANDLE_OBJECT, RW, 0), b = handle(HANDLE_OBJECT, RW, HANDLE_RECORD);
	ref_t lease = handle(HANDLE_LEASE, R, 0);

	put(o, a, "one\n");
	get_some(o, lease, OP_LEASE, 4096);
	waits_for(a, OP_READ, 11);
	waits_for(b, OP_READ, 0);
	waits_for(lease, OP_LEASE, 12);
	waits_for(handle(HANDLE_STREAM, R, 0), OP_STREAM, 13);
	waits_for(b, OP_READ, 0);
	poll_it(b);
}

static void fill_closed_queue(void)
{
	ref_t a = handle(HANDLE_OBJECT, RW, 0), one = handle(HANDLE_LEASE, R, 0);
	ref_t two = handle(HANDLE_LEASE, R, 0), part = handle(HANDLE_OBJECT, R, HANDLE_POSITION);

	put(o, a, "one\ntwo\nthree\nfour\n");
	get_some(o, one, OP_LEASE, 4096);
	get_some(o, two, OP_LEASE, 4096);
	get_some(o, part, OP_READ, 2);
	get_some(o, a, OP_READ, 3);
	ipc_setting64(o, &o->h->b.queue.max_attempts, 2);
	waits_for(one, OP_LEASE, 11);
	waits_for(handle(HANDLE_LEASE, R, 0), OP_LEASE, 12);
	ipc_setting32(o, &o->h->b.queue.closed, 1);
	poll_it(two);
}

static void fill_pipe(void)
{
	static char big[70000];
	ref_t a = handle(HANDLE_OBJECT, RW, 0), b = handle(HANDLE_OBJECT, R, 0);
	ref_t w = handle(HANDLE_OBJECT, W, 0);

	put(o, a, "some bytes that are read in parts");
	get_some(o, a, OP_READ, 4);
	get_some(o, b, OP_READ, 6);
	put_bytes(o, w, big, sizeof(big));
	put_bytes(o, handle(HANDLE_OBJECT, RW, HANDLE_RECORD), "", 0);
	ipc_setting64(o, &o->h->b.queue.maxbytes, 1000);
	waits_for(w, OP_WRITE, 11);
	waits_for(a, OP_WRITE, 0);
	poll_it(b);
}

static void fill_empty_pipe(void)
{
	ref_t a = handle(HANDLE_OBJECT, RW, 0), b = handle(HANDLE_OBJECT, R, 0);

	handle(HANDLE_OBJECT, RW, HANDLE_END_A);
	handle(HANDLE_OBJECT, RW, HANDLE_END_B);
	waits_for(a, OP_READ, 11);
	waits_for(b, OP_READ, 0);
	waits_for(handles[2], OP_READ, 12);
	poll_it(b);
}

static void fill_event(void)
{
	ref_t a = handle(HANDLE_OBJECT, RW, 0), b = handle(HANDLE_OBJECT, R, HANDLE_POSITION);

	waits_for(a, OP_READ, 11);
	waits_for(b, OP_READ, 0);
	waits_for(b, OP_READ, 12);
	poll_it(b);
}

static void fill_lock(void)
{
	ref_t a = handle(HANDLE_OBJECT, RW, 0), b = handle(HANDLE_OBJECT, RW, 0);
	ref_t c = handle(HANDLE_OBJECT, RW, 0);

	if (o->type == IPC_SEM) {
		ipc_setting32(o, &o->h->b.sem.undo, 1);
		give(o, a, CMD_ADD, 2);
		get(o, a);
	}
	if (o->type == IPC_RLOCK)
		get(o, a);
	lock_it(o, a, o->type == IPC_LOCK ? LOCK_SH : LOCK_EX);
	if (o->type != IPC_VALUE && o->type != IPC_ARRAY && o->type != IPC_COND) {
		waits_for(b, OP_READ, 11);
		waits_for(c, OP_READ, 0);
	}
	waits_for(b, OP_FLOCK, 12);
	waits_for(c, OP_FLOCK_SHARED, 0);
	waits_for(c, OP_FLOCK, 13);
	poll_it(b);
}

static void fill_cond(void)
{
	ref_t a = handle(HANDLE_OBJECT, RW, 0), b = handle(HANDLE_OBJECT, RW, 0);
	ref_t c = handle(HANDLE_OBJECT, RW, 0);

	lock_it(o, b, LOCK_EX);
	waits_for(b, OP_READ, 11);
	waits_for(c, OP_READ, 0);
	waits_for(c, OP_READ, 12);
	leave(o, waits[2], -EINTR);
	lock_it(o, a, LOCK_EX);
	give(o, a, CMD_NOTIFY, 1);
	waits_for(c, OP_FLOCK, 13);
	waits_for(handle(HANDLE_OBJECT, RW, 0), OP_READ, 14);
	poll_it(b);
}

static void fill_barrier(void)
{
	ref_t a = handle(HANDLE_OBJECT, RW, 0), b = handle(HANDLE_OBJECT, RW, 0);

	give(o, a, CMD_PARTIES, 4);
	waits_for(a, OP_READ, 11);
	waits_for(b, OP_READ, 0);
	waits_for(b, OP_READ, 12);
	leave(o, waits[0], -EINTR);
	poll_it(b);
}

static void fill_value(void)
{
	ref_t a = handle(HANDLE_OBJECT, RW, 0), b = handle(HANDLE_OBJECT, RW, 0);
	struct ipc_call c = call_new(a, OP_WRITE);
	struct ipc_cmd cmd = { .verb = CMD_TEXT, .text = "text of a value", .text_len = 15 };

	ipc_give(o, &c, &cmd);
	get_some(o, b, OP_READ, 3);
	get(o, handle(HANDLE_OBJECT, R, HANDLE_POSITION));
	waits_for(handle(HANDLE_CHANGED, R, 0), OP_CHANGED, 11);
	lock_it(o, a, LOCK_EX);
	waits_for(b, OP_FLOCK, 12);
	waits_for(b, OP_FLOCK, 0);
	poll_it(b);
}

/* (Values to put into words, too.) */
static void fill_names(void)
{
	n_handles = mutate_names_fill(o, handles, HANDLES);
}

static const struct state {
	const char *name;
	uint32_t type;
	void (*fill)(void);
	const struct mutate_op *ops; /* NULL: those of objects */
} states[] = {
	{ "queue", IPC_QUEUE, fill_queue },
	{ "empty queue", IPC_QUEUE, fill_empty_queue },
	{ "closed queue", IPC_QUEUE, fill_closed_queue },
	{ "begun queue", IPC_QUEUE, fill_begun_queue },
	{ "pipe", IPC_PIPE, fill_pipe },
	{ "empty pipe", IPC_PIPE, fill_empty_pipe },
	{ "event", IPC_EVENT, fill_event },
	{ "sem", IPC_SEM, fill_lock },
	{ "lock", IPC_LOCK, fill_lock },
	{ "rlock", IPC_RLOCK, fill_lock },
	{ "cond", IPC_COND, fill_cond },
	{ "barrier", IPC_BARRIER, fill_barrier },
	{ "value", IPC_VALUE, fill_value },
	{ "array", IPC_ARRAY, fill_lock },
	{ "names", IPC_MOUNT, fill_names, mutate_names_ops },
};

/* ---- every operation, as the daemon and the library make them ---- */

static char out[1 << 16];

static ref_t sound_handle(unsigned int i)
{
	return n_handles && ipc_handle(o, handles[i % n_handles], gens[i % n_handles]) ?
		       handles[i % n_handles] :
		       0;
}

static void read_it(unsigned int i, bool wait)
{
	ref_t h = sound_handle(i);
	struct ipc_call c = call_new(h, OP_READ);
	struct ipc_answer hand;

	if (!h)
		return;
	c.op = handle_at(o, h)->kind == HANDLE_LEASE   ? OP_LEASE :
	       handle_at(o, h)->kind == HANDLE_STREAM  ? OP_STREAM :
	       handle_at(o, h)->kind == HANDLE_JOIN    ? OP_JOIN :
	       handle_at(o, h)->kind == HANDLE_CHANGED ? OP_CHANGED :
							 OP_READ;
	c.deadline = wait ? IPC_NEVER : 0;
	c.unique = 100 + i;
	ipc_next_rest(o, handle_at(o, h));
	hand = handle_at(o, h)->hand;
	answer_copy(o, &hand, hand.off, out, sizeof(out));
	if (ipc_read(o, &c) == 0)
		answer_copy(o, &c.got, 0, out, sizeof(out));
}

static void op_read(unsigned int i)
{
	read_it(i, false);
}
static void op_read_waits(unsigned int i)
{
	read_it(i, true);
}

static void op_put(unsigned int i)
{
	ref_t h = sound_handle(i);
	struct ipc_call c = call_new(h, OP_WRITE);

	c.deadline = i % 2 ? IPC_NEVER : 0;
	c.unique = 200 + i;
	c.data = "line\nof a put\nrest";
	c.len = 18;
	if (h)
		ipc_put(o, &c);
}

static void op_put_long(unsigned int i)
{
	static char big[100000];
	ref_t h = sound_handle(i);
	struct ipc_call c = call_new(h, OP_WRITE);

	c.deadline = 0;
	c.data = big;
	c.len = sizeof(big);
	if (h)
		ipc_put(o, &c);
}

static void op_give(unsigned int i)
{
	static const struct ipc_cmd cmds[] = {
		{ CMD_ADD, 1, NULL, NULL, 0, 0 },          { CMD_SET, 0, NULL, NULL, 0, 0 },
		{ CMD_CLEAR, 0, NULL, NULL, 0, 0 },        { CMD_NOTIFY, 1, NULL, NULL, 0, 0 },
		{ CMD_NOTIFY, CMD_ALL, NULL, NULL, 0, 0 }, { CMD_PARTIES, 2, NULL, NULL, 0, 0 },
		{ CMD_RESET, 0, NULL, NULL, 0, 0 },        { CMD_ABORT, 0, NULL, NULL, 0, 0 },
		{ CMD_TEXT, 0, "12", NULL, 2, 0 },         { CMD_PLUS, 3, NULL, NULL, 0, 0 },
		{ CMD_CAS, 0, "12", "15", 2, 2 },
	};
	ref_t h = sound_handle(i);

	for (unsigned int k = 0; k < sizeof(cmds) / sizeof(cmds[0]) && h && !o->damage; k++) {
		struct ipc_call c = call_new(h, OP_WRITE);

		c.deadline = 0;
		ipc_give(o, &c, &cmds[k]);
		ipc_pump(o);
	}
}

static void op_flock(unsigned int i)
{
	static const int how[] = { LOCK_EX, LOCK_SH, LOCK_UN };
	ref_t h = sound_handle(i);

	for (unsigned int k = 0; k < 3 && h && !o->damage; k++) {
		struct ipc_call c = call_new(h, OP_FLOCK);

		c.deadline = k % 2 ? 0 : IPC_NEVER;
		c.unique = 300 + 10 * k + i;
		ipc_flock(o, &c, how[k]);
	}
}

static bool count_messages(void *arg, struct ipc_obj *obj, ref_t msg)
{
	++*(unsigned int *)arg;
	return msg_copy(obj, msg, 0, out, sizeof(out)) <= sizeof(out);
}

static void op_look(unsigned int i)
{
	unsigned int n = 0;

	for (unsigned int k = 0; k < n_handles; k++)
		if (sound_handle(k) && !o->damage)
			ipc_poll(o, sound_handle(k));
	ipc_size(o);
	if (o->type == IPC_VALUE)
		ipc_value_text(o, out, IPC_VALUE_MAX);
	if (o->type == IPC_QUEUE || o->type == IPC_PIPE)
		ipc_peek(o, &o->h->b.queue.mq[i % 2], count_messages, &n);
	if (o->type == IPC_QUEUE)
		LIST_EACH(o, &o->h->b.queue.leased, r)
			msg_copy(o, AT(o, ipc_lease, r)->msg, 0, out, sizeof(out));
	LIST_EACH(o, &o->h->holds, r)
		n += AT(o, ipc_hold, r)->pid + handle_at(o, AT(o, ipc_hold, r)->handle)->pid;
	if (o->ops->next && sound_handle(i))
		o->ops->next(o, handle_at(o, sound_handle(i)));
}

static void op_check(unsigned int i)
{
	struct ipc_check k;

	(void)i;
	ipc_check(o, &k);
}

static void op_turns(unsigned int i)
{
	ref_t w;

	for (unsigned int n = 0; n < 50 && (w = ipc_turn(o)) && !o->damage; n++) {
		struct ipc_call c = call_new(waiter_at(o, w)->handle, OP_WRITE);

		c.unique = waiter_at(o, w)->unique;
		c.data = "turn\n";
		c.len = 5;
		c.done = waiter_at(o, w)->arg < 5 ? waiter_at(o, w)->arg : 5;
		c.waiter = w;
		if (i % 2)
			c.deadline = 0;
		ipc_put(o, &c);
	}
}

static void op_finish(unsigned int i)
{
	for (unsigned int k = 0; k < n_waits && !o->damage; k++) {
		struct ipc_call c = call_new(0, OP_READ);
		struct ipc_waiter *w = waiter_at(o, waits[k]);

		if (w->state != WAITER_GRANTED)
			continue;
		c.max = i % 2 ? 3 : SIZE_MAX;
		answer_copy(o, &w->got, 0, out, sizeof(out));
		if (i % 3)
			ipc_finish(o, waits[k], &c);
		else
			ipc_finish_told(o, waits[k]);
	}
}

static void op_leave(unsigned int i)
{
	int64_t r;

	for (unsigned int k = 0; k < n_waits && !o->damage; k++)
		if (waiter_at(o, waits[k])->state == WAITER_WAITING)
			ipc_leave(o, waits[k], (i + k) % 2 ? -EINTR : -ETIMEDOUT, &r);
}

static void op_cancel(unsigned int i)
{
	if (i % 2)
		ipc_cancel(o, 0);
	else
		ipc_cancel_direct(o);
}

static void op_process_ended(unsigned int i)
{
	(void)i;
	if (o->ops->unhold)
		ipc_process_ended(o, 100);
}

static void op_restart(unsigned int i)
{
	bool partial;
	int64_t r;

	ipc_restarted(o);
	ipc_completion_find(o, 11 + i, handles[0], &r, &partial);
	ipc_find_waiter(o, 11 + i);
}

static void op_queue(unsigned int i)
{
	if (o->type != IPC_QUEUE)
		return;
	ipc_nack(o, 0, 2, 0);
	ipc_ack(o, 0, 2);
	ipc_done(o, 0, 1);
	if (i % 2)
		ipc_revive(o, 0, 0, true);
	else
		ipc_discard(o, 0, 0, true);
}

/* As a direct client: with buffers that end where they end. */
static void op_now(unsigned int i)
{
	static const size_t sizes[] = { 3, 40, 2000, 70000 };
	size_t size = sizes[i % 4];
	struct iovec v[9];

	if (o->type != IPC_QUEUE)
		return;
	for (unsigned int k = 0; k < 9; k++)
		v[k] = (struct iovec){ calloc(1, size), size };
	queue_put_now(o, IPC_MESSAGE_MAX, v, 9);
	if (!o->damage)
		queue_get_now(o, v, 9);
	for (unsigned int k = 0; k < 9; k++)
		free(v[k].iov_base);
}

/* What obj_unlock() and obj_lock() do to a lock; and somebody takes it in between. */
static void op_fast(unsigned int i)
{
	if (o->ops->count.at) {
		uint64_t *p = (uint64_t *)(void *)(o->base + o->ops->count.at);

		o->ops->leaving(o);
		if (i % 2)
			count_take(p);
		else if (o->type == IPC_EVENT)
			count_set(p, i / 2 % 2);
		else
			count_give(p, i);
		o->ops->entered(o);
		return;
	}
	if (!o->ops->leaving)
		return;
	if (i % 2)
		o->h->b.sem.direct = 1;
	o->ops->leaving(o);
	fast_take(&o->h->b.sem, fast_holder(handles[i % n_handles], gens[i % n_handles]));
	if (!o->damage)
		o->ops->entered(o);
}

static void op_lend(unsigned int i)
{
	struct ipc_lent l;

	if (o->type == IPC_COND)
		for (unsigned int k = 0; k < n_waits && !o->damage; k++) {
			ipc_cond_lent(o, waits[k], &l);
			ipc_cond_park(o, waits[k]);
		}
	if (o->type != IPC_LOCK && o->type != IPC_RLOCK)
		return;
	if (ipc_lent_find(o, 100, &l)) {
		struct ipc_call c = call_new(0, OP_FLOCK);

		c.unique = 400 + i;
		ipc_lend(o, &l, 100);
		ipc_lent_retake(o, &c, &l);
	}
}

static void op_given(unsigned int i)
{
	(void)i;
	for (unsigned int k = 0; k < n_waits && !o->damage; k++) {
		struct ipc_call c = { .waiter = waits[k] };
		int r;

		ipc_take_given(o, &c, waiter_at(o, waits[k]), &r);
	}
}

static void op_begun(unsigned int i)
{
	ref_t h = sound_handle(i);
	struct ipc_call c = call_new(h, OP_WRITE);
	size_t len;

	if (!n_begun || !h)
		return;
	for (unsigned int k = 0; k < n_begun && !o->damage; k++) {
		const char *bytes = ipc_begun_bytes(o, begun[k], &len);

		if (bytes && !o->damage)
			memcpy(out, bytes, len < sizeof(out) ? len : sizeof(out));
		ipc_begun_copy(o, begun[k], out, sizeof(out));
	}
	if (o->damage)
		return;
	c.begun = begun[2];
	c.len = 5000;
	if (i % 2)
		ipc_put(o, &c);
	else
		ipc_begun_end(o, begun[2]);
	if (i % 3)
		ipc_begun_done(o, begun[0]);
	else
		ipc_begun_back(o, begun[0]);
}

static void op_value(unsigned int i)
{
	if (o->type == IPC_VALUE)
		ipc_value_typecode(o, 0, i % 2 ? 'q' : 0);
}

static void op_heap(unsigned int i)
{
	o->grow_order = i % IPC_ORDERS;
	heap_grow(o, true);
	heap_trim(o, i % 2);
}

static void op_open(unsigned int i)
{
	struct ipc_opening how = { .oflags = RW, .tid = 1000, .pid = 100, .gen = 77, .timeout = -1 };
	ref_t h;

	(void)i;
	if (ipc_open(o, &how, &h) == 0 && !o->damage)
		ipc_close(o, h);
}

static void op_flush(unsigned int i)
{
	ref_t h = sound_handle(i);

	if (h && o->type == IPC_QUEUE)
		ipc_flush(o, h, 100, i % 2, i % 3);
}

static void op_close(unsigned int i)
{
	ref_t h = sound_handle(i);

	if (h)
		ipc_close(o, h);
}

static void op_pump(unsigned int i)
{
	(void)i;
	o->freed = true;
}

#define OP(f) MUTATE_OP(f)
static const struct mutate_op ops[] = {
	OP(pump),          OP(read),    OP(put),   OP(read_waits), OP(give),     OP(flock),
	OP(look),          OP(check),   OP(turns), OP(finish),     OP(leave),    OP(cancel),
	OP(process_ended), OP(restart), OP(queue), OP(now),        OP(lend),     OP(fast),
	OP(value),         OP(heap),    OP(open),  OP(flush),      OP(put_long), OP(given),
	OP(begun),         OP(close),   OP(close), OP(close),      OP(close),    { NULL },
};

static void close_all(unsigned int i)
{
	(void)i;
	ipc_close_all(o);
}

/* ---- one round ---- */

static const struct state *state;
static const struct mutate_op *running;
static char what[256]; /* was changed */
static sigjmp_buf stuck;
static jmp_buf stores;
static unsigned int loops;

static void too_long(int sig)
{
	(void)sig;
	siglongjmp(stuck, 2);
}

/* The file was cut short, or a reference leads behind its end: as in the daemon (fs/state/store.c). */
static void bus_error(int sig, siginfo_t *si, void *context)
{
	uintptr_t page = (uintptr_t)si->si_addr & ~(uintptr_t)(IPC_PAGE - 1);

	(void)context;
	if (page < (uintptr_t)o->base || page - (uintptr_t)o->base >= o->map_len ||
	    mmap((void *)page, IPC_PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		signal(sig, SIG_DFL);
	obj_damage(o, "its file was truncated");
}

/* The state as it was, mapped anew: a round may have made the file longer, or holes in it. */
static int file = -1;

static void restore(void)
{
	*o = clean;
	o->env = &env.env;
	if (ftruncate(file, (off_t)image_len) < 0 ||
	    mmap(o->base, o->map_len, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_NORESERVE | MAP_FIXED, file, 0) == MAP_FAILED)
		abort();
	memcpy(o->base, image, image_len);
	env.damage = NULL;
}

static void step(const struct mutate_op *op, unsigned int i)
{
	running = op;
	ipc_fault_after = STORES_MOST;
	op->run(i);
	if (!o->damage && o->h->log_len)
		obj_rollback(o);
	if (!o->damage)
		ipc_pump(o);
	for (struct ipc_wakes w = { .n = 0 }; !o->damage; w.n = 0) {
		bool more = ipc_wake(o, &w);

		ipc_wake_send(&w);
		if (!more)
			break;
	}
}

/* Begin with another operation each time: the first one meets the change as it is. */
static void operations(unsigned int round)
{
	struct mutate_op last = { "close all", close_all };
	const struct mutate_op *all = state->ops ? state->ops : ops;
	unsigned int n = 0;

	while (all[n].name)
		n++;
	obj_rollback(o);
	for (unsigned int k = 0; k < n && !o->damage; k++)
		step(&all[(round + k) % n], round + k);
	if (!o->damage && !state->ops)
		step(&last, 0);
}

static bool try_it(unsigned int round)
{
	struct itimerval limit = { .it_value.tv_sec = CPU_MOST }, none = { 0 };
	int how;

	how = sigsetjmp(stuck, 1);
	if (!how)
		how = setjmp(stores);
	if (!how) {
		fault_jump = &stores;
		setitimer(ITIMER_VIRTUAL, &limit, NULL);
		operations(round);
	}
	setitimer(ITIMER_VIRTUAL, &none, NULL);
	ipc_fault_after = 0;
	fault_jump = NULL;
	if (!how)
		return true;
	printf("  %s: %s: `%s` %s\n", state->name, what, running ? running->name : "rollback",
	       how == 1 ? "stores without an end" : "does not end");
	loops++;
	return false;
}

/* ---- what is changed, and to what ---- */

static const char *place(size_t off, char *buf, size_t size)
{
	if (off < IPC_PAGE)
		snprintf(buf, size, "header+%zu", off);
	else
		snprintf(buf, size, "heap+%zu", off - IPC_PAGE);
	return buf;
}

static uint32_t word_at(size_t off)
{
	return *(uint32_t *)(void *)(image + off);
}

#define VALUES 18
static uint32_t value(size_t off, unsigned int i)
{
	uint32_t now = word_at(off);

	switch (i) {
	case 0:
		return 0;
	case 1:
		return now + 1;
	case 2:
		return now - 1;
	case 3:
		return UINT32_MAX;
	case 4:
		return INT32_MAX;
	case 5:
		return 1u << 31;
	case 6:
		return 1;
	case 7:
		return 2;
	case 8:
		return 3;
	case 9:
		return handles[0];
	case 10:
		return handles[n_handles - 1];
	case 11:
		return n_waits ? waits[0] : 5;
	case 12:
		return n_waits ? waits[n_waits - 1] : 7;
	case 13:
		return (uint32_t)(off / IPC_UNIT); /* itself */
	case 14:
		return 16; /* into the header */
	case 15:
		return (uint32_t)(image_len / IPC_UNIT); /* behind the file's end */
	case 16:
		return (uint32_t)(o->map_len / IPC_UNIT) - 1;
	default:
		return state->type == IPC_QUEUE || state->type == IPC_PIPE ?
			       ((struct ipc_header *)(void *)image)->b.queue.mq[0].head :
			       now ^ 0x10001;
	}
}

/* Not the identity (looked at when it is mapped), not the lock. */
static bool may_change(size_t off)
{
	return off >= offsetof(struct ipc_header, epoch) &&
	       (off < offsetof(struct ipc_header, m) ||
		off >= offsetof(struct ipc_header, m) + sizeof(((struct ipc_header *)0)->m));
}

static void change(size_t off, uint32_t to)
{
	char where[32];
	size_t n = strlen(what);

	snprintf(what + n, sizeof(what) - n, "%s%s %x -> %x", n ? ", " : "",
		 place(off, where, sizeof(where)), word_at(off), to);
	*(uint32_t *)(void *)(o->base + off) = to;
}

static void singles(unsigned int skip)
{
	unsigned int n = any(skip + 1);

	for (size_t off = 0; off < image_len; off += 4) {
		/* Of the bytes of messages and of what was never used, a few. */
		bool log = off >= offsetof(struct ipc_header, log) && off < IPC_PAGE;

		if (!may_change(off) || (log && off > offsetof(struct ipc_header, log) + 64) ||
		    (off >= IPC_PAGE && !word_at(off) && any(4)) ||
		    (word_at(off) == 0x78787878 && any(1000)))
			continue;
		for (unsigned int i = 0; i < VALUES; i++) {
			if (n--)
				continue;
			n = skip;
			if (value(off, i) == word_at(off))
				continue;
			restore();
			what[0] = 0;
			change(off, value(off, i));
			try_it((unsigned int)(off / 4 * VALUES + i));
		}
	}
}

/* Several at once, of those that mean something. */
static void several(unsigned int rounds)
{
	static uint32_t used[1 << 16];
	unsigned int n = 0;

	for (size_t off = 0; off < image_len && n < 1 << 16; off += 4)
		if (may_change(off) &&
		    (off < offsetof(struct ipc_header, log) ||
		     (off >= IPC_PAGE && word_at(off) && word_at(off) != 0x78787878)))
			used[n++] = (uint32_t)off;
	for (unsigned int r = 0; r < rounds; r++) {
		unsigned int log = any(4) ? 0 : 1 + any(20);

		restore();
		what[0] = 0;
		for (unsigned int k = 2 + any(12); k; k--) {
			size_t off = used[any(n)];

			change(off, value(off, any(VALUES)));
		}
		if (log)
			change(offsetof(struct ipc_header, log_len), log);
		for (unsigned int k = 0; k < log; k++) {
			o->h->log[k].where = any(3) ? used[any(n)] | any(2) :
						      (uint64_t)rand_r(&seed) << any(34);
			o->h->log[k].old = value(used[any(n)], any(VALUES));
		}
		try_it(r);
	}
}

static unsigned int number_of(const char *name, unsigned int otherwise)
{
	const char *text = getenv(name);

	return text ? (unsigned int)atoi(text) : otherwise;
}

static void mutate(const struct state *s)
{
	char name[24];

	state = s;
	n_handles = n_waits = n_begun = 0;
	o = obj_new_reserve(s->type, s->type == IPC_QUEUE ? 1 << 30 : 16 << 20);
	s->fill();
	obj_ok(o, "before");
	clean = *o;
	image_len = (1 + (size_t)o->h->pages) * IPC_PAGE;
	image = malloc(image_len);
	CHECK(image);
	memcpy(image, o->base, image_len);
	snprintf(name, sizeof(name), "%llu", (unsigned long long)o->id);
	file = openat(env.env.dirfd, name, O_RDWR | O_CLOEXEC);
	CHECK(file >= 0);
	singles(number_of("IPCFS_MUTATE_SKIP", 60));
	several(number_of("IPCFS_MUTATE_ROUNDS", 2000));
	restore();
	obj_unlock(o);
	close(file);
	free(image);
}

TEST(mutated_files_neither_loop_nor_lead_astray)
{
	struct sigaction bus = { .sa_sigaction = bus_error, .sa_flags = SA_SIGINFO };
	const char *only = getenv("IPCFS_MUTATE_STATE");

	signal(SIGVTALRM, too_long);
	sigaction(SIGBUS, &bus, NULL);
	seed = number_of("IPCFS_SEED", 1);
	for (unsigned int i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (!only || !strcmp(only, states[i].name))
			mutate(&states[i]);
	CHECK_INT(loops, 0);
}
