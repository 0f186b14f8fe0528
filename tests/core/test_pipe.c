/* SPDX-License-Identifier: MIT */
/* Pipes: bytes, records, the end, EPIPE. */
#define _GNU_SOURCE
#include <poll.h>

#include "file/heap.h"
#include "object/answer.h"
#include "object/waiter.h"
#include "test.h"

#define P(o) (&(o)->h->b.queue)

static char big[100001];

static ref_t end(struct ipc_obj *o, uint32_t mode)
{
	return h_new(o, HANDLE_OBJECT, mode, 0);
}

TEST(pipe_bytes)
{
	struct ipc_obj *o = obj_new(IPC_PIPE);
	ref_t w = end(o, W), r = end(o, R);

	CHECK_INT(put(o, w, "hello "), 6);
	CHECK_INT(put(o, w, "world"), 5);
	CHECK_INT(ipc_size(o), 11);
	CHECK_STR(get_some(o, r, OP_READ, 4), "hell");
	CHECK_INT(ipc_size(o), 7);
	CHECK_INT(put(o, w, "!"), 1); /* behind a message that is half read */
	CHECK_STR(get_some(o, r, OP_READ, 3), "o w");
	CHECK_STR(get(o, r), "orld!");
	CHECK_STR(get(o, r), "!EAGAIN");
	CHECK_INT(ipc_size(o), 0);
}

/* What is to go in whole, or is no longer than PIPE_BUF, does so, or nothing of it does. */
TEST(pipe_bytes_whole)
{
	struct ipc_obj *o = obj_new(IPC_PIPE);
	ref_t w = end(o, W), r = end(o, R);
	struct ipc_call c = call_new(w, OP_WRITE);

	P(o)->maxbytes = 10000;
	CHECK_INT(put_bytes(o, w, big, 6000), 6000);
	c.data = big;
	c.len = 6000;
	c.atomic = true;
	c.deadline = 0;
	CHECK_INT(ipc_put(o, &c), -EAGAIN);
	CHECK_INT(ipc_size(o), 6000);
	c.deadline = IPC_NEVER;
	CHECK_INT(ipc_put(o, &c), IPC_WAIT);
	CHECK_INT(ipc_size(o), 6000);
	CHECK(get_some(o, r, OP_READ, 2000));
	ipc_pump(o);
	CHECK_INT(waiter_at(o, c.waiter)->state, WAITER_TURN);
	CHECK_INT(ipc_put(o, &c), 0);
	CHECK_INT(c.result, 6000);
	CHECK_INT(ipc_size(o), 10000);
	obj_ok(o, "put whole");
}

TEST(pipe_shared_message)
{
	struct ipc_obj *o = obj_new(IPC_PIPE);
	ref_t w = end(o, W), a = end(o, R), b = end(o, R);

	put(o, w, "abcdef");
	CHECK_STR(get_some(o, a, OP_READ, 2), "ab");
	CHECK_STR(get_some(o, b, OP_READ, 2), "cd");
	CHECK_STR(in_hand(o, a), "ab");
	CHECK_STR(get_some(o, a, OP_READ, 9), "ef");
	CHECK_STR(in_hand(o, b), "cd");
	close_it(o, b);
	CHECK_STR(in_hand(o, a), "ef");
}

TEST(pipe_much)
{
	struct ipc_obj *o = obj_new(IPC_PIPE);
	ref_t w = end(o, W), r = end(o, R);
	size_t got = 0, put_ = 0;
	unsigned int seed = 1;

	P(o)->maxbytes = 50000;
	while (got < 3000000) {
		size_t n, k;
		int64_t k2;
		const char *s;

		seed = seed * 1103515245 + 12345;
		n = (seed >> 8) % 100000 + 1;
		for (size_t i = 0; i < n; i++)
			big[i] = (char)('a' + (put_ + i) % 23);
		k2 = put_bytes(o, w, big, n);
		CHECK(k2 > 0 || k2 == -EAGAIN);
		put_ += k2 > 0 ? (size_t)k2 : 0;
		CHECK(ipc_size(o) <= 50000);
		s = get_some(o, r, OP_READ, (seed >> 4) % 70000 + 1);
		k = strlen(s);
		for (size_t i = 0; i < k; i++)
			CHECK(s[i] == 'a' + (char)((got + i) % 23));
		got += k;
	}
	CHECK_INT(ipc_size(o), put_ - got);
}

