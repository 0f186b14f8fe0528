/* SPDX-License-Identifier: MIT */
/* Opens, closes, cancels and pipes, with the worker dying everywhere. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/proc.h"
#include "crash.h"
#include "client/lib.h"
#include "state/nodeid.h"

static uint64_t ino;

CRASH(open)

/* One that is gone would have it closed, if it dies behind the answer. */
static void setup_open(void)
{
	k.pid = (uint32_t)getpid();
	make("a.pipe");
	CHECK_STR(told(q_open(NODEID(2, 0), WO)), "!ESTALE");
	ino = lookup(DIR_ROOT, "a.pipe");
}

static void ask_open(void)
{
	r1 = q_open(ino, WO);
}

static void verify_open(void)
{
	f1 = opened(r1, ino, WO);
	CHECK_STR(f_put(&f1, "x"), "1");
	CHECK_STR(show_word("a.pipe.ctl/writers"), "1"); /* not two of them */
	f_release(&f1);
	CHECK_STR(show_word("a.pipe.ctl/writers"), "0");
}

CRASH_OLD(open)

/* Told ESTALE, the kernel looks up again: then it must be let in. */
CRASH(refused)

static void setup_refused(void)
{
	make("a.pipe");
}

static void ask_refused(void)
{
	r1 = q_open(NODEID(2, 0), WO);
	r2 = q_lookup(DIR_ROOT, "a.pipe");
}

static void verify_refused(void)
{
	CHECK_STR(told(r1), "!ESTALE");
	f1 = open_ino(entry_ino(r2, NULL), WO);
	CHECK_STR(f_put(&f1, "x"), "1");
	f_release(&f1);
}

/* Whoever opens a descriptor anew is not looked up in between. */
CRASH(refused_by_descriptor)

static void setup_refused_by_descriptor(void)
{
	make("a.pipe");
	f2 = open_name("a.pipe", WO);
}

static void ask_refused_by_descriptor(void)
{
	r1 = q_open(f2.ino, WO);
}

static void verify_refused_by_descriptor(void)
{
	CHECK_STR(told(r1), "!ESTALE");
	f1 = open_ino(f2.ino, WO);
	CHECK_STR(f_put(&f1, "x"), "1");
}

/* Free for the next one, or not yet; never told to two. */
CRASH(closed_and_looked_up)

static void setup_closed_and_looked_up(void)
{
	make("a.pipe");
	f1 = open_name("a.pipe", WO);
	CHECK_STR(f_put(&f1, "x"), "1");
}

static void ask_closed_and_looked_up(void)
{
	r1 = q_release(&f1);
	r2 = q_lookup(DIR_ROOT, "a.pipe");
	k.pid++;
	r3 = q_lookup(DIR_ROOT, "a.pipe");
}

static void verify_closed_and_looked_up(void)
{
	uint64_t mine = entry_ino(r2, NULL), others = entry_ino(r3, NULL);

	CHECK(mine != others || !(mine & NODEID_ALIAS));
	CHECK_STR(told(q_open(mine, WO)), "!ESTALE");
	k.pid--;
	if (mine & NODEID_ALIAS)
		open_ino(mine, WO);
}

CRASH_UNTOLD(flush)

static void setup_flush(void)
{
	make("a.queue");
	f1 = open_name("a.queue", WO);
	CHECK_STR(f_put(&f1, "line"), "4");
}

static void ask_flush(void)
{
	r1 = q_flush(&f1);
	r2 = q_flush(&f1);
}

static void verify_flush(void)
{
	CHECK_STR(told(r1), "ok");
	CHECK_STR(told(r2), "ok");
	CHECK_STR(drain("a.queue"), "line\n");
}

CRASH_OLD(flush)

/* A close that says EPIPE says so also when the worker died over it. */
CRASH_UNTOLD(flush_refused)

static void setup_flush_refused(void)
{
	setup_flush();
	CHECK_STR(say("a.queue.ctl/closed", "1"), "1");
}

static void ask_flush_refused(void)
{
	r1 = q_flush(&f1);
}

static void verify_flush_refused(void)
{
	CHECK_STR(told(r1), "!EPIPE");
	CHECK_INT(size_of(f1.ino), 0);
}

CRASH_OLD(flush_refused)

/* What a writer that a signal has killed left in mid-line is put by no worker. */
CRASH(release_of_a_killed_line)

static void setup_release_of_a_killed_line(void)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		pause();
		_exit(0);
	}
	make("a.queue");
	f1 = open_name("a.queue", WO);
	CHECK_STR(f_put(&f1, "one\n"), "4"); /* who writes so is not asked for at each close */
	f_close(&f1);
	f1 = open_name("a.queue", WO);
	k.pid = (uint32_t)pid;
	CHECK_STR(f_put(&f1, "half"), "4");
	k.pid = 5000001;
	kill(pid, SIGKILL);
	CHECK_INT(waitpid(pid, NULL, 0), pid);
}

static void ask_release_of_a_killed_line(void)
{
	r1 = q_release(&f1);
}

static void verify_release_of_a_killed_line(void)
{
	CHECK_STR(told(r1), "ok");
	CHECK_STR(drain("a.queue"), proc_ends_are_told() ? "one\n" : "one\nhalf\n");
}

CRASH(release_of_a_line_and_leases)

static void setup_release_of_a_line_and_leases(void)
{
	make("a.queue");
	f1 = open_name("a.queue", WO);
	f2 = open_name("a.queue.ctl/lease", RO);
	f3 = open_name("a.queue", RO);
	CHECK_STR(f_put(&f1, "one\ntwo\nthr"), "11");
	CHECK_STR(told(q_read_at(&f2, 100, 0)), "1\tone\n");
	CHECK_STR(told(q_read_at(&f2, 100, 6)), "2\ttwo\n");
	r3 = q_read(&f3);
}

