/* SPDX-License-Identifier: MIT */
/* Queues: framing, order, limits, waiting, close, join, leases. */
#define _GNU_SOURCE
#include <poll.h>

#include "object/answer.h"
#include "object/hand.h"
#include "test.h"

#define Q(o) (&(o)->h->b.queue)

static char big[2 << 20];

TEST(queue_in_order)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o);

	CHECK_INT(put(o, h, "one\ntwo\n\nfour\n"), 14);
	CHECK_INT(ipc_size(o), 4);
	CHECK_INT(Q(o)->mq[0].bytes, 10);
	CHECK_INT(Q(o)->unfinished, 4);
	CHECK_STR(get(o, h), "one\n");
	CHECK_STR(get(o, h), "two\n");
	CHECK_STR(get(o, h), "\n");
	CHECK_STR(get(o, h), "four\n");
	CHECK_STR(get(o, h), "!EAGAIN");
	CHECK_STR(in_hand(o, h), "");
	CHECK_INT(Q(o)->unfinished, 4);
}

TEST(queue_unfinished_line)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t a = h_open(o), b = h_open(o);

	CHECK_INT(put(o, a, "he"), 2);
	CHECK_INT(put(o, b, "other\n"), 6);
	CHECK_INT(put(o, a, "llo "), 4);
	CHECK_STR(get(o, b), "other\n");
	CHECK_STR(get(o, b), "!EAGAIN");
	CHECK_INT(put(o, a, "world\nnext"), 10);
	CHECK_STR(get(o, b), "hello world\n");
	CHECK_INT(ipc_flush(o, a, 5, false, false), 0); /* another process's close() */
	CHECK_STR(get(o, b), "!EAGAIN");
	CHECK_INT(ipc_flush(o, a, 100, false, false), 0);
	CHECK_STR(get(o, b), "next\n");
	CHECK_INT(put(o, a, "killed"), 6);
	CHECK_INT(ipc_flush(o, a, 100, true, false), 0);
	CHECK_INT(put(o, a, "last"), 4);
	CHECK_INT(ipc_flush(o, a, 5, false, true), 0);
	CHECK_STR(get(o, b), "last\n");
	CHECK_INT(put(o, a, "lost"), 4);
	ipc_setting32(o, &Q(o)->closed, 1);
	CHECK_INT(ipc_flush(o, a, 100, false, false), -EPIPE);
	CHECK_STR(get(o, b), "");
	CHECK_INT(put(o, a, "goes with the handle"), 20);
	close_it(o, a);
}

TEST(queue_long_lines_in_pieces)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o);
	size_t n = 0;

	memset(big, 'x', sizeof(big));
	for (size_t step = 1; n + step < 900000; step += 1 + step / 50) {
		CHECK_INT(put_bytes(o, h, big, step), step);
		n += step;
	}
	CHECK_INT(put(o, h, "end\n"), 4);
	CHECK_INT(ipc_size(o), 1);
	CHECK_INT(Q(o)->mq[0].bytes, n + 3);
	CHECK_INT(strlen(get(o, h)), n + 4);
	CHECK_STR(in_hand(o, h) + n, "end\n");
	CHECK_STR(get(o, h), "!EAGAIN");
	CHECK(!o->h->trash);
}

/* Freeing a line of very many blocks, each in a page of its own, is too much for one change. */
TEST(queue_long_line_of_scattered_blocks)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), other = h_open(o);

	memset(big, 'x', 70000);
	for (size_t n = 1; n < 70000; n += 1 + n / 2) {
		/* Fill the pages around each of its blocks with what is freed before it. */
		CHECK_INT(put_bytes(o, h, big, n), n);
		for (size_t k = 16; k < 60000; k *= 2)
			for (size_t i = 0; i < (k < 2048 ? 5000 / k : 1); i++) {
				big[k] = '\n';
				put_bytes(o, other, big, k + 1);
				big[k] = 'x';
			}
	}
	CHECK_INT(put(o, h, "\n"), 1);
	while (ipc_size(o) > 1)
		get_some(o, other, OP_STREAM, 100000);
	CHECK_STR(get(o, h) + 65536, in_hand(o, h) + 65536);
	CHECK_STR(get(o, h), "!EAGAIN");
	CHECK_STR(get(o, other), "!EAGAIN");
	CHECK(!o->damage);
}

