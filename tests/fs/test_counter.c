/* SPDX-License-Identifier: MIT */
/* A type that is one file and two lines (counter.c), through the daemon as it is. */
#include <poll.h>

#include "calls.h"

TEST(counter_counts)
{
	struct file w, r;

	daemon_start();
	CHECK_INT(size_of(make("a.counter")), 0);
	w = open_name("a.counter", WO);
	r = open_name("a.counter", BOTH);
	CHECK_INT(ready(&r) & (POLLIN | POLLOUT), POLLOUT);
	CHECK_STR(f_put(&w, "3\n4\n"), "4");
	CHECK_STR(f_put(&w, "some\n"), "!EINVAL");
	CHECK_STR(f_put(&w, "9223372036854775806\n"), "!ERANGE");
	CHECK_INT(ready(&r) & (POLLIN | POLLOUT), POLLIN | POLLOUT);
	CHECK_STR(show_word("a.counter.ctl/count"), "7");
	CHECK_STR(show_word("a.counter.ctl/type"), "counter");
	CHECK(strstr(show("a.counter.ctl/status"), "count: 7\n"));
	CHECK_STR(f_get(&r), "7\n");
	CHECK_INT(size_of(r.ino), 0);
	CHECK_STR(f_lock(&r, LOCK_EX | LOCK_NB), "!EOPNOTSUPP");
	f_close(&r);
	f_close(&w);
	daemon_end();
}

/* Who waits is served by the next write, also of another worker, and what is closed in a wait took nothing. */
TEST(counter_waits)
{
	struct file w, r, other;
	rq first, second;

	daemon_start();
	make("a.counter");
	w = open_name("a.counter", WO);
	r = open_name("a.counter", BOTH);
	other = open_name("a.counter", BOTH);
	first = q_read(&r);
	second = q_read(&other);
	CHECK_STR(told(first), "!WAITS");
	CHECK(strstr(show("a.counter.ctl/waiters"), "read"));
	daemon_kill_and_restart();
	CHECK_STR(told(first), "!WAITS");
	interrupt(first);
	CHECK_STR(told(first), "!EINTR");
	CHECK_STR(f_put(&w, "5\n"), "2");
	CHECK_STR(told(second), "5\n");
	CHECK_STR(told(q_read(&r)), "!WAITS");
	CHECK_STR(f_put(&w, "\n"), "1");
	CHECK_INT(size_of(w.ino), 0);
	daemon_end();
}

/* Names know it by its suffix. */
TEST(counter_names)
{
	daemon_start();
	make("a.counter");
	CHECK_STR(told(q_mkdir(DIR_ROOT, "b.counter")), "!EINVAL");
	CHECK_STR(told(q_rename(DIR_ROOT, "a.counter", DIR_ROOT, "a.sem")), "!EPERM");
	CHECK_STR(told(q_rename(DIR_ROOT, "a.counter", DIR_ROOT, "b.counter")), "ok");
	CHECK_STR(say("b.counter", "2\n"), "2");
	daemon_end();
}
