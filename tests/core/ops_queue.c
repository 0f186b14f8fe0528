/* SPDX-License-Identifier: MIT */
/* Operations of queues, without leases. */
#include <string.h>

#include "object/answer.h"
#include "object/begun.h"
#include "object/hand.h"
#include "ops.h"

#define Q(s) (&(s)->o->h->b.queue)

static void empty(struct scene *s)
{
	s->h[0] = h_open(s->o);
	s->h[1] = h_open(s->o);
}

static void one(struct scene *s)
{
	empty(s);
	put(s->o, s->h[1], "one\n");
}

static void two(struct scene *s)
{
	empty(s);
	put(s->o, s->h[1], "one\ntwo\n");
}

static void many(struct scene *s)
{
	two(s);
	for (char c = 'a'; c < 'y'; c++)
		put_bytes(s->o, s->h[1], (char[]){ c, '\n' }, 2);
}

static void in_the_hand(struct scene *s)
{
	two(s);
	get(s->o, s->h[0]);
}

static void front(struct scene *s)
{
	s->h[0] = h_new(s->o, HANDLE_FRONT, W, 0);
	s->h[1] = h_open(s->o);
	put(s->o, s->h[1], "one\n");
}

static void front_wanted(struct scene *s)
{
	s->h[0] = h_new(s->o, HANDLE_FRONT, W, 0);
	s->h[1] = h_open(s->o);
	s->w[0] = get_waits(s->o, s->h[1], OP_READ, 101);
}

static void front_full(struct scene *s)
{
	front(s);
	Q(s)->maxsize = 1;
}

static void later(struct scene *s)
{
	s->h[0] = h_new(s->o, HANDLE_LATER, W, 0);
	s->h[1] = h_open(s->o);
	put(s->o, s->h[0], "5000\tfive\n");
}

static void later_begun(struct scene *s)
{
	later(s);
	put(s->o, s->h[0], "40");
	put(s->o, s->h[0],
	    "00\tbegun and more than the first block holds, so that there are two of them");
}

static void later_full(struct scene *s)
{
	later(s);
	Q(s)->maxsize = 1;
}

static void readers(struct scene *s)
{
	empty(s);
	s->w[0] = get_waits(s->o, s->h[1], OP_READ, 101);
	s->w[1] = get_waits(s->o, s->h[1], OP_READ, 0);
}

static void full(struct scene *s)
{
	one(s);
	Q(s)->maxsize = 1;
}

static void putters(struct scene *s)
{
	full(s);
	s->w[0] = put_waits(s->o, s->h[1], "x\ny\n", 101);
	s->w[1] = put_waits(s->o, s->h[1], "z\n", 102);
}

static void my_turn(struct scene *s)
{
	full(s);
	put_waits(s->o, s->h[0], "x\ny\n", UNIQUE);
	CHECK_STR(get(s->o, s->h[1]), "one\n");
}

static void unfinished(struct scene *s)
{
	one(s);
	put(s->o, s->h[0], "begin");
}

static struct ipc_call in_place(struct scene *s, uint32_t op, size_t len)
{
	struct ipc_call c = call_new(s->h[0], op);

	c.at_once = true;
	c.len = len;
	c.begins = 1;
	c.max = SIZE_MAX;
	return c;
}

static void begin_put(struct scene *s, size_t len)
{
	struct ipc_call c = in_place(s, OP_WRITE, len);
	size_t n;

	if (ipc_put_begin(s->o, &c) != IPC_DONE)
		return;
	s->w[0] = c.begun;
	memset(ipc_begun_bytes(s->o, c.begun, &n), 'b', len);
}

static void begun_put(struct scene *s)
{
	s->h[0] = h_new(s->o, HANDLE_OBJECT, RW, HANDLE_RECORD);
	s->h[1] = h_open(s->o);
	Q(s)->mq[0].most = 9; /* (a hint, which no death undoes) */
	begin_put(s, 65536);
	put(s->o, s->h[1], "one\n");
}

