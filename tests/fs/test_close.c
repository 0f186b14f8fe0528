/* SPDX-License-Identifier: MIT */
/* FLUSH and RELEASE: unfinished lines, and what a closed handle held. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "waits.h"

static struct file queue(int flags)
{
	make("a.queue");
	return open_name("a.queue", flags);
}

/* ---- unfinished lines ---- */

TEST(close_flush_completes_the_line)
{
	struct file w;

	daemon_start();
	w = queue(WO);
	CHECK_STR(f_put(&w, "abc"), "3");
	CHECK_INT(size_of(w.ino), 0);
	CHECK_STR(f_put(&w, "def"), "3");
	CHECK_STR(f_flush(&w), "ok");
	CHECK_INT(size_of(w.ino), 1);
	CHECK_STR(f_flush(&w), "ok"); /* bash closes its copies too */
	CHECK_INT(size_of(w.ino), 1);
	f_release(&w);
	CHECK_STR(show("a.queue.ctl/peek"), "abcdef\n");
	daemon_end();
}

/* Another process that closes its copy must not cut a line that is being written. */
TEST(close_flush_of_another_process)
{
	struct file w;

	daemon_start();
	w = queue(WO);
	CHECK_STR(f_put(&w, "abc"), "3");
	k.pid++;
	CHECK_STR(f_flush(&w), "ok");
	CHECK_INT(size_of(w.ino), 0);
	k.pid--;
	CHECK_STR(f_put(&w, "def\n"), "4");
	CHECK_STR(show("a.queue.ctl/peek"), "abcdef\n");
	daemon_end();
}

TEST(close_last_close_completes_the_line)
{
	struct file w;

	daemon_start();
	w = queue(WO);
	CHECK_STR(f_put(&w, "one\ntwo"), "7");
	k.pid++;
	CHECK_STR(f_flush(&w), "ok");
	f_release(&w);
	CHECK_STR(show("a.queue.ctl/peek"), "one\ntwo\n");
	daemon_end();
}

/* Close never waits: it may exceed maxsize by this one line. */
TEST(close_flush_of_a_full_queue)
{
	struct file w;

	daemon_start();
	w = queue(WO);
	CHECK_STR(say("a.queue.ctl/maxsize", "1"), "1");
	CHECK_STR(f_put(&w, "one\ntwo"), "7");
	CHECK_STR(f_flush(&w), "ok");
	CHECK_INT(size_of(w.ino), 2);
	daemon_end();
}

TEST(close_flush_on_a_closed_queue)
{
	struct file w;

	daemon_start();
	w = queue(WO);
	CHECK_STR(f_put(&w, "abc"), "3");
	CHECK_STR(say("a.queue.ctl/closed", "1"), "1");
	CHECK_STR(f_flush(&w), "!EPIPE");
	CHECK_STR(f_flush(&w), "ok"); /* once is enough */
	f_release(&w);
	CHECK_INT(size_of(w.ino), 0);
	daemon_end();
}

TEST(close_flush_of_a_killed_writer)
{
	siginfo_t si;
	struct file w;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		pause();
		_exit(0);
	}
	daemon_start();
	k.pid = (uint32_t)pid;
	w = queue(WO);
	CHECK_STR(f_put(&w, "whole\nhal"), "9");
	kill(pid, SIGKILL);
	CHECK(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT) == 0);
	CHECK_STR(f_flush(&w), "ok");
	f_release(&w);
	waitpid(pid, NULL, 0);
	CHECK_STR(show("a.queue.ctl/peek"), "whole\n");
	daemon_end();
}

TEST(close_too_long_a_line_leaves_nothing)
{
	static char part[600000];
	struct file w, again;

	daemon_start();
	w = queue(WO);
	memset(part, 'x', sizeof(part));
	CHECK_STR(told(q_write(&w, part, sizeof(part))), "600000");
	CHECK_STR(told(q_write(&w, part, sizeof(part))), "!EMSGSIZE");
	CHECK_STR(f_put(&w, "fine\n"), "5");
	f_close(&w);
	again = open_name("a.queue", RO);
	CHECK_STR(f_get(&again), "fine\n");
	CHECK_STR(told(q_read_at(&again, 4096, 5)), "!WAITS");
	daemon_end();
}

TEST(close_unfinished_line_survives_a_restart)
{
	struct file w;

	daemon_start();
	w = queue(WO);
	CHECK_STR(f_put(&w, "abc"), "3");
	daemon_kill_and_restart();
	CHECK_STR(f_put(&w, "def"), "3");
	daemon_kill_and_restart();
	CHECK_STR(f_flush(&w), "ok");
	f_release(&w);
	CHECK_STR(show("a.queue.ctl/peek"), "abcdef\n");
	daemon_end();
}

/* In record framing there are no lines, and nothing to flush. */
TEST(close_which_files_want_a_flush)
{
	static const struct {
		const char *name;
		int flags;
		bool wants;
	} table[] = {
		{ "a.queue", WO, true },
		{ "a.queue", BOTH, true },
		{ "a.queue", RO, false },
		{ "a.queue", WO | O_DIRECT, false },
		{ "a.queue.ctl/lease", RO, false },
		{ "a.pipe", WO, false },
		{ "a.lock", BOTH, false },
		{ "a.event", WO, false },
		{ "a.queue.ctl/done", WO, false },
	};

	daemon_start();
	make("a.queue");
	make("a.pipe");
	make("a.lock");
	make("a.event");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct file f = open_name(table[i].name, table[i].flags);

		if (!(f.how & (1 << 5)) != table[i].wants)
			test_fail(__FILE__, __LINE__, "%s, flags %#o", table[i].name,
				  (unsigned int)table[i].flags);
		CHECK(f.how & FOPEN_DIRECT_IO);
		f_close(&f);
	}
	daemon_end();
}

