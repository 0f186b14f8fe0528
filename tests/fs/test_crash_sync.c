/* SPDX-License-Identifier: MIT */
/* Locks, semaphores, conditions, barriers and values, with the worker dying everywhere. */
#include "crash.h"
#include "client/lib.h"

CRASH(flock)

static void setup_flock(void)
{
	make("a.lock");
	f1 = open_name("a.lock", RO);
	f2 = open_name("a.lock", RO);
	f3 = open_name("a.lock", RO);
}

static void ask_flock(void)
{
	r1 = q_flock(&f1, LOCK_EX);
	r2 = q_flock(&f2, LOCK_EX);
}

static void verify_flock(void)
{
	CHECK_STR(told(r1), "ok");
	CHECK_STR(told(r2), "!WAITS");
	CHECK_STR(f_lock(&f1, LOCK_UN), "ok");
	CHECK_STR(told(r2), "ok");
	CHECK_STR(f_lock(&f3, LOCK_EX | LOCK_NB), "!EAGAIN");
	CHECK_STR(f_lock(&f2, LOCK_UN), "ok");
	CHECK_STR(f_lock(&f3, LOCK_EX | LOCK_NB), "ok");
}

CRASH(unlock)

static void setup_unlock(void)
{
	setup_flock();
	CHECK_STR(f_lock(&f1, LOCK_EX), "ok");
	r2 = q_flock(&f2, LOCK_SH);
	r3 = q_flock(&f3, LOCK_SH);
}

static void ask_unlock(void)
{
	r1 = q_flock(&f1, LOCK_UN);
}

static void verify_unlock(void)
{
	CHECK_STR(told(r1), "ok");
	CHECK_STR(told(r2), "ok");
	CHECK_STR(told(r3), "ok");
	CHECK_STR(f_lock(&f1, LOCK_EX | LOCK_NB), "!EAGAIN");
	CHECK_STR(f_lock(&f2, LOCK_UN), "ok");
	CHECK_STR(f_lock(&f1, LOCK_EX | LOCK_NB), "!EAGAIN");
	CHECK_STR(f_lock(&f3, LOCK_UN), "ok");
	CHECK_STR(f_lock(&f1, LOCK_EX | LOCK_NB), "ok");
}

/* A conversion gives up one lock and asks for the other. */
CRASH(convert)

static void setup_convert(void)
{
	setup_flock();
	CHECK_STR(f_lock(&f1, LOCK_EX), "ok");
}

static void ask_convert(void)
{
	r1 = q_flock(&f1, LOCK_SH);
	r2 = q_flock(&f2, LOCK_SH);
	r3 = q_flock(&f1, LOCK_EX);
}

static void verify_convert(void)
{
	CHECK_STR(told(r1), "ok");
	CHECK_STR(told(r2), "ok");
	CHECK_STR(told(r3), "!WAITS");
	CHECK_STR(f_lock(&f2, LOCK_UN), "ok");
	CHECK_STR(told(r3), "ok");
}

CRASH(flock_interrupted)

static void setup_flock_interrupted(void)
{
	setup_flock();
	CHECK_STR(f_lock(&f1, LOCK_EX), "ok");
	r2 = q_flock(&f2, LOCK_EX);
	r3 = q_flock(&f3, LOCK_EX);
}

static void ask_flock_interrupted(void)
{
	interrupt(r2);
}

static void verify_flock_interrupted(void)
{
	CHECK_STR(told(r2), "!EINTR");
	CHECK_STR(told(r3), "!WAITS");
	CHECK_STR(f_lock(&f1, LOCK_UN), "ok");
	CHECK_STR(told(r3), "ok");
}

CRASH(release_of_a_lock)

static void setup_release_of_a_lock(void)
{
	setup_flock();
	CHECK_STR(f_lock(&f1, LOCK_EX), "ok");
	r2 = q_flock(&f2, LOCK_EX);
}

static void ask_release_of_a_lock(void)
{
	r1 = q_release(&f1);
}

static void verify_release_of_a_lock(void)
{
	CHECK_STR(told(r1), "ok");
	CHECK_STR(told(r2), "ok");
	CHECK_STR(f_lock(&f3, LOCK_EX | LOCK_NB), "!EAGAIN");
	f_release(&f2);
	CHECK_STR(f_lock(&f3, LOCK_EX | LOCK_NB), "ok");
}

CRASH(rlock)

static void setup_rlock(void)
{
	make("a.rlock");
	f1 = open_name("a.rlock", BOTH);
	f2 = open_name("a.rlock", BOTH);
	CHECK_STR(f_get(&f1), "1\n");
	r4 = q_read(&f2);
}

