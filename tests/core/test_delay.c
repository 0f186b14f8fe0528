/* SPDX-License-Identifier: MIT */
/*
 * What happens to a queue by itself: leases that are too old, messages that are put later. And messages
 * by their IDs, and at the head.
 */
#define _GNU_SOURCE
#include <poll.h>

#include "file/list.h"
#include "file/log.h"
#include "object/msg.h"
#include "object/stats.h"
#include "test.h"
#include "types/queue.h"

#define Q(o) (&(o)->h->b.queue)
#define S    1000000000ull /* a second */

static bool sooner(void *arg, struct ipc_obj *o, ref_t r)
{
	delay_at(o, r)->due -= *(uint64_t *)arg;
	return true;
}

/* So many seconds pass, as far as the queue can tell. */
static void pass(struct ipc_obj *o, uint64_t seconds)
{
	uint64_t ns = seconds * S;

	LIST_EACH(o, &Q(o)->leased, r)
		AT(o, ipc_lease, r)->since -= ns;
	delay_each(o, sooner, &ns);
	o->work = true;
	ipc_pump(o);
}

/* In how many seconds something is due; -1: nothing is. */
static int64_t due_in(struct ipc_obj *o)
{
	int64_t due = ipc_due(o);

	return due == IPC_NEVER ? -1 : (due - (int64_t)ipc_now() + (int64_t)S / 2) / (int64_t)S;
}

TEST(ttr_gives_back_old_leases)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), l = h_new(o, HANDLE_LEASE, R, 0), w;

	put(o, h, "a\nb\n");
	CHECK_STR(get(o, l), "1\ta\n");
	CHECK_STR(get(o, l), "2\tb\n");
	pass(o, 1000);
	CHECK_INT(due_in(o), -1);
	CHECK_INT(Q(o)->leased.count, 2);
	CHECK_INT(ipc_touch(o, 1, 1), 0);
	CHECK_INT(ipc_touch(o, 1, 2), 0);
	ipc_setting64(o, &Q(o)->ttr, 10 * S);
	pass(o, 6);
	CHECK_INT(due_in(o), 4);
	CHECK_INT(ipc_touch(o, 1, 1), 0); /* it begins anew, and is the younger one now */
	CHECK_INT(due_in(o), 4);
	CHECK_INT(ipc_size(o), 0);
	pass(o, 4);
	CHECK_INT(ipc_size(o), 1);
	CHECK_INT(due_in(o), 6);
	CHECK_INT(ipc_ack(o, 1, 2), -EINVAL);
	CHECK_INT(ipc_touch(o, 1, 2), -EINVAL);
	CHECK_STR(get(o, l), "2\tb\n"); /* under the number that it had */
	CHECK_INT(handle_at(o, l)->leases, 2);
	w = get_waits(o, h, OP_READ, 7);
	pass(o, 6);
	CHECK_STR(finish(o, w), "a\n");
	CHECK_INT(ipc_ack(o, 1, 2), 0);
	CHECK_INT(due_in(o), -1);
	CHECK_INT(Q(o)->unfinished, 1);
}

TEST(ttr_counts_attempts)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), l = h_new(o, HANDLE_LEASE, R, 0);

	Q(o)->max_attempts = 2;
	Q(o)->ttr = S;
	put(o, h, "a\n");
	CHECK_STR(get(o, l), "1\ta\n");
	pass(o, 1);
	CHECK_STR(get(o, l), "1\ta\n");
	CHECK_INT(msg_at(o, AT(o, ipc_lease, Q(o)->leased.head)->msg)->attempts, 2);
	pass(o, 1);
	CHECK_STR(get(o, l), "!EAGAIN");
	CHECK_INT(Q(o)->dead.count, 1);
	CHECK_INT(Q(o)->unfinished, 0);
	CHECK_INT(ipc_revive(o, 1, 1, false), 0);
	CHECK_STR(get(o, l), "1\ta\n");
}

