/* SPDX-License-Identifier: MIT */
/* Leases, dead letters, and the answers of handles that close. */
#define _GNU_SOURCE
#include <poll.h>

#include "file/heap.h"
#include "object/answer.h"
#include "test.h"

#define Q(o) (&(o)->h->b.queue)

TEST(lease_ack_and_nack)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), l = h_new(o, HANDLE_LEASE, R, 0);

	put(o, h, "a\nb\n");
	CHECK_STR(get(o, l), "1\ta\n");
	CHECK_STR(get(o, l), "2\tb\n");
	CHECK_INT(ipc_size(o), 0);
	CHECK_INT(Q(o)->leased.count, 2);
	CHECK_INT(ipc_ack(o, 1, 9), -EINVAL);
	CHECK_INT(ipc_ack(o, 1, 1), 0);
	CHECK_INT(ipc_ack(o, 1, 1), -EINVAL);
	CHECK_INT(ipc_nack(o, 1, 2, 0), 0);
	CHECK_INT(ipc_nack(o, 1, 2, 0), -EINVAL);
	CHECK_INT(Q(o)->unfinished, 1);
	put(o, h, "c\n");
	CHECK_STR(in_hand(o, l), "2\tb\n"); /* still to be read again */
	CHECK_STR(get(o, l), "2\tb\n");
	CHECK_STR(get(o, l), "3\tc\n");
	CHECK_STR(get(o, l), "!EAGAIN");
}

TEST(lease_returns_with_its_handle)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), l = h_new(o, HANDLE_LEASE, R, 0), m = h_new(o, HANDLE_LEASE, R, 0), w;

	for (int i = 0; i < 30; i++)
		put(o, h, "x\n");
	for (int i = 0; i < 20; i++)
		get(o, l);
	get(o, m);
	close_it(o, l);
	CHECK_INT(ipc_size(o), 29);
	CHECK_INT(Q(o)->leased.count, 1);
	for (int i = 0; i < 29; i++)
		get(o, h);
	w = get_waits(o, h, OP_READ, 100);
	close_it(o, m);
	CHECK_STR(finish(o, w), "x\n");
	CHECK_INT(Q(o)->unfinished, 30);
}

TEST(lease_waits)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), l = h_new(o, HANDLE_LEASE, R, 0), w, rec, plain;

	w = get_waits(o, l, OP_LEASE, 100);
	plain = get_waits(o, h, OP_READ, 101);
	put(o, h, "a\nb\n");
	CHECK_STR(finish(o, w), "1\ta\n");
	CHECK_STR(finish(o, plain), "b\n");
	rec = h_new(o, HANDLE_LEASE, R, HANDLE_RECORD);
	put(o, h, "c\n");
	CHECK_STR(get(o, rec), "3\tc");
}

TEST(lease_dead_letters)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), l = h_new(o, HANDLE_LEASE, R, 0);

	Q(o)->max_attempts = 2;
	put(o, h, "a\nb\nc\nd\ne\nf\n");
	for (uint64_t i = 0; i < 12; i++) {
		CHECK_INT(get(o, l)[0], '1' + (int)i % 6);
		CHECK_INT(ipc_nack(o, 1, 1 + i % 6, 0), 0);
	}
	CHECK_STR(get(o, l), "!EAGAIN");
	CHECK_INT(Q(o)->dead.count, 6);
	CHECK_INT(Q(o)->unfinished, 0); /* dead letters count as done */
	CHECK_INT(ipc_revive(o, 1, 7, false), -EINVAL);
	CHECK_INT(ipc_revive(o, 1, 1, false), 0);
	CHECK_INT(ipc_revive(o, 1, 1, false), -EINVAL);
	CHECK_INT(ipc_discard(o, 1, 2, false), 0);
	CHECK_INT(ipc_discard(o, 1, 2, false), -EINVAL);
	CHECK_INT(Q(o)->unfinished, 1);
	CHECK_STR(get(o, l), "1\ta\n");
	CHECK_INT(ipc_nack(o, 1, 1, 0), 0);
	CHECK_STR(get(o, l), "1\ta\n"); /* attempts begin anew */
	CHECK_INT(ipc_revive(o, 1, 0, true), 0);
	CHECK_INT(Q(o)->dead.count, 0);
	CHECK_INT(ipc_size(o), 4);
	close_it(o, l);
	CHECK_INT(Q(o)->dead.count, 1);
	CHECK_INT(ipc_discard(o, 1, 0, true), 0);
	CHECK_INT(Q(o)->dead.count, 0);
	CHECK_INT(Q(o)->unfinished, 4);
}

/* ---- the end ---- */

TEST(lease_end_is_not_held_up_by_its_own)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), l = h_new(o, HANDLE_LEASE, R, 0), w;

	put(o, h, "a\nb\n");
	get(o, l);
	get(o, l);
	w = get_waits(o, l, OP_LEASE, 100);
	ipc_setting32(o, &Q(o)->closed, 1);
	ipc_pump(o);
	CHECK_STR(finish(o, w), "");
	CHECK_STR(get(o, l), "");
	CHECK_INT(ipc_poll(o, l), POLLIN | POLLHUP);
	CHECK_INT(ipc_nack(o, 1, 1, 0), 0); /* and if it changes its mind: */
	CHECK_STR(get(o, l), "1\ta\n");
}