static void ask_release_of_a_line_and_leases(void)
{
	r1 = q_release(&f2);
	r2 = q_release(&f1);
}

static void verify_release_of_a_line_and_leases(void)
{
	CHECK_STR(told(r1), "ok");
	CHECK_STR(told(r2), "ok");
	CHECK_STR(told(r3), "one\n");
	CHECK_STR(drain("a.queue"), "two\nthr\n");
	CHECK_STR(show("a.queue.ctl/leased"), "");
}

CRASH(release_of_a_removed_one)

static void setup_release_of_a_removed_one(void)
{
	make("a.queue");
	f1 = open_name("a.queue", WO);
	CHECK_STR(f_put(&f1, "one\n"), "4");
	CHECK_STR(told(q_unlink(DIR_ROOT, "a.queue")), "ok");
}

static void ask_release_of_a_removed_one(void)
{
	r1 = q_release(&f1);
}

static void verify_release_of_a_removed_one(void)
{
	CHECK_STR(told(r1), "ok");
	CHECK_INT(size_of(f1.ino), -ESTALE);
	CHECK(access(object_path(2), F_OK) < 0);
}

CRASH_OLD(release_of_a_removed_one)

CRASH(cancel)

static void setup_cancel(void)
{
	make("a.queue");
	f1 = open_name("a.queue.ctl/cancel", WO);
	f2 = open_name("a.queue", RO);
	f3 = open_name("a.queue.ctl/lease", RO);
	r2 = q_read(&f2);
	r3 = q_read(&f3);
}

static void ask_cancel(void)
{
	r1 = q_put(&f1, "all");
}

static void verify_cancel(void)
{
	CHECK_STR(told(r1), "3");
	CHECK_STR(told(r2), "!ECANCELED");
	CHECK_STR(told(r3), "!ECANCELED");
}

/* The queue is closed: those who wait see the end. */
CRASH(closed)

static void setup_closed(void)
{
	make("a.queue");
	f1 = open_name("a.queue.ctl/closed", WO);
	f2 = open_name("a.queue", RO);
	r2 = q_read(&f2);
}

static void ask_closed(void)
{
	r1 = q_put(&f1, "1");
}

static void verify_closed(void)
{
	CHECK_STR(told(r1), "1");
	CHECK_STR(told(r2), "");
}

CRASH(pipe)

static void setup_pipe(void)
{
	make("a.pipe");
	CHECK_STR(say("a.pipe.ctl/maxbytes", "4"), "1");
	f2 = open_name("a.pipe", RO);
	f1 = open_name("a.pipe", WO);
	r1 = q_put(&f1, "abcdefghij");
}

static void ask_pipe(void)
{
	r2 = q_read_at(&f2, 3, 0);
	r3 = q_read_at(&f2, 4096, 3);
}

static void verify_pipe(void)
{
	char all[32];
	const char *s;

	snprintf(all, sizeof(all), "%s%s", told(r2), told(r3));
	for (size_t n; (n = strlen(all)) < 10;) {
		s = told(q_read_at(&f2, 4096, n));
		CHECK(*s && *s != '!');
		snprintf(all + n, sizeof(all) - n, "%s", s);
	}
	CHECK_STR(all, "abcdefghij");
	CHECK_STR(told(r1), "10");
	r4 = q_read_at(&f2, 4096, 10);
	CHECK_STR(told(r4), "!WAITS");
	f_release(&f1);
	CHECK_STR(told(r4), "");
}

CRASH(pipe_end)

static void setup_pipe_end(void)
{
	make("a.pipe");
	f2 = open_name("a.pipe", RO);
	f1 = open_name("a.pipe", WO);
	r1 = q_read(&f2);
}

static void ask_pipe_end(void)
{
	r2 = q_release(&f1);
}

static void verify_pipe_end(void)
{
	CHECK_STR(told(r2), "ok");
	CHECK_STR(told(r1), "");
	CHECK_STR(show_word("a.pipe.ctl/writers"), "0");
}

/* What libipcfs asks for before it closes. */
CRASH(close_early)

static void setup_close_early(void)
{
	make("a.lock");
	make("a.pipe");
	f1 = open_name("a.lock", BOTH);
	f2 = open_name("a.lock", BOTH);
	f3 = open_name("a.pipe", WO | O_ASYNC);
	f4 = open_name("a.pipe", RO);
	CHECK_STR(f_get(&f1), "1\n");
	CHECK_STR(f_put(&f3, "x"), "1");
	CHECK_STR(f_get(&f4), "x");
	r2 = q_flock(&f2, LOCK_EX);
	r4 = q_read_at(&f4, 4096, 1);
}

static void ask_close_early(void)
{
	r1 = q_ioctl(&f1, LIB_IOC_CLOSE, 0);
	r3 = q_ioctl(&f3, LIB_IOC_CLOSE, 1);
}

static void verify_close_early(void)
{
	CHECK_STR(told(r1), "ok");
	CHECK_STR(told(r2), "ok");
	CHECK_STR(f_lock(&f1, LOCK_EX | LOCK_NB), "!EAGAIN"); /* the handle is still there */
	CHECK_STR(told(r3), "ok");
	CHECK_STR(told(r4), "");
	CHECK_STR(f_put(&f3, "x"), "!EBADF");
	CHECK_STR(told(q_ioctl(&f1, LIB_IOC_SYNC, 0)), "ok");
	f_release(&f1);
	f_release(&f3);
	CHECK_STR(show_word("a.pipe.ctl/writers"), "0");
	CHECK_STR(f_lock(&f2, LOCK_UN), "ok");
}