static void readers_of_begun(struct scene *s)
{
	begun_put(s);
	CHECK_STR(get(s->o, s->h[1]), "one\n");
	get_waits(s->o, s->h[1], OP_READ, 0);
}

static void begun_get(struct scene *s)
{
	struct ipc_call c;

	s->h[0] = h_new(s->o, HANDLE_OBJECT, RW, HANDLE_RECORD);
	s->h[1] = h_open(s->o);
	put(s->o, s->h[1], "first\nsecond\nthird\n");
	for (unsigned int i = 0; i < 2; i++) {
		c = in_place(s, OP_READ, 0);
		CHECK_INT(ipc_read(s->o, &c), IPC_DONE);
		s->w[i] = c.begun;
	}
	begin_put(s, 100);
	s->w[2] = s->w[0];
	s->w[0] = c.begun;
}

static void to_begin(struct scene *s)
{
	s->h[0] = h_new(s->o, HANDLE_OBJECT, RW, HANDLE_RECORD);
	s->h[1] = h_open(s->o);
	s->w[0] = get_waits(s->o, s->h[0], OP_READ, 0);
	put(s->o, s->h[1], "granted\n");
}

static void record(struct scene *s)
{
	two(s);
	Q(s)->framing = FRAMING_RECORD;
}

static void joiners(struct scene *s)
{
	one(s);
	s->h[2] = h_new(s->o, HANDLE_JOIN, R, 0);
	s->w[0] = get_waits(s->o, s->h[2], OP_JOIN, 101);
	s->w[1] = get_waits(s->o, s->h[2], OP_JOIN, 102);
}

static void watchers(struct scene *s)
{
	two(s);
	s->h[2] = h_new(s->o, HANDLE_CHANGED, R, HANDLE_POSITION);
	s->h[3] = h_new(s->o, HANDLE_CHANGED, RW, 0);
	s->w[0] = get_waits(s->o, s->h[2], OP_READ, 101);
	s->w[1] = get_waits(s->o, s->h[3], OP_READ, 102);
}

static void watcher(struct scene *s)
{
	two(s);
	s->h[1] = s->h[0];
	s->h[0] = h_new(s->o, HANDLE_CHANGED, R, HANDLE_POSITION);
	CHECK_INT(ipc_done(s->o, 1, 1), 0);
}

static void join_handle(struct scene *s)
{
	s->h[0] = h_new(s->o, HANDLE_JOIN, R, 0);
	s->h[1] = h_open(s->o);
	put(s->o, s->h[1], "one\n");
}

static void drain_handle(struct scene *s)
{
	s->h[0] = h_new(s->o, HANDLE_DRAIN, R, 0);
	s->h[1] = h_open(s->o);
	put(s->o, s->h[1], "one\ntwo\nthree\n");
}

static void granted(struct scene *s)
{
	empty(s);
	s->w[0] = get_waits(s->o, s->h[0], OP_READ, 101);
	s->w[1] = get_waits(s->o, s->h[0], OP_READ, 102);
	put(s->o, s->h[1], "granted\nmore\n");
}

static void granted_twice(struct scene *s)
{
	struct ipc_call c = { .max = 3 };

	granted(s);
	ipc_finish(s->o, s->w[0], &c);
}

static void direct_granted(struct scene *s)
{
	empty(s);
	get_waits(s->o, s->h[0], OP_READ, 0);
	get_waits(s->o, s->h[0], OP_STREAM, 0);
	get_waits(s->o, s->h[0], OP_READ, 0);
	put(s->o, s->h[1], "one\ntwo\nthree\nfour\n");
}

static void long_one(struct scene *s)
{
	empty(s);
	s->text = malloc(1000002);
	memset(s->text, 'l', 1000000);
	strcpy(s->text + 1000000, "\n");
}

static void long_taken(struct scene *s)
{
	long_one(s);
	put(s->o, s->h[1], s->text);
	get_some(s->o, s->h[0], OP_READ, 10);
}