TEST(ttr_lets_a_lease_reader_of_a_closed_queue_go_on)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), a = h_new(o, HANDLE_LEASE, R, 0), b = h_new(o, HANDLE_LEASE, R, 0), w;

	Q(o)->ttr = S;
	put(o, h, "x\n");
	CHECK_STR(get(o, a), "1\tx\n");
	ipc_setting32(o, &Q(o)->closed, 1);
	w = get_waits(o, b, OP_LEASE, 7);
	CHECK_STR(finish(o, w), "!WAITS");
	pass(o, 1);
	CHECK_STR(finish(o, w), "1\tx\n");
}

TEST(nack_with_a_delay)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), l = h_new(o, HANDLE_LEASE, R, 0), w;
	struct ipc_counts c;

	put(o, h, "a\nb\nc\n");
	for (int i = 0; i < 3; i++)
		get(o, l);
	CHECK_INT(ipc_nack(o, 1, 4, S), -EINVAL);
	CHECK_INT(ipc_nack(o, 1, 1, 30 * S), 0);
	CHECK_INT(ipc_nack(o, 1, 2, 20 * S), 0);
	CHECK_INT(ipc_nack(o, 1, 2, 0), -EINVAL); /* it is not leased any more */
	CHECK_INT(ipc_nack(o, 1, 3, 10 * S), 0);
	CHECK_INT(due_in(o), 10);
	CHECK_INT(ipc_size(o), 0);
	CHECK_INT(Q(o)->delayed.count, 3);
	CHECK_INT(Q(o)->delayed.bytes, 3);
	CHECK_INT(Q(o)->unfinished, 3);
	CHECK_INT(handle_at(o, l)->leases, 0);
	CHECK_STR(get(o, l), "!EAGAIN");
	ipc_counts(o, &c);
	CHECK_INT(c.puts, 3);
	CHECK_INT(c.gets, 3); /* as before */
	close_it(o, l);       /* but not with it */
	CHECK_INT(ipc_size(o), 0);
	obj_ok(o, "with delayed messages");
	w = get_waits(o, h, OP_READ, 7);
	pass(o, 10);
	CHECK_STR(finish(o, w), "c\n");
	CHECK_INT(due_in(o), 10);
	pass(o, 1000);
	CHECK_STR(get(o, h), "b\n"); /* in the order of their times */
	CHECK_STR(get(o, h), "a\n");
	ipc_counts(o, &c);
	CHECK_INT(c.puts, 3);
	CHECK_INT(c.gets, 6);
	CHECK_INT(due_in(o), -1);
}

TEST(nack_with_a_delay_at_the_last_attempt)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), l = h_new(o, HANDLE_LEASE, R, 0);

	Q(o)->max_attempts = 2;
	put(o, h, "a\n");
	get(o, l);
	CHECK_INT(ipc_nack(o, 1, 1, S), 0);
	CHECK_INT(Q(o)->delayed.count, 1);
	pass(o, 1);
	CHECK_STR(get(o, l), "1\ta\n");
	CHECK_INT(ipc_nack(o, 1, 1, S), 0);
	CHECK_INT(Q(o)->delayed.count, 0);
	CHECK_INT(Q(o)->dead.count, 1);
}

TEST(delayed_hold_up_the_end)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), l = h_new(o, HANDLE_LEASE, R, 0), w, v;

	put(o, h, "a\n");
	get(o, l);
	CHECK_INT(ipc_nack(o, 1, 1, S), 0);
	ipc_setting32(o, &Q(o)->closed, 1);
	CHECK_INT(ipc_poll(o, h) & (POLLIN | POLLHUP), 0);
	CHECK_INT(ipc_poll(o, l), 0);
	w = get_waits(o, h, OP_READ, 7);
	v = get_waits(o, l, OP_LEASE, 8);
	CHECK_STR(finish(o, w), "!WAITS");
	pass(o, 1);
	CHECK_STR(finish(o, w), "a\n");
	CHECK_STR(finish(o, v), "");
	CHECK_STR(get(o, h), "");
}