static void ask_rlock(void)
{
	r1 = q_read(&f1);
	r2 = q_put(&f1, "1");
	r3 = q_read(&f1);
}

static void verify_rlock(void)
{
	CHECK_STR(told(r1), "2\n");
	CHECK_STR(told(r2), "1");
	CHECK_STR(told(r3), "2\n");
	CHECK_STR(f_put(&f1, "1\n"), "2");
	CHECK_STR(told(r4), "!WAITS");
	CHECK_STR(f_put(&f1, "1\n"), "2");
	CHECK_STR(told(r4), "1\n");
}

CRASH(sem_take)

static void setup_sem_take(void)
{
	make("a.sem");
	CHECK_STR(say("a.sem", "2"), "1");
	f1 = open_name("a.sem", BOTH);
	f2 = open_name("a.sem", RO);
}

static void ask_sem_take(void)
{
	r1 = q_read(&f1);
	r2 = q_flock(&f2, LOCK_EX);
	r3 = q_read(&f1);
}

static void verify_sem_take(void)
{
	CHECK_STR(told(r1), "1\n");
	CHECK_STR(told(r2), "ok");
	CHECK_STR(told(r3), "!WAITS");
	f_release(&f2);
	CHECK_STR(told(r3), "1\n");
	CHECK_STR(show_word("a.sem.ctl/value"), "0");
}

CRASH(sem_give)

static void setup_sem_give(void)
{
	make("a.sem");
	f1 = open_name("a.sem", BOTH);
	f2 = open_name("a.sem", RO);
	f3 = open_name("a.sem", RO);
	r2 = q_read(&f2);
	r3 = q_flock(&f3, LOCK_EX);
}

static void ask_sem_give(void)
{
	r1 = q_put(&f1, "1\n2\n4\n");
}

static void verify_sem_give(void)
{
	CHECK_STR(told(r1), "6");
	CHECK_STR(told(r2), "1\n");
	CHECK_STR(told(r3), "ok");
	CHECK_STR(show_word("a.sem.ctl/value"), "5");
}

/* With `undo`: what a handle took by reading and gives back, in one change or several. */
CRASH(sem_give_back)

static void setup_sem_give_back(void)
{
	make("a.sem");
	CHECK_STR(say("a.sem.ctl/undo", "1"), "1");
	CHECK_STR(say("a.sem", "50"), "2");
	f1 = open_name("a.sem", BOTH);
	for (uint32_t i = 0; i < 40; i++) {
		k.pid = 5000100 + i; /* a hold for each process that shares the descriptor */
		CHECK_STR(f_get(&f1), "1\n");
	}
}

static void ask_sem_give_back(void)
{
	r1 = q_put(&f1, "1\n37\n1\n");
}

static void verify_sem_give_back(void)
{
	CHECK_STR(told(r1), "7");
	CHECK_STR(show_word("a.sem.ctl/value"), "49");
	f_release(&f1);
	CHECK_STR(show_word("a.sem.ctl/value"), "50");
}

CRASH_OLD(sem_give_back)

CRASH(event)

static void setup_event(void)
{
	make("a.event");
	f1 = open_name("a.event", WO);
	f2 = open_name("a.event", RO);
	f3 = open_name("a.event", BOTH);
	r2 = q_read_at(&f2, 1, 0);
	r3 = q_read(&f3);
}

static void ask_event(void)
{
	r1 = q_put(&f1, "set\nclear\n");
}

static void verify_event(void)
{
	CHECK_STR(told(r1), "10");
	CHECK_STR(told(r2), "1");
	CHECK_STR(told(r3), "1\n");
	CHECK_STR(told(q_read_at(&f2, 10, 1)), "\n");
	CHECK_STR(told(q_read(&f3)), "!WAITS");
}

CRASH(condition)

static void setup_condition(void)
{
	make("a.cond");
	f1 = open_name("a.cond", BOTH);
	f2 = open_name("a.cond", BOTH);
	CHECK_STR(f_lock(&f1, LOCK_EX), "ok");
	r1 = q_read(&f1);
	CHECK_STR(f_lock(&f2, LOCK_EX), "ok");
}

static void ask_condition(void)
{
	r2 = q_put(&f2, "1");
	r3 = q_flock(&f2, LOCK_UN);
}

