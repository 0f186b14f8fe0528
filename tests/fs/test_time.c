/* SPDX-License-Identifier: MIT */
/* What the worker does without a request: time limits, ends of processes, its own end. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipcfs.h"
#include "object/engine.h"
#include "waits.h"

#define MS 1000000

/* Wait for the answer, without asking for anything else. */
static const char *waited(rq n)
{
	k_answer(n);
	return told(n);
}

TEST(time_limit_ends_a_wait)
{
	EACH_WAIT(w)
	{
		char limited[64];
		struct file f[2], late;
		uint64_t start;
		rq n;

		wait_begin(w, f);
		snprintf(limited, sizeof(limited), "%s@0.03", w->path);
		late = open_name(limited, w->flags);
		start = ipc_now();
		n = w->ask(&late);
		IN_WAIT(w, waited(n), "!ETIMEDOUT");
		CHECK(ipc_now() - start >= 30 * MS);
		/* It has left the line: the next one is first. */
		n = w->ask(&f[0]);
		IN_WAIT(w, told(n), "!WAITS");
		w->grant();
		CHECK(k_answered(n));
		daemon_end();
	}
}

/* Notified, it waits for its lock object, whose lock somebody keeps, and its time runs out. */
TEST(time_limit_while_the_lock_object_is_stalled)
{
	struct file l, c, w, e;
	rq n;

	daemon_start();
	make("a.lock");
	make("a.cond");
	make("a.event");
	CHECK_STR(say("a.cond.ctl/lock", "a.lock"), "6");
	l = open_name("a.lock", BOTH);
	c = open_name("a.cond@0.3", BOTH);
	w = open_name("a.cond", WO);
	e = open_name("a.event@0.4", RO);
	CHECK_STR(f_lock(&l, LOCK_EX), "ok");
	n = q_read(&c);
	CHECK_STR(told(n), "!WAITS");
	engine_stall(l.ino);
	CHECK_STR(f_put(&w, "1"), "1");
	CHECK_STR(told(n), "!WAITS");
	/* Longer than the limit, and others are served. */
	CHECK_STR(waited(q_read(&e)), "!ETIMEDOUT");
	CHECK_STR(told(n), "!WAITS");
	engine_go_on(l.ino);
	CHECK_STR(waited(n), "1\n");
	daemon_end();
}

TEST(time_limit_of_nothing)
{
	EACH_WAIT(w)
	{
		char limited[64];
		struct file f[2], now;

		wait_begin(w, f);
		snprintf(limited, sizeof(limited), "%s@0", w->path);
		now = open_name(limited, w->flags);
		IN_WAIT(w, told(w->ask(&now)), "!EAGAIN");
		daemon_end();
	}
}

/* The limit is a time, not a length: a new worker does not begin to count anew. */
TEST(time_limit_goes_on_over_a_restart)
{
	struct file f, before;
	uint64_t start, restart;
	rq n;

	daemon_start();
	make("a.queue");
	f = open_name("a.queue@3", RO);
	before = open_name("a.queue@2", RO);
	start = ipc_now();
	n = q_read(&f);
	CHECK_STR(waited(q_read(&before)), "!ETIMEDOUT");
	restart = ipc_now();
	daemon_kill_and_restart();
	CHECK_STR(waited(n), "!ETIMEDOUT");
	CHECK(ipc_now() - start >= 3000ull * MS);
	CHECK(ipc_now() - restart < 3000ull * MS); /* it did not begin anew */
	daemon_end();
}

TEST(time_limit_gives_a_short_count)
{
	struct file f;

	daemon_start();
	make("a.queue");
	CHECK_STR(say("a.queue.ctl/maxsize", "1"), "1");
	f = open_name("a.queue@0.03", WO);
	CHECK_STR(waited(q_put(&f, "one\ntwo\n")), "4");
	CHECK_STR(waited(q_put(&f, "two\n")), "!ETIMEDOUT");
	daemon_end();
}