static void busy_handle(struct scene *s)
{
	in_the_hand(s);
	put(s->o, s->h[0], "unfinished");
	Q(s)->maxsize = 1;
	put_waits(s->o, s->h[0], "p\n", 101);
	put_waits(s->o, s->h[1], "q\n", 102);
}

static void part(struct scene *s)
{
	two(s);
	get_some(s->o, s->h[0], OP_READ, 2);
	CHECK_STR(get(s->o, s->h[1]), "two\n");
	s->w[0] = get_waits(s->o, s->h[1], OP_READ, 101);
}

static void last_part(struct scene *s)
{
	part(s);
	Q(s)->max_attempts = 1;
}

static void rests(struct scene *s)
{
	struct ipc_call c = { .max = 2 };

	granted_twice(s);
	ipc_finish(s->o, s->w[1], &c);
}

static void behind(struct scene *s)
{
	two(s);
	s->h[2] = s->h[0];
	s->h[0] = h_new(s->o, HANDLE_OBJECT, R, HANDLE_POSITION);
	get_some(s->o, s->h[0], OP_READ, 2);
	handle_at(s->o, s->h[0])->hand.base = 100;
}

static void part_and_granted(struct scene *s)
{
	s->h[0] = h_new(s->o, HANDLE_OBJECT, R, HANDLE_POSITION);
	s->h[1] = h_open(s->o);
	s->w[0] = get_waits(s->o, s->h[0], OP_READ, 101);
	s->w[1] = get_waits(s->o, s->h[0], OP_READ, 102);
	put(s->o, s->h[1], "granted\nmore\n");
	ipc_finish(s->o, s->w[0], &(struct ipc_call){ .max = 3, .pos = 100 });
}

static char lines[400];

static void many_lines(struct scene *s)
{
	empty(s);
	for (int i = 0; i < 60; i++)
		memcpy(lines + i * 5, (char[]){ 'l', '0' + i / 10, '0' + i % 10, '.', '\n' }, 5);
}

#define RUN(name, ...)                                     \
	static void name(struct scene *s, uint64_t unique) \
	{                                                  \
		__VA_ARGS__;                               \
	}
RUN(put_one, run_put(s, unique, "new\n"))
RUN(put_three, run_put(s, unique, "new\nnewer\n\n"))
RUN(put_lines, run_put(s, unique, lines))
RUN(put_begin, run_put(s, unique, "begin"))
RUN(put_middle, run_put(s, unique, " middle and much more than the first block holds"))
RUN(put_later, run_put(s, unique, "7000\tseven\n3000\tthree\n0\tnow\n"))
RUN(put_one_later, run_put(s, unique, "3000\tthree\n"))
RUN(put_rest, run_put(s, unique, " end\nnext"))
RUN(put_text, run_put(s, unique, s->text))
RUN(read_one, run_read(s, unique, OP_READ, 65536))
RUN(read_part, run_read(s, unique, OP_READ, 2))
RUN(read_join, run_read(s, unique, OP_JOIN, 65536))
RUN(stream, run_read(s, unique, OP_STREAM, 65536))
RUN(stream_part, run_read(s, unique, OP_STREAM, 9))
RUN(done, if (!ctl_answered(s->o, unique)) ipc_done(s->o, unique, 1))
RUN(shut, ipc_setting32(s->o, &Q(s)->closed, unique != 1))
RUN(more_room, ipc_setting64(s->o, &Q(s)->maxsize, 5 + (unique == 1)))
RUN(finish_all, run_finish(s, s->w[0], 65536))
RUN(finish_part, run_finish(s, s->w[0], 3))
RUN(finish_second, run_finish(s, s->w[1], 2))
RUN(leave_first, run_leave(s, s->w[0], unique, -EINTR))
RUN(leave_second, run_leave(s, s->w[1], unique, -ETIMEDOUT))
RUN(cancel, ipc_cancel(s->o, unique == 1))
RUN(flush, ipc_flush(s->o, s->h[0], 100, unique == 1, false))
RUN(flush_killed, ipc_flush(s->o, s->h[0], 100, unique != 1, false))
RUN(close_h, run_close(s, s->h[0]))
RUN(
	advance, if (handle_at(s->o, s->h[0])->hand.off != 3 + (unique == 1)) {
		ipc_advance(s->o, handle_at(s->o, s->h[0]), 3 - handle_at(s->o, s->h[0])->hand.off);
	})

