/* SPDX-License-Identifier: MIT */
/* ctl/stats: what is counted, and that it is counted once. (That a death changes nothing: crash.c.) */
#define _GNU_SOURCE
#include <sys/file.h>

#include "file/heap.h"
#include "file/log.h"
#include "object/completion.h"
#include "object/stats.h"
#include "object/waiter.h"
#include "types/queue.h"
#include "test.h"

/* "puts gets most waits wakes timeouts cancels", without what the type has not. */
static const char *counts(struct ipc_obj *o)
{
	static char text[300];
	struct ipc_counts c;
	char *p = text;

	ipc_counts(o, &c);
	const uint64_t all[] = { c.puts, c.gets,  c.bytes_put, c.bytes_got, c.locks,
				 c.most, c.waits, c.wakes,     c.timeouts,  c.cancels };

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (all[i] == STATS_NONE)
			p += sprintf(p, "- ");
		else
			p += sprintf(p, "%llu ", (unsigned long long)all[i]);
	return text;
}

/* Closed by everybody, at rest, and open again: what has happened stays. */
static void rests(struct ipc_obj *o)
{
	char *before = strdup(counts(o));

	while (o->h->handles.head)
		close_it(o, o->h->handles.head);
	ipc_rest(o);
	CHECK_STR(counts(o), before);
	free(before);
}

TEST(stats_queue)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), lease = h_new(o, HANDLE_LEASE, R, 0), w;
	char buf[100];
	struct iovec v[3] = { { (void *)(uintptr_t) "one", 3 },
			      { (void *)(uintptr_t) "two", 3 },
			      { (void *)(uintptr_t) "six", 3 } };

	CHECK_STR(counts(o), "0 0 - - - 0 0 0 0 0 ");
	put(o, h, "a\nb\nc\n");
	CHECK_STR(counts(o), "3 0 - - - 3 0 0 0 0 ");
	CHECK_STR(get(o, h), "a\n");
	CHECK_INT(queue_put_now(o, 1000, v, 1), 1);
	CHECK_INT(heap_grow(o, true), 0);
	CHECK_INT(queue_put_now(o, 1000, v, 3), 3);
	CHECK_STR(counts(o), "7 1 - - - 6 0 0 0 0 ");
	CHECK(queue_get_one(o, buf, sizeof(buf)) >= 0);
	v[0] = (struct iovec){ buf, 50 };
	v[1] = (struct iovec){ buf + 50, 50 };
	CHECK_INT(queue_get_now(o, v, 2), 2);
	CHECK_STR(counts(o), "7 4 - - - 6 0 0 0 0 ");
	/* Reported as done: neither put nor taken. */
	CHECK_INT(ipc_done(o, 0, 3), 0);
	CHECK_STR(counts(o), "7 4 - - - 6 0 0 0 0 ");
	/* A lease is a get, and so is the next one; that it came back is none. */
	CHECK(*get_some(o, lease, OP_LEASE, 100));
	CHECK_STR(counts(o), "7 5 - - - 6 0 0 0 0 ");
	CHECK_INT(ipc_nack(o, 0, 5, 0), 0);
	CHECK_STR(counts(o), "7 5 - - - 6 0 0 0 0 ");
	CHECK(*get_some(o, lease, OP_LEASE, 100));
	CHECK_INT(ipc_ack(o, 0, 6), 0);
	CHECK_STR(counts(o), "7 6 - - - 6 0 0 0 0 ");
	/* A dead letter that lives again was not put again. */
	o->h->b.queue.max_attempts = 1;
	CHECK(*get_some(o, lease, OP_LEASE, 100));
	CHECK_INT(ipc_nack(o, 0, 7, 0), 0);
	CHECK_STR(counts(o), "7 7 - - - 6 0 0 0 0 ");
	CHECK_INT(ipc_revive(o, 0, 7, false), 0);
	CHECK_STR(counts(o), "7 7 - - - 6 0 0 0 0 ");
	CHECK(*get(o, h));
	CHECK(*get(o, h));
	CHECK_STR(counts(o), "7 9 - - - 6 0 0 0 0 ");
	/* Those who wait. */
	w = get_waits(o, h, OP_READ, 5);
	put(o, h, "x\n");
	ipc_pump(o);
	CHECK_STR(finish(o, w), "x\n");
	w = get_waits(o, h, OP_READ, 6);
	leave(o, w, -ETIMEDOUT);
	w = get_waits(o, h, OP_READ, 7);
	CHECK_INT(ipc_cancel(o, 0), 1);
	CHECK_STR(finish(o, w), "!ECANCELED");
	CHECK_STR(counts(o), "8 10 - - - 6 3 1 1 1 ");
	rests(o);
}