static void verify_condition(void)
{
	CHECK_STR(told(r2), "1");
	CHECK_STR(told(r3), "ok");
	CHECK_STR(told(r1), "1\n");
	CHECK_STR(f_lock(&f2, LOCK_EX | LOCK_NB), "!EAGAIN");
	CHECK_STR(f_lock(&f1, LOCK_UN), "ok");
	CHECK_STR(f_lock(&f2, LOCK_EX | LOCK_NB), "ok");
	CHECK_STR(told(q_read(&f1)), "!WAITS"); /* no notify is left */
}

/* The wait itself: gives up the lock, exactly once. */
CRASH(condition_wait)

static void setup_condition_wait(void)
{
	make("a.cond");
	f1 = open_name("a.cond", BOTH);
	f2 = open_name("a.cond", BOTH);
	CHECK_STR(f_lock(&f1, LOCK_EX), "ok");
	r2 = q_flock(&f2, LOCK_EX);
}

static void ask_condition_wait(void)
{
	r1 = q_read(&f1);
}

static void verify_condition_wait(void)
{
	CHECK_STR(told(r2), "ok");
	CHECK_STR(told(r1), "!WAITS");
	CHECK_STR(f_put(&f2, "all"), "3");
	CHECK_STR(told(r1), "!WAITS");
	CHECK_STR(f_lock(&f2, LOCK_UN), "ok");
	CHECK_STR(told(r1), "1\n");
}

CRASH(barrier)

static void setup_barrier(void)
{
	make("a.barrier");
	CHECK_STR(say("a.barrier", "3"), "1");
	f1 = open_name("a.barrier", BOTH);
	f2 = open_name("a.barrier", BOTH);
	f3 = open_name("a.barrier", RO);
	r1 = q_read(&f1);
	r2 = q_read(&f2);
}

static void ask_barrier(void)
{
	r3 = q_read(&f3);
}

static void verify_barrier(void)
{
	CHECK_STR(told(r1), "0\n");
	CHECK_STR(told(r2), "1\n");
	CHECK_STR(told(r3), "2\n");
	r1 = q_read(&f1);
	r2 = q_read(&f2);
	CHECK_STR(told(r1), "!WAITS");
	CHECK_STR(told(r2), "!WAITS");
	f_release(&f3);
	CHECK_STR(told(r1), "!WAITS"); /* it had its answer: it breaks nothing */
}

CRASH(value)

static void setup_value(void)
{
	make("a.value");
	CHECK_STR(say("a.value", "5"), "1");
	f1 = open_name("a.value", BOTH);
	f2 = open_name("a.value", BOTH);
}

static void ask_value(void)
{
	r1 = q_put(&f1, "+=2");
	r2 = q_put(&f2, "-=1\n");
	r3 = q_read_at(&f1, 4096, 3); /* where the write left the position */
}

static void verify_value(void)
{
	CHECK_STR(told(r1), "3");
	CHECK_STR(told(r2), "4");
	CHECK_STR(told(r3), "7\n"); /* what its own write made of it */
	CHECK_STR(f_get(&f2), "6\n");
}

CRASH_OLD(value)

/* What libipcfs asks for: one request that adds and says what that made. */
CRASH(value_add)

static void setup_value_add(void)
{
	setup_value();
}

static void ask_value_add(void)
{
	struct lib_add a = { .n = 2, .wants_value = 1 }, b = { .n = -1 };

	r1 = q_ioctl_data(&f1, LIB_IOC_ADD, &a);
	r2 = q_ioctl_data(&f2, LIB_IOC_ADD, &b);
	r3 = q_ioctl_data(&f2, LIB_IOC_ADD, &a);
}

static int64_t made(rq r)
{
	struct lib_add a;

	memcpy(&a, k_answer(r)->data + sizeof(struct fuse_ioctl_out), sizeof(a));
	return a.made;
}

static void verify_value_add(void)
{
	CHECK_STR(told(r1), "ok");
	CHECK_STR(told(r2), "ok");
	CHECK_STR(told(r3), "ok");
	CHECK_INT(made(r1), 7);
	CHECK_INT(made(r3), 8);
	CHECK_STR(f_get(&f1), "8\n"); /* neither add left an answer behind */
	CHECK_STR(f_get(&f2), "8\n");
}

CRASH_OLD(value_add)

CRASH(cas)

static void setup_cas(void)
{
	setup_value();
}

static void ask_cas(void)
{
	r1 = q_put(&f1, "cas 5 6");
	r2 = q_put(&f2, "cas 5 7");
}

static void verify_cas(void)
{
	CHECK_STR(told(r1), "7");
	CHECK_STR(told(r2), "!EAGAIN");
	CHECK_STR(show("a.value"), "6\n");
}

CRASH_OLD(cas)
