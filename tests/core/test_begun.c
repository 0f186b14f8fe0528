/* SPDX-License-Identifier: MIT */
/* Messages that are written and read in place: begun.c; and those in a block of their own: msg.c. */
#include <string.h>

#include "file/heap.h"
#include "object/answer.h"
#include "object/begun.h"
#include "object/msg.h"
#include "object/waiter.h"
#include "test.h"

#define Q(o) (&(o)->h->b.queue)

static char bytes[200000];

static void fill(size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)('a' + (i / 100 + i + seed) % 26);
}

static ref_t record_handle(struct ipc_obj *o)
{
	return h_new(o, HANDLE_OBJECT, RW, HANDLE_RECORD | HANDLE_DIRECT);
}

static struct ipc_call in_place(ref_t h, uint32_t op)
{
	struct ipc_call c = call_new(h, op);

	c.at_once = true;
	c.begins = 1;
	c.max = SIZE_MAX;
	c.deadline = 0;
	return c;
}

static ref_t begin_get(struct ipc_obj *o, ref_t h)
{
	struct ipc_call c = in_place(h, OP_READ);

	CHECK_INT(ipc_read(o, &c), IPC_DONE);
	CHECK(c.begun);
	return c.begun;
}

static ref_t begin_put(struct ipc_obj *o, ref_t h, size_t len)
{
	struct ipc_call c = in_place(h, OP_WRITE);
	size_t n;

	c.len = len;
	CHECK_INT(ipc_put_begin(o, &c), IPC_DONE);
	memcpy(ipc_begun_bytes(o, c.begun, &n), bytes, len);
	CHECK_INT(n, len);
	return c.begun;
}

static int commit_put(struct ipc_obj *o, ref_t h, ref_t begun, size_t len)
{
	struct ipc_call c = in_place(h, OP_WRITE);

	c.begun = begun;
	c.len = len;
	return ipc_put(o, &c);
}

static uint32_t pages_used(struct ipc_obj *o)
{
	msg_sweep(o);
	return o->h->pages_used;
}

/* (But for pages of small blocks: none of a long message.) */
static void no_more_than(struct ipc_obj *o, uint32_t used)
{
	if (pages_used(o) > used + 4)
		FAIL("%u pages in use, not %u", pages_used(o), used);
}

/* Of each length that is special: one block, two, or several. */
static const size_t lengths[] = { 0,     1,     2032,  2033,  2048,  2049,  4080,
				  4081,  4096,  4097,  8192,  16380, 16384, 32768,
				  65520, 65521, 65535, 65536, 65537, 200000 };
#define LENGTHS (sizeof(lengths) / sizeof(lengths[0]))

TEST(msg_of_every_length_is_read_in_every_way)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = record_handle(o);
	static char copy[sizeof(bytes)];
	uint32_t used = pages_used(o);

	for (unsigned int i = 0; i < LENGTHS; i++) {
		size_t len = lengths[i], n;
		struct ipc_call c;
		const char *p;
		ref_t b;

		fill(len, i);
		for (unsigned int k = 0; k < 2; k++)
			CHECK_INT(put_bytes(o, h, bytes, len), len);
		obj_ok(o, "put");
		if (len) { /* in place, if it is in one piece */
			b = begin_get(o, h);
			p = ipc_begun_bytes(o, b, &n);
			CHECK_INT(n, len);
			CHECK(!p == (len > 65536));
			CHECK(!p || !memcmp(p, bytes, len));
			memset(copy, 0, len);
			CHECK_INT(ipc_begun_copy(o, b, copy, sizeof(copy)), len);
			CHECK(!memcmp(copy, bytes, len));
			ipc_begun_end(o, b);
		} else {
			get(o, h);
		}
		c = call_new(h, OP_READ); /* in two pieces */
		c.at_once = true;
		c.deadline = 0;
		c.buf = copy;
		c.max = len / 3;
		memset(copy, 0, len);
		CHECK_INT(ipc_read(o, &c), IPC_DONE);
		if (len >= 3) {
			CHECK_INT(c.result, len / 3);
			c.buf = copy + len / 3;
			c.max = sizeof(copy) - len / 3;
			CHECK_INT(ipc_read(o, &c), IPC_DONE);
			CHECK_INT(c.result, len - len / 3);
			CHECK(!memcmp(copy, bytes, len));
		} else if (len) {
			c.max = len;
			CHECK_INT(ipc_read(o, &c), IPC_DONE);
		}
		obj_ok(o, "read");
		CHECK_INT(Q(o)->mq[0].count, 0);
	}
	answer_drop(o, &handle_at(o, h)->hand);
	no_more_than(o, used);
}

