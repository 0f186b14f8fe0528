/* SPDX-License-Identifier: MIT */
/* Who waits for memory of the mount, and what becomes of objects meanwhile. */
#include <sys/stat.h>

#include "calls.h"

#define BIG 900000

static char big[BIG + 1];

static void start(void)
{
	daemon_start_with(&(struct options){ .memory_limit = 8 << 20 });
	memset(big, 'x', BIG);
	big[BIG] = '\n';
}

/* Put into it without waiting until the mount is full. */
static struct file fill(const char *name)
{
	struct file w;
	const char *s;

	make(name);
	w = open_name(name, WO | O_NONBLOCK);
	do
		s = told(q_write(&w, big, sizeof(big)));
	while (*s != '!');
	CHECK_STR(s, "!ENOSPC");
	do
		s = told(q_write(&w, big + BIG - 50000, 50001));
	while (*s != '!');
	CHECK_STR(s, "!ENOSPC");
	return w;
}

/* Somebody waits for memory with it, and is killed. */
static void wait_and_die(struct file *w)
{
	rq n = q_write(w, big, sizeof(big));

	CHECK_STR(told(n), "!WAITS");
	interrupt(n);
	CHECK_STR(told(n), "!EINTR");
}

static void hungry(const char *name)
{
	struct file w = open_name(name, WO);

	wait_and_die(&w);
	f_close(&w);
}

/* What goes while it still stands among those who wait for memory, which then comes. */
TEST(memory_hungry_object_is_removed)
{
	struct file a;

	start();
	a = fill("a.queue");
	make("b.queue");
	hungry("b.queue");
	CHECK_STR(told(q_unlink(DIR_ROOT, "b.queue")), "ok");
	f_close(&a);
	CHECK_STR(told(q_unlink(DIR_ROOT, "a.queue")), "ok");
	make("b.queue");
	a = open_name("b.queue", WO);
	CHECK_STR(told(q_write(&a, big, sizeof(big))), "900001");
	daemon_end();
}

TEST(memory_hungry_object_is_renamed_over)
{
	struct file a;

	start();
	a = fill("a.queue");
	make("b.queue");
	make("c.queue");
	hungry("b.queue");
	CHECK_STR(told(q_rename(DIR_ROOT, "c.queue", DIR_ROOT, "b.queue")), "ok");
	f_close(&a);
	CHECK_STR(told(q_unlink(DIR_ROOT, "a.queue")), "ok");
	k_sync();
	daemon_end();
}

TEST(memory_hungry_object_is_closed_last)
{
	struct file a, b;

	start();
	a = fill("a.queue");
	make("b.queue");
	b = open_name("b.queue", WO);
	CHECK_STR(told(q_unlink(DIR_ROOT, "b.queue")), "ok");
	wait_and_die(&b);
	f_close(&b);
	f_close(&a);
	CHECK_STR(told(q_unlink(DIR_ROOT, "a.queue")), "ok");
	k_sync();
	daemon_end();
}

TEST(memory_hungry_two_way_pipe_is_removed)
{
	struct file a, b;

	start();
	a = fill("a.queue");
	CHECK_STR(told(q_mkdir(DIR_ROOT, "two.pipe")), "ok");
	CHECK_STR(say("two.pipe.ctl/framing", "record"), "6");
	b = open_name("two.pipe/a", WO);
	wait_and_die(&b);
	f_close(&b);
	CHECK_STR(told(q_rmdir(DIR_ROOT, "two.pipe")), "ok");
	f_close(&a);
	CHECK_STR(told(q_unlink(DIR_ROOT, "a.queue")), "ok");
	k_sync();
	daemon_end();
}

/* Who will be refused hears so, whatever it waits for; so do those behind it. */
TEST(memory_is_not_waited_for_by_who_is_refused)
{
	static const char *const settings[][2] = { { "closed", "1" }, { "maxbytes", "800000" } };

	for (unsigned int i = 0; i < 2; i++) {
		struct file a, b, c;
		char path[40];
		rq n, m;

		daemon_clean();
		start();
		a = fill("a.queue");
		make("b.queue");
		b = open_name("b.queue", WO);
		c = open_name("b.queue", WO);
		n = q_write(&b, big, sizeof(big));
		m = q_write(&c, big, sizeof(big));
		CHECK_STR(told(m), "!WAITS");
		snprintf(path, sizeof(path), "b.queue.ctl/%s", settings[i][0]);
		say(path, settings[i][1]);
		CHECK_STR(told(n), i ? "!EMSGSIZE" : "!EPIPE");
		CHECK_STR(told(m), i ? "!EMSGSIZE" : "!EPIPE");
		f_close(&a);
		daemon_end();
	}
}

/* Several that wait, of which the first goes: the others get what comes. */
TEST(memory_others_are_still_served)
{
	struct file a, b, c, d;
	rq n, m;

	start();
	a = fill("a.queue");
	make("b.queue");
	make("c.queue");
	make("d.queue");
	b = open_name("b.queue", WO);
	c = open_name("c.queue", WO);
	d = open_name("d.queue", WO);
	wait_and_die(&b);
	n = q_write(&c, big, sizeof(big));
	m = q_write(&d, big, sizeof(big));
	CHECK_STR(told(m), "!WAITS");
	f_close(&b);
	CHECK_STR(told(q_unlink(DIR_ROOT, "b.queue")), "ok");
	CHECK_STR(told(n), "!WAITS");
	f_close(&a);
	CHECK_STR(told(q_unlink(DIR_ROOT, "a.queue")), "ok");
	CHECK_STR(told(n), "900001");
	CHECK_STR(told(m), "900001");
	daemon_end();
}

static long long held(uint64_t ino)
{
	struct stat st;

	CHECK_INT(stat(engine_file(ino), &st), 0);
	return (long long)st.st_blocks * 512;
}

static void fill_and_drain(const struct file *w, const struct file *r)
{
	enum { N = 8 };

	for (int i = 0; i < N; i++)
		CHECK_STR(told(q_write(w, big, sizeof(big))), "900001");
	for (int i = 0; i < N; i++)
		CHECK_INT(strlen(told(q_read_at(r, 1 << 20, 0))), BIG + 1);
}

/* What one has left free another may need, but nobody else does. */
TEST(memory_stays_with_a_busy_queue)
{
	long long most = 4 << 20, busy;
	struct file w, r;
	uint64_t ino;

	daemon_start_with(&(struct options){ .memory_limit = 64 << 20 });
	memset(big, 'x', BIG);
	big[BIG] = '\n';
	ino = make("a.queue");
	w = open_name("a.queue", BOTH);
	fill_and_drain(&w, &w);
	CHECK(held(ino) < most);
	r = open_name("a.queue", BOTH);
	for (int i = 0; i < 2; i++) /* (the last message stays in the reader's hand) */
		fill_and_drain(&w, &r);
	busy = held(ino);
	CHECK(busy > 8 * BIG);
	for (int i = 0; i < 3; i++) {
		fill_and_drain(&w, &r);
		CHECK_INT(held(ino), busy);
	}
	f_close(&r);
	k_sync();
	CHECK(held(ino) < most);
	fill_and_drain(&w, &w);
	CHECK(held(ino) < most);
	r = open_name("a.queue", BOTH);
	fill_and_drain(&w, &r);
	while (held(ino) > most) /* after a second or two */
		CHECK(size_of(ino) == 0);
	daemon_end();
}