TEST(delayed_take_room)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), l = h_new(o, HANDLE_LEASE, R, 0);

	Q(o)->maxsize = 2;
	put(o, h, "a\nb\n");
	get(o, l);
	get(o, l);
	CHECK_INT(ipc_nack(o, 1, 1, S), 0);
	CHECK_INT(put(o, h, "c\n"), 2);
	CHECK_INT(ipc_poll(o, h) & POLLOUT, 0);
	CHECK_INT(put(o, h, "d\n"), -EAGAIN);
	CHECK_INT(queue_put_now(o, 99, &(struct iovec){ (char[]){ 'd' }, 1 }, 1), 0);
	CHECK_STR(get(o, h), "c\n");
	Q(o)->maxsize = 0;
	Q(o)->maxbytes = 3;
	CHECK_INT(put(o, h, "xxx\n"), -EAGAIN);
	CHECK_INT(queue_put_now(o, 99, &(struct iovec){ (char[]){ "xxx" }, 3 }, 1), 0);
	CHECK_INT(put(o, h, "xx\n"), 3);
}

/* Whatever order they come in, they go in that of their times; and none needs a longer change. */
TEST(delayed_many)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), l = h_new(o, HANDLE_LEASE, R, 0);
	enum { N = 700 };
	static uint64_t due[N + 1];
	uint64_t x = 88172645463325252u, last = 0, id;

	for (unsigned int i = 1; i <= N; i++) {
		put(o, h, "x\n");
		get(o, l);
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		due[i] = 1 + (i % 3 == 0 ? i : i % 3 == 1 ? N - i : x % 500);
		CHECK_INT(ipc_nack(o, 0, i, (int64_t)(due[i] * S)), 0);
	}
	obj_ok(o, "with many");
	CHECK_INT(Q(o)->delayed.count, N);
	for (unsigned int n = 0; n < N; n++) {
		ref_t r = Q(o)->delayed.root;

		if (n % 2) { /* some from the middle */
			ref_t below = delay_at(o, r)->below.left;

			r = below ? below : r;
			heap_free(o, (msg_put(o, delay_take(o, r)), r));
			commit(o);
			continue;
		}
		id = msg_at(o, delay_at(o, r)->msg)->id;
		CHECK(due[id] >= last);
		last = due[id];
		heap_free(o, (msg_put(o, delay_take(o, r)), r));
		commit(o);
		if (n % 50 == 0)
			obj_ok(o, "while they go");
	}
	CHECK_INT(Q(o)->delayed.count, 0);
	CHECK_INT(Q(o)->delayed.bytes, 0);
}

TEST(ids_are_kept)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	struct iovec many[3] = { { (char[]){ "p" }, 1 },
				 { (char[]){ "q" }, 1 },
				 { (char[]){ "r" }, 1 } };
	ref_t h = h_open(o), l = h_new(o, HANDLE_LEASE, R, 0);
	static const char *const want[] = { "2\tb\n", "3\tp\n", "4\tp\n", "5\tq\n",
					    "6\tr\n", "7\tc\n", "8\td\n" };

	put(o, h, "a\nb\n");
	CHECK_INT(queue_put_now(o, 99, many, 1), 1);
	CHECK_INT(queue_put_now(o, 99, many, 3), 3);
	put(o, h, "c");
	put(o, h, "\n");
	CHECK_STR(get(o, h), "a\n");
	CHECK_INT(ipc_done(o, 1, 5), 0); /* it numbers on, whatever is unfinished */
	put(o, h, "d\n");
	for (unsigned int i = 0; i < sizeof(want) / sizeof(*want); i++)
		CHECK_STR(get(o, l), want[i]);
	close_it(o, l);
	l = h_new(o, HANDLE_LEASE, R, 0);
	CHECK_STR(get(o, l), "2\tb\n");
}

