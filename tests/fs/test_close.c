/* SPDX-License-Identifier: MIT */
/* FLUSH and RELEASE: unfinished lines, and what a closed handle held. */
#include <errno.h>
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/proc.h"
#include "waits.h"

static struct file queue(int flags)
{
	make("a.queue");
	return open_name("a.queue", flags);
}

/* ---- unfinished lines ---- */

/* One to which whole lines are written: its next handle is not asked for at each close. */
static struct file tidy_queue(int flags)
{
	struct file w = queue(WO);

	CHECK_STR(f_put(&w, "tidy\n"), "5");
	f_close(&w);
	w = open_name("a.queue", RO);
	CHECK_STR(f_get(&w), "tidy\n");
	f_close(&w);
	return open_name("a.queue", flags);
}

static const char *content(void)
{
	return show("a.queue.ctl/peek");
}

TEST(close_last_close_completes_the_line)
{
	struct file w;

	if (!proc_ends_are_told())
		return; /* this kernel does not */
	daemon_start();
	w = tidy_queue(WO);
	CHECK_STR(f_put(&w, "one\nabc"), "7");
	CHECK_INT(size_of(w.ino), 1);
	CHECK_STR(f_flush(&w), "ok"); /* if it comes at all, from a handle of an older version */
	CHECK_STR(f_put(&w, "def"), "3");
	CHECK_STR(content(), "one\n");
	f_release(&w);
	CHECK_STR(content(), "one\nabcdef\n");
	daemon_end();
}

/* What was closed is there for any request after the close. */
TEST(close_line_is_put_before_the_next_request)
{
	struct file w, r;
	rq last, next;

	daemon_start();
	w = tidy_queue(WO);
	r = open_name("a.queue", RO | O_NONBLOCK);
	CHECK_STR(f_put(&w, "abc"), "3");
	last = q_release(&w);
	next = q_read(&r); /* before the answer to RELEASE is there */
	CHECK_STR(told(next), "abc\n");
	CHECK_STR(told(last), "ok");
	daemon_end();
}

/* Close never waits: it may exceed maxsize by this one line. */
TEST(close_line_of_a_full_queue)
{
	struct file w, r;
	rq n;

	daemon_start();
	w = tidy_queue(WO);
	CHECK_STR(say("a.queue.ctl/maxsize", "1"), "1");
	CHECK_STR(f_put(&w, "one\ntwo"), "7");
	f_release(&w);
	CHECK_STR(content(), "one\ntwo\n");
	r = open_name("a.queue", RO);
	CHECK_STR(f_get(&r), "one\n");
	CHECK_STR(told(q_read_at(&r, 4096, 4)), "two\n");
	n = q_read_at(&r, 4096, 8);
	CHECK_STR(told(n), "!WAITS");
	w = open_name("a.queue", WO);
	CHECK_STR(f_put(&w, "three"), "5");
	f_release(&w); /* whoever waits is served by a close, too */
	CHECK_STR(told(n), "three\n");
	daemon_end();
}

TEST(close_line_of_a_closed_queue)
{
	struct file w;

	daemon_start();
	w = tidy_queue(WO);
	CHECK_STR(f_put(&w, "abc"), "3");
	CHECK_STR(say("a.queue.ctl/closed", "1"), "1");
	f_release(&w);
	CHECK_STR(say("a.queue.ctl/closed", "0"), "1");
	CHECK_INT(size_of(w.ino), 0);
	daemon_end();
}

/* A process that writes by a handle of ours: it lives until its end is wanted. */
static pid_t writer_new(void)
{
	sigset_t set, old;
	pid_t pid;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, &old);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		sigwait(&set, &sig);
		_exit(sig == SIGUSR1 ? 0 : SIGKILL); /* no signal, whatever the number says */
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	k.pid = (uint32_t)pid;
	return pid;
}

/* It ends, and is a zombie; or is gone. */
static void writer_end(pid_t pid, int sig, bool gone)
{
	siginfo_t si;

	kill(pid, sig);
	CHECK(waitid(P_PID, (id_t)pid, &si, WEXITED | (gone ? 0 : WNOWAIT)) == 0);
	k.pid = 5000001;
}