TEST(time_limit_by_ioctl)
{
	struct file f, w;
	const struct request *r;
	int64_t v;

	daemon_start();
	make("a.queue");
	f = open_name("a.queue", BOTH);
	w = open_name("a.queue", WO);
	CHECK_STR(told(q_ioctl(&f, IPCFS_IOC_TIMEOUT, 20 * MS)), "ok");
	CHECK_STR(waited(q_read(&f)), "!ETIMEDOUT");
	CHECK_STR(told(q_ioctl(&f, IPCFS_IOC_TIMEOUT, 0)), "ok");
	CHECK_STR(f_get(&f), "!EAGAIN");
	CHECK_STR(told(q_ioctl(&f, IPCFS_IOC_TIMEOUT, -1)), "ok");
	CHECK_STR(told(q_ioctl(&f, IPCFS_IOC_TIMEOUT, -2)), "!EINVAL");
	CHECK_STR(told(q_ioctl(&f, IPCFS_IOC_DEADLINE, 5)), "ok");
	CHECK_STR(waited(q_read(&f)), "!ETIMEDOUT");
	daemon_kill_and_restart();
	CHECK_STR(waited(q_read(&f)), "!ETIMEDOUT");
	CHECK_STR(told(q_ioctl(&f, IPCFS_IOC_DEADLINE, -1)), "ok");
	CHECK_STR(f_put(&w, "abcd\n"), "5");
	r = k_answer(q_ioctl(&f, IPCFS_IOC_NEXT, 0));
	memcpy(&v, r->data + sizeof(struct fuse_ioctl_out), sizeof(v));
	CHECK_INT(v, 5);
	CHECK_STR(f_get(&f), "abcd\n");
	r = k_answer(q_ioctl(&f, IPCFS_IOC_NEXT, 0));
	memcpy(&v, r->data + sizeof(struct fuse_ioctl_out), sizeof(v));
	CHECK_INT(v, -1);
	daemon_end();
}

static int64_t next_of(struct file *f)
{
	const struct request *a = k_answer(q_ioctl(f, IPCFS_IOC_NEXT, 0));
	int64_t v;

	memcpy(&v, a->data + sizeof(struct fuse_ioctl_out), sizeof(v));
	return v;
}

/* What IPCFS_IOC_NEXT says is as long as what the next read gives, of whatever type. */
TEST(time_next_length)
{
	struct file f, g;

	daemon_start();
	make("a.value");
	make("a.rlock");
	make("a.sem");
	f = open_name("a.value", BOTH);
	CHECK_INT(next_of(&f), 1);
	CHECK_STR(f_put(&f, "hello"), "5");
	g = open_name("a.value", BOTH);
	CHECK_INT(next_of(&g), 6);
	CHECK_STR(f_get(&g), "hello\n");
	f = open_name("a.rlock", BOTH);
	for (int i = 0; i < 9; i++)
		CHECK_INT(next_of(&f), (long)strlen(f_get(&f)));
	CHECK_INT(next_of(&f), 3);
	CHECK_STR(f_get(&f), "10\n");
	g = open_name("a.rlock", BOTH);
	CHECK_INT(next_of(&g), -1);
	f = open_name("a.sem", BOTH);
	CHECK_INT(next_of(&f), -1);
	CHECK_STR(f_put(&f, "2\n"), "2");
	CHECK_INT(next_of(&f), 2);
	CHECK_STR(f_get(&f), "1\n");
	daemon_end();
}

TEST(time_many_limits)
{
	rq n[100];
	struct file f[100];

	daemon_start();
	make("a.event");
	for (unsigned int i = 0; i < 100; i++) {
		char name[32];

		snprintf(name, sizeof(name), "a.event@0.%03u", 5 + i * 37 % 100);
		f[i] = open_name(name, RO);
		n[i] = q_read(&f[i]);
	}
	for (unsigned int i = 0; i < 100; i += 3)
		interrupt(n[i]);
	for (unsigned int i = 0; i < 100; i++) {
		const char *s = waited(n[i]);

		CHECK(!strcmp(s, "!ETIMEDOUT") || !strcmp(s, "!EINTR"));
	}
	daemon_end();
}

/* ---- the end of a process ---- */

static void scope_process(bool restart)
{
	struct file a, b;
	pid_t pid;
	rq n;

	daemon_start();
	make("a.lock");
	CHECK_STR(say("a.lock.ctl/scope", "process"), "7");
	a = open_name("a.lock", BOTH);
	b = open_name("a.lock", BOTH);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		for (;;)
			pause();
	k.pid = (uint32_t)pid;
	CHECK_STR(f_lock(&a, LOCK_EX), "ok");
	k.pid = (uint32_t)getpid();
	n = q_flock(&b, LOCK_EX);
	CHECK_STR(told(n), "!WAITS");
	if (restart)
		daemon_kill();
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (restart)
		daemon_restart();
	CHECK_STR(waited(n), "ok");
	daemon_end();
}