TEST(queue_largest)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o);

	memset(big, 'y', sizeof(big));
	big[IPC_MESSAGE_MAX] = '\n';
	CHECK_INT(put_bytes(o, h, big, IPC_MESSAGE_MAX + 1), IPC_MESSAGE_MAX + 1);
	CHECK_INT(strlen(get(o, h)), IPC_MESSAGE_MAX + 1);
	big[IPC_MESSAGE_MAX] = 'y';
	CHECK_INT(put_bytes(o, h, big, IPC_MESSAGE_MAX + 1), -EMSGSIZE);
	/* Earlier parts of a line that becomes too long go with it. */
	CHECK_INT(put_bytes(o, h, big, 600000), 600000);
	CHECK_INT(put_bytes(o, h, big, 600000), -EMSGSIZE);
	CHECK_INT(handle_at(o, h)->line, 0);
	CHECK_INT(put(o, h, "fits\n"), 5);
	CHECK_STR(get(o, h), "fits\n");
	ipc_setting64(o, &Q(o)->maxbytes, 4);
	CHECK_INT(put(o, h, "a\ntoo long\n"), 2);
	CHECK_INT(put(o, h, "too long\n"), -EMSGSIZE);
	CHECK_STR(get(o, h), "a\n");
	ipc_setting32(o, &Q(o)->framing, FRAMING_RECORD);
	CHECK_INT(put(o, h, "12345"), -EMSGSIZE);
	CHECK_STR(get(o, h), "!EAGAIN");
}

TEST(queue_record_framing)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t line = h_open(o), rec = h_new(o, HANDLE_OBJECT, RW, HANDLE_RECORD);
	struct ipc_call c = call_new(rec, OP_WRITE);

	CHECK_INT(put(o, rec, "a\nb"), 3);
	CHECK_INT(put_bytes(o, rec, "", 0), 0);
	CHECK_INT(put(o, line, "line\n"), 5);
	CHECK_INT(ipc_size(o), 3);
	CHECK_STR(get(o, line), "a\nb\n");
	CHECK_STR(get(o, rec), "");
	CHECK_INT(handle_at(o, rec)->hand.kind, ANSWER_RAW);
	CHECK_STR(get(o, rec), "line");
	c.data = big;
	c.len = 1000;
	c.limit = 999;
	CHECK_INT(ipc_put(o, &c), -EMSGSIZE);
	CHECK_STR(get(o, rec), "!EAGAIN");
}

TEST(queue_read_in_parts)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o);
	struct ipc_handle *hd = handle_at(o, h);
	char buf[8];

	put(o, h, "abcdef\nnext\n");
	CHECK_STR(get_some(o, h, OP_READ, 3), "abcdef\n");
	CHECK_INT(answer_left(&hd->hand), 4);
	CHECK_INT(answer_copy(o, &hd->hand, 3, buf, 8), 4);
	CHECK(!memcmp(buf, "def\n", 4));
	ipc_advance(o, hd, 3);
	CHECK_INT(answer_copy(o, &hd->hand, hd->hand.off, buf, 8), 1);
	CHECK_INT(answer_copy(o, &hd->hand, 7, buf, 8), 0);
	for (size_t off = 0; off < 7; off++)
		for (size_t n = 1; n < 8; n++)
			CHECK_INT(answer_copy(o, &hd->hand, off, buf, n),
				  n < 7 - off ? n : 7 - off);
}

TEST(queue_stream_and_drain)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t w = h_open(o), s = h_new(o, HANDLE_STREAM, R, 0), d = h_new(o, HANDLE_DRAIN, R, 0);

	put(o, w, "1\n22\n333\n4444\n");
	CHECK_STR(get_some(o, s, OP_STREAM, 5), "1\n22\n");
	CHECK_STR(get_some(o, s, OP_STREAM, 2), "333\n");
	CHECK_STR(get_some(o, d, OP_STREAM, 100), "4444\n");
	CHECK_STR(get_some(o, d, OP_STREAM, 100), "");
	CHECK_STR(get_some(o, s, OP_STREAM, 100), "!EAGAIN");
}

TEST(queue_waiters_first_come)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), g = h_open(o), w[4];

	for (unsigned int i = 0; i < 4; i++)
		w[i] = get_waits(o, i % 2 ? h : g, OP_READ, i == 1 ? 0 : 10 + i);
	CHECK_INT(ipc_find_waiter(o, 12), w[2]);
	CHECK_INT(ipc_find_waiter(o, 11), 0);
	CHECK_STR(finish(o, w[0]), "!WAITS");
	put(o, h, "a\nb\nc\n");
	CHECK_STR(finish(o, w[2]), "c\n");
	CHECK_STR(finish(o, w[0]), "a\n");
	CHECK_STR(finish(o, w[1]), "b\n");
	CHECK_STR(leave(o, w[3], -EINTR), "!EINTR");
	CHECK_INT(handle_at(o, h)->waiters, 0);
	put(o, h, "d\n");
	CHECK_STR(get(o, g), "d\n");
}