/* How the process that wrote the unfinished line ended says what becomes of it. */
TEST(close_line_of_one_that_ended)
{
	static const struct {
		int sig;
		bool put;
	} ends[] = {
		{ SIGKILL, false },
		{ SIGTERM, false },
		{ SIGUSR1, true },
		{ SIGUSR2, true },
	};

	if (!proc_ends_are_told())
		return; /* this kernel does not */
	for (unsigned int i = 0; i < 4 * 2 * 4; i++) {
		const char *want = ends[i / 8].put ? "whole\nhalf\n" : "whole\n";
		bool gone = i & 1, restart = i & 2, while_none = i & 4;
		struct file w;
		pid_t pid;

		daemon_clean();
		daemon_start();
		pid = writer_new();
		w = tidy_queue(WO);
		CHECK_STR(f_put(&w, "whole\nhalf"), "10");
		if (restart)
			daemon_kill_and_restart();
		if (while_none) { /* … a worker: it is not there to be seen afterwards */
			daemon_kill();
			writer_end(pid, ends[i / 8].sig, gone);
			daemon_restart();
		} else {
			writer_end(pid, ends[i / 8].sig, gone);
		}
		f_release(&w);
		if (strcmp(content(), want))
			test_fail(__FILE__, __LINE__, "signal %d, case %u: %s", ends[i / 8].sig,
				  i % 8, content());
		if (!gone)
			waitpid(pid, NULL, 0);
		daemon_end();
	}
}

TEST(close_line_goes_on_after_a_killed_writer)
{
	struct file w;
	pid_t pid;

	if (!proc_ends_are_told())
		return; /* this kernel does not */
	daemon_start();
	w = tidy_queue(WO);
	pid = writer_new();
	CHECK_STR(f_put(&w, "his "), "4");
	writer_end(pid, SIGKILL, true);
	CHECK_STR(f_put(&w, "mine\n"), "5");
	CHECK_STR(content(), "mine\n");
	pid = writer_new();
	CHECK_STR(f_put(&w, "child's "), "8");
	writer_end(pid, SIGUSR1, true);
	CHECK_STR(f_put(&w, "and mine\n"), "9");
	CHECK_STR(content(), "mine\nchild's and mine\n");
	daemon_end();
}

/* The last one who wrote counts, not who began. */
TEST(close_line_that_two_wrote)
{
	struct file w;
	pid_t a, b;

	daemon_start();
	w = tidy_queue(WO);
	a = writer_new();
	CHECK_STR(f_put(&w, "a "), "2");
	b = writer_new();
	CHECK_STR(f_put(&w, "b"), "1");
	writer_end(a, SIGKILL, true);
	writer_end(b, SIGUSR1, true);
	f_release(&w);
	CHECK_STR(content(), "a b\n");
	daemon_end();
}

/* The object is locked when the close comes; what its writer does later is of no consequence. */
TEST(close_line_of_a_stalled_queue)
{
	struct file w;
	pid_t pid;
	rq n;

	if (!proc_ends_are_told())
		return; /* this kernel does not */
	for (int killed_first = 0; killed_first < 2; killed_first++) {
		daemon_clean();
		daemon_start();
		w = tidy_queue(WO);
		pid = writer_new();
		CHECK_STR(f_put(&w, "abc"), "3");
		engine_stall(w.ino);
		if (killed_first)
			writer_end(pid, SIGKILL, true);
		n = q_release(&w);
		k_sync();
		CHECK_STR(told(n), "!WAITS");
		if (!killed_first)
			writer_end(pid, SIGKILL, true);
		engine_go_on(w.ino);
		k_answer(n);
		CHECK_STR(content(), killed_first ? "" : "abc\n");
		daemon_end();
	}
}