TEST(pipe_records)
{
	struct ipc_obj *o = obj_new(IPC_PIPE);
	ref_t w = end(o, W), r = end(o, R);

	P(o)->framing = FRAMING_RECORD;
	CHECK_INT(put(o, w, "one\n"), 4);
	CHECK_INT(put_bytes(o, w, "", 0), 0);
	CHECK_INT(put(o, w, "two"), 3);
	CHECK_STR(get_some(o, r, OP_READ, 2), "one\n");
	CHECK_STR(get(o, r), "");
	CHECK_INT(handle_at(o, r)->hand.kind, ANSWER_RAW);
	CHECK_STR(get(o, r), "two");
	P(o)->maxbytes = 4; /* an empty pipe takes any record */
	CHECK_INT(put(o, w, "123456"), 6);
	CHECK_INT(put(o, w, "1"), -EAGAIN);
	put_waits(o, w, "78", 100);
	CHECK_STR(get(o, r), "123456");
	put_turns(o);
	CHECK_STR(get(o, r), "78");
}

TEST(pipe_end_of_file)
{
	struct ipc_obj *o = obj_new(IPC_PIPE);
	ref_t r = end(o, R), w, x, q;

	CHECK_STR(get(o, r), "!EAGAIN"); /* no writer yet: wait */
	CHECK_INT(ipc_poll(o, r), 0);
	w = end(o, W);
	CHECK_STR(get(o, r), "!EAGAIN");
	put(o, w, "data");
	close_it(o, w);
	CHECK_STR(get(o, r), "data");
	CHECK_STR(get(o, r), "");
	CHECK_INT(ipc_poll(o, r), POLLIN | POLLHUP);
	x = end(o, R);
	CHECK_STR(get(o, x), "!EAGAIN"); /* this one has seen nobody */
	w = end(o, W);
	q = get_waits(o, x, OP_READ, 100);
	CHECK_STR(get(o, r), "!EAGAIN");
	close_it(o, w);
	CHECK_STR(finish(o, q), "");
	CHECK_STR(get(o, r), "");
}

TEST(pipe_kept_for_the_first_reader)
{
	struct ipc_obj *o = obj_new(IPC_PIPE);
	ref_t w = end(o, W), r;

	CHECK_INT(put(o, w, "early"), 5);
	close_it(o, w);
	r = end(o, R);
	CHECK_STR(get(o, r), "early");
	CHECK_STR(get(o, r), ""); /* data is as good as a writer */
}

TEST(pipe_without_readers)
{
	struct ipc_obj *o = obj_new(IPC_PIPE);
	ref_t w = end(o, W), r = end(o, R), both;

	close_it(o, r);
	CHECK_INT(put(o, w, "x"), -EPIPE);
	CHECK_INT(ipc_poll(o, w), POLLOUT | POLLERR);
	r = end(o, R);
	CHECK_INT(put(o, w, "x"), 1);
	P(o)->maxbytes = 1;
	put_waits(o, w, "yz", 100);
	put_waits(o, w, "z", 101);
	close_it(o, r);
	put_turns(o);
	CHECK_INT(o->h->waitqs[1].count, 0);
	CHECK_INT(o->h->result, -EPIPE);
	both = end(o, RW);
	CHECK_STR(get(o, both), "x");
	CHECK_STR(get(o, both), "!EAGAIN"); /* is a writer itself */
}

