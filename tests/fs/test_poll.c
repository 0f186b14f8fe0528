/* SPDX-License-Identifier: MIT */
/* poll: what is ready, and one notification for whoever waits for more. */
#include <poll.h>

#include "calls.h"
#include "wait/pollers.h"

#define KH 4711u

static uint32_t poll_with(const struct file *f, uint64_t kh, uint32_t events)
{
	const struct request *r = k_answer(q_poll(f, kh, events));

	CHECK_INT(r->error, 0);
	return ((struct fuse_poll_out *)r->data)->revents;
}

TEST(poll_notifies_once)
{
	struct file r, w;

	daemon_start();
	make("a.queue");
	r = open_name("a.queue", RO);
	w = open_name("a.queue", WO);
	CHECK_INT(poll_with(&r, KH, POLLIN) & POLLIN, 0);
	CHECK_INT(k.n_polls, 0);
	CHECK_STR(f_put(&w, "1\n"), "2");
	k_sync();
	CHECK_INT(k.n_polls, 1);
	CHECK_INT(k.polls[0], KH);
	CHECK_STR(f_put(&w, "2\n"), "2"); /* nobody asked again */
	k_sync();
	CHECK_INT(k.n_polls, 1);
	CHECK_INT(poll_with(&r, KH, POLLIN) & POLLIN, POLLIN);
	daemon_end();
}

/* Asked twice before anything came: that is one poller, by its latest name. */
TEST(poll_asked_twice)
{
	struct file r, w;

	daemon_start();
	make("a.queue");
	r = open_name("a.queue", RO);
	w = open_name("a.queue", WO);
	poll_with(&r, KH, POLLIN);
	poll_with(&r, KH, POLLIN);
	CHECK_STR(f_put(&w, "1\n"), "2");
	k_sync();
	CHECK_INT(k.n_polls, 1);
	daemon_end();
}

TEST(poll_many_handles)
{
	struct file r[8], w;

	daemon_start();
	make("a.event");
	w = open_name("a.event", WO);
	for (unsigned int i = 0; i < 8; i++) {
		r[i] = open_name("a.event", RO);
		CHECK_INT(poll_with(&r[i], KH + i, POLLIN) & POLLIN, 0);
	}
	f_close(&r[3]); /* who closed wants to hear no more */
	CHECK_STR(f_put(&w, "set"), "3");
	k_sync();
	CHECK_INT(k.n_polls, 7);
	for (unsigned int i = 0; i < 7; i++)
		CHECK(k.polls[i] != KH + 3);
	daemon_end();
}

/* The kernel's name for the poller is in the handle: it outlives the worker. */
TEST(poll_after_a_restart)
{
	struct file r, w;

	daemon_start();
	make("a.queue");
	r = open_name("a.queue", RO);
	w = open_name("a.queue", WO);
	poll_with(&r, KH, POLLIN);
	daemon_kill_and_restart();
	CHECK_INT(k.n_polls, 0);
	CHECK_STR(f_put(&w, "1\n"), "2");
	k_sync();
	CHECK_INT(k.n_polls, 1);
	CHECK_INT(k.polls[0], KH);
	daemon_end();
}

TEST(poll_resent)
{
	struct file r, w;
	rq n;

	daemon_start();
	make("a.queue");
	r = open_name("a.queue", RO);
	w = open_name("a.queue", WO);
	k_sync();
	daemon_fault(2); /* it dies with the request in hand */
	n = q_poll(&r, KH, POLLIN);
	k_sync();
	CHECK(daemon_died());
	daemon_restart();
	CHECK_STR(told(n), "ok");
	CHECK_STR(f_put(&w, "1\n"), "2");
	k_sync();
	CHECK_INT(k.n_polls, 1);
	daemon_end();
}

