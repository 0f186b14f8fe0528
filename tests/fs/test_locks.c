/* SPDX-License-Identifier: MIT */
/*
 * How often a request, and what it makes possible for others, takes the object's lock. Each time
 * costs a direct client that works on the same object a wait: doc/architecture.md has the count.
 */
#include "calls.h"

#define MOST 4

static struct file r[MOST], w;
static rq waits[MOST];

/* Locks that are taken while this is dealt with, and what it makes possible. */
static unsigned long locks_of(rq (*ask)(void))
{
	unsigned long before;
	rq n;

	k_sync();
	before = daemon_locks();
	n = ask();
	k_sync();
	CHECK(k_answered(n));
	return daemon_locks() - before;
}

static rq put_one(void)
{
	return q_put(&w, "a\n");
}

static rq put_three(void)
{
	return q_put(&w, "a\nb\nc\n");
}

static rq get(void)
{
	return q_read(&r[0]);
}

static void begin(void)
{
	daemon_start();
	make("a.queue");
	w = open_name("a.queue", WO);
	for (unsigned int i = 0; i < MOST; i++)
		r[i] = open_name("a.queue", RO);
}

static void park_readers(unsigned int from, unsigned int to)
{
	for (unsigned int i = from; i < to; i++) {
		waits[i] = q_read(&r[i]);
		CHECK_STR(told(waits[i]), "!WAITS");
	}
}

TEST(locks_of_who_need_not_wait)
{
	begin();
	CHECK_INT(locks_of(put_one), 1);
	CHECK_INT(locks_of(get), 1);
	daemon_end();
}

/* One for the change, and one for all who are granted something by it, however many they are. */
TEST(locks_of_a_put_for_waiters)
{
	begin();
	park_readers(0, 1);
	CHECK_INT(locks_of(put_one), 2);
	CHECK_STR(told(waits[0]), "a\n");
	park_readers(1, 4);
	CHECK_INT(locks_of(put_three), 2);
	CHECK_STR(told(waits[1]), "a\n");
	CHECK_STR(told(waits[2]), "b\n");
	CHECK_STR(told(waits[3]), "c\n");
	daemon_end();
}

/* A writer acts itself when it has its turn: that takes the lock, its answer none. */
TEST(locks_of_a_turn)
{
	struct file v;
	rq n;

	begin();
	CHECK_STR(say("a.queue.ctl/maxsize", "1"), "1");
	v = open_name("a.queue", WO);
	CHECK_STR(f_put(&w, "a\n"), "2");
	n = q_put(&v, "b\n");
	CHECK_STR(told(n), "!WAITS");
	CHECK_INT(locks_of(get), 2);
	CHECK_STR(told(n), "2");
	daemon_end();
}

/* A lock that is given back goes to the next in the wait queue. */
static rq give_back(void)
{
	return q_flock(&r[0], LOCK_UN);
}

TEST(locks_of_a_hand_over)
{
	daemon_start();
	make("a.lock");
	r[0] = open_name("a.lock", BOTH);
	r[1] = open_name("a.lock", BOTH);
	CHECK_STR(f_lock(&r[0], LOCK_EX), "ok");
	waits[1] = q_flock(&r[1], LOCK_EX);
	CHECK_STR(told(waits[1]), "!WAITS");
	CHECK_INT(locks_of(give_back), 2);
	CHECK_STR(told(waits[1]), "ok");
	daemon_end();
}

/* A condition over another object's lock: each of the two is locked once. */
static rq take(void)
{
	return q_flock(&r[0], LOCK_EX);
}

static rq wait_for_notify(void)
{
	return q_read(&r[1]);
}

static rq notify(void)
{
	return q_put(&w, "1\n");
}

static rq close_first(void)
{
	return q_release(&r[0]);
}

TEST(locks_of_a_condition)
{
	daemon_start();
	make("a.lock");
	make("a.cond");
	CHECK_STR(say("a.cond.ctl/lock", "a.lock"), "6");
	r[0] = open_name("a.cond", BOTH);
	r[1] = open_name("a.cond", RO);
	w = open_name("a.cond", WO);
	CHECK_INT(locks_of(take), 2);
	CHECK_INT(locks_of(give_back), 2);
	CHECK_INT(locks_of(take), 2);
	CHECK_INT(locks_of(close_first), 2);
	waits[1] = wait_for_notify();
	CHECK_STR(told(waits[1]), "!WAITS");
	CHECK_INT(locks_of(notify), 2); /* it had not the lock, and need not take it back */
	CHECK_STR(told(waits[1]), "1\n");
	daemon_end();
}