static void run_begin_put(struct scene *s, uint64_t unique)
{
	(void)unique;
	begin_put(s, 65536);
}

static void run_put_begun(struct scene *s, uint64_t unique)
{
	struct ipc_call c = in_place(s, OP_WRITE, 5000);

	(void)unique;
	c.begun = s->w[0];
	ipc_put(s->o, &c);
}

static void run_begin_get(struct scene *s, uint64_t unique)
{
	struct ipc_call c = in_place(s, OP_READ, 0);

	(void)unique;
	ipc_read(s->o, &c);
}

static void run_begin_granted(struct scene *s, uint64_t unique)
{
	struct ipc_call c = in_place(s, OP_READ, 0);

	(void)unique;
	c.waiter = s->w[0];
	ipc_pick_up(s->o, &c);
}

static void run_end_begun(struct scene *s, uint64_t unique)
{
	(void)unique;
	ipc_begun_end(s->o, s->w[0]);
}

static void run_back_begun(struct scene *s, uint64_t unique)
{
	(void)unique;
	ipc_begun_back(s->o, s->w[0]);
}

static void run_done_begun(struct scene *s, uint64_t unique)
{
	(void)unique;
	ipc_begun_done(s->o, s->w[0]);
	ipc_reap(s->o);
}

static void run_close_begun(struct scene *s, uint64_t unique)
{
	(void)unique;
	run_close(s, s->h[0]);
}

