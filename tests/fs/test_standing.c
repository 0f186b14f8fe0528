/* SPDX-License-Identifier: MIT */
/* Conditions whose lock is another object, with O_NONBLOCK: queued without the lock. */
#include <poll.h>
#include <sys/file.h>

#include "calls.h"
#include "wait/pollers.h"

#define KH 4711u
#define NB O_NONBLOCK

static struct file cond, own, other, notifier; /* handles of the condition and the lock */

static uint32_t poll_with(const struct file *f, uint64_t kh)
{
	const struct request *r = k_answer(q_poll(f, kh, POLLIN));

	CHECK_INT(r->error, 0);
	return ((struct fuse_poll_out *)r->data)->revents & POLLIN;
}

/* A process has the lock by `own`, and somebody else may ask for it by `other`. */
static void scene(const char *lock)
{
	daemon_clean();
	daemon_start();
	make(lock);
	make("a.cond");
	CHECK_INT((int)strlen(lock), atoi(say("a.cond.ctl/lock", lock)));
	cond = open_name("a.cond", BOTH | NB);
	own = open_name(lock, BOTH);
	k.pid++;
	other = open_name(lock, BOTH);
	notifier = open_name("a.cond", WO);
	k.pid--;
	CHECK_STR(f_lock(&own, LOCK_EX), "ok");
}

/* Is the lock held? By asking for it as somebody else. */
static bool is_held(void)
{
	bool held;

	k.pid++;
	held = strcmp(f_lock(&other, LOCK_EX | LOCK_NB), "ok");
	if (!held)
		CHECK_STR(f_lock(&other, LOCK_UN), "ok");
	k.pid--;
	return held;
}

static void others_lock(int how)
{
	k.pid++;
	CHECK_STR(f_lock(&other, how), "ok");
	k.pid--;
}

TEST(standing_gives_up_the_other_lock_and_takes_it_back)
{
	static const char *const locks[] = { "a.lock", "a.rlock" };

	for (unsigned int i = 0; i < 2; i++) {
		scene(locks[i]);
		CHECK_STR(f_get(&cond), "!EAGAIN");
		CHECK(!is_held());
		CHECK_INT(size_of(cond.ino), 1);
		CHECK_INT(poll_with(&cond, KH), 0);
		CHECK_STR(f_get(&cond), "!EAGAIN"); /* it stands there once */
		CHECK_INT(size_of(cond.ino), 1);
		CHECK_STR(f_put(&notifier, "1"), "1");
		k_sync();
		CHECK_INT(k.n_polls, 1);
		CHECK(!is_held()); /* only its read takes it */
		CHECK_INT(poll_with(&cond, KH), POLLIN);
		CHECK_STR(f_get(&cond), "1\n");
		CHECK(is_held());
		CHECK_STR(f_lock(&own, LOCK_UN), "ok");
		CHECK(!is_held());
		CHECK_INT(size_of(cond.ino), 0);
		daemon_end();
	}
}

TEST(standing_polls_for_the_other_lock)
{
	poll_interval_ms = 1000000;
	scene("a.lock");
	CHECK_STR(f_get(&cond), "!EAGAIN");
	CHECK_INT(poll_with(&cond, KH), 0);
	others_lock(LOCK_EX);
	CHECK_STR(f_put(&notifier, "1"), "1");
	k_sync();
	CHECK_INT(k.n_polls, 1);
	for (unsigned int i = 1; i < 4; i++) {
		CHECK_STR(f_get(&cond), "!EAGAIN"); /* and nobody polls anew: as with EPOLLET */
		CHECK_INT(ready(&cond) & POLLIN, 0);
		k_sync();
		CHECK_INT(k.n_polls, i);
		others_lock(LOCK_UN);
		k_sync();
		CHECK_INT(k.n_polls, i + 1);
		CHECK_INT(k.polls[i], KH);
		others_lock(LOCK_EX); /* quicker than it */
		CHECK_INT(poll_with(&cond, KH), 0);
		others_lock(LOCK_UN);
		k_sync();
		CHECK_INT(k.n_polls, i + 2);
		CHECK_INT(poll_with(&cond, KH), POLLIN);
		others_lock(LOCK_EX);
		k.n_polls = i + 1;
	}
	others_lock(LOCK_UN);
	CHECK_STR(f_get(&cond), "1\n");
	CHECK(is_held());
	daemon_end();
	poll_interval_ms = 50;
}