TEST(time_process_ends)
{
	scope_process(false);
}

TEST(time_process_ends_while_no_worker_runs)
{
	scope_process(true);
}

/* ---- SIGTERM: every waiter is sent away ---- */

TEST(time_to_end)
{
	EACH_WAIT(w)
	{
		struct file f[2];
		rq n;

		wait_begin(w, f);
		n = w->ask(&f[0]);
		IN_WAIT(w, told(n), "!WAITS");
		daemon_end();
		CHECK_INT(k_answer(n)->error, -ECANCELED);
	}
}

TEST(time_to_end_at_once)
{
	for (unsigned int i = 0; i < 100; i++) {
		daemon_clean();
		daemon_start();
		daemon_end();
	}
}

/* ---- what happens to a queue by itself ---- */

static struct file leased_one(const char *queue)
{
	struct file w, l;
	char path[64];

	make(queue);
	w = open_name(queue, WO);
	CHECK_STR(f_put(&w, "a\n"), "2");
	f_release(&w);
	snprintf(path, sizeof(path), "%s.ctl/lease", queue);
	l = open_name(path, RO);
	CHECK_STR(f_get(&l), "1\ta\n");
	return l;
}

TEST(time_ttr_gives_a_lease_back)
{
	struct file f;
	rq n;

	daemon_start();
	leased_one("a.queue");
	f = open_name("a.queue", RO);
	n = q_read(&f);
	CHECK_STR(told(n), "!WAITS");
	CHECK_STR(say("a.queue.ctl/ttr", "0.05\n"), "5");
	CHECK_STR(show_word("a.queue.ctl/ttr"), "0.05");
	CHECK_STR(waited(n), "a\n");
	CHECK_STR(show("a.queue.ctl/leased"), "");
	CHECK_STR(say("a.queue.ctl/ttr", "-1"), "!EINVAL");
	CHECK_STR(say("a.queue.ctl/ttr", "x"), "!EINVAL");
	CHECK_STR(say("a.queue.ctl/ttr", "0"), "1");
	CHECK_STR(show_word("a.queue.ctl/ttr"), "0");
	daemon_end();
}

/* Who takes a lease begins its time, whenever `ttr` was set. */
TEST(time_ttr_of_a_granted_lease)
{
	struct file w, l, f;
	rq n;

	daemon_start();
	make("a.queue");
	CHECK_STR(say("a.queue.ctl/ttr", "0.05"), "4");
	w = open_name("a.queue", WO);
	l = open_name("a.queue.ctl/lease", RO);
	f = open_name("a.queue", RO);
	n = q_read(&l);
	CHECK_STR(told(n), "!WAITS");
	CHECK_STR(f_put(&w, "a\n"), "2");
	CHECK_STR(told(n), "1\ta\n");
	CHECK_STR(waited(q_read(&f)), "a\n");
	daemon_end();
}

TEST(time_ttr_over_a_restart)
{
	uint64_t start = ipc_now();
	struct file f;
	rq n;

	daemon_start();
	leased_one("a.queue");
	CHECK_STR(say("a.queue.ctl/ttr", "1"), "1");
	f = open_name("a.queue", RO);
	n = q_read(&f);
	CHECK_STR(told(n), "!WAITS");
	daemon_kill_and_restart();
	CHECK_STR(waited(n), "a\n");
	CHECK(ipc_now() - start >= 1000ull * MS);
	daemon_end();
}

TEST(time_ttr_touched)
{
	uint64_t start;
	struct file f;
	rq n;

	daemon_start();
	leased_one("a.queue");
	CHECK_STR(say("a.queue.ctl/ttr", "1000"), "4");
	CHECK_STR(say("a.queue.ctl/touch", "2"), "!EINVAL");
	CHECK_STR(say("a.queue.ctl/touch", "x"), "!EINVAL");
	CHECK_STR(say("a.queue.ctl/touch", ""), "!EINVAL");
	f = open_name("a.queue", RO);
	n = q_read(&f);
	start = ipc_now();
	CHECK_STR(say("a.queue.ctl/touch", "1\n"), "2");
	CHECK_STR(say("a.queue.ctl/ttr", "0.3"), "3");
	CHECK_STR(waited(n), "a\n");
	CHECK(ipc_now() - start >= 300ull * MS);
	daemon_end();
}