const struct op ops_queue[] = {
	{ "queue put into an empty one", IPC_QUEUE, empty, put_one, 0 },
	{ "queue put behind another", IPC_QUEUE, one, put_one, 0 },
	{ "queue put of three lines", IPC_QUEUE, one, put_three, 0 },
	{ "queue put of many lines", IPC_QUEUE, many_lines, put_lines, STEPS },
	{ "queue put to readers", IPC_QUEUE, readers, put_three, 0 },
	{ "queue put waits", IPC_QUEUE, full, put_three, 0 },
	{ "queue put waits behind others", IPC_QUEUE, putters, put_one, 0 },
	{ "queue put at its turn", IPC_QUEUE, my_turn, put_three, STEPS },
	{ "queue put of an unfinished line", IPC_QUEUE, one, put_begin, 0 },
	{ "queue put goes on", IPC_QUEUE, unfinished, put_middle, 0 },
	{ "queue put ends a line", IPC_QUEUE, unfinished, put_rest, STEPS },
	{ "queue put at the head", IPC_QUEUE, front, put_three, 0 },
	{ "queue put at the head of an empty one", IPC_QUEUE, front_wanted, put_three, 0 },
	{ "queue put at the head waits", IPC_QUEUE, front_full, put_three, 0 },
	{ "queue put for later", IPC_QUEUE, later, put_one_later, 0 },
	{ "queue put of three for later", IPC_QUEUE, later, put_later, STEPS },
	{ "queue put for later ends a line", IPC_QUEUE, later_begun, put_rest, STEPS },
	{ "queue put for later waits", IPC_QUEUE, later_full, put_one_later, 0 },
	{ "queue put of a long line", IPC_QUEUE, long_one, put_text, 0 },
	{ "queue put of a record", IPC_QUEUE, record, put_one, 0 },
	{ "queue read", IPC_QUEUE, two, read_one, 0 },
	{ "queue read of the last", IPC_QUEUE, one, read_one, 0 },
	{ "queue read in part", IPC_QUEUE, two, read_part, 0 },
	{ "queue read with an answer in hand", IPC_QUEUE, in_the_hand, read_one, STEPS },
	{ "queue read waits", IPC_QUEUE, empty, read_one, 0 },
	{ "queue read of a record", IPC_QUEUE, record, read_one, 0 },
	{ "queue read lets a putter go on", IPC_QUEUE, putters, read_one, STEPS },
	{ "queue read drops a long answer", IPC_QUEUE, long_taken, read_one, STEPS },
	{ "queue stream", IPC_QUEUE, many, stream, 0 },
	{ "queue stream in part", IPC_QUEUE, two, stream_part, 0 },
	{ "queue drain", IPC_QUEUE, drain_handle, stream, 0 },
	{ "queue join waits", IPC_QUEUE, join_handle, read_join, 0 },
	{ "queue done ends joins", IPC_QUEUE, joiners, done, DAEMON },
	{ "queue done tells who watches", IPC_QUEUE, watchers, done, DAEMON },
	{ "queue finished", IPC_QUEUE, watcher, read_one, 0 },
	{ "queue closed with readers", IPC_QUEUE, readers, shut, DAEMON },
	{ "queue closed with putters", IPC_QUEUE, putters, shut, DAEMON | STEPS },
	{ "queue maxsize with putters", IPC_QUEUE, putters, more_room, DAEMON | STEPS },
	{ "queue finish", IPC_QUEUE, granted, finish_all, STEPS },
	{ "queue finish in part", IPC_QUEUE, granted, finish_part, STEPS },
	{ "queue finish in part with a rest in hand", IPC_QUEUE, granted_twice, finish_second,
	  STEPS },
	{ "queue leave of a reader", IPC_QUEUE, readers, leave_first, 0 },
	{ "queue leave of a putter", IPC_QUEUE, putters, leave_first, 0 },
	{ "queue leave of the second putter", IPC_QUEUE, putters, leave_second, 0 },
	{ "queue cancel", IPC_QUEUE, readers, cancel, STEPS | DAEMON },
	{ "queue flush", IPC_QUEUE, unfinished, flush, 0 },
	{ "queue flush for later", IPC_QUEUE, later_begun, flush, MEMORY },
	{ "queue flush of a killed one", IPC_QUEUE, unfinished, flush_killed, 0 },
	{ "queue advance", IPC_QUEUE, in_the_hand, advance, 0 },
	{ "queue close of a busy handle", IPC_QUEUE, busy_handle, close_h, STEPS },
	{ "queue close of a direct client", IPC_QUEUE, direct_granted, close_h, STEPS },
	{ "queue close with a part", IPC_QUEUE, part, close_h, STEPS },
	{ "queue close with a part, the last attempt", IPC_QUEUE, last_part, close_h,
	  STEPS | MEMORY },
	{ "queue close with rests", IPC_QUEUE, rests, close_h, STEPS },
	{ "queue read begins anew", IPC_QUEUE, behind, read_one, STEPS },
	{ "queue finish begins anew", IPC_QUEUE, part_and_granted, finish_second, STEPS },
	{ "queue close with a long answer", IPC_QUEUE, long_taken, close_h, STEPS },
	{ "queue begin a put in place", IPC_QUEUE, begun_put, run_begin_put, CLIENT },
	{ "queue put what was begun", IPC_QUEUE, begun_put, run_put_begun, CLIENT },
	{ "queue put what was begun to a reader", IPC_QUEUE, readers_of_begun, run_put_begun,
	  CLIENT },
	{ "queue begin a get in place", IPC_QUEUE, begun_get, run_begin_get, CLIENT },
	{ "queue begin what was granted", IPC_QUEUE, to_begin, run_begin_granted, CLIENT },
	{ "queue end of a get in place", IPC_QUEUE, begun_get, run_end_begun, CLIENT },
	{ "queue end of it without the lock", IPC_QUEUE, begun_get, run_done_begun,
	  CLIENT | STEPS },
	{ "queue begun and given back", IPC_QUEUE, begun_get, run_back_begun, CLIENT | STEPS },
	{ "queue close with begun ones", IPC_QUEUE, begun_get, run_close_begun, STEPS },
	{ NULL },
};
