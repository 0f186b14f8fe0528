/* SPDX-License-Identifier: MIT */
/* Operations of pipes. */
#include "ops.h"

#define P(s) (&(s)->o->h->b.queue)

static void ends(struct scene *s)
{
	s->h[0] = h_new(s->o, HANDLE_OBJECT, W, 0);
	s->h[1] = h_new(s->o, HANDLE_OBJECT, R, 0);
}

static void reader(struct scene *s)
{
	s->h[0] = h_new(s->o, HANDLE_OBJECT, R, 0);
	s->h[1] = h_new(s->o, HANDLE_OBJECT, W, 0);
}

static void some(struct scene *s)
{
	reader(s);
	P(s)->framing = FRAMING_RECORD; /* so that there is more than one message */
	put(s->o, s->h[1], "abcdef");
	put(s->o, s->h[1], "ghijkl");
	P(s)->framing = FRAMING_BYTES;
}

static void part_read(struct scene *s)
{
	some(s);
	get_some(s->o, s->h[0], OP_READ, 3);
}

static void records(struct scene *s)
{
	some(s);
	P(s)->framing = FRAMING_RECORD;
}

static void record_part(struct scene *s)
{
	records(s);
	get_some(s->o, s->h[0], OP_READ, 3);
	s->h[2] = h_new(s->o, HANDLE_OBJECT, R, 0);
	CHECK_STR(get(s->o, s->h[2]), "ghijkl");
	s->w[0] = get_waits(s->o, s->h[2], OP_READ, 101);
}

static void record_part_beside_bytes(struct scene *s)
{
	records(s);
	get_some(s->o, s->h[0], OP_READ, 3);
	P(s)->framing = FRAMING_BYTES;
	s->h[2] = h_new(s->o, HANDLE_OBJECT, R, 0);
	CHECK_STR(get_some(s->o, s->h[2], OP_READ, 2), "gh");
	P(s)->framing = FRAMING_RECORD;
}

static void waiting(struct scene *s)
{
	ends(s);
	s->w[0] = get_waits(s->o, s->h[1], OP_READ, 101);
	s->w[1] = get_waits(s->o, s->h[1], OP_READ, 0);
}

static void full(struct scene *s)
{
	ends(s);
	P(s)->maxbytes = 8;
	put(s->o, s->h[0], "12345");
}

static void full_reader(struct scene *s)
{
	reader(s);
	P(s)->maxbytes = 8;
	put(s->o, s->h[1], "12345");
	put_waits(s->o, s->h[1], "6789", 101);
}

static void my_turn(struct scene *s)
{
	full(s);
	put_waits(s->o, s->h[0], "write", UNIQUE);
	CHECK_STR(get(s->o, s->h[1]), "12345");
}

static void direct_granted(struct scene *s)
{
	reader(s);
	s->w[0] = get_waits(s->o, s->h[0], OP_READ, 0);
	put(s->o, s->h[1], "taken by the dead");
}

static void direct_part(struct scene *s)
{
	struct ipc_call c;

	reader(s);
	c = call_new(s->h[0], OP_READ);
	c.max = 4;
	CHECK_INT(ipc_read(s->o, &c), IPC_WAIT);
	put(s->o, s->h[1], "taken in part");
}

static void long_one(struct scene *s)
{
	ends(s);
	s->text = calloc(1, 150001);
	memset(s->text, 'l', 150000);
}

static void two_way(struct scene *s)
{
	s->h[0] = h_new(s->o, HANDLE_OBJECT, RW, HANDLE_END_A);
	s->h[1] = h_new(s->o, HANDLE_OBJECT, RW, HANDLE_END_B);
	s->w[0] = get_waits(s->o, s->h[1], OP_READ, 101);
}

#define RUN(name, ...)                                     \
	static void name(struct scene *s, uint64_t unique) \
	{                                                  \
		__VA_ARGS__;                               \
	}
RUN(put_some, run_put(s, unique, "write"))
RUN(put_text, run_put(s, unique, s->text))
RUN(read_all, run_read(s, unique, OP_READ, 65536))
RUN(read_eight, run_read(s, unique, OP_READ, 8))
RUN(read_three, run_read(s, unique, OP_READ, 3))
RUN(close_h, run_close(s, s->h[0]))
RUN(open_h, run_open(s, unique))

const struct op ops_pipe[] = {
	{ "pipe put", IPC_PIPE, ends, put_some, 0 },
	{ "pipe put behind others", IPC_PIPE, full, put_some, STEPS },
	{ "pipe put to readers", IPC_PIPE, waiting, put_some, 0 },
	{ "pipe put at its turn", IPC_PIPE, my_turn, put_some, 0 },
	{ "pipe put of much", IPC_PIPE, long_one, put_text, STEPS },
	{ "pipe put two-way", IPC_PIPE, two_way, put_some, 0 },
	{ "pipe put of a record", IPC_PIPE, records, put_some, DAEMON | STEPS },
	{ "pipe read", IPC_PIPE, some, read_all, 0 },
	{ "pipe read of one and a half", IPC_PIPE, some, read_eight, 0 },
	{ "pipe read in part", IPC_PIPE, some, read_three, 0 },
	{ "pipe read of the rest", IPC_PIPE, part_read, read_all, STEPS },
	{ "pipe read of three and three", IPC_PIPE, part_read, read_three, STEPS },
	{ "pipe read of a record", IPC_PIPE, records, read_all, 0 },
	{ "pipe read waits", IPC_PIPE, reader, read_all, 0 },
	{ "pipe read lets a putter go on", IPC_PIPE, full_reader, read_all, STEPS },
	{ "pipe open", IPC_PIPE, waiting, open_h, DAEMON },
	{ "pipe close of the last writer", IPC_PIPE, waiting, close_h, STEPS },
	{ "pipe close of the last reader", IPC_PIPE, full_reader, close_h, STEPS },
	{ "pipe close of a direct client", IPC_PIPE, direct_granted, close_h, STEPS },
	{ "pipe close with a part of a record", IPC_PIPE, record_part, close_h, STEPS },
	{ "pipe close with a part beside bytes", IPC_PIPE, record_part_beside_bytes, close_h,
	  STEPS },
	{ "pipe close of one that was given a part", IPC_PIPE, direct_part, close_h, STEPS },
	{ NULL },
};
