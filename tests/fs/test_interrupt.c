/* SPDX-License-Identifier: MIT */
/* A signal while a request waits, at each moment at which it can come. */
#include "waits.h"

/* A lease has a number, which tells how often it was tried before. */
static const char *answer_of(const struct wait *w, unsigned int lease)
{
	static char text[32];

	if (w->answer)
		return w->answer;
	snprintf(text, sizeof(text), "%u\tnew\n", lease);
	return text;
}

static rq must_wait(const struct wait *w, const struct file *f)
{
	rq r = w->ask(f);

	IN_WAIT(w, told(r), "!WAITS");
	return r;
}

static void must_get(const struct wait *w, rq r)
{
	IN_WAIT(w, told(r), answer_of(w, 1));
}

static void interrupt_it(const struct wait *w, rq r)
{
	interrupt(r);
	IN_WAIT(w, told(r), "!EINTR");
}

/* What an interrupted request waited for is the next one's. */
static void grant_to(const struct wait *w, rq r)
{
	w->grant();
	must_get(w, r);
}

/* A test that goes through every request that can wait, with two files open for it. */
#define INTERRUPT(id)                                                         \
	static void scene_##id(const struct wait *w, const struct file f[2]); \
	TEST(interrupt_##id)                                                  \
	{                                                                     \
		EACH_WAIT(w)                                                  \
		{                                                             \
			struct file f[2];                                     \
                                                                              \
			wait_begin(w, f);                                     \
			scene_##id(w, f);                                     \
			daemon_end();                                         \
		}                                                             \
	}                                                                     \
	static void scene_##id(const struct wait *w, const struct file f[2])

INTERRUPT(while_parked)
{
	rq a = must_wait(w, &f[0]), b = must_wait(w, &f[1]);

	interrupt_it(w, a);
	grant_to(w, b);
}

INTERRUPT(before_its_request)
{
	rq a;

	interrupt(k_next() + 1);
	a = w->ask(&f[0]);
	IN_WAIT(w, told(a), "!EINTR");
	CHECK_INT(k.again, 0);
	grant_to(w, must_wait(w, &f[1]));
}

/* Nothing to wait for: the call has its answer, whatever the signal. */
INTERRUPT(of_what_need_not_wait)
{
	w->grant();
	interrupt(k_next() + 1);
	must_get(w, w->ask(&f[0]));
}

INTERRUPT(after_the_grant)
{
	rq a = must_wait(w, &f[0]), b;

	w->grant();
	interrupt(a);
	interrupt(a);
	must_get(w, a);
	b = w->ask(&f[1]); /* must not be taken for the interrupted one */
	k_sync();
	CHECK(k.reqs[b].answered == false || k.reqs[b].error == 0);
}

INTERRUPT(twice)
{
	rq a = must_wait(w, &f[0]), b;

	interrupt(a);
	interrupt(a);
	b = w->ask(&f[1]);
	interrupt(a);
	IN_WAIT(w, told(a), "!EINTR");
	IN_WAIT(w, told(b), "!WAITS");
	interrupt_it(w, b);
	w->grant();
	must_get(w, w->ask(&f[0])); /* both stand outside: it is the first again */
}

/* The same handle waits twice, as threads that share a descriptor do. */
INTERRUPT(one_of_two_on_a_handle)
{
	rq a = must_wait(w, &f[0]), b = must_wait(w, &f[0]);

	interrupt_it(w, a);
	IN_WAIT(w, told(b), "!WAITS");
	grant_to(w, b);
}

INTERRUPT(after_a_restart)
{
	rq a = must_wait(w, &f[0]), b = must_wait(w, &f[1]);

	daemon_kill_and_restart();
	interrupt_it(w, a);
	grant_to(w, b);
}

/* The kernel tells the new worker of the signal before it sends the request again, or after. */
static void between_workers(const struct wait *w, const struct file f[2], bool before)
{
	rq a = must_wait(w, &f[0]), b = must_wait(w, &f[1]);
	struct fuse_interrupt_in in = { .unique = (2 * (uint64_t)a) | RESENT };

	daemon_kill();
	daemon_restart_only();
	if (before)
		k_send(FUSE_INTERRUPT, 0, &in, sizeof(in), NULL, 0);
	k_resend_all();
	if (!before)
		interrupt(a);
	IN_WAIT(w, told(a), "!EINTR");
	IN_WAIT(w, told(b), "!WAITS");
	grant_to(w, b);
}

INTERRUPT(before_it_is_sent_again)
{
	between_workers(w, f, true);
}

INTERRUPT(after_it_was_sent_again)
{
	between_workers(w, f, false);
}

/* The wait ends and the signal comes, in one go: one of them wins, and nothing is lost. */
TEST(interrupt_races_the_grant)
{
	for (int i = 0; i < 200; i++) {
		struct file w, r, r2;
		rq a, p;

		if (i == 0) {
			daemon_start();
			make("a.queue");
		}
		w = open_name("a.queue", WO);
		r = open_name("a.queue", RO);
		a = q_read(&r);
		if (i & 1)
			interrupt(a);
		p = q_put(&w, "x\n");
		if (!(i & 1))
			interrupt(a);
		CHECK_STR(told(p), "2");
		CHECK_STR(told(a), i & 1 ? "!EINTR" : "x\n");
		if (i & 1) {
			r2 = open_name("a.queue", RO);
			CHECK_STR(f_get(&r2), "x\n");
			f_close(&r2);
		}
		f_close(&w);
		f_close(&r);
	}
	daemon_end();
}

TEST(interrupt_of_unknown_request)
{
	daemon_start();
	interrupt(77777);
	k_sync();
	k_sync();
	CHECK_INT(k.again, 1);
	daemon_end();
}

/* ---- a write that has put something gives a short count ---- */

TEST(interrupt_write_gives_a_short_count)
{
	struct file w, r;
	rq a;

	daemon_start();
	make("a.queue");
	CHECK_STR(say("a.queue.ctl/maxsize", "2"), "1");
	w = open_name("a.queue", WO);
	r = open_name("a.queue", BOTH);
	a = q_put(&w, "1\n22\n333\n4444\n");
	CHECK_STR(told(a), "!WAITS");
	CHECK_STR(f_get(&r), "1\n");
	CHECK_STR(told(a), "!WAITS");
	interrupt(a);
	CHECK_STR(told(a), "9"); /* "1\n22\n333\n" */
	CHECK_STR(f_get(&r), "22\n");
	CHECK_STR(f_get(&r), "333\n");
	CHECK_STR(told(q_read(&r)), "!WAITS");
	daemon_end();
}

TEST(interrupt_write_short_count_survives_a_restart)
{
	struct file w, r;
	rq a;

	daemon_start();
	make("a.queue");
	CHECK_STR(say("a.queue.ctl/maxsize", "2"), "1");
	w = open_name("a.queue", WO);
	r = open_name("a.queue", BOTH);
	a = q_put(&w, "1\n22\n333\n4444\n");
	CHECK_STR(told(a), "!WAITS");
	daemon_kill_and_restart();
	CHECK_STR(f_get(&r), "1\n");
	CHECK_STR(told(a), "!WAITS");
	daemon_kill_and_restart();
	CHECK_STR(told(a), "!WAITS");
	interrupt(a);
	CHECK_STR(told(a), "9");
	CHECK_STR(f_get(&r), "22\n");
	CHECK_STR(f_get(&r), "333\n");
	daemon_end();
}

/* ---- a condition or barrier: the handle stays queued ---- */

TEST(interrupt_condition_keeps_its_notify)
{
	struct file a, b;
	rq n;

	daemon_start();
	make("c.cond");
	a = open_name("c.cond", BOTH);
	b = open_name("c.cond", BOTH);
	CHECK_STR(f_lock(&a, LOCK_EX), "ok");
	n = q_read(&a);
	CHECK_STR(told(n), "!WAITS");
	interrupt(n);
	CHECK_STR(told(n), "!EINTR");
	CHECK_STR(f_lock(&b, LOCK_EX | LOCK_NB), "ok"); /* a has it not */
	CHECK_STR(f_put(&b, "1"), "1");
	CHECK_STR(f_lock(&b, LOCK_UN), "ok");
	CHECK_STR(f_get(&a), "1\n");                         /* its notify waited for it */
	CHECK_STR(f_lock(&b, LOCK_EX | LOCK_NB), "!EAGAIN"); /* and it has the lock again */
	daemon_end();
}

TEST(interrupt_condition_while_it_takes_its_lock_back)
{
	struct file a, b;
	rq n;

	daemon_start();
	make("c.cond");
	a = open_name("c.cond", BOTH);
	b = open_name("c.cond", BOTH);
	CHECK_STR(f_lock(&a, LOCK_EX), "ok");
	n = q_read(&a);
	CHECK_STR(told(n), "!WAITS");
	CHECK_STR(f_lock(&b, LOCK_EX), "ok");
	CHECK_STR(f_put(&b, "1"), "1");
	CHECK_STR(told(n), "!WAITS"); /* for the lock now */
	interrupt(n);
	CHECK_STR(told(n), "!EINTR");
	daemon_kill_and_restart();
	CHECK_STR(f_lock(&b, LOCK_UN), "ok");
	CHECK_STR(f_get(&a), "1\n");
	CHECK_STR(f_lock(&b, LOCK_EX | LOCK_NB), "!EAGAIN");
	daemon_end();
}

TEST(interrupt_barrier_stands_outside)
{
	struct file a, b, c;
	rq x, y;

	daemon_start();
	make("b.barrier");
	CHECK_STR(say("b.barrier", "2"), "1");
	a = open_name("b.barrier", BOTH);
	b = open_name("b.barrier", BOTH);
	c = open_name("b.barrier", BOTH);
	x = q_read(&a);
	interrupt(x);
	CHECK_STR(told(x), "!EINTR");
	y = q_read(&b);
	CHECK_STR(told(y), "!WAITS"); /* it is alone */
	CHECK_STR(f_get(&c), "1\n");
	CHECK_STR(told(y), "0\n");
	daemon_end();
}
