/* SPDX-License-Identifier: MIT */
/* Barriers: indexes, breaking and mending, and who stands outside. */
#include <poll.h>

#include "test.h"

#define B(o) (&(o)->h->b.barrier)

TEST(barrier_opens)
{
	struct ipc_obj *o = obj_new(IPC_BARRIER);
	ref_t a = h_open(o), w[3];

	for (unsigned int round = 0; round < 3; round++) {
		w[0] = get_waits(o, a, OP_READ, 1);
		w[1] = get_waits(o, a, OP_READ, 2);
		CHECK_INT(ipc_size(o), 2);
		if (round == 0) /* a new one has no parties */
			CHECK_INT(give(o, a, CMD_PARTIES, 3), 0);
		CHECK_STR(finish(o, w[0]), "!WAITS");
		CHECK_INT(ipc_poll(o, a), POLLIN | POLLOUT);
		CHECK_STR(get(o, a), "2\n");
		CHECK_STR(finish(o, w[1]), "1\n");
		CHECK_STR(finish(o, w[0]), "0\n");
		CHECK_INT(ipc_size(o), 0);
		CHECK_INT(ipc_poll(o, a), POLLOUT);
	}
	CHECK_STR(get(o, a), "!EAGAIN"); /* breaks nothing */
	CHECK_INT(B(o)->broken, 0);
	CHECK_INT(give(o, a, CMD_PARTIES, -1), -EINVAL);
	CHECK_INT(give(o, a, CMD_SET, 1), -EINVAL);
	CHECK_INT(give(o, a, CMD_PARTIES, 1), 0);
	CHECK_STR(get(o, a), "0\n");
}

TEST(barrier_parties)
{
	struct ipc_obj *o = obj_new(IPC_BARRIER);
	ref_t a = h_open(o), w[3];

	for (unsigned int i = 0; i < 3; i++)
		w[i] = get_waits(o, a, OP_READ, i + 1);
	CHECK_INT(give(o, a, CMD_PARTIES, 5), 0);
	CHECK_STR(finish(o, w[0]), "!WAITS");
	CHECK_INT(give(o, a, CMD_PARTIES, 2), 0); /* all that wait go at once */
	CHECK_STR(finish(o, w[0]), "0\n");
	CHECK_STR(finish(o, w[1]), "1\n");
	CHECK_STR(finish(o, w[2]), "2\n");
}

/* Break it in each way there is; the others, and those who come later, get ECANCELED. */
TEST(barrier_breaks)
{
	struct ipc_obj *o = obj_new(IPC_BARRIER);
	ref_t a = h_open(o), b, w[3];

	CHECK_INT(give(o, a, CMD_PARTIES, 5), 0);
	for (unsigned int how = 0; how < 5; how++) {
		b = h_open(o);
		w[0] = get_waits(o, a, OP_READ, 1);
		w[1] = get_waits(o, b, OP_READ, how == 1 ? 0 : 2);
		w[2] = get_waits(o, a, OP_READ, 3);
		switch (how) {
		case 0:
			CHECK_STR(leave(o, w[1], -ETIMEDOUT), "!ETIMEDOUT");
			break;
		case 1:
			close_it(o, b); /* a direct client dies */
			break;
		case 2:
			CHECK_STR(leave(o, w[1], -EINTR), "!EINTR");
			CHECK_INT(B(o)->broken, 0);
			close_it(o, b);
			break;
		case 3:
			CHECK_INT(give(o, a, CMD_ABORT, 0), 0);
			break;
		default:
			CHECK_INT(give(o, a, CMD_RESET, 0), 0);
		}
		CHECK_STR(finish(o, w[0]), "!ECANCELED");
		CHECK_STR(finish(o, w[2]), "!ECANCELED");
		CHECK_INT(ipc_size(o), 0);
		CHECK_INT(B(o)->broken, how < 4);
		CHECK_STR(get(o, a), how < 4 ? "!ECANCELED" : "!EAGAIN");
		CHECK_INT(give(o, a, CMD_RESET, 0), 0);
		CHECK_STR(get(o, a), "!EAGAIN");
	}
}