/* A worker that dies over the change that wakes: the next one tells of it. */
TEST(poll_no_notification_is_lost)
{
	for (long at = 1;; at++) {
		struct file r, w;
		rq n;
		bool died;

		daemon_clean();
		daemon_start();
		make("a.queue");
		r = open_name("a.queue", RO);
		w = open_name("a.queue", WO);
		poll_with(&r, KH, POLLIN);
		k_sync();
		daemon_fault(at);
		n = q_put(&w, "1\n");
		k_sync();
		died = daemon_died();
		if (died)
			daemon_restart();
		CHECK_STR(told(n), "2");
		k_sync();
		CHECK(k.n_polls >= 1); /* twice is no harm: it asks what there is */
		CHECK(k.n_polls <= 2);
		daemon_end();
		if (!died)
			break;
	}
}

TEST(poll_table)
{
	static const struct {
		const char *name;
		int flags;
		const char *write; /* to the object, first */
		unsigned int ready;
	} table[] = {
		{ "a.queue", RO, NULL, 0 },
		{ "a.queue", RO, "x\n", POLLIN },
		{ "a.queue", WO, NULL, POLLOUT },
		{ "a.queue", BOTH, "x\n", POLLIN | POLLOUT },
		{ "a.event", RO, NULL, 0 },
		{ "a.event", RO, "1", POLLIN },
		{ "a.event", WO, NULL, POLLOUT },
		{ "a.sem", RO, NULL, 0 },
		{ "a.sem", RO, "1", POLLIN },
		{ "a.sem", WO, NULL, POLLOUT },
		{ "a.lock", RO, NULL, POLLIN },
		{ "a.lock", WO, NULL, 0 },
		{ "a.pipe", WO, NULL, POLLOUT },
		{ "a.pipe", RO, NULL, 0 },
		{ "a.pipe", RO, "x", POLLIN | POLLHUP },
		{ "a.barrier", RO, NULL, 0 },
		{ "a.value", RO, NULL, POLLIN },
		{ "a.value", WO, NULL, POLLOUT },
		{ "a.queue.ctl/join", RO, NULL, POLLIN },
		{ "a.queue.ctl/join", RO, "x\n", 0 },
		{ "a.queue.ctl/lease", RO, NULL, 0 },
		{ "a.queue.ctl/lease", RO, "x\n", POLLIN },
		{ "a.queue.ctl/drain", RO, NULL, POLLIN },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char object[32];
		struct file f;
		unsigned int got;

		daemon_clean();
		daemon_start();
		strcpy(object, table[i].name);
		if (strstr(object, ".ctl"))
			*strstr(object, ".ctl") = 0;
		make(object);
		if (table[i].write)
			CHECK(say(object, table[i].write)[0] != '!');
		f = open_name(table[i].name, table[i].flags);
		got = ready(&f) & (POLLIN | POLLOUT | POLLHUP | POLLERR);
		if ((got & ~(unsigned int)POLLHUP) != (table[i].ready & ~(unsigned int)POLLHUP))
			test_fail(__FILE__, __LINE__, "%s, flags %#o after \"%s\": %#x, not %#x",
				  table[i].name, (unsigned int)table[i].flags,
				  table[i].write ? table[i].write : "", got, table[i].ready);
		daemon_end();
	}
}

/* POLLIN holds while a rest of an answer is in hand. */
TEST(poll_of_a_rest)
{
	struct file f, w;

	daemon_start();
	make("a.queue");
	f = open_name("a.queue", BOTH);
	w = open_name("a.queue", WO);
	CHECK_STR(f_put(&w, "abc\n"), "4");
	CHECK_STR(told(q_read_at(&f, 1, 0)), "a");
	CHECK(ready(&f) & POLLIN);
	daemon_kill_and_restart();
	CHECK(ready(&f) & POLLIN);
	CHECK_STR(told(q_read_at(&f, 10, 0)), "bc\n");
	CHECK(!(ready(&f) & POLLIN));
	daemon_end();
}

/* ---- only news is told, and what is for one to one ---- */

#define NB O_NONBLOCK

static struct file polled[4];

