/* SPDX-License-Identifier: MIT */
/* Numbers that direct waiters take without the lock: ipc_take_given(), ipc_reap(). */
#include <sys/file.h>

#include "object/waiter.h"
#include "object/wake.h"
#include "test.h"

static void wake(struct ipc_obj *o)
{
	struct ipc_wakes wakes;

	while (ipc_wake(o, &wakes))
		;
}

static bool take(struct ipc_obj *o, ref_t w, int *ret, int64_t *ret_number)
{
	struct ipc_call c = { .waiter = w };
	bool given = ipc_take_given(o, &c, waiter_at(o, w), ret);

	*ret_number = c.got.number;
	return given;
}

static uint32_t word(struct ipc_obj *o, ref_t w)
{
	return waiter_at(o, w)->futex;
}

TEST(given_is_taken_without_the_lock)
{
	struct ipc_obj *o = obj_new(IPC_EVENT);
	ref_t h = h_open(o), w[300];
	int64_t number;
	int r = 1;

	for (unsigned int i = 0; i < 300; i++)
		w[i] = get_waits(o, h, OP_READ, 0);
	CHECK(!take(o, w[0], &r, &number)); /* not yet */
	give(o, h, CMD_SET, 0);
	wake(o);
	give(o, h, CMD_CLEAR, 0);
	obj_unlock(o);
	for (unsigned int i = 0; i < 300; i++) {
		CHECK(take(o, w[i], &r, &number));
		CHECK_INT(r, 0);
		CHECK_INT(number, 1);
		CHECK(!take(o, w[i], &r, &number)); /* once */
	}
	CHECK_INT(obj_lock(o, -1), 0);
	CHECK_INT(o->h->woken.count, 300);
	ipc_pump(o);
	CHECK_INT(o->h->woken.count, 0);
	CHECK_INT(handle_at(o, h)->waiters, 0);
	CHECK_INT(o->h->taken, 0);
}

/* Else a thousand that come one by one would each walk along all the others. */
TEST(given_are_freed_many_at_once)
{
	struct ipc_obj *o = obj_new(IPC_EVENT);
	ref_t h = h_open(o), w[100];
	int64_t number;
	int r;

	for (unsigned int i = 0; i < 100; i++)
		w[i] = get_waits(o, h, OP_READ, 0);
	give(o, h, CMD_SET, 0);
	wake(o);
	for (unsigned int i = 0; i < 49; i++)
		CHECK(take(o, w[i], &r, &number));
	ipc_pump(o);
	CHECK_INT(o->h->woken.count, 100);
	CHECK(take(o, w[99], &r, &number));
	ipc_pump(o);
	CHECK_INT(o->h->woken.count, 50);
	obj_ok(o, "half of them");
	wake(o);
	for (unsigned int i = 49; i < 99; i++)
		CHECK(take(o, w[i], &r, &number));
	ipc_pump(o);
	CHECK_INT(o->h->woken.count, 0);
}

/* What has its owner has it for good; what has not goes back with the handle. */
TEST(given_and_the_handle_closes)
{
	struct ipc_obj *o = obj_new(IPC_SEM);
	ref_t h = h_open(o), other = h_open(o), w[3];
	int64_t number;
	int r;

	handle_at(o, h)->flags |= HANDLE_DIRECT;
	for (unsigned int i = 0; i < 3; i++)
		w[i] = get_waits(o, h, OP_READ, 0);
	give(o, other, CMD_ADD, 3);
	CHECK_INT(ipc_size(o), 0);
	wake(o);
	CHECK(take(o, w[1], &r, &number));
	ipc_wake_again(o); /* somebody died: it is not told again */
	wake(o);
	CHECK_INT(word(o, w[1]), FUTEX_TAKEN);
	CHECK_INT(word(o, w[0]), FUTEX_GIVEN);
	close_it(o, h);
	CHECK_INT(ipc_size(o), 2);
	CHECK_INT(o->h->woken.count, 0);
}

/* A message is copied under the lock, and a writer has its turn there. */
TEST(given_is_no_message_and_no_turn)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), w;

	w = get_waits(o, h, OP_READ, 0);
	put(o, h, "one\n");
	wake(o);
	CHECK_INT(word(o, w), FUTEX_GO);
	CHECK_STR(finish(o, w), "one\n");
	o->h->b.queue.maxsize = 1;
	put(o, h, "full\n");
	w = put_waits(o, h, "two\n", 0);
	ipc_cancel(o, 0);
	wake(o);
	CHECK_INT(word(o, w), FUTEX_GO);
	CHECK_STR(finish(o, w), "!ECANCELED");
}

TEST(given_is_an_error_too)
{
	struct ipc_obj *o = obj_new(IPC_LOCK);
	ref_t h = h_open(o), other = h_open(o), w;
	int64_t number;
	int r;

	CHECK_INT(lock_it(o, other, LOCK_EX), 0);
	w = lock_waits(o, h, LOCK_EX, 0);
	ipc_cancel(o, 0);
	wake(o);
	CHECK(take(o, w, &r, &number));
	CHECK_INT(r, -ECANCELED);
	ipc_pump(o);
	CHECK_INT(handle_at(o, h)->waiters, 0);
	CHECK_INT(lock_it(o, other, LOCK_UN), 0);
	CHECK_INT(lock_it(o, h, LOCK_EX), 0);
}