TEST(remove_by_id)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), l = h_new(o, HANDLE_LEASE, R, 0);
	struct ipc_counts c;

	put(o, h, "leased\nhand\na\nb\nc\nd\ne\n");
	CHECK_STR(get(o, l), "1\tleased\n");
	CHECK_STR(get_some(o, h, OP_READ, 2), "hand\n");
	CHECK_INT(ipc_remove(o, 1, 1), -EINVAL); /* it is for `ack` */
	CHECK_INT(ipc_remove(o, 1, 2), -EINVAL); /* it is in a reader's hand */
	CHECK_INT(ipc_remove(o, 1, 8), -EINVAL);
	CHECK_INT(ipc_remove(o, 1, 0), -EINVAL);
	CHECK_INT(ipc_remove(o, 1, 3), 0); /* the first, */
	CHECK_INT(ipc_remove(o, 1, 3), -EINVAL);
	CHECK_INT(ipc_remove(o, 1, 5), 0); /* one in the middle, */
	CHECK_INT(ipc_remove(o, 1, 7), 0); /* the last */
	obj_ok(o, "without three");
	CHECK_INT(ipc_size(o), 2);
	CHECK_INT(Q(o)->mq[0].bytes, 2);
	CHECK_INT(Q(o)->unfinished, 4);
	ipc_counts(o, &c);
	CHECK_INT(c.puts, 7);
	CHECK_INT(c.gets, 2);
	put(o, h, "f\n");
	CHECK_STR(get(o, h), "b\n");
	CHECK_STR(get(o, h), "d\n");
	CHECK_STR(get(o, h), "f\n");
	put(o, h, "g\n");
	CHECK_INT(ipc_remove(o, 1, 9), 0); /* the only one */
	obj_ok(o, "without any");
	Q(o)->maxsize = 1;
	put(o, h, "h\n");
	put_waits(o, h, "i\n", 7);
	CHECK_INT(ipc_remove(o, 1, 10), 0); /* makes room */
	ipc_pump(o);
	put_turns(o);
	CHECK_STR(get(o, h), "i\n");
}

TEST(remove_of_delayed_ones)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), l = h_new(o, HANDLE_LEASE, R, 0), w;
	struct ipc_counts c;

	put(o, h, "a\nb\nc\n");
	for (int i = 1; i <= 3; i++) {
		get(o, l);
		CHECK_INT(ipc_nack(o, 1, i, (int64_t)(10 - i) * (int64_t)S), 0);
	}
	CHECK_INT(ipc_done(o, 1, 2), 0);
	w = get_waits(o, h, OP_READ, 7);
	ipc_setting32(o, &Q(o)->closed, 1);
	CHECK_INT(ipc_remove(o, 1, 2), 0);
	CHECK_INT(ipc_remove(o, 1, 3), 0);
	obj_ok(o, "without two");
	CHECK_INT(Q(o)->unfinished, 0);
	CHECK_INT(Q(o)->delayed.count, 1);
	CHECK_STR(finish(o, w), "!WAITS");
	CHECK_INT(ipc_remove(o, 1, 1), 0);
	ipc_pump(o);
	CHECK_STR(finish(o, w), ""); /* nothing will come any more */
	CHECK_INT(due_in(o), -1);
	ipc_counts(o, &c);
	CHECK_INT(c.puts, 3);
}

/* ---- front and later ---- */

