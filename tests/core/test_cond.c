/* SPDX-License-Identifier: MIT */
/* Conditions: the lock around the wait, notifies that are neither lost nor doubled. */
#include <poll.h>
#include <sys/file.h>

#include "object/hold.h"
#include "object/waiter.h"
#include "object/lend.h"
#include "test.h"

#define LOCK(o) (o)->h->b.cond.lock.value

TEST(cond_without_lock)
{
	struct ipc_obj *o = obj_new(IPC_COND);
	ref_t a = h_open(o), b = h_open(o), w[3];

	CHECK_INT(give(o, a, CMD_NOTIFY, 5), 0); /* nobody waits: lost */
	CHECK_STR(get(o, a), "!EAGAIN");
	for (unsigned int i = 0; i < 3; i++)
		w[i] = get_waits(o, b, OP_READ, i + 1);
	CHECK_INT(ipc_size(o), 3);
	CHECK_INT(ipc_poll(o, b), POLLOUT);
	CHECK_INT(give(o, a, CMD_NOTIFY, 1), 0);
	CHECK_STR(finish(o, w[0]), "1\n");
	CHECK_STR(finish(o, w[1]), "!WAITS");
	CHECK_INT(ipc_size(o), 2);
	CHECK_INT(give(o, a, CMD_NOTIFY, CMD_ALL), 0);
	CHECK_STR(finish(o, w[1]), "1\n");
	CHECK_STR(finish(o, w[2]), "1\n");
	w[0] = get_waits(o, b, OP_READ, 4);
	CHECK_STR(leave(o, w[0], -ETIMEDOUT), "!ETIMEDOUT");
	CHECK_INT(ipc_size(o), 0);
	CHECK_INT(give(o, a, CMD_NOTIFY, -1), -EINVAL);
	CHECK_INT(give(o, a, CMD_ADD, 1), -EINVAL);
}

TEST(cond_with_lock)
{
	struct ipc_obj *o = obj_new(IPC_COND);
	ref_t a = h_open(o), b = h_open(o), w;

	CHECK_INT(lock_it(o, a, LOCK_EX), 0);
	CHECK_STR(get(o, a), "!EAGAIN"); /* and the lock is still held */
	CHECK_INT(LOCK(o), 0);
	w = get_waits(o, a, OP_READ, 1);
	CHECK_INT(LOCK(o), 1);
	CHECK_INT(lock_it(o, b, LOCK_EX), 0);
	CHECK_INT(give(o, b, CMD_NOTIFY, 1), 0);
	CHECK_INT(ipc_size(o), 0);
	CHECK_STR(finish(o, w), "!WAITS"); /* it has its notify, not the lock */
	CHECK_INT(lock_it(o, b, LOCK_UN), 0);
	CHECK_STR(finish(o, w), "1\n");
	CHECK_INT(lock_it(o, b, LOCK_EX), -EAGAIN);
	CHECK_INT(lock_it(o, a, LOCK_UN), 0);
	CHECK_INT(LOCK(o), 1);
}

TEST(cond_many_relock)
{
	struct ipc_obj *o = obj_new(IPC_COND);
	ref_t h[5], w[5], x = h_open(o), last;

	for (unsigned int i = 0; i < 5; i++) {
		h[i] = h_open(o);
		CHECK_INT(lock_it(o, h[i], LOCK_EX), 0);
		w[i] = get_waits(o, h[i], OP_READ, i + 1);
	}
	CHECK_INT(lock_it(o, x, LOCK_EX), 0);
	CHECK_INT(give(o, x, CMD_NOTIFY, CMD_ALL), 0);
	last = lock_waits(o, h_open(o), LOCK_EX, 9);
	CHECK_INT(lock_it(o, x, LOCK_UN), 0);
	for (unsigned int i = 0; i < 5; i++) {
		CHECK_STR(finish(o, last), "!WAITS");
		CHECK_STR(finish(o, w[i]), "1\n");
		if (i < 4)
			CHECK_STR(finish(o, w[i + 1]), "!WAITS");
		CHECK_INT(lock_it(o, h[i], LOCK_UN), 0);
	}
	CHECK_STR(finish(o, last), "0");
}