/* It asked for nothing until it got EAGAIN for the lock. */
TEST(standing_polls_late)
{
	scene("a.lock");
	CHECK_STR(f_get(&cond), "!EAGAIN");
	others_lock(LOCK_EX);
	CHECK_STR(f_put(&notifier, "1"), "1");
	CHECK_STR(f_get(&cond), "!EAGAIN");
	CHECK_INT(poll_with(&cond, KH), 0);
	others_lock(LOCK_UN);
	k_sync();
	CHECK_INT(k.n_polls, 1);
	CHECK_INT(poll_with(&cond, KH), POLLIN);
	CHECK_STR(f_get(&cond), "1\n");
	daemon_end();
}

/* Who has its answer does not want the lock any more, and is told nothing of it. */
TEST(standing_polls_no_longer)
{
	for (unsigned int how = 0; how < 3; how++) {
		unsigned int n;

		scene("a.lock");
		CHECK_STR(f_get(&cond), "!EAGAIN");
		others_lock(LOCK_EX);
		CHECK_STR(f_put(&notifier, "1"), "1");
		CHECK_STR(f_get(&cond), "!EAGAIN");
		CHECK_INT(poll_with(&cond, KH), 0);
		if (how == 0)
			f_close(&cond);
		else if (how == 1)
			CHECK_STR(f_lock(&cond, LOCK_UN), "ok");
		others_lock(LOCK_UN);
		if (how == 2) {
			CHECK_STR(f_get(&cond), "1\n");
			CHECK_STR(f_lock(&own, LOCK_UN), "ok");
		}
		k_sync();
		n = k.n_polls;
		CHECK_INT(n, how == 2);
		others_lock(LOCK_EX);
		others_lock(LOCK_UN);
		k_sync();
		CHECK_INT(k.n_polls, n);
		if (how == 1) /* it gave its notify up */
			CHECK_STR(f_get(&cond), "!EAGAIN");
		daemon_end();
	}
}

/* A notify that its reader did not fetch is for the next. */
TEST(standing_passes_its_notify_on)
{
	for (unsigned int how = 0; how < 2; how++) {
		struct file next;

		scene("a.lock");
		CHECK_STR(f_get(&cond), "!EAGAIN");
		next = open_name("a.cond", RO | NB);
		CHECK_STR(f_get(&next), "!EAGAIN");
		CHECK_STR(f_put(&notifier, "1"), "1");
		CHECK_INT(ready(&next) & POLLIN, 0);
		if (how)
			f_close(&cond);
		else
			CHECK_STR(f_lock(&cond, LOCK_UN), "ok");
		CHECK_INT(ready(&next) & POLLIN, POLLIN);
		CHECK_STR(f_get(&next), "1\n");
		daemon_end();
	}
}

/* The time limit too is told with the lock. */
TEST(standing_time_limit_takes_the_lock_back)
{
	scene("a.lock");
	cond = open_name("a.cond@0.05", BOTH | NB);
	CHECK_STR(f_get(&cond), "!EAGAIN");
	poll_with(&cond, KH);
	while (k.n_polls < 1)
		CHECK(k_receive(k_patience()));
	CHECK(!is_held());
	CHECK_STR(f_get(&cond), "!ETIMEDOUT");
	CHECK(is_held());
	daemon_end();
}

/* Then it may wait: as one that always did. */
TEST(standing_then_blocks)
{
	rq n;

	scene("a.lock");
	CHECK_STR(f_get(&cond), "!EAGAIN");
	others_lock(LOCK_EX);
	CHECK_STR(f_put(&notifier, "1"), "1");
	CHECK_STR(f_get(&cond), "!EAGAIN");
	cond.flags &= ~NB;
	n = q_read(&cond);
	CHECK_STR(told(n), "!WAITS");
	daemon_kill_and_restart();
	CHECK_STR(told(n), "!WAITS");
	others_lock(LOCK_UN);
	CHECK_STR(told(n), "1\n");
	CHECK(is_held());
	daemon_end();
}

/* One that a signal interrupted reads again without waiting. */
TEST(standing_after_an_interrupt)
{
	rq n;

	scene("a.lock");
	cond.flags &= ~NB;
	n = q_read(&cond);
	CHECK_STR(told(n), "!WAITS");
	interrupt(n);
	CHECK_STR(told(n), "!EINTR");
	cond.flags |= NB;
	CHECK_STR(f_get(&cond), "!EAGAIN");
	CHECK_INT(size_of(cond.ino), 1);
	CHECK_STR(f_put(&notifier, "1"), "1");
	CHECK_INT(ready(&cond) & POLLIN, POLLIN);
	CHECK_STR(f_get(&cond), "1\n");
	CHECK(is_held());
	daemon_end();
}

