/* SPDX-License-Identifier: MIT */
/* Conditions and barriers of those who must not wait: they are queued. */
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>

#include "object/hold.h"
#include "test.h"

/* "!STANDS", or what the read gives. */
static const char *stand(struct ipc_obj *o, ref_t h, int64_t deadline)
{
	static char s[32];
	struct ipc_call c = { .handle = h,
			      .op = OP_READ,
			      .tid = 1,
			      .pid = 1,
			      .max = 100,
			      .unique = 99,
			      .deadline = deadline,
			      .stand = true };
	int r = ipc_read(o, &c);

	ipc_pump(o);
	if (r == IPC_WAIT)
		return "!STANDS";
	if (r < 0)
		snprintf(s, sizeof(s), "!%d", -r);
	else
		snprintf(s, sizeof(s), "%lld", (long long)c.got.number);
	return s;
}

static const char *number_of(int error)
{
	static char s[16];

	snprintf(s, sizeof(s), "!%d", error);
	return s;
}

static void sound(struct ipc_obj *o)
{
	struct ipc_check k;

	CHECK_INT(ipc_check(o, &k), 0);
}

TEST(standing_in_a_barrier)
{
	struct ipc_obj *o = obj_new(IPC_BARRIER);
	ref_t a = h_open(o), b = h_open(o), c = h_open(o);

	CHECK_INT(give(o, a, CMD_PARTIES, 3), 0);
	CHECK_STR(stand(o, a, IPC_NEVER), "!STANDS");
	CHECK_STR(stand(o, a, IPC_NEVER), "!STANDS");
	CHECK_INT(ipc_size(o), 1);
	CHECK_STR(stand(o, b, IPC_NEVER), "!STANDS");
	CHECK_INT(ipc_poll(o, a), POLLOUT); /* its own read would not have it */
	CHECK_INT(ipc_poll(o, c), POLLIN | POLLOUT);
	sound(o);
	CHECK_STR(get(o, c), "2\n");
	sound(o);
	CHECK_INT(ipc_poll(o, a), POLLIN | POLLOUT);
	CHECK_STR(stand(o, b, IPC_NEVER), "1");
	CHECK_STR(stand(o, a, IPC_NEVER), "0");
	CHECK_INT(o->h->granted.count, 0);

	/* A close breaks it, as that of one that waits does. */
	CHECK_STR(stand(o, a, IPC_NEVER), "!STANDS");
	CHECK_STR(stand(o, b, IPC_NEVER), "!STANDS");
	close_it(o, b);
	CHECK_STR(stand(o, a, IPC_NEVER), number_of(ECANCELED));
	CHECK_INT(give(o, a, CMD_RESET, 0), 0);

	/* Its time limit too. */
	CHECK_STR(stand(o, a, 1000), "!STANDS");
	CHECK_INT(ipc_next_limit(o, 0), 1000);
	ipc_expire(o, 999);
	CHECK_STR(stand(o, a, 1000), "!STANDS");
	ipc_expire(o, 1000);
	ipc_pump(o);
	sound(o);
	CHECK_STR(stand(o, a, IPC_NEVER), number_of(ETIMEDOUT));
	CHECK_STR(stand(o, c, IPC_NEVER), number_of(ECANCELED));
}

TEST(standing_for_a_notify)
{
	struct ipc_obj *o = obj_new(IPC_COND);
	ref_t a = h_open(o), b = h_open(o), w;

	CHECK_INT(lock_it(o, a, LOCK_EX), 0);
	CHECK_STR(stand(o, a, IPC_NEVER), "!STANDS"); /* which gives the lock up */
	CHECK_INT(lock_it(o, b, LOCK_EX), 0);
	CHECK_INT(give(o, b, CMD_NOTIFY, 1), 0);
	sound(o);
	CHECK_INT(ipc_poll(o, a), POLLOUT);
	CHECK_STR(stand(o, a, IPC_NEVER), "!STANDS");
	CHECK_INT(lock_it(o, b, LOCK_UN), 0);
	CHECK_INT(ipc_poll(o, a), POLLIN | POLLOUT);
	CHECK_STR(stand(o, a, IPC_NEVER), "1");
	CHECK(hold_find(o, a, OP_FLOCK));
	CHECK_INT(lock_it(o, a, LOCK_UN), 0);

	/* A notify that was not read goes to the next when its handle closes. */
	CHECK_STR(stand(o, a, IPC_NEVER), "!STANDS");
	w = get_waits(o, b, OP_READ, 1);
	CHECK_INT(give(o, b, CMD_NOTIFY, 1), 0);
	CHECK_STR(finish(o, w), "!WAITS");
	close_it(o, a);
	CHECK_STR(finish(o, w), "1\n");
	sound(o);

	/* Unlocking steps out; a read that waits goes on in its place. */
	CHECK_STR(stand(o, b, IPC_NEVER), "!STANDS");
	CHECK_INT(lock_it(o, b, LOCK_UN), 0);
	CHECK_INT(ipc_size(o), 0);
	CHECK_STR(stand(o, b, IPC_NEVER), "!STANDS");
	w = get_waits(o, b, OP_READ, 2);
	CHECK_INT(ipc_size(o), 1);
	CHECK_INT(handle_at(o, b)->standing, 0);
	CHECK_INT(give(o, b, CMD_NOTIFY, 1), 0);
	CHECK_STR(finish(o, w), "1\n");
	sound(o);
}