TEST(front_puts_to_the_head)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), f = h_new(o, HANDLE_FRONT, W, 0),
	      r = h_new(o, HANDLE_FRONT, W, HANDLE_RECORD), w;

	CHECK_INT(put(o, f, "first\n"), 6); /* into an empty one */
	put(o, h, "a\nb\n");
	CHECK_INT(put(o, f, "x\ny\n"), 4); /* the last is in front of all */
	CHECK_INT(put(o, f, "in pie"), 6);
	CHECK_INT(put(o, r, "rec\n"), 4);
	CHECK_INT(put(o, f, "ces\n"), 4);
	obj_ok(o, "with a new head");
	for (const char *const *want =
		     (const char *const[]){ "in pieces\n", "rec\n\n", "y\n", "x\n", "first\n",
					    "a\n", "b\n", NULL };
	     *want; want++)
		CHECK_STR(get(o, h), *want);
	w = get_waits(o, h, OP_READ, 7);
	CHECK_INT(put(o, f, "1\n2\n"), 4);
	CHECK_STR(finish(o, w), "2\n");
	CHECK_STR(get(o, h), "1\n");
	CHECK_INT(Q(o)->unfinished, 9);
	CHECK_INT(put(o, f, "end"), 3);
	CHECK_INT(ipc_flush(o, f, 0, false, true), 0);
	CHECK_STR(get(o, h), "end\n");
}

TEST(front_waits_as_any_put)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), f = h_new(o, HANDLE_FRONT, W, 0);

	Q(o)->maxsize = 2;
	put(o, h, "a\nb\n");
	CHECK_INT(ipc_poll(o, f) & POLLOUT, 0);
	CHECK_INT(put(o, f, "x\n"), -EAGAIN);
	put_waits(o, h, "c\n", 7);
	put_waits(o, f, "x\ny\n", 8);
	CHECK_STR(get(o, h), "a\n");
	put_turns(o);
	CHECK_STR(get(o, h), "b\n"); /* c came before */
	put_turns(o);
	CHECK_STR(get(o, h), "x\n");
	put_turns(o);
	CHECK_STR(get(o, h), "y\n");
	CHECK_STR(get(o, h), "c\n");
	CHECK(ipc_poll(o, f) & POLLOUT);
	Q(o)->maxbytes = 3;
	CHECK_INT(put(o, f, "1234\n"), -EMSGSIZE);
	ipc_setting32(o, &Q(o)->closed, 1);
	CHECK_INT(put(o, f, "x\n"), -EPIPE);
}

TEST(later_puts_when_it_is_time)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), l = h_new(o, HANDLE_LATER, W, 0),
	      r = h_new(o, HANDLE_LATER, W, HANDLE_RECORD);
	struct ipc_counts c;

	CHECK_INT(put(o, l, "50\ta\n30\tb\tb\n0\tc\n40.5\t\n"), 22);
	CHECK_INT(put(o, r, "35\t99\n"), 6);
	CHECK_INT(put(o, r, "35\t"), 3);
	CHECK_INT(ipc_size(o), 1);
	CHECK_INT(Q(o)->delayed.count, 5);
	CHECK_INT(Q(o)->delayed.bytes, 7);
	CHECK_INT(Q(o)->unfinished, 6);
	ipc_counts(o, &c);
	CHECK_INT(c.puts, 6);
	CHECK_INT(c.gets, 0);
	CHECK_INT(due_in(o), 30);
	CHECK_STR(get(o, h), "c\n");
	obj_ok(o, "with messages for later");
	pass(o, 60);
	for (const char *const *want =
		     (const char *const[]){ "b\tb\n", "99\n\n", "\n", "\n", "a\n", NULL };
	     *want; want++)
		CHECK_STR(get(o, h), *want);
	ipc_counts(o, &c);
	CHECK_INT(c.gets, 6);
}