TEST(cond_time_limit)
{
	struct ipc_obj *o = obj_new(IPC_COND);
	ref_t a = h_open(o), b = h_open(o), w;

	CHECK_INT(lock_it(o, a, LOCK_EX), 0);
	w = get_waits(o, a, OP_READ, 1);
	CHECK_INT(lock_it(o, b, LOCK_EX), 0);
	CHECK_STR(leave(o, w, -ETIMEDOUT), "!WAITS");
	CHECK_INT(waiter_at(o, w)->deadline, IPC_NEVER);
	CHECK_INT(ipc_size(o), 0);
	CHECK_INT(give(o, b, CMD_NOTIFY, 1), 0); /* too late for it */
	CHECK_STR(finish(o, w), "!WAITS");
	CHECK_INT(lock_it(o, b, LOCK_UN), 0);
	CHECK_STR(finish(o, w), "!ETIMEDOUT");
	CHECK(hold_find(o, a, OP_FLOCK));

	/* A time limit that passes after the notify changes nothing. */
	w = get_waits(o, a, OP_READ, 2);
	CHECK_INT(lock_it(o, b, LOCK_EX), 0);
	CHECK_INT(give(o, b, CMD_NOTIFY, 1), 0);
	CHECK_STR(leave(o, w, -ETIMEDOUT), "!WAITS");
	CHECK_INT(lock_it(o, b, LOCK_UN), 0);
	CHECK_STR(finish(o, w), "1\n");
}

TEST(cond_interrupted)
{
	struct ipc_obj *o = obj_new(IPC_COND);
	ref_t a = h_open(o), b = h_open(o), w;

	CHECK_INT(lock_it(o, a, LOCK_EX), 0);
	w = get_waits(o, a, OP_READ, 1);
	CHECK_STR(leave(o, w, -EINTR), "!EINTR");
	CHECK_INT(LOCK(o), 1);
	CHECK_INT(ipc_size(o), 1); /* it is still queued */
	CHECK_INT(ipc_poll(o, a), POLLOUT);
	CHECK_STR(get(o, a), "!EAGAIN");
	CHECK_INT(lock_it(o, b, LOCK_EX), 0);
	CHECK_INT(give(o, b, CMD_NOTIFY, 1), 0);
	CHECK_INT(ipc_size(o), 0);
	CHECK_INT(ipc_poll(o, a), POLLOUT); /* notified, but the lock is not free */
	CHECK_STR(get(o, a), "!EAGAIN");
	CHECK_INT(lock_it(o, b, LOCK_UN), 0); /* the parked one does not get it */
	CHECK_INT(LOCK(o), 1);
	CHECK_INT(ipc_poll(o, a), POLLIN | POLLOUT);
	CHECK_STR(get(o, a), "1\n");
	CHECK_INT(LOCK(o), 0);
	CHECK(hold_find(o, a, OP_FLOCK));
	CHECK_INT(o->h->waitqs[0].count + o->h->waitqs[1].count, 0);
}

TEST(cond_interrupted_goes_on)
{
	struct ipc_obj *o = obj_new(IPC_COND);
	ref_t a = h_open(o), b = h_open(o), w, v, u;

	CHECK_INT(lock_it(o, a, LOCK_EX), 0);
	w = get_waits(o, a, OP_READ, 1);
	v = get_waits(o, b, OP_READ, 2);
	CHECK_STR(leave(o, w, -EINTR), "!EINTR");
	CHECK_INT(get_waits(o, a, OP_READ, 3), w); /* in its old place */
	CHECK_INT(ipc_find_waiter(o, 3), w);
	CHECK_INT(give(o, b, CMD_NOTIFY, 1), 0);
	CHECK_STR(finish(o, v), "!WAITS");
	CHECK_STR(finish(o, w), "1\n");
	CHECK_INT(LOCK(o), 0);
	CHECK_INT(give(o, b, CMD_NOTIFY, 1), 0);
	CHECK_STR(finish(o, v), "1\n");

	/* Notified and interrupted on the way to the lock; again; and then it waits for the lock. */
	w = get_waits(o, a, OP_READ, 4);
	CHECK_INT(lock_it(o, b, LOCK_EX), 0);
	CHECK_INT(give(o, b, CMD_NOTIFY, 1), 0);
	CHECK_STR(leave(o, w, -EINTR), "!EINTR");
	CHECK_INT(get_waits(o, a, OP_READ, 5), w);
	CHECK_STR(leave(o, w, -EINTR), "!EINTR");
	u = get_waits(o, a, OP_READ, 6);
	CHECK_INT(lock_it(o, b, LOCK_UN), 0);
	CHECK_STR(finish(o, u), "1\n");
	CHECK_INT(handle_at(o, a)->parked, 0);
}

/* It has taken the lock anew in the meantime: reading gives it up again. */
TEST(cond_interrupted_relocked)
{
	struct ipc_obj *o = obj_new(IPC_COND);
	ref_t a = h_open(o), b = h_open(o), w;

	w = get_waits(o, a, OP_READ, 1);
	CHECK_STR(leave(o, w, -EINTR), "!EINTR");
	CHECK_INT(lock_it(o, a, LOCK_EX), 0);
	w = get_waits(o, a, OP_READ, 2);
	CHECK_INT(LOCK(o), 1);
	CHECK_STR(leave(o, w, -EINTR), "!EINTR");
	CHECK_INT(give(o, b, CMD_NOTIFY, 1), 0);
	CHECK_INT(lock_it(o, a, LOCK_EX), 0);
	CHECK_STR(get(o, a), "1\n");
	CHECK_INT(LOCK(o), 0);
}

