/* SPDX-License-Identifier: MIT */
/* Messages that were read in part go back when their handle closes. */
#include "object/msg.h"
#include "test.h"

#define Q(o) (&(o)->h->b.queue)

static const char *read_at(struct ipc_obj *o, ref_t h, uint64_t pos, size_t max)
{
	struct ipc_call c = call_new(h, OP_READ);

	c.deadline = 0;
	c.max = max;
	c.pos = pos;
	if (ipc_read(o, &c) < 0)
		return "!";
	ipc_pump(o);
	return in_hand(o, h);
}

TEST(back_to_the_head)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), part = h_open(o), w;

	put(o, h, "one\ntwo\n");
	get_some(o, part, OP_READ, 2);
	CHECK_INT(ipc_size(o), 1);
	close_it(o, part);
	CHECK_INT(ipc_size(o), 2);
	CHECK_INT(Q(o)->mq[0].bytes, 6);
	CHECK_INT(Q(o)->unfinished, 2);
	CHECK_STR(get(o, h), "one\n");
	CHECK_STR(get(o, h), "two\n");

	put(o, h, "three\n"); /* it was the only one */
	part = h_open(o);
	get_some(o, part, OP_READ, 1);
	w = get_waits(o, h, OP_READ, 100);
	close_it(o, part);
	CHECK_STR(finish(o, w), "three\n");
}

/* The newline is not the message's: whoever has the three letters has all of it. */
TEST(back_but_for_the_newline)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), part = h_open(o);

	put(o, h, "one\n\ntwo\n");
	get_some(o, part, OP_READ, 3);
	close_it(o, part);
	CHECK_STR(get(o, h), "\n");
	part = h_open(o);
	get_some(o, part, OP_READ, 4);
	close_it(o, part);
	CHECK_STR(get(o, h), "!EAGAIN");
}

TEST(back_of_a_record)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), part = h_open(o);

	Q(o)->framing = FRAMING_RECORD;
	put(o, h, "a\nb");
	put_bytes(o, h, "", 0);
	get_some(o, part, OP_READ, 2);
	close_it(o, part);
	CHECK_STR(get(o, h), "a\nb");
	part = h_open(o);
	get_some(o, part, OP_READ, 10); /* the empty one: there is no more of it */
	close_it(o, part);
	CHECK_STR(get(o, h), "!EAGAIN");
}

/* An answer of several fits into the read that asks for it, so only a single one is ever in part. */
TEST(back_of_a_stream)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), part = h_new(o, HANDLE_STREAM, RW, 0);

	put(o, h, "one\ntwo\nthree\nfour\n");
	CHECK_STR(get_some(o, part, OP_STREAM, 9), "one\ntwo\n");
	CHECK_INT(handle_at(o, part)->hand.off, 8);
	CHECK_STR(get_some(o, part, OP_STREAM, 2), "three\n");
	close_it(o, part);
	CHECK_STR(get_some(o, h, OP_STREAM, 1000), "three\nfour\n");
}

/* What several threads of one handle had asked for and read in part. */
TEST(back_of_rests_in_order)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), part = h_open(o), w[3];
	struct ipc_call c = { .max = 2 };

	for (int i = 0; i < 3; i++)
		w[i] = get_waits(o, part, OP_READ, 100u + (unsigned int)i);
	put(o, h, "one\ntwo\nthree\nfour\n");
	for (int i = 0; i < 3; i++)
		ipc_finish(o, w[i], &c);
	CHECK_INT(handle_at(o, part)->rests, 2);
	close_it(o, part);
	CHECK_STR(get_some(o, h, OP_STREAM, 100), "one\ntwo\nthree\nfour\n");
}

TEST(back_exceeds_the_limits)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), part = h_open(o);

	Q(o)->maxsize = 1;
	Q(o)->maxbytes = 5;
	put(o, h, "one\n");
	get_some(o, part, OP_READ, 2);
	put(o, h, "two\n");
	put_waits(o, h, "three\n", 100);
	close_it(o, part);
	put_turns(o);
	CHECK_INT(ipc_size(o), 2); /* were counted when they were put */
	CHECK_STR(get(o, h), "one\n");
	put_turns(o);
	CHECK_INT(ipc_size(o), 1);
	CHECK_STR(get(o, h), "two\n");
	put_turns(o);
	CHECK_STR(get(o, h), "three\n");
}