TEST(later_in_pieces)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), l = h_new(o, HANDLE_LATER, W, 0);
	static char text[300002];

	for (const char *const *p = (const char *const[]){ "1", "0", "\tl", "ong", "\n", NULL }; *p;
	     p++)
		CHECK_INT(put(o, l, *p), (int64_t)strlen(*p));
	CHECK_INT(due_in(o), 10);
	CHECK_INT(put(o, l, "1000\tlo"), 7);
	CHECK_INT(put(o, l, "nger\n0\tnow\n1"), 12);
	CHECK_STR(get(o, h), "now\n");
	memset(text, 'x', sizeof(text) - 2);
	text[0] = '\t';
	CHECK_INT(put_bytes(o, l, text, 200000), 200000); /* several blocks */
	strcpy(text + sizeof(text) - 3, "y\n");
	CHECK_INT(put_bytes(o, l, text + 200000, 100001), 100001);
	CHECK_INT(due_in(o), 1);
	CHECK_INT(Q(o)->delayed.bytes, 4 + 6 + 300000 - 1);
	pass(o, 1);
	CHECK_INT(strlen(get_some(o, h, OP_READ, 1 << 20)), 300000);
	memset(text, 'z', 900);
	CHECK_INT(put(o, l, "1\t"), 2);
	for (int i = 0; i < 1100; i++) /* many small ones */
		CHECK_INT(put_bytes(o, l, text, 900), 900);
	CHECK_INT(put(o, l, "\n"), 1);
	pass(o, 1);
	CHECK_INT(strlen(get_some(o, h, OP_READ, 1 << 20)), 900 * 1100 + 1);
	obj_ok(o, "after a long one");
	CHECK_INT(put(o, l, "1\tend"), 5);
	CHECK_INT(ipc_flush(o, l, 0, false, true), 0);
	CHECK_INT(put(o, l, "1\tkilled"), 8);
	CHECK_INT(ipc_flush(o, l, 0, true, true), 0);
	CHECK_INT(put(o, l, "junk"), 4);
	CHECK_INT(ipc_flush(o, l, 0, false, true), -EINVAL);
	CHECK_INT(handle_at(o, l)->line, 0);
	pass(o, 1000);
	CHECK_STR(get(o, h), "end\n");
	CHECK_STR(get(o, h), "long\n");
	CHECK_STR(get(o, h), "longer\n");
	CHECK_STR(get(o, h), "!EAGAIN");
}

TEST(later_is_refused)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), l = h_new(o, HANDLE_LATER, W, 0),
	      r = h_new(o, HANDLE_LATER, W, HANDLE_RECORD);
	static const char *const wrong[] = { "x\ta\n",   "5 a\n",
					     "\ta\n",    "-1\ta\n",
					     "5\n",      "\n",
					     "1e3\ta\n", " 5\ta\n",
					     "inf\ta\n", "00000000000000000000000000000005\ta\n",
					     NULL };

	for (unsigned int i = 0; wrong[i]; i++) {
		CHECK_INT(put(o, l, wrong[i]), -EINVAL);
		CHECK_INT(put_bytes(o, r, wrong[i], strlen(wrong[i]) - 1), -EINVAL);
	}
	CHECK_INT(Q(o)->unfinished, 0);
	CHECK_INT(put(o, l, "5\ta\nbad\n6\tb\n"), 4); /* up to there */
	CHECK_INT(put(o, l, "ba"), 2);
	CHECK_INT(put(o, l, "d\n"), -EINVAL);
	CHECK_INT(put(o, l, "5\tb\n"), 4); /* and nothing is left of that */
	Q(o)->maxsize = 3;
	CHECK_INT(put(o, h, "x\n"), 2);
	CHECK_INT(put(o, l, "5\tc\n"), -EAGAIN);
	CHECK_INT(put(o, h, "y\n"), -EAGAIN);
	Q(o)->maxsize = 0;
	Q(o)->maxbytes = 4;
	CHECK_INT(put(o, l, "5\t12345\n"), -EMSGSIZE);
	CHECK_INT(put(o, l, "5\t12\n"), -EAGAIN);
	CHECK_INT(put(o, l, "5\t1\n"), 4);
	Q(o)->maxbytes = 0;
	ipc_setting32(o, &Q(o)->closed, 1);
	CHECK_INT(put(o, l, "5\ta\n"), -EPIPE);
	CHECK_STR(get(o, h), "x\n");
	CHECK_STR(get(o, h), "!EAGAIN"); /* for there is more to come */
	CHECK_INT(Q(o)->delayed.count, 3);
}