TEST(queue_rest_of_two_answers)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), a = get_waits(o, h, OP_READ, 1), b = get_waits(o, h, OP_READ, 2);
	struct ipc_call c = call_new(h, OP_READ);

	put(o, h, "first\nsecond\n");
	c.max = 2;
	ipc_finish(o, a, &c);
	ipc_finish(o, b, &c);
	CHECK_INT(handle_at(o, h)->rests, 1);
	CHECK_STR(in_hand(o, h), "first\n");
	CHECK_INT(answer_left(&handle_at(o, h)->hand), 4);
	obj_ok(o, "with a rest");
	close_it(o, h);
}

TEST(queue_maxsize_and_turns)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), a, b;

	Q(o)->maxsize = 2;
	CHECK_INT(put(o, h, "1\n2\n3\n"), 4); /* may not wait: what went in */
	CHECK_INT(put(o, h, "3\n"), -EAGAIN);
	a = put_waits(o, h, "3\n4\n5\n", 100);
	b = put_waits(o, h, "6\n", 101);
	CHECK_INT(put(o, h, "7\n"), -EAGAIN);
	CHECK_STR(get(o, h), "1\n");
	CHECK_INT(put(o, h, "7\n"), -EAGAIN); /* there is room, but others come first */
	CHECK_INT(ipc_turn(o), a);
	put_turns(o);
	CHECK_STR(get(o, h), "2\n");
	put_turns(o);
	CHECK_STR(leave(o, a, -EINTR), "4"); /* a short count: at the end of a line */
	CHECK_STR(get(o, h), "3\n");
	CHECK_INT(ipc_turn(o), b);
	put_turns(o);
	CHECK_STR(get(o, h), "4\n");
	CHECK_STR(get(o, h), "6\n");
	CHECK_STR(get(o, h), "!EAGAIN");
}

TEST(queue_cancelled_putter_has_a_short_count)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), a, b;

	Q(o)->maxsize = 1;
	a = put_waits(o, h, "1\n2\n", 100);
	b = put_waits(o, h, "3\n", 101);
	CHECK_INT(ipc_cancel(o, 7), 0);
	CHECK_INT(ipc_cancel(o, 100), 2);
	CHECK_STR(finish(o, a), "2");
	CHECK_STR(finish(o, b), "!ECANCELED");
}

TEST(queue_limit_lowered_under_a_putter)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o);

	Q(o)->maxbytes = 5;
	put(o, h, "12345\n");
	put_waits(o, h, "6789\n", 100);
	ipc_setting64(o, &Q(o)->maxbytes, 3);
	ipc_pump(o);
	put_turns(o);
	CHECK_INT(o->h->waitqs[1].count, 0);
	CHECK_INT(o->h->result, -EMSGSIZE);
}

TEST(queue_closed)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), l = h_new(o, HANDLE_LEASE, R, 0), m = h_new(o, HANDLE_LEASE, R, 0),
	      w[9];

	put(o, h, "1\n");
	CHECK_STR(get(o, m), "1\t1\n");
	for (int i = 0; i < 8; i++)
		w[i] = get_waits(o, h, OP_READ, 100u + i);
	w[8] = get_waits(o, l, OP_LEASE, 200);
	ipc_setting32(o, &Q(o)->closed, 1);
	ipc_pump(o);
	for (int i = 0; i < 8; i++)
		CHECK_STR(finish(o, w[i]), "");
	CHECK_INT(put(o, h, "2\n"), -EPIPE);
	CHECK_INT(ipc_poll(o, h), POLLIN | POLLHUP | POLLOUT);
	CHECK_STR(finish(o, w[8]), "!WAITS"); /* what is leased may come back */
	CHECK_INT(ipc_ack(o, 1, 1), 0);
	ipc_pump(o);
	CHECK_STR(finish(o, w[8]), "");
	ipc_setting32(o, &Q(o)->closed, 0);
	CHECK_INT(put(o, h, "2\n"), 2);
	CHECK_STR(get(o, h), "2\n");
}

TEST(queue_closed_under_putters)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o);

	Q(o)->maxsize = 1;
	put_waits(o, h, "1\n2\n", 100);
	put_waits(o, h, "3\n", 101);
	ipc_setting32(o, &Q(o)->closed, 1);
	ipc_pump(o);
	put_turns(o);
	CHECK_INT(o->h->waitqs[1].count, 0);
	CHECK_INT(o->h->result, -EPIPE);
	CHECK_STR(get(o, h), "1\n");
	CHECK_STR(get(o, h), "");
}