TEST(pipe_write_larger_than_maxbytes)
{
	struct ipc_obj *o = obj_new(IPC_PIPE);
	ref_t w = end(o, W), r = end(o, R);

	P(o)->maxbytes = 8;
	CHECK_INT(put(o, w, "0123456789"), 8); /* can never go in whole */
	CHECK_INT(put(o, w, "89"), -EAGAIN);
	put_waits(o, w, "89abcdefghijkl", 100);
	CHECK_STR(get(o, r), "01234567");
	put_turns(o);
	CHECK_STR(get(o, r), "89abcdef");
	put_turns(o);
	CHECK_STR(get(o, r), "ghijkl");
	CHECK_INT(o->h->waitqs[1].count, 0);
	CHECK_INT(put(o, w, "12345"), 5);
	CHECK_INT(put(o, w, "6789"), -EAGAIN); /* could go in whole, later */
	CHECK_STR(get(o, r), "12345");
}

TEST(pipe_two_way)
{
	struct ipc_obj *o = obj_new(IPC_PIPE);
	ref_t a = h_new(o, HANDLE_OBJECT, RW, HANDLE_END_A),
	      b = h_new(o, HANDLE_OBJECT, RW, HANDLE_END_B);

	put(o, a, "to b");
	put(o, b, "to a");
	CHECK_STR(get(o, a), "to a");
	CHECK_STR(get(o, b), "to b");
	CHECK_STR(get(o, b), "!EAGAIN");
	close_it(o, a);
	CHECK_STR(get(o, b), "");
	CHECK_INT(put(o, b, "x"), -EPIPE);
}

/* What a direct client was given and did not pick up goes back to the front, as far as it can. */
TEST(pipe_regret)
{
	struct ipc_obj *o = obj_new(IPC_PIPE);
	ref_t w = end(o, W), r = end(o, R), d = end(o, R);
	struct ipc_call c = call_new(d, OP_READ);

	c.max = 3;
	CHECK_INT(ipc_read(o, &c), IPC_WAIT);
	put(o, w, "abcdef");
	obj_ok(o, "shared");
	close_it(o, d);
	CHECK_STR(get(o, r), "abcdef");
	d = end(o, R);
	get_waits(o, d, OP_READ, 0);
	memset(big, 'r', 100000);
	CHECK_INT(put_bytes(o, w, big, 100000),
		  100000); /* several messages, one and a half given */
	CHECK_INT(ipc_size(o), 100000 - 65536);
	close_it(o, d);
	CHECK_INT(ipc_size(o), 100000);
	CHECK_INT(strlen(get(o, r)), 65536);
	CHECK_INT(strlen(get(o, r)), 100000 - 65536);
	d = end(o, R);
	c = call_new(d, OP_READ);
	c.max = 3;
	CHECK_INT(ipc_read(o, &c), IPC_WAIT);
	put(o, w, "abcdef");
	CHECK_STR(get_some(o, r, OP_READ, 1), "d");
	close_it(o, d); /* somebody has read on: it is lost */
	CHECK_STR(get(o, r), "ef");
}

static struct ipc_obj *asked;

/* It has others let the file grow, and is sent away meanwhile. */
static int sent_away(struct ipc_call *c)
{
	(void)c;
	CHECK_INT(ipc_cancel(asked, 0), 1);
	heap_unfill(asked);
	return IPC_DONE;
}

/* A direct client's turn has come, but memory has not, and before it has ctl/cancel is written to. */
TEST(pipe_cancel_at_its_turn)
{
	struct ipc_obj *o = obj_new(IPC_PIPE);
	ref_t w = end(o, W), r = end(o, R);
	struct ipc_call c = call_new(w, OP_WRITE);
	int folder = env.env.dirfd;

	o->h->b.queue.maxbytes = 8192;
	CHECK_INT(put_bytes(o, w, big, 8192), 8192);
	c.data = big;
	c.len = sizeof(big);
	CHECK_INT(ipc_put(o, &c), IPC_WAIT);
	CHECK_INT(strlen(get(o, r)), 8192);
	CHECK_INT(waiter_at(o, c.waiter)->state, WAITER_TURN);
	heap_fill(o);
	asked = o;
	c.grow = sent_away;
	env.env.dirfd = -1;
	CHECK_INT(ipc_put(o, &c), -ECANCELED);
	env.env.dirfd = folder;
	CHECK_INT(handle_at(o, w)->waiters, 0);
	obj_ok(o, "sent away");
	CHECK_INT(put(o, w, "next"), 4);
}