TEST(time_nack_with_a_delay)
{
	struct file f;
	rq n;

	daemon_start();
	leased_one("a.queue");
	CHECK_STR(say("a.queue.ctl/nack", "1 x"), "!EINVAL");
	CHECK_STR(say("a.queue.ctl/nack", "1 -1"), "!EINVAL");
	CHECK_STR(say("a.queue.ctl/nack", "1 2 3"), "!EINVAL");
	CHECK_STR(say("a.queue.ctl/nack", "2 1"), "!EINVAL");
	CHECK_STR(say("a.queue.ctl/nack", "1\t0.05\n"), "7");
	f = open_name("a.queue", RO);
	n = q_read(&f);
	CHECK_STR(waited(n), "a\n");
	daemon_end();
}

/* Nobody has it open: it is seen by its size, whether or not a worker dies meanwhile. */
TEST(time_delayed_that_nobody_waits_for)
{
	struct file l;
	uint64_t ino;

	daemon_start();
	for (int round = 0; round < 2; round++) {
		const char *name = round ? "b.queue" : "a.queue";
		char path[64];

		l = leased_one(name);
		ino = lookup(DIR_ROOT, name);
		snprintf(path, sizeof(path), "%s.ctl/nack", name);
		CHECK_STR(say(path, round ? "1 0.6" : "1 0.1"), round ? "5" : "5");
		f_release(&l);
		CHECK_INT(size_of(ino), 0);
		if (round)
			daemon_kill_and_restart();
		while (size_of(ino) == 0) /* (the timeout of the test ends it) */
			k_receive(10);
		CHECK_INT(size_of(ino), 1);
	}
	daemon_end();
}

/* It is gone with its name, and nothing holds it up. */
TEST(time_delayed_that_is_removed)
{
	struct file l;

	daemon_start();
	l = leased_one("a.queue");
	CHECK_STR(say("a.queue.ctl/nack", "1 1000"), "6");
	f_release(&l);
	k_sync();
	CHECK(access(object_path(2), F_OK) == 0);
	CHECK_STR(told(q_unlink(DIR_ROOT, "a.queue")), "ok");
	k_sync();
	CHECK(access(object_path(2), F_OK) < 0);
	daemon_end();
}

TEST(time_later)
{
	struct file f;
	rq n;

	daemon_start();
	make("a.queue");
	CHECK_STR(say("a.queue.ctl/later", "0.4\tb\n"), "6");
	CHECK_STR(say("a.queue.ctl/later", "0.05\ta"), "6"); /* the close ends the line */
	CHECK_STR(say("a.queue.ctl/later", "a\n"), "!EINVAL");
	CHECK_STR(show_word("a.queue.ctl/delayed"), "2");
	f = open_name("a.queue", RO);
	CHECK_STR(waited(q_read(&f)), "a\n");
	n = q_read_at(&f, 100, 2);
	CHECK_STR(told(n), "!WAITS");
	daemon_kill_and_restart();
	CHECK_STR(waited(n), "b\n");
	daemon_end();
}

/* It never had a handle but of the one that put it. */
TEST(time_later_that_nobody_waits_for)
{
	uint64_t ino;

	daemon_start();
	ino = make("a.queue");
	CHECK_STR(say("a.queue.ctl/later", "0.5\ta\n"), "6");
	daemon_kill_and_restart();
	CHECK_INT(size_of(ino), 0);
	while (size_of(ino) == 0)
		k_receive(10);
	CHECK_STR(show("a.queue.ctl/peek"), "a\n");
	daemon_end();
}

TEST(time_front_and_later_are_for_writing)
{
	static const char *const names[] = { "a.queue.ctl/front", "a.queue.ctl/later" };
	struct fuse_attr attr;
	uint64_t dir;

	daemon_start();
	make("a.queue");
	dir = lookup(DIR_ROOT, "a.queue.ctl");
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t ino = entry_ino(q_lookup(dir, strchr(names[i], '/') + 1), &attr);

		CHECK_INT(attr.mode & 0444, 0);
		CHECK_STR(told(q_open(ino, RO)), "!EACCES");
		CHECK_STR(told(q_open(ino, BOTH)), "!EACCES");
	}
	daemon_end();
}