TEST(back_into_a_closed_queue)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), part = h_open(o), late;

	put(o, h, "one\n");
	get_some(o, part, OP_READ, 2);
	ipc_setting32(o, &Q(o)->closed, 1);
	CHECK_STR(get(o, h), "");
	close_it(o, part);
	late = h_open(o);
	CHECK_STR(get(o, late), "one\n");
	CHECK_STR(get(o, late), "");
}

TEST(back_counts_as_an_attempt)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), l = h_new(o, HANDLE_LEASE, R, 0), part;

	Q(o)->max_attempts = 3;
	put(o, h, "one\ntwo\n");
	for (int i = 0; i < 2; i++) {
		part = h_open(o);
		get_some(o, part, OP_READ, 1);
		close_it(o, part);
		CHECK_INT(msg_at(o, Q(o)->mq[0].head)->attempts, i + 1);
	}
	CHECK_STR(get(o, l), "1\tone\n");   /* the third, */
	CHECK_INT(ipc_nack(o, 1, 1, 0), 0); /* in whatever way */
	CHECK_INT(Q(o)->dead.count, 1);
	CHECK_INT(Q(o)->unfinished, 1);
	for (int i = 0; i < 3; i++) {
		CHECK_INT(ipc_size(o), 1);
		part = h_open(o);
		get_some(o, part, OP_READ, 1);
		close_it(o, part);
	}
	CHECK_INT(ipc_size(o), 0);
	CHECK_INT(Q(o)->dead.count, 2);
	CHECK_INT(Q(o)->unfinished, 0);
	CHECK_INT(ipc_revive(o, 1, 0, true), 0);
	CHECK_INT(ipc_size(o), 2);
	CHECK_INT(msg_at(o, Q(o)->mq[0].head)->attempts, 0);
}

/* What counts is the furthest byte; a position behind passes over the rest, one before begins anew. */
TEST(back_by_position)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), part = h_new(o, HANDLE_OBJECT, R, HANDLE_POSITION);

	put(o, h, "one\ntwo\nthree\nfour\n");
	CHECK_STR(read_at(o, part, 0, 2), "one\n");
	CHECK_STR(read_at(o, part, 100, 2), "two\n");
	close_it(o, part);
	CHECK_STR(get(o, h), "two\n"); /* and "one" is gone */
	part = h_new(o, HANDLE_OBJECT, R, HANDLE_POSITION);
	CHECK_STR(read_at(o, part, 7, 2), "three\n");
	CHECK_STR(read_at(o, part, 0, 2), "three\n");
	CHECK_STR(read_at(o, part, 6, 20), "four\n");
	CHECK_STR(read_at(o, part, 0, 2), "!"); /* it had all of it */
	close_it(o, part);
	CHECK_INT(ipc_size(o), 0);
}

TEST(back_begins_anew_behind_others)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), part = h_new(o, HANDLE_OBJECT, R, HANDLE_POSITION), w, again;
	struct ipc_call c = call_new(part, OP_READ);

	put(o, h, "one\n");
	CHECK_STR(read_at(o, part, 9, 2), "one\n");
	w = get_waits(o, h, OP_READ, 100);
	c.unique = 101;
	CHECK_INT(ipc_read(o, &c), IPC_WAIT); /* from position 0 */
	again = c.waiter;
	ipc_pump(o);
	CHECK_STR(finish(o, w), "one\n");
	CHECK_STR(finish(o, again), "!WAITS");
	put(o, h, "two\n");
	CHECK_STR(finish(o, again), "two\n");
}