TEST(cond_gives_up)
{
	struct ipc_obj *o = obj_new(IPC_COND);
	ref_t a = h_open(o), b = h_open(o), w[3];

	for (unsigned int how = 0; how < 2; how++) {
		CHECK_INT(lock_it(o, a, LOCK_EX), 0);
		w[0] = get_waits(o, a, OP_READ, 1);
		w[1] = get_waits(o, b, OP_READ, 2);
		w[2] = get_waits(o, b, OP_READ, 3);
		CHECK_STR(leave(o, w[0], -EINTR), "!EINTR");
		CHECK_INT(give(o, b, CMD_NOTIFY, 1), 0);
		CHECK_STR(finish(o, w[1]), "!WAITS");
		if (how == 0)
			CHECK_INT(lock_it(o, a, LOCK_UN), 0);
		else
			close_it(o, a);
		CHECK_STR(finish(o, w[1]), "1\n");
		CHECK_STR(finish(o, w[2]), "!WAITS");
		CHECK_INT(give(o, b, CMD_NOTIFY, 1), 0);
		CHECK_STR(finish(o, w[2]), "1\n");
	}
	CHECK_INT(ipc_size(o), 0);
}

TEST(cond_cancel)
{
	struct ipc_obj *o = obj_new(IPC_COND);
	ref_t a = h_open(o), b = h_open(o), c = h_open(o), w[4];

	CHECK_INT(lock_it(o, a, LOCK_EX), 0);
	w[0] = get_waits(o, a, OP_READ, 1);
	CHECK_INT(lock_it(o, b, LOCK_EX), 0);
	w[1] = get_waits(o, c, OP_READ, 2);
	w[2] = lock_waits(o, c, LOCK_EX, 3);
	CHECK_INT(ipc_cancel(o, 0), 3);
	ipc_pump(o);
	CHECK_STR(finish(o, w[1]), "!ECANCELED");
	CHECK_STR(finish(o, w[2]), "!ECANCELED");
	CHECK_STR(finish(o, w[0]), "!WAITS");
	CHECK_INT(lock_it(o, b, LOCK_UN), 0);
	CHECK_STR(finish(o, w[0]), "!ECANCELED");
	CHECK(hold_find(o, a, OP_FLOCK));

	/* One that was interrupted learns of it when it reads again, with the lock. */
	w[0] = get_waits(o, a, OP_READ, 4);
	CHECK_STR(leave(o, w[0], -EINTR), "!EINTR");
	CHECK_INT(ipc_cancel(o, 100), 1);
	CHECK_INT(ipc_size(o), 0);
	CHECK_STR(get(o, a), "!ECANCELED");
	CHECK(hold_find(o, a, OP_FLOCK));
	CHECK_INT(handle_at(o, a)->waiters, 0);
}

/* A daemon died between a notify and its handing out: who was meant is certain. */
TEST(cond_in_between)
{
	struct ipc_obj *o = obj_new(IPC_COND);
	struct ipc_call c;
	struct ipc_cmd cmd = { .verb = CMD_NOTIFY, .n = 2 };
	ref_t a = h_open(o), w[4];
	int64_t ret;

	for (unsigned int i = 0; i < 4; i++)
		w[i] = get_waits(o, a, OP_READ, i + 1);
	c = call_new(a, OP_WRITE);
	CHECK_INT(ipc_give(o, &c, &cmd), 0);
	CHECK(!ipc_leave(o, w[1], -ETIMEDOUT, &ret)); /* it has been notified */
	CHECK(ipc_leave(o, w[2], -ETIMEDOUT, &ret));
	ipc_pump(o);
	CHECK_STR(finish(o, w[1]), "1\n");
	CHECK_STR(finish(o, w[0]), "1\n");
	CHECK_STR(finish(o, w[3]), "!WAITS");
}

TEST(cond_lent)
{
	struct ipc_obj *o = obj_new(IPC_COND);
	ref_t a = h_open(o), b = h_open(o), w;
	struct ipc_call c = call_new(a, OP_READ);
	struct ipc_lent l;
	int64_t ret;

	c.unique = 1;
	c.lent = (struct ipc_lent){ .handle = 99, .gen = 3 };
	CHECK_INT(ipc_read(o, &c), IPC_WAIT);
	w = c.waiter;
	CHECK(ipc_cond_lent(o, w, &l));
	CHECK(l.handle == 99 && l.gen == 3);
	CHECK_INT(give(o, b, CMD_NOTIFY, 1), 0);
	CHECK_INT(waiter_at(o, w)->state, WAITER_GRANTED);
	ipc_cond_park(o, w); /* interrupted while it retook the lock */
	CHECK_INT(ipc_poll(o, a), POLLIN | POLLOUT);
	CHECK_INT(get_waits(o, a, OP_READ, 2), w); /* granted already */
	CHECK_STR(finish(o, w), "1\n");

	c = call_new(a, OP_READ);
	c.unique = 3;
	c.lent = l;
	CHECK_INT(ipc_read(o, &c), IPC_WAIT);
	CHECK(!ipc_leave(o, c.waiter, -ETIMEDOUT, &ret));
	CHECK(ipc_cond_lent(o, c.waiter, &l));
	ipc_cond_park(o, c.waiter);
	CHECK_INT(get_waits(o, a, OP_READ, 4), c.waiter);
	CHECK_STR(finish(o, c.waiter), "!ETIMEDOUT");
}