/* The handle that had the lock is closed, or the lock's name is gone. */
TEST(standing_without_what_it_lent)
{
	for (unsigned int how = 0; how < 2; how++) {
		scene("a.lock");
		CHECK_STR(f_get(&cond), "!EAGAIN");
		others_lock(LOCK_EX);
		CHECK_STR(f_put(&notifier, "1"), "1");
		CHECK_STR(f_get(&cond), "!EAGAIN");
		if (how == 0)
			f_close(&own);
		else
			CHECK_STR(told(q_unlink(DIR_ROOT, "a.lock")), "ok");
		CHECK_INT(poll_with(&cond, KH), how == 0 ? POLLIN : 0);
		if (how)
			others_lock(LOCK_UN);
		CHECK_STR(f_get(&cond), "1\n");
		daemon_end();
	}
}

/* The lock is stalled as it is asked for: told when it is known. */
TEST(standing_polls_for_a_stalled_lock)
{
	scene("a.lock");
	CHECK_STR(f_get(&cond), "!EAGAIN");
	others_lock(LOCK_EX);
	CHECK_STR(f_put(&notifier, "1"), "1");
	CHECK_STR(f_get(&cond), "!EAGAIN");
	CHECK_INT(poll_with(&cond, KH), 0);
	others_lock(LOCK_UN);
	k_sync();
	CHECK_INT(k.n_polls, 1);
	engine_stall(own.ino);
	CHECK_INT(poll_with(&cond, KH), 0);
	engine_go_on(own.ino);
	while (k.n_polls < 2)
		CHECK(k_receive(k_patience()));
	CHECK_INT(poll_with(&cond, KH), POLLIN);
	CHECK_STR(f_get(&cond), "1\n");
	CHECK(is_held());
	daemon_end();
}

/* A worker that dies at any store of each step: nothing is lost, and nobody waits for ever. */
enum { STAND, NOTIFIED, FETCH_BUSY, POLLED, UNLOCKED, FETCH, STEPS };

static void before(unsigned int step)
{
	scene("a.lock");
	if (step > STAND) {
		CHECK_STR(f_get(&cond), "!EAGAIN");
		CHECK_INT(poll_with(&cond, KH), 0);
		others_lock(LOCK_EX);
	}
	if (step > NOTIFIED)
		CHECK_STR(f_put(&notifier, "1"), "1");
	if (step > FETCH_BUSY)
		CHECK_STR(f_get(&cond), "!EAGAIN");
	if (step > POLLED)
		CHECK_INT(poll_with(&cond, KH), 0);
	if (step > UNLOCKED)
		others_lock(LOCK_UN);
	k_sync();
}

static rq act(unsigned int step)
{
	switch (step) {
	case NOTIFIED:
		return q_put(&notifier, "1");
	case POLLED:
		return q_poll(&cond, KH, POLLIN);
	case UNLOCKED:
		return q_flock(&other, LOCK_UN);
	default:
		return q_read(&cond);
	}
}

static void goes_on(unsigned int step)
{
	unsigned int n = k.n_polls;

	if (step == STAND) {
		CHECK_INT(poll_with(&cond, KH), 0);
		CHECK(!is_held());
		others_lock(LOCK_EX);
	}
	if (step < NOTIFIED)
		CHECK_STR(f_put(&notifier, "1"), "1");
	if (step < FETCH_BUSY)
		CHECK_STR(f_get(&cond), "!EAGAIN");
	if (step < UNLOCKED) {
		k_sync();
		n = k.n_polls;
		others_lock(LOCK_UN);
		k_sync();
		CHECK(k.n_polls > n);
	}
	if (step < FETCH)
		CHECK_STR(f_get(&cond), "1\n");
	CHECK(is_held());
	CHECK_INT(size_of(cond.ino), 0);
	CHECK_STR(f_lock(&own, LOCK_UN), "ok");
	CHECK(!is_held());
}

TEST(standing_and_deaths)
{
	static const char *const answer[STEPS] = {
		[STAND] = "!EAGAIN", [NOTIFIED] = "1",  [FETCH_BUSY] = "!EAGAIN",
		[POLLED] = "ok",     [UNLOCKED] = "ok", [FETCH] = "1\n",
	};

	poll_interval_ms = 1000000;
	for (unsigned int step = 0; step < STEPS; step++)
		for (long at = 1;; at++) {
			unsigned int n;
			bool died;
			rq r;

			before(step);
			n = k.n_polls;
			daemon_fault(at);
			r = act(step);
			k_sync();
			died = daemon_died();
			if (died)
				daemon_restart();
			CHECK_STR(told(r), answer[step]);
			k_sync();
			if (step == NOTIFIED || step == UNLOCKED)
				CHECK(k.n_polls > n);
			goes_on(step);
			daemon_end();
			if (!died)
				break;
		}
	poll_interval_ms = 50;
}