static void poll_four(const char *name)
{
	poll_interval_ms = 1000000; /* nobody is late */
	daemon_start();
	make(name);
	for (unsigned int i = 0; i < 4; i++) {
		polled[i] = open_name(name, RO | NB);
		CHECK_INT(poll_with(&polled[i], KH + i, POLLIN) & POLLIN, 0);
	}
}

static void poll_end(void)
{
	daemon_end();
	poll_interval_ms = 50;
}

/* The notifications that came so far, as digits: the order of the handles. */
static const char *notified(void)
{
	static char s[17];

	k_sync();
	for (unsigned int i = 0; i < k.n_polls; i++)
		s[i] = (char)('0' + k.polls[i] - KH);
	s[k.n_polls] = 0;
	return s;
}

TEST(poll_what_stays_is_no_news)
{
	struct file r, w;

	daemon_start();
	make("a.event");
	r = open_name("a.event", RO | NB);
	w = open_name("a.event", WO);
	CHECK_INT(poll_with(&r, KH, POLLIN) & POLLIN, 0);
	CHECK_STR(f_put(&w, "set"), "3");
	for (unsigned int i = 0; i < 5; i++) { /* as the kernel does for EPOLLET */
		CHECK_STR(notified(), "0");
		CHECK_INT(poll_with(&r, KH, POLLIN) & POLLIN, POLLIN);
		CHECK_STR(f_get(&r), "1\n");
		CHECK_STR(f_put(&w, "set"), "3");
	}
	CHECK_STR(f_put(&w, "clear"), "5");
	CHECK_STR(f_put(&w, "set"), "3");
	CHECK_STR(notified(), "00");
	daemon_end();
}

TEST(poll_one_for_one)
{
	struct file w;

	poll_four("a.queue");
	w = open_name("a.queue", WO);
	CHECK_STR(f_put(&w, "x\n"), "2");
	CHECK_STR(notified(), "0");
	CHECK_STR(f_put(&w, "y\nz\n"), "4");
	CHECK_STR(notified(), "012");
	for (unsigned int i = 0; i < 3; i++)
		CHECK_INT((int)strlen(f_get(&polled[i])), 2);
	CHECK_STR(f_put(&w, "x\n"), "2");
	CHECK_STR(notified(), "0123");
	poll_end();
}

/* Who does not take it passes it on: by asking again, by EAGAIN, by its close. */
TEST(poll_passed_on)
{
	struct file w;

	poll_four("a.sem");
	w = open_name("a.sem", WO);
	CHECK_STR(f_put(&w, "1"), "1");
	CHECK_STR(notified(), "0");
	CHECK_INT(poll_with(&polled[0], KH, POLLIN) & POLLIN, POLLIN);
	CHECK_STR(notified(), "0");
	CHECK_INT(poll_with(&polled[0], KH, POLLIN) & POLLIN, POLLIN);
	CHECK_STR(notified(), "01");
	f_close(&polled[1]);
	CHECK_STR(notified(), "012");
	CHECK_STR(f_get(&polled[0]), "1\n"); /* another takes it */
	CHECK_STR(f_get(&polled[2]), "!EAGAIN");
	CHECK_STR(f_put(&w, "1"), "1");
	CHECK_STR(notified(), "0123");
	poll_end();
}

/* Each end of a two-way pipe by itself. */
TEST(poll_one_for_one_each_way)
{
	struct file w[2], r[4];

	poll_interval_ms = 1000000;
	daemon_start();
	CHECK_STR(told(q_mkdir(DIR_ROOT, "t.pipe")), "ok");
	for (unsigned int i = 0; i < 2; i++)
		w[i] = open_name(i ? "t.pipe/a" : "t.pipe/b", WO);
	for (unsigned int i = 0; i < 4; i++) {
		r[i] = open_name(i % 2 ? "t.pipe/b" : "t.pipe/a", RO | NB);
		CHECK_INT(poll_with(&r[i], KH + i, POLLIN) & POLLIN, 0);
	}
	CHECK_STR(f_put(&w[0], "x"), "1"); /* for the readers of a: 0 and 2 */
	CHECK_STR(notified(), "0");
	CHECK_STR(f_put(&w[1], "y"), "1");
	CHECK_STR(notified(), "01");
	CHECK_STR(f_get(&r[0]), "x");
	CHECK_STR(f_put(&w[0], "z"), "1");
	CHECK_STR(notified(), "012");
	poll_end();
}