TEST(lease_end_waits_for_others)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), a = h_new(o, HANDLE_LEASE, R, 0), b = h_new(o, HANDLE_LEASE, R, 0), w;

	put(o, h, "a\nb\n");
	get(o, a);
	get(o, b);
	ipc_setting32(o, &Q(o)->closed, 1);
	CHECK_STR(get(o, a), "!EAGAIN");
	CHECK_INT(ipc_poll(o, a), 0);
	w = get_waits(o, a, OP_LEASE, 100); /* waits for b, which does not wait for a */
	CHECK_STR(finish(o, w), "!WAITS");
	CHECK_INT(ipc_ack(o, 1, 1), 0);
	ipc_pump(o);
	CHECK_STR(finish(o, w), "!WAITS");
	close_it(o, b); /* dies */
	CHECK_STR(finish(o, w), "2\tb\n");
	CHECK_STR(get(o, a), "");
}

TEST(lease_end_of_who_would_wait_for_each_other)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), a = h_new(o, HANDLE_LEASE, R, 0), b = h_new(o, HANDLE_LEASE, R, 0),
	      w[4];
	ref_t c = h_new(o, HANDLE_LEASE, R, 0);

	put(o, h, "a\nb\n");
	get(o, a);
	get(o, b);
	w[0] = get_waits(o, a, OP_LEASE, 100);
	w[1] = get_waits(o, c, OP_LEASE, 101); /* holds nothing */
	w[2] = get_waits(o, b, OP_LEASE, 102);
	w[3] = get_waits(o, b, OP_LEASE, 0); /* a second thread */
	CHECK_STR(finish(o, w[2]), "!WAITS");
	ipc_setting32(o, &Q(o)->closed, 1);
	ipc_pump(o);
	CHECK_STR(finish(o, w[0]), "");
	CHECK_STR(finish(o, w[2]), "");
	CHECK_STR(finish(o, w[3]), "");
	CHECK_STR(finish(o, w[1]), "!WAITS");
	close_it(o, a);
	CHECK_STR(finish(o, w[1]), "1\ta\n");
}

/* Who may not wait and finds all others waiting is the one that they wait for. */
TEST(lease_end_of_who_does_not_wait)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), a = h_new(o, HANDLE_LEASE, R, 0), b = h_new(o, HANDLE_LEASE, R, 0), w;

	put(o, h, "a\nb\n");
	get(o, a);
	get(o, b);
	ipc_setting32(o, &Q(o)->closed, 1);
	w = get_waits(o, b, OP_LEASE, 100);
	CHECK_INT(ipc_poll(o, a), POLLIN | POLLHUP);
	CHECK_STR(get(o, a), "");
	CHECK_STR(finish(o, w), "!WAITS");
	CHECK_INT(ipc_ack(o, 1, 1), 0);
	ipc_pump(o);
	CHECK_STR(finish(o, w), "");
}

TEST(close_gives_back_what_a_dead_client_was_given)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), d = h_open(o);

	get_waits(o, d, OP_READ, 0);
	get_waits(o, d, OP_READ, 0);
	put(o, h, "1\n2\n3\n");
	close_it(o, d);
	CHECK_INT(ipc_size(o), 3);
	put(o, h, "4\n");
	for (const char *p = "3124", *s; *p; p++) { /* each is there once */
		s = get(o, h);
		CHECK(strlen(s) == 2 && s[0] >= '1' && s[0] <= '4');
	}
	CHECK_STR(get(o, h), "!EAGAIN");
}

TEST(close_gives_back_many_in_order)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), d = h_open(o);
	struct ipc_call c = call_new(h, OP_WRITE);
	char text[300];

	for (int i = 0; i < 100; i++)
		memcpy(text + 3 * i, (char[]){ '0' + i / 10, '0' + i % 10, '\n' }, 3);
	get_waits(o, d, OP_STREAM, 0);
	c.data = text;
	c.len = 300;
	CHECK_INT(ipc_put(o, &c), 0);
	ipc_pump(o);
	CHECK_INT(ipc_size(o), 0);
	close_it(o, d);
	CHECK_INT(ipc_size(o), 100);
	CHECK(!strncmp(get_some(o, h, OP_STREAM, 1000), text, 300));
}

/* A direct client may not grow the file: whoever may has to know that somebody waits for that. */
TEST(lease_without_memory_is_not_forgotten)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE), *client = obj_again(o);
	struct ipc_env may_not_grow = { .dirfd = -1 };
	ref_t h = h_open(o), l = h_new(o, HANDLE_LEASE, R, 0), w;

	put(o, h, "1\n");
	CHECK_STR(get(o, h), "1\n");
	w = get_waits(o, l, OP_LEASE, 7);
	heap_fill(o);
	answer_drop(o, &handle_at(o, h)->hand); /* room for a message, and not for a lease */
	obj_unlock(o);

	client->env = &may_not_grow;
	CHECK_INT(obj_lock(client, 0), 0);
	CHECK_INT(put(client, h, "2\n"), 2);
	ipc_pump(client);
	CHECK(client->starved);
	CHECK_STR(finish(client, w), "!WAITS");
	obj_unlock(client);

	CHECK_INT(obj_lock(o, 0), 0);
	ipc_pump(o);
	CHECK_STR(finish(o, w), "2\t2\n");
	heap_unfill(o);
}
