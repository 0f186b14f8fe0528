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

TEST(interrupt_while_parked)
{
	EACH_WAIT(w) {
		struct file f[2];
		rq a, b;

		wait_begin(w, f);
		a = w->ask(&f[0]);
		IN_WAIT(w, told(a), "!WAITS");
		b = w->ask(&f[1]);
		IN_WAIT(w, told(b), "!WAITS");
		interrupt(a);
		IN_WAIT(w, told(a), "!EINTR");
		/* What it waited for is the next one's. */
		w->grant();
		IN_WAIT(w, told(b), answer_of(w, 1));
		daemon_end();
	}
}

TEST(interrupt_before_its_request)
{
	EACH_WAIT(w) {
		struct file f[2];
		rq a, b;

		wait_begin(w, f);
		interrupt(k_next() + 1);
		a = w->ask(&f[0]);
		IN_WAIT(w, told(a), "!EINTR");
		CHECK_INT(k.again, 0);
		b = w->ask(&f[1]);
		IN_WAIT(w, told(b), "!WAITS");
		w->grant();
		IN_WAIT(w, told(b), answer_of(w, 1));
		daemon_end();
	}
}

/* Nothing to wait for: the call has its answer, whatever the signal. */
TEST(interrupt_of_what_need_not_wait)
{
	EACH_WAIT(w) {
		struct file f[2];
		rq a;

		wait_begin(w, f);
		w->grant();
		interrupt(k_next() + 1);
		a = w->ask(&f[0]);
		IN_WAIT(w, told(a), answer_of(w, 1));
		daemon_end();
	}
}

TEST(interrupt_after_the_grant)
{
	EACH_WAIT(w) {
		struct file f[2];
		rq a, b;

		wait_begin(w, f);
		a = w->ask(&f[0]);
		IN_WAIT(w, told(a), "!WAITS");
		w->grant();
		interrupt(a);
		interrupt(a);
		IN_WAIT(w, told(a), answer_of(w, 1));
		b = w->ask(&f[1]);		/* must not be taken for the interrupted one */
		k_sync();
		CHECK(k.reqs[b].answered == false || k.reqs[b].error == 0);
		daemon_end();
	}
}

TEST(interrupt_twice)
{
	EACH_WAIT(w) {
		struct file f[2];
		rq a, b;

		wait_begin(w, f);
		a = w->ask(&f[0]);
		interrupt(a);
		interrupt(a);
		b = w->ask(&f[1]);
		interrupt(a);
		IN_WAIT(w, told(a), "!EINTR");
		IN_WAIT(w, told(b), "!WAITS");
		interrupt(b);
		IN_WAIT(w, told(b), "!EINTR");
		w->grant();
		a = w->ask(&f[0]);		/* both stand outside: it is the first again */
		IN_WAIT(w, told(a), answer_of(w, 1));
		daemon_end();
	}
}

/* The same handle waits twice, as threads that share a descriptor do. */
TEST(interrupt_one_of_two_on_a_handle)
{
	EACH_WAIT(w) {
		struct file f[2];
		rq a, b;

		wait_begin(w, f);
		a = w->ask(&f[0]);
		b = w->ask(&f[0]);
		IN_WAIT(w, told(a), "!WAITS");
		IN_WAIT(w, told(b), "!WAITS");
		interrupt(a);
		IN_WAIT(w, told(a), "!EINTR");
		IN_WAIT(w, told(b), "!WAITS");
		w->grant();
		IN_WAIT(w, told(b), answer_of(w, 1));
		daemon_end();
	}
}

TEST(interrupt_after_a_restart)
{
	EACH_WAIT(w) {
		struct file f[2];
		rq a, b;

		wait_begin(w, f);
		a = w->ask(&f[0]);
		b = w->ask(&f[1]);
		k_sync();
		daemon_kill_and_restart();
		interrupt(a);
		IN_WAIT(w, told(a), "!EINTR");
		w->grant();
		IN_WAIT(w, told(b), answer_of(w, 1));
		daemon_end();
	}
}

/* The kernel tells the new worker of the signal before it sends the request again, or after. */
TEST(interrupt_between_workers)
{
	for (int before = 0; before < 2; before++)
		EACH_WAIT(w) {
			struct file f[2];
			rq a, b;

			wait_begin(w, f);
			a = w->ask(&f[0]);
			b = w->ask(&f[1]);
			k_sync();
			daemon_kill();
			daemon_restart_only();
			if (before) {
				struct fuse_interrupt_in in = { .unique = (2 * (uint64_t)a) | RESENT };

				k_send(FUSE_INTERRUPT, 0, &in, sizeof(in), NULL, 0);
				k_resend_all();
			} else {
				k_resend_all();
				interrupt(a);
			}
			IN_WAIT(w, told(a), "!EINTR");
			IN_WAIT(w, told(b), "!WAITS");
			w->grant();
			IN_WAIT(w, told(b), answer_of(w, 1));
			daemon_end();
		}
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
	CHECK_STR(told(a), "9");		/* "1\n22\n333\n" */
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

/* ---- a condition or barrier: the handle stands in line still ---- */

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
	CHECK_STR(f_lock(&b, LOCK_EX | LOCK_NB), "ok");		/* a has it not */
	CHECK_STR(f_put(&b, "1"), "1");
	CHECK_STR(f_lock(&b, LOCK_UN), "ok");
	CHECK_STR(f_get(&a), "1\n");				/* its notify waited for it */
	CHECK_STR(f_lock(&b, LOCK_EX | LOCK_NB), "!EAGAIN");	/* and it has the lock again */
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
	CHECK_STR(told(n), "!WAITS");		/* for the lock now */
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
	CHECK_STR(told(y), "!WAITS");		/* it is alone */
	CHECK_STR(f_get(&c), "1\n");
	CHECK_STR(told(y), "0\n");
	daemon_end();
}