/* A message of 64 KiB takes 64 KiB, and not twice as much. */
TEST(msg_takes_what_it_needs)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = record_handle(o);
	uint32_t used;

	put_bytes(o, h, bytes, 65536);
	used = pages_used(o);
	for (unsigned int i = 0; i < 10; i++)
		put_bytes(o, h, bytes, 65536);
	no_more_than(o, used + 10 * 16);
}

TEST(begun_end_without_the_lock)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = record_handle(o), other = record_handle(o), b[3];
	uint32_t used;

	for (unsigned int i = 0; i < 3; i++)
		put_bytes(o, h, bytes, 65536);
	used = pages_used(o);
	for (unsigned int i = 0; i < 3; i++)
		b[i] = begin_get(o, h);
	obj_unlock(o);
	for (unsigned int i = 0; i < 2; i++)
		ipc_begun_done(o, b[i]);
	CHECK_INT(obj_lock(o, -1), 0);
	obj_ok(o, "before others see it");
	ipc_pump(o);
	CHECK_INT(o->h->rests.count, 1);
	CHECK_INT(handle_at(o, h)->rests, 1);
	no_more_than(o, used - 2 * 16);
	/* And the last one, by the close: it is not put back. */
	ipc_begun_done(o, b[2]);
	ipc_close(o, h);
	CHECK_INT(Q(o)->mq[0].count, 0);
	CHECK_INT(o->h->rests.count, 0);
	CHECK_STR(get(o, other), "!EAGAIN");
	obj_ok(o, "closed");
	no_more_than(o, used - 3 * 16);
}

/* Whoever dies with some in hand: those that were read come back, in their order, the others go. */
TEST(begun_and_closed)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = record_handle(o), other = record_handle(o), b;
	uint32_t used;

	put(o, other, "1");
	put(o, other, "2");
	put(o, other, "3");
	used = pages_used(o);
	b = begin_get(o, h);
	begin_get(o, h);
	begin_put(o, h, 65536);
	begin_put(o, h, 5);
	ipc_begun_end(o, b);
	CHECK_INT(Q(o)->mq[0].count, 1);
	ipc_close(o, h);
	CHECK_INT(Q(o)->mq[0].count, 2);
	CHECK_STR(get(o, other), "2");
	CHECK_STR(get(o, other), "3");
	CHECK_INT(o->h->rests.count, 0);
	obj_ok(o, "closed");
	no_more_than(o, used);
}

/* A reader that waits gets what is committed; refused, it stays begun. */
TEST(begun_put_is_granted_and_refused)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = record_handle(o), other = record_handle(o), b, w;
	struct ipc_call c;
	size_t n;

	fill(65536, 1);
	w = get_waits(o, other, OP_READ, 0);
	b = begin_put(o, h, 65536);
	CHECK_INT(commit_put(o, h, b, 60000), IPC_DONE);
	ipc_pump(o);
	c = in_place(other, OP_READ);
	c.waiter = w;
	CHECK_INT(ipc_pick_up(o, &c), IPC_DONE);
	CHECK(c.begun && !memcmp(ipc_begun_bytes(o, c.begun, &n), bytes, 60000));
	CHECK_INT(n, 60000);
	ipc_begun_end(o, c.begun);
	ipc_setting64(o, &Q(o)->maxsize, 1);
	put(o, h, "first");
	b = begin_put(o, h, 65536);
	CHECK_INT(commit_put(o, h, b, 65536), -EAGAIN);
	CHECK_STR(get(o, other), "first");
	CHECK_INT(commit_put(o, h, b, 65536), IPC_DONE);
	CHECK_INT(Q(o)->mq[0].bytes, 65536);
	obj_ok(o, "put");
}

/* Another process may write anything there. */
TEST(begun_and_spoilt)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = record_handle(o), b = begin_put(o, h, 65536);
	size_t n;

	waiter_at(o, b)->got.len = 70000;
	CHECK(!ipc_begun_bytes(o, b, &n));
	waiter_at(o, b)->state = WAITER_REST;
	CHECK(commit_put(o, h, b, 5) != IPC_DONE || o->damage);
	CHECK(o->damage);
}