TEST(queue_join)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), j = h_new(o, HANDLE_JOIN, R, 0), w[5];

	CHECK_STR(get(o, j), "0\n");
	put(o, h, "1\n2\n");
	CHECK_INT(ipc_poll(o, j), 0);
	for (unsigned int i = 0; i < 5; i++)
		w[i] = get_waits(o, j, OP_JOIN, 100 + i);
	CHECK_INT(ipc_done(o, 1, 3), -ERANGE);
	CHECK_INT(ipc_done(o, 1, 1), 0);
	ipc_pump(o);
	CHECK_STR(finish(o, w[0]), "!WAITS");
	CHECK_INT(ipc_done(o, 1, 1), 0);
	ipc_pump(o);
	for (unsigned int i = 0; i < 5; i++)
		CHECK_STR(finish(o, w[i]), "0\n");
	CHECK_INT(ipc_poll(o, j), POLLIN);
}

TEST(queue_finished)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), c, d, w, v;

	put(o, h, "1\n2\n3\n");
	CHECK_INT(ipc_done(o, 1, 1), 0);
	c = h_new(o, HANDLE_CHANGED, R, HANDLE_POSITION);
	d = h_new(o, HANDLE_CHANGED, RW, 0);
	CHECK_STR(get(o, c), "!EAGAIN"); /* what was finished before the open is not news */
	CHECK_INT(ipc_poll(o, c), 0);
	w = get_waits(o, c, OP_READ, 1);
	v = get_waits(o, d, OP_READ, 2);
	CHECK_STR(get(o, h), "1\n"); /* taken is not finished */
	put(o, h, "4\n");
	CHECK_STR(finish(o, w), "!WAITS");
	CHECK_INT(ipc_done(o, 2, 1), 0);
	ipc_pump(o);
	CHECK_INT(ipc_done(o, 3, 1), 0); /* the answer is what it was then */
	ipc_pump(o);
	CHECK_STR(finish(o, w), "2\n");
	CHECK_STR(finish(o, v), "2\n");
	CHECK_INT(ipc_poll(o, c), POLLIN);
	CHECK_STR(get(o, c), "3\n");
	CHECK_STR(get(o, c), "!EAGAIN");
	w = get_waits(o, c, OP_READ, 4);
	CHECK_STR(leave(o, w, -ETIMEDOUT), "!ETIMEDOUT");
}

/* An ack of what `done` was told of before, and a revived one that fails again, are news, too. */
TEST(queue_finished_counts_up)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), l = h_new(o, HANDLE_LEASE, R, 0), c;

	Q(o)->max_attempts = 1;
	put(o, h, "1\n2\n");
	CHECK_STR(get(o, l), "1\t1\n");
	c = h_new(o, HANDLE_CHANGED, RW, 0);
	CHECK_INT(ipc_done(o, 1, 2), 0);
	CHECK_STR(get(o, c), "2\n");
	CHECK_INT(ipc_ack(o, 2, 1), 0);
	CHECK_STR(get(o, c), "3\n");
	CHECK_STR(get(o, l), "2\t2\n");
	CHECK_INT(ipc_nack(o, 3, 2, 0), 0);
	CHECK_STR(get(o, c), "4\n");
	CHECK_INT(ipc_revive(o, 4, 2, false), 0);
	CHECK_STR(get(o, c), "!EAGAIN");
	CHECK_STR(get(o, l), "2\t2\n");
	CHECK_INT(ipc_ack(o, 5, 2), 0);
	CHECK_STR(get(o, c), "5\n");
}

TEST(queue_memory_limit)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), reader = h_open(o);
	int64_t n = 0;

	env.limit = 1 << 20;
	memset(big, 'm', 10000);
	big[9999] = '\n';
	big[10000] = 0;
	while (put(o, h, big) == 10000)
		n++;
	CHECK(n > 50 && n < 110);
	CHECK_INT(put(o, h, big), -ENOSPC);
	put_waits(o, h, big, 100);
	put_turns(o);
	CHECK_INT(o->h->waitqs[1].count, 1);
	/* Memory comes free when the reader's answer is no longer in hand. */
	get(o, reader);
	put_turns(o);
	for (int64_t i = 1; i < n; i++) {
		CHECK_INT(strlen(get(o, reader)), 10000);
		put_turns(o);
	}
	CHECK_INT(o->h->waitqs[1].count, 0);
	CHECK_INT(strlen(get(o, reader)), 10000);
	CHECK_STR(get(o, reader), "!EAGAIN");
}

/* The last message is in the reader's hand: its next read frees it, and lets the putter go on. */
TEST(queue_memory_comes_free_with_the_hand)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), reader = h_open(o), w;

	memset(big, 'm', 900000);
	big[899999] = '\n';
	big[900000] = 0;
	env.limit = 1200000;
	CHECK_INT(put(o, h, big), 900000);
	put_waits(o, h, big, 100);
	get(o, reader);
	put_turns(o);
	CHECK_INT(o->h->waitqs[1].count, 1);
	w = get_waits(o, reader, OP_READ, 101);
	put_turns(o);
	CHECK_INT(strlen(finish(o, w)), 900000);
}