/* How many descriptors the worker has open. */
static unsigned int descriptors(void)
{
	char path[32];
	struct dirent *e;
	unsigned int n = 0;
	DIR *dir;

	k_sync();
	snprintf(path, sizeof(path), "/proc/%d/fd", k.worker);
	dir = opendir(path);
	CHECK(dir);
	while ((e = readdir(dir)))
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

/* What is known of a handle goes with it, also if the object is damaged meanwhile. */
TEST(close_leaves_no_descriptor)
{
	for (int damaged = 0; damaged < 2; damaged++) {
		unsigned int before;
		struct file w;

		daemon_clean();
		daemon_start();
		w = tidy_queue(WO);
		before = descriptors();
		k.pid = (uint32_t)getpid();
		CHECK_STR(f_put(&w, "half"), "4");
		CHECK_INT(descriptors(), before + proc_ends_are_told());
		if (damaged)
			engine(w.ino, NULL)->m.damaged = 1;
		f_release(&w);
		k.pid = 5000001;
		CHECK_INT(size_of(w.ino), damaged ? 0 : 1);
		CHECK_INT(descriptors(), before);
		daemon_end_but("a.queue");
	}
}

/* More unfinished lines than the next worker can be told of one by one. */
TEST(close_many_unfinished_lines)
{
	enum { N = 600 };
	static struct file w[N];
	pid_t lives, dies;

	if (!proc_ends_are_told())
		return; /* this kernel does not */
	daemon_start();
	w[0] = tidy_queue(RO);
	f_close(&w[0]);
	lives = writer_new();
	dies = writer_new();
	for (unsigned int i = 0; i < N; i++) {
		char text[16];

		k.pid = 5000001;
		w[i] = open_name("a.queue", WO);
		for (unsigned int part = 0; part < 2; part++) {
			k.pid = (uint32_t)((i + part) % 2 ? dies : lives);
			snprintf(text, sizeof(text), "%u ", i);
			f_put(&w[i], text);
		}
	}
	daemon_kill();
	writer_end(dies, SIGKILL, true);
	daemon_restart();
	for (unsigned int i = 0; i < N; i++)
		f_release(&w[i]);
	CHECK_INT(size_of(w[0].ino), N / 2);
	CHECK(!strncmp(content(), "1 1 \n3 3 \n5 5 \n", 15));
	writer_end(lives, SIGUSR1, true);
	daemon_end();
}

/* ---- where each close is told ---- */

static bool wants_flush(const struct file *f)
{
	return !(f->how & 1 << 5);
}

/* From which queues FLUSH is requested. */
TEST(close_which_queues_want_a_flush)
{
	struct file w;

	if (!proc_ends_are_told())
		return; /* all */
	daemon_start();
	w = queue(WO);
	CHECK(wants_flush(&w)); /* nobody knows yet */
	f_close(&w);
	w = open_name("a.queue", WO);
	CHECK(wants_flush(&w));
	CHECK_STR(f_put(&w, "a line\n"), "7");
	f_close(&w);
	w = open_name("a.queue", BOTH);
	CHECK(!wants_flush(&w));
	CHECK_STR(f_put(&w, "one and a "), "10");
	CHECK_STR(f_put(&w, "half\n"), "5");
	f_close(&w);
	w = open_name("a.queue", WO);
	CHECK(!wants_flush(&w));
	CHECK_STR(f_put(&w, "half"), "4");
	f_close(&w);
	for (unsigned int i = 0; i < 9; i++) {
		w = open_name("a.queue", WO);
		CHECK(wants_flush(&w));
		CHECK_STR(f_put(&w, "a line\n"), "7");
		f_close(&w);
	}
	w = open_name("a.queue", WO);
	CHECK(!wants_flush(&w));
	f_close(&w);
	CHECK_STR(say("a.queue.ctl/framing", "record"), "6");
	daemon_kill_and_restart();
	w = open_name("a.queue", WO);
	CHECK(!wants_flush(&w));
	CHECK_STR(say("a.queue.ctl/framing", "line"), "4");
	w = open_name("a.queue", WO);
	CHECK(wants_flush(&w));
	daemon_end();
}

/* Whoever closes and is killed before the RELEASE is dealt with has closed. */
TEST(close_and_killed_at_once)
{
	if (!proc_ends_are_told())
		return; /* there it is put at once */
	for (unsigned int i = 0; i < 4; i++) {
		bool killed_first = i & 1, restart = i & 2;
		struct file w;
		pid_t pid;

		daemon_clean();
		daemon_start();
		pid = writer_new();
		w = queue(WO);
		CHECK_STR(f_put(&w, "line"), "4");
		if (restart)
			daemon_kill_and_restart();
		if (killed_first) {
			writer_end(pid, SIGKILL, false);
			k.pid = (uint32_t)pid;
		}
		CHECK_STR(f_flush(&w), "ok");
		CHECK_INT(size_of(w.ino), 0);
		if (!killed_first)
			writer_end(pid, SIGKILL, false);
		if (restart)
			daemon_kill_and_restart();
		waitpid(pid, NULL, 0);
		f_release(&w);
		CHECK_STR(content(), killed_first ? "" : "line\n");
		daemon_end();
	}
}

/* Of those who share a handle, the one that was killed in mid-line. */
TEST(close_flush_of_a_killed_child)
{
	struct file w;
	pid_t pid;

	daemon_start();
	w = queue(WO);
	CHECK_STR(f_put(&w, "mine "), "5");
	pid = writer_new();
	CHECK_STR(f_put(&w, "and half"), "8");
	writer_end(pid, SIGKILL, false);
	k.pid = (uint32_t)pid;
	CHECK_STR(f_flush(&w), "ok");
	waitpid(pid, NULL, 0);
	k.pid = 5000001;
	CHECK_STR(f_put(&w, "mine\n"), "5");
	CHECK_STR(content(), "mine\n");
	daemon_end();
}

/* ---- the same where a close() has to say who closes: on kernels before Linux 6.15 ---- */

static void start_untold(void)
{
	daemon_untold_kernel();
	daemon_start();
}

TEST(close_flush_completes_the_line)
{
	struct file w;

	start_untold();
	w = queue(WO);
	CHECK_STR(f_put(&w, "abc"), "3");
	CHECK_INT(size_of(w.ino), 0);
	CHECK_STR(f_put(&w, "def"), "3");
	CHECK_STR(f_flush(&w), "ok");
	CHECK_INT(size_of(w.ino), 1);
	CHECK_STR(f_flush(&w), "ok"); /* bash closes its copies too */
	CHECK_INT(size_of(w.ino), 1);
	f_release(&w);
	CHECK_STR(content(), "abcdef\n");
	daemon_end();
}

/* Another process that closes its copy must not cut a line that is being written. */
TEST(close_flush_of_another_process)
{
	struct file w;

	start_untold();
	w = queue(WO);
	CHECK_STR(f_put(&w, "abc"), "3");
	k.pid++;
	CHECK_STR(f_flush(&w), "ok");
	CHECK_INT(size_of(w.ino), 0);
	k.pid--;
	CHECK_STR(f_put(&w, "def\n"), "4");
	CHECK_STR(content(), "abcdef\n");
	daemon_end();
}

TEST(close_flush_of_a_full_queue)
{
	struct file w;

	start_untold();
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

	start_untold();
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
	struct file w;
	pid_t pid;

	start_untold();
	pid = writer_new();
	w = queue(WO);
	CHECK_STR(f_put(&w, "whole\nhal"), "9");
	writer_end(pid, SIGKILL, false);
	k.pid = (uint32_t)pid;
	CHECK_STR(f_flush(&w), "ok");
	f_release(&w);
	waitpid(pid, NULL, 0);
	CHECK_STR(content(), "whole\n");
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
	f_release(&w);
	CHECK_STR(content(), "abcdef\n");
	daemon_end();
}

/* In record framing there are no lines, and nothing to flush. */
TEST(close_which_files_want_a_flush)
{
	static const struct {
		const char *name;
		int flags;
		bool wants; /* while nobody has written to it */
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

	if (!proc_ends_are_told())
		return; /* this kernel does not */
	for (int untold = 0; untold < 2; untold++) {
		daemon_clean();
		if (untold)
			daemon_untold_kernel();
		daemon_start();
		make("a.queue");
		make("a.pipe");
		make("a.lock");
		make("a.event");
		for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
			struct file f = open_name(table[i].name, table[i].flags);

			if (wants_flush(&f) != table[i].wants)
				test_fail(__FILE__, __LINE__, "%s, flags %#o", table[i].name,
					  (unsigned int)table[i].flags);
			CHECK(f.how & FOPEN_DIRECT_IO);
			f_close(&f);
		}
		daemon_end();
	}
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
	CHECK_STR(f_get(&b), "1\tjob\n");
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