TEST(barrier_outside)
{
	struct ipc_obj *o = obj_new(IPC_BARRIER);
	ref_t a = h_open(o), b = h_open(o), w[3];

	CHECK_INT(give(o, a, CMD_PARTIES, 3), 0);
	w[0] = get_waits(o, b, OP_READ, 1);
	w[1] = get_waits(o, a, OP_READ, 2);
	CHECK_STR(leave(o, w[0], -EINTR), "!EINTR");
	CHECK_INT(ipc_size(o), 1);
	CHECK_STR(get(o, b), "!EAGAIN"); /* it stays outside */
	CHECK_INT(handle_at(o, b)->parked, 1);
	w[0] = get_waits(o, b, OP_READ, 3); /* it arrives anew, behind the other */
	CHECK_INT(handle_at(o, b)->parked, 0);
	CHECK_STR(get(o, a), "2\n");
	CHECK_STR(finish(o, w[0]), "1\n");
	CHECK_STR(finish(o, w[1]), "0\n");

	/* Once the round has ended without it there is nothing to break. */
	w[0] = get_waits(o, b, OP_READ, 4);
	CHECK_STR(leave(o, w[0], -EINTR), "!EINTR");
	w[0] = get_waits(o, a, OP_READ, 5);
	w[1] = get_waits(o, a, OP_READ, 6);
	CHECK_STR(get(o, a), "2\n");
	CHECK_INT(handle_at(o, b)->waiters, 0);
	close_it(o, b);
	CHECK_INT(B(o)->broken, 0);
	CHECK_STR(finish(o, w[0]), "0\n");
	CHECK_STR(finish(o, w[1]), "1\n");
}

TEST(barrier_harmless)
{
	struct ipc_obj *o = obj_new(IPC_BARRIER);
	ref_t a = h_open(o), b = h_open(o), w[2];

	CHECK_INT(give(o, a, CMD_PARTIES, 3), 0);
	w[0] = get_waits(o, b, OP_READ, 1);
	w[1] = get_waits(o, a, OP_READ, 2);
	CHECK_STR(leave(o, w[0], -EINTR), "!EINTR");
	CHECK_INT(ipc_cancel(o, 0), 2);
	CHECK_STR(finish(o, w[1]), "!ECANCELED");
	CHECK_INT(ipc_size(o), 0);
	close_it(o, b);
	CHECK_INT(B(o)->broken, 0);
	b = h_open(o);
	w[0] = get_waits(o, b, OP_READ, 3);
	CHECK_STR(leave(o, w[0], -EINTR), "!EINTR");
	CHECK_INT(give(o, a, CMD_RESET, 0), 0);
	close_it(o, b);
	CHECK_INT(B(o)->broken, 0);
	b = h_open(o);
	close_it(o, b);
	CHECK_INT(B(o)->broken, 0);
}

/* The daemon died after the round had opened, before all were told. */
TEST(barrier_in_between)
{
	struct ipc_obj *o = obj_new(IPC_BARRIER);
	ref_t a = h_open(o), b = h_open(o), w[3];
	struct ipc_call c;
	int64_t ret;

	CHECK_INT(give(o, a, CMD_PARTIES, 4), 0);
	w[0] = get_waits(o, a, OP_READ, 1);
	w[1] = get_waits(o, b, OP_READ, 2);
	w[2] = get_waits(o, a, OP_READ, 3);
	c = call_new(a, OP_READ);
	CHECK_INT(ipc_read(o, &c), 0);
	CHECK(!ipc_leave(o, w[0], -ETIMEDOUT, &ret));
	CHECK(!ipc_leave(o, w[2], -EINTR, &ret));
	CHECK_INT(ipc_cancel(o, 0), 3);
	CHECK_INT(B(o)->broken, 0);
	c = call_new(a, OP_READ);
	c.unique = 4;
	CHECK_INT(ipc_read(o, &c), IPC_WAIT); /* of the next round */
	ipc_pump(o);
	CHECK_STR(finish(o, w[0]), "0\n");
	CHECK_STR(finish(o, w[1]), "1\n");
	CHECK_STR(finish(o, w[2]), "2\n");
	CHECK_STR(finish(o, c.waiter), "!WAITS");
}