TEST(back_of_a_direct_client)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o),
	      d = h_new(o, HANDLE_OBJECT, RW, HANDLE_LIB | HANDLE_RECORD | HANDLE_DIRECT);
	struct ipc_call c = call_new(d, OP_READ);

	put(o, h, "one\ntwo\nthree\n");
	get_some(o, d, OP_READ, 2);
	close_it(o, d);
	CHECK_INT(ipc_size(o), 3);
	CHECK_STR(get_some(o, h, OP_STREAM, 100), "one\ntwo\nthree\n");
	/* One that it read in part, one that it was given and never picked up. */
	d = h_new(o, HANDLE_OBJECT, RW, HANDLE_LIB | HANDLE_RECORD | HANDLE_DIRECT);
	c = call_new(d, OP_READ);
	CHECK_INT(ipc_read(o, &c), IPC_WAIT);
	get_waits(o, d, OP_READ, 0);
	put(o, h, "four\nfive\nsix\n");
	ipc_finish(o, c.waiter, &(struct ipc_call){ .max = 1 });
	close_it(o, d);
	CHECK_STR(get_some(o, h, OP_STREAM, 100), "four\nfive\nsix\n");
}

/* ---- pipes ---- */

static ref_t end(struct ipc_obj *o, uint32_t mode, uint32_t flags)
{
	return h_new(o, HANDLE_OBJECT, mode, flags);
}

TEST(back_into_a_pipe)
{
	struct ipc_obj *o = obj_new(IPC_PIPE);
	ref_t w = end(o, W, 0), r = end(o, R, 0), part = end(o, R, 0);

	Q(o)->framing = FRAMING_RECORD;
	put(o, w, "one");
	put(o, w, "two");
	get_some(o, part, OP_READ, 2);
	CHECK_INT(ipc_size(o), 3);
	close_it(o, part);
	CHECK_INT(ipc_size(o), 6);
	CHECK_STR(get(o, r), "one");
	CHECK_STR(get(o, r), "two");
	put(o, w, "last");
	close_it(o, w);
	part = end(o, R, 0);
	get_some(o, part, OP_READ, 1);
	CHECK_STR(get(o, r), ""); /* as the pipe is now */
	close_it(o, part);
	CHECK_STR(get(o, r), "last");
	CHECK_STR(get(o, r), "");
}

TEST(back_into_a_two_way_pipe)
{
	struct ipc_obj *o = obj_new(IPC_PIPE);
	ref_t a = end(o, RW, HANDLE_END_A), b = end(o, RW, HANDLE_END_B),
	      c = end(o, RW, HANDLE_END_B);

	Q(o)->framing = FRAMING_RECORD;
	put(o, b, "to a");
	put(o, a, "to b");
	get_some(o, b, OP_READ, 3);
	close_it(o, b);
	CHECK_STR(get(o, c), "to b");
	CHECK_STR(get(o, a), "to a");
	CHECK_STR(get(o, a), "!EAGAIN");
}

/* Bytes that were read are gone, as a FIFO's are; the others were never taken. */
TEST(back_of_bytes)
{
	struct ipc_obj *o = obj_new(IPC_PIPE);
	ref_t w = end(o, W, 0), r = end(o, R, 0), part = end(o, R, 0);

	put(o, w, "abcdef");
	get_some(o, part, OP_READ, 2);
	close_it(o, part);
	CHECK_STR(get(o, r), "cdef");
}

/* A pipe that bytes and records are read from. */
TEST(back_beside_byte_readers)
{
	struct ipc_obj *o = obj_new(IPC_PIPE);
	ref_t w = end(o, W, HANDLE_RECORD), r = end(o, R, 0), part = end(o, R, HANDLE_RECORD);

	put(o, w, "abcdef");
	CHECK_STR(get_some(o, r, OP_READ, 2), "ab");
	get_some(o, part, OP_READ, 2); /* of "cdef" */
	close_it(o, part);
	CHECK_INT(ipc_size(o), 4);
	CHECK_STR(get(o, r), "cdef");

	part = end(o, R, HANDLE_RECORD);
	put(o, w, "first");
	put(o, w, "second");
	get_some(o, part, OP_READ, 2);
	CHECK_STR(get_some(o, r, OP_READ, 3), "sec");
	close_it(o, part); /* nothing can stand before half of one */
	CHECK_INT(ipc_size(o), 8);
	CHECK_STR(get(o, r), "ondfirst");

	part = end(o, R, HANDLE_RECORD);
	put(o, w, "first");
	put(o, w, "second");
	put(o, w, "third");
	get_some(o, part, OP_READ, 2);
	CHECK_STR(get_some(o, r, OP_READ, 3), "sec");
	close_it(o, part);
	CHECK_STR(get(o, r), "ondfirstthird");
}