/* One that was notified does nothing: then it is told to all. */
TEST(poll_overdue)
{
	struct file w;

	poll_interval_ms = 5;
	daemon_start();
	make("a.queue");
	for (unsigned int i = 0; i < 4; i++) {
		polled[i] = open_name("a.queue", RO | NB);
		poll_with(&polled[i], KH + i, POLLIN);
	}
	w = open_name("a.queue", WO);
	CHECK_STR(f_put(&w, "x\n"), "2");
	while (k.n_polls < 4)
		CHECK(k_receive(k_patience()));
	CHECK_STR(notified(), "0123");
	poll_end();
}

/* ---- O_NONBLOCK ---- */

static void await_polls(unsigned int n)
{
	while (k.n_polls < n)
		CHECK(k_receive(k_patience()));
}

TEST(poll_nonblock_limit_over_a_restart)
{
	struct file f;

	daemon_start();
	make("a.event");
	f = open_name("a.event@0.3", RO | NB);
	CHECK_STR(f_get(&f), "!EAGAIN");
	poll_with(&f, KH, POLLIN);
	daemon_kill_and_restart();
	await_polls(1);
	CHECK_INT(poll_with(&f, KH, POLLIN) & POLLIN, POLLIN);
	CHECK_STR(f_get(&f), "!ETIMEDOUT");
	CHECK_STR(f_get(&f), "!EAGAIN"); /* and begins anew */
	daemon_end();
}

/* A worker that dies over it tells it all the same. */
TEST(poll_nonblock_limit_is_told)
{
	for (long at = 1;; at++) {
		struct file f;
		bool died;
		rq n;

		daemon_clean();
		daemon_start();
		make("a.queue");
		f = open_name("a.queue@0.01", RO | NB);
		CHECK_STR(f_get(&f), "!EAGAIN");
		if (!(poll_with(&f, KH, POLLIN) & POLLIN)) /* (or its time was up before) */
			await_polls(1);
		k_sync();
		daemon_fault(at);
		n = q_read(&f);
		k_sync();
		died = daemon_died();
		if (died)
			daemon_restart();
		CHECK_STR(told(n), "!ETIMEDOUT");
		daemon_end();
		if (!died)
			break;
	}
}

/* The same of one that comes to be queued, and of one that has its answer. */
TEST(poll_nonblock_standing_and_deaths)
{
	for (long at = 1, step = 0; step < 2; at++) {
		struct file f, other;
		bool died;
		rq n;

		daemon_clean();
		daemon_start();
		make("a.barrier");
		CHECK_STR(say("a.barrier", "2"), "1");
		f = open_name("a.barrier", RO | NB);
		other = open_name("a.barrier", RO | NB);
		if (step) {
			CHECK_STR(f_get(&f), "!EAGAIN");
			CHECK_STR(f_get(&other), "1\n");
		}
		k_sync();
		daemon_fault(at);
		n = q_read(&f);
		k_sync();
		died = daemon_died();
		if (died)
			daemon_restart();
		CHECK_STR(told(n), step ? "0\n" : "!EAGAIN");
		if (!step) {
			CHECK_STR(f_get(&other), "1\n");
			CHECK_INT(poll_with(&f, KH, POLLIN) & POLLIN, POLLIN);
			CHECK_STR(f_get(&f), "0\n");
		}
		daemon_end();
		if (!died) {
			step++;
			at = 0;
		}
	}
}