/* ---- what a closed handle held is free for any request made after the close ---- */

TEST(close_returns_a_lock)
{
	static const char *const names[] = { "a.lock", "a.rlock", "a.sem", "a.cond", "a.value" };

	for (unsigned int i = 0; i < 2 * 5; i++) {
		struct file a, b;
		rq last, next;

		daemon_clean();
		daemon_start();
		make(names[i / 2]);
		if (i / 2 == 2)
			CHECK_STR(say("a.sem", "1"), "1");
		a = open_name(names[i / 2], BOTH);
		b = open_name(names[i / 2], BOTH);
		CHECK_STR(f_lock(&a, LOCK_EX), "ok");
		if (i & 1)
			daemon_kill_and_restart();
		last = q_release(&a);
		next = q_flock(&b, LOCK_EX | LOCK_NB); /* before the answer to RELEASE is there */
		CHECK_STR(told(next), "ok");
		CHECK_STR(told(last), "ok");
		daemon_end();
	}
}

TEST(close_returns_what_an_undo_handle_took)
{
	struct file a, b;

	daemon_start();
	make("a.lock");
	a = open_name("a.lock", BOTH);
	b = open_name("a.lock", BOTH);
	CHECK_STR(f_get(&a), "1\n");
	b.flags |= O_NONBLOCK;
	CHECK_STR(f_get(&b), "!EAGAIN");
	q_release(&a);
	CHECK_STR(f_get(&b), "1\n");
	daemon_end();
}

TEST(close_returns_a_lease)
{
	struct file a, b, w;

	daemon_start();
	w = queue(WO);
	a = open_name("a.queue.ctl/lease", RO);
	b = open_name("a.queue.ctl/lease", RO | O_NONBLOCK);
	CHECK_STR(f_put(&w, "job\n"), "4");
	CHECK_STR(f_get(&a), "1\tjob\n");
	CHECK_STR(f_get(&b), "!EAGAIN");
	q_release(&a);
	CHECK_STR(f_get(&b), "2\tjob\n");
	CHECK_STR(show_word("a.queue.ctl/unfinished"), "1");
	daemon_end();
}

TEST(close_serves_the_next_in_line)
{
	EACH_WAIT(w)
	{
		struct file f[2];
		rq a, b;

		wait_begin(w, f);
		a = w->ask(&f[0]);
		b = w->ask(&f[1]);
		k_sync();
		/* The kernel ends a wait before it closes; a worker that missed it must not mind. */
		f_release(&f[0]);
		w->grant();
		CHECK(!strcmp(told(b), "!WAITS") == false);
		(void)a;
		/* a's caller is gone with its handle: no answer is owed, and none may be wrong. */
		daemon_kill();
	}
}

TEST(close_of_the_last_writer_is_the_end)
{
	struct file w, r, w2;
	rq n;

	daemon_start();
	make("a.pipe");
	w = open_name("a.pipe", WO);
	w2 = open_name("a.pipe", WO);
	r = open_name("a.pipe", RO);
	CHECK_STR(f_put(&w, "x"), "1");
	CHECK_STR(f_get(&r), "x");
	n = q_read_at(&r, 4096, 1);
	CHECK_STR(told(n), "!WAITS");
	f_release(&w);
	CHECK_STR(told(n), "!WAITS");
	f_release(&w2);
	CHECK_STR(told(n), "");
	daemon_end();
}

TEST(close_of_the_last_reader)
{
	struct file w, r;
	rq n;

	daemon_start();
	make("a.pipe");
	CHECK_STR(say("a.pipe.ctl/maxbytes", "4"), "1");
	r = open_name("a.pipe", RO);
	w = open_name("a.pipe", WO);
	CHECK_STR(f_put(&w, "abcd"), "4");
	n = q_put(&w, "e");
	CHECK_STR(told(n), "!WAITS");
	f_release(&r);
	CHECK_STR(told(n), "!EPIPE");
	daemon_end();
}

/* RELEASE may come again, and its block may be somebody else's by then. */
TEST(close_resent_release)
{
	struct file a, b;
	rq n;

	daemon_start();
	make("a.lock");
	a = open_name("a.lock", BOTH);
	n = q_release(&a);
	k_answer(n);
	b = open_name("a.lock", BOTH);
	CHECK_STR(f_lock(&b, LOCK_EX), "ok");
	daemon_kill();
	k.reqs[n].answered = false; /* as if its answer had not come through */
	free(k.reqs[n].data);
	k.reqs[n].data = NULL;
	daemon_restart();
	CHECK_STR(told(n), "ok");
	a = open_name("a.lock", BOTH);
	CHECK_STR(f_lock(&a, LOCK_EX | LOCK_NB), "!EAGAIN");
	CHECK_STR(f_lock(&b, LOCK_UN), "ok");
	CHECK_STR(f_lock(&a, LOCK_EX | LOCK_NB), "ok");
	daemon_end();
}

TEST(close_removed_object_goes_with_its_last_handle)
{
	struct file a, b;

	daemon_start();
	make("a.queue");
	a = open_name("a.queue", BOTH);
	CHECK_STR(told(q_unlink(DIR_ROOT, "a.queue")), "ok");
	CHECK_INT(lookup(DIR_ROOT, "a.queue"), 0);
	CHECK_STR(f_put(&a, "x\n"), "2");
	daemon_kill_and_restart();
	b = open_ino(a.ino, RO); /* through /proc/self/fd */
	CHECK_STR(f_get(&b), "x\n");
	f_close(&b);
	CHECK(access(object_path(2), F_OK) == 0);
	f_close(&a);
	CHECK_INT(size_of(a.ino), -ESTALE);
	CHECK(access(object_path(2), F_OK) < 0);
	daemon_end();
}
