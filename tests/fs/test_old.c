/* SPDX-License-Identifier: MIT */
/*
 * Kernels before Linux 6.9, which send nothing again. Who waits when the worker dies is told so,
 * and nobody hangs and nothing is lost. (Deaths in the middle of a request: CRASH_OLD.)
 */
#include "waits.h"

TEST(old_waits_end_with_the_worker)
{
	EACH_WAIT(w)
	{
		struct file f[2];
		rq a, b;

		daemon_old_kernel();
		wait_begin(w, f);
		a = w->ask(&f[0]);
		b = w->ask(&f[1]);
		IN_WAIT(w, told(b), "!WAITS");
		daemon_kill_and_restart();
		CHECK_INT(k.resends, 0);
		IN_WAIT(w, told(a), "!ECONNABORTED");
		IN_WAIT(w, told(b), "!ECONNABORTED");
		/* They ask again, and nothing that they waited for has gone to who is not there. */
		a = w->ask(&f[0]);
		IN_WAIT(w, told(a), "!WAITS");
		w->grant();
		CHECK(k_answered(a) && k_answer(a)->error == 0);
		daemon_end();
	}
}

TEST(old_write_gives_a_short_count)
{
	struct file w;
	rq a;

	daemon_old_kernel();
	daemon_start();
	make("a.queue");
	CHECK_STR(say("a.queue.ctl/maxsize", "2"), "1");
	w = open_name("a.queue", WO);
	a = q_put(&w, "1\n22\n333\n");
	CHECK_STR(told(a), "!WAITS");
	daemon_kill_and_restart();
	CHECK_STR(told(a), "5");
	CHECK_STR(show("a.queue.ctl/peek"), "1\n22\n");
	daemon_end();
}

TEST(old_poll_notification)
{
	struct file r, w;

	daemon_old_kernel();
	daemon_start();
	make("a.queue");
	r = open_name("a.queue", RO);
	w = open_name("a.queue", WO);
	k_answer(q_poll(&r, 99, 1));
	daemon_kill_and_restart();
	CHECK_STR(f_put(&w, "x\n"), "2");
	k_sync();
	CHECK_INT(k.n_polls, 1);
	CHECK_INT(k.polls[0], 99);
	daemon_end();
}