/* ---- by chance, against a count of all notifies ---- */

#define HANDLES 6

static struct {
	struct ipc_obj *o;
	ref_t h[HANDLES], w[HANDLES]; /* w: the handle waits, or stands parked */
	bool parked[HANDLES];
	uint64_t unique;
	long given, seen, lost;
} m;

static bool notified(ref_t w)
{
	return waiter_at(m.o, w)->flags & WAITER_NOTIFIED;
}

static void pick_up(void)
{
	for (unsigned int i = 0; i < HANDLES; i++)
		if (m.w[i] && !m.parked[i] && waiter_at(m.o, m.w[i])->state == WAITER_GRANTED) {
			const char *s = finish(m.o, m.w[i]);

			m.seen += !strcmp(s, "1\n");
			CHECK(*s == '1' || !strcmp(s, "!ETIMEDOUT") || !strcmp(s, "!ECANCELED") ||
			      !strcmp(s, "0"));
			m.w[i] = 0;
		}
}

static void wait_on(unsigned int i)
{
	struct ipc_call c = call_new(m.h[i], OP_READ);
	int r;

	c.unique = ++m.unique;
	r = ipc_read(m.o, &c);
	m.parked[i] = false;
	m.w[i] = r == IPC_WAIT ? c.waiter : 0;
	m.seen += r == 0;
	CHECK(r >= 0 || r == -ETIMEDOUT || r == -ECANCELED);
}

/* Whoever gives up passes a notify on, or it is lost if nobody waits. */
static void give_up_at(unsigned int i)
{
	m.lost += m.w[i] && notified(m.w[i]) && waiter_at(m.o, m.w[i])->state != WAITER_GRANTED &&
		  !ipc_size(m.o);
	m.w[i] = 0;
	m.parked[i] = false;
}

static void step(unsigned int i, unsigned int what)
{
	struct ipc_obj *o = m.o;
	int64_t ret;
	uint64_t n;

	switch (what) {
	case 0:
	case 1:
		if (!m.w[i] || m.parked[i])
			wait_on(i);
		break;
	case 2:
		if (!m.w[i] || m.parked[i])
			lock_it(o, m.h[i], LOCK_EX);
		break;
	case 3:
		if (m.parked[i])
			give_up_at(i);
		if (!m.w[i])
			lock_it(o, m.h[i], LOCK_UN);
		break;
	case 4:
		n = (uint64_t)(rand() % 3);
		m.given += (long)(n < ipc_size(o) ? n : ipc_size(o));
		give(o, m.h[i], CMD_NOTIFY, (int64_t)n);
		break;
	case 5:
		if (m.w[i] && !m.parked[i]) {
			if (ipc_leave(o, m.w[i], -EINTR, &ret))
				m.parked[i] = true;
		}
		break;
	case 6:
		if (m.w[i] && !m.parked[i] && ipc_leave(o, m.w[i], -ETIMEDOUT, &ret))
			m.w[i] = 0;
		break;
	case 7:
		give_up_at(i);
		close_it(o, m.h[i]);
		m.h[i] = h_open(o);
		break;
	default:
		if (rand() % 4 == 0)
			ipc_cancel(o, 0);
	}
	ipc_pump(o);
}

TEST(cond_by_chance)
{
	m.o = obj_new(IPC_COND);
	m.given = m.seen = m.lost = 0;
	for (unsigned int i = 0; i < HANDLES; i++) {
		m.h[i] = h_open(m.o);
		m.w[i] = 0;
		m.parked[i] = false;
	}
	srand(5);
	for (unsigned int n = 0; n < 30000; n++) {
		long on_the_way = 0;

		step((unsigned int)rand() % HANDLES, (unsigned int)rand() % 9);
		obj_ok(m.o, "a step");
		pick_up();
		for (unsigned int i = 0; i < HANDLES; i++)
			on_the_way += m.w[i] && notified(m.w[i]);
		CHECK_INT(m.seen + m.lost + on_the_way, m.given);
	}
	CHECK(m.seen > 1000 && m.lost > 10);
}