/* A putter that waits was not served by the wait itself; it has its turn, which is a wake-up. */
TEST(stats_putter)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), w;

	o->h->b.queue.maxsize = 1;
	put(o, h, "a\n");
	w = put_waits(o, h, "b\n", 9);
	CHECK(w);
	CHECK_STR(get(o, h), "a\n");
	ipc_pump(o);
	put_turns(o);
	CHECK_STR(counts(o), "2 1 - - - 1 1 1 0 0 ");
	rests(o);
}

TEST(stats_pipe)
{
	struct ipc_obj *o = obj_new(IPC_PIPE);
	ref_t h = h_open(o);

	put(o, h, "hello");
	put(o, h, "you");
	CHECK_STR(get_some(o, h, OP_READ, 6), "helloy");
	CHECK_STR(counts(o), "2 1 8 6 - 8 0 0 0 0 ");
	CHECK_STR(get_some(o, h, OP_READ, 6), "ou");
	rests(o);
	CHECK_STR(counts(o), "2 2 8 8 - 8 0 0 0 0 ");
}

TEST(stats_permits_and_locks)
{
	struct ipc_obj *o = obj_new(IPC_SEM);
	ref_t h = h_open(o), w;

	give(o, h, CMD_ADD, 3);
	CHECK_STR(get(o, h), "1\n");
	CHECK_STR(get(o, h), "1\n");
	stat_fast(&o->h->b.sem.taken, 1);
	CHECK_STR(counts(o), "3 3 - - - - 0 0 0 0 ");
	rests(o);
	o = obj_new(IPC_LOCK);
	h = h_open(o);
	CHECK_INT(lock_it(o, h, LOCK_EX), 0);
	w = lock_waits(o, h_open(o), LOCK_EX, 4);
	CHECK_INT(lock_it(o, h, LOCK_UN), 0);
	ipc_pump(o);
	finish(o, w);
	CHECK_STR(counts(o), "- 2 - - - - 1 1 0 0 ");
	rests(o);
	o = obj_new(IPC_RLOCK);
	h = h_open(o);
	CHECK_STR(get(o, h), "1\n");
	CHECK_STR(get(o, h), "2\n");
	CHECK_STR(counts(o), "- 2 - - - - 0 0 0 0 ");
	rests(o);
}

TEST(stats_the_others)
{
	struct ipc_obj *o = obj_new(IPC_EVENT);
	ref_t h = h_open(o), w = get_waits(o, h, OP_READ, 3);

	give(o, h, CMD_SET, 0);
	ipc_pump(o);
	CHECK_STR(finish(o, w), "1\n");
	CHECK_STR(counts(o), "1 - - - - - 1 1 0 0 ");
	rests(o);
	o = obj_new(IPC_COND);
	h = h_open(o);
	w = get_waits(o, h_open(o), OP_READ, 3);
	give(o, h, CMD_NOTIFY, CMD_ALL);
	ipc_pump(o);
	finish(o, w);
	CHECK_INT(lock_it(o, h, LOCK_EX), 0);
	CHECK_STR(counts(o), "1 - - - 1 - 1 1 0 0 ");
	rests(o);
	o = obj_new(IPC_BARRIER);
	h = h_open(o);
	give(o, h, CMD_PARTIES, 2);
	w = get_waits(o, h_open(o), OP_READ, 3);
	CHECK_STR(get(o, h), "1\n");
	ipc_pump(o);
	finish(o, w);
	give(o, h, CMD_RESET, 0);
	CHECK_STR(counts(o), "1 2 - - - - 1 1 0 0 ");
	rests(o);
	o = obj_new(IPC_ARRAY);
	CHECK_INT(lock_it(o, h_open(o), LOCK_EX), 0);
	CHECK_STR(counts(o), "- - - - 1 - 0 0 0 0 ");
	rests(o);
}

TEST(stats_value)
{
	struct ipc_obj *o = obj_new(IPC_VALUE);
	ref_t h = h_open(o);
	struct ipc_cmd cmd = { .verb = CMD_TEXT, .text = "5", .text_len = 1 };
	struct ipc_call c = call_new(h, OP_WRITE);

	CHECK_INT(ipc_give(o, &c, &cmd), 0);
	CHECK_STR(get(o, h), "5\n");
	CHECK_STR(counts(o), "1 1 - - 0 - 0 0 0 0 ");
	rests(o);
}
