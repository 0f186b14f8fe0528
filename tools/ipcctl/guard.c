// SPDX-License-Identifier: MIT
#include "guard.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "ipcctl.h"

/* Between the two processes. */
static struct shared {
	_Atomic int64_t until;   /* CLOCK_MONOTONIC ns: when the parent gives up */
	_Atomic bool left;       /* guard_leave() */
	_Atomic bool copying;    /* the parent has something in hand */
	_Atomic uint32_t copied; /* how often it has had; a futex */
} * shared;

static int ended_fd = -1; /* in the child: closed at its end, or when it leaves */
static bool copies;       /* the parent copies what the child prints */
static volatile sig_atomic_t continued;

static void on_continue(int sig)
{
	(void)sig;
	continued = true;
}

static int64_t patience = ANSWER_LIMIT;

void guard_patience(int64_t ns)
{
	patience = ns;
}

static int64_t later(int64_t limit_ns)
{
	int64_t t;

	return limit_ns < 0 || __builtin_add_overflow(now_ns() + patience, limit_ns, &t) ?
		       INT64_MAX :
		       t;
}

void guard_wait(int64_t limit_ns)
{
	if (!shared)
		return;
	shared->until = later(limit_ns);
	/*
	 * A parent that has nothing to copy then does nothing but wait for the child's end, for good:
	 * whoever looks for deadlocks sees that.
	 */
	if (limit_ns < 0 && !copies && ended_fd >= 0) {
		close(ended_fd);
		ended_fd = -1;
	}
}

void guard_progress(void)
{
	guard_wait(0);
}

int guard_printed(void)
{
	if (fflush(stdout))
		return -errno;
	while (shared && copies) {
		uint32_t n = shared->copied;
		int waiting = 0;

		/* In this order: what has left the pipe is in the parent's hand. */
		if (ioctl(STDOUT_FILENO, FIONREAD, &waiting) < 0)
			return -errno;
		if (!waiting && !shared->copying)
			break;
		syscall(SYS_futex, &shared->copied, FUTEX_WAIT, n, NULL, NULL, 0);
	}
	return 0;
}

void guard_leave(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	fflush(stdout);
	for (int fd = 0; fd <= STDERR_FILENO && null >= 0; fd++)
		dup2(null, fd);
	prctl(PR_SET_PDEATHSIG, 0);
	if (!shared)
		return;
	shared->left = true;
	close(ended_fd);
}

/* The child may have been held up by whoever reads what it prints. */
static void extend(void)
{
	int64_t old = shared->until, until = later(0);

	if (old < until)
		atomic_compare_exchange_strong(&shared->until, &old, until);
}

/* Copies what there is; false: no more will come. */
static bool copy(int from, int to)
{
	char chunk[65536];
	ssize_t n;

	shared->copying = true;
	do
		n = read(from, chunk, sizeof(chunk)); /* there is something, or an end */
	while (n < 0 && errno == EINTR);
	for (ssize_t done = 0; done < n;) {
		ssize_t m = write(to, chunk + done, n - done);

		if (m < 0 && errno == EINTR)
			continue;
		if (m < 0) {
			complain("standard output", "%s", strerror(errno));
			_exit(EXIT_FAILURE); /* the child gets SIGKILL */
		}
		done += m;
	}
	extend();
	shared->copying = false;
	shared->copied++;
	syscall(SYS_futex, &shared->copied, FUTEX_WAKE, 1, NULL, NULL, 0);
	return n > 0;
}

static int left_ms(void)
{
	int64_t left = shared->until;

	if (left == INT64_MAX)
		return -1;
	left -= now_ns();
	return left <= 0 ? 0 : left / 1000000 < 60000 ? (int)(left / 1000000) + 1 : 60000;
}

static void __attribute__((noreturn)) give_up(pid_t child)
{
	kill(child, SIGKILL);
	complain("no answer from the daemon",
		 "is it stopped? 'ipcctl doctor' looks at every mount");
	_exit(EXIT_NO_ANSWER);
}

static void __attribute__((noreturn)) finish(pid_t child)
{
	int status;

	if (shared->left)
		_exit(EXIT_SUCCESS);
	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			_exit(EXIT_FAILURE);
	}
	if (WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	signal(WTERMSIG(status), SIG_DFL);
	raise(WTERMSIG(status));
	_exit(128 + WTERMSIG(status));
}

/* `ended` is a pipe that the child holds open until its end. */
static void __attribute__((noreturn)) watch(pid_t child, int ended, int out, int err)
{
	struct pollfd p[] = {
		{ .fd = out, .events = POLLIN },
		{ .fd = err, .events = POLLIN },
		{ .fd = ended, .events = POLLIN },
	};

	for (;;) {
		int n = poll(p, ARRAY_SIZE(p), p[2].fd < 0 ? 0 : left_ms());

		if (continued) { /* both were stopped, and time went on */
			continued = false;
			extend();
			continue;
		}
		if (n == 0 && p[2].fd < 0)
			finish(child); /* whoever has the pipes now is none of ours */
		if (n == 0 && shared->until <= now_ns())
			give_up(child);
		for (size_t i = 0; n > 0 && i < ARRAY_SIZE(p); i++) {
			if (!p[i].revents)
				continue;
			if (i == 2 || !copy(p[i].fd, i ? STDERR_FILENO : STDOUT_FILENO))
				p[i].fd = -1;
		}
	}
}

static void make_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) == 0)
		return;
	complain("pipe", "%s", strerror(errno));
	exit(EXIT_FAILURE);
}

static void take_signals(enum guard how)
{
	struct sigaction sa = { .sa_handler = on_continue };

	sigaction(SIGCONT, &sa, NULL);
	if (how == GUARD_ONLY) { /* they are for the program that the child runs */
		signal(SIGINT, SIG_IGN);
		signal(SIGQUIT, SIG_IGN);
	}
}

void guard_start(enum guard how)
{
	int out[2] = { -1, -1 }, err[2] = { -1, -1 }, ended[2];
	pid_t parent = getpid(), child;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		out_of_memory();
	guard_progress();
	copies = how == GUARD_OUTPUT;
	make_pipe(ended);
	if (how == GUARD_OUTPUT) {
		make_pipe(out);
		make_pipe(err);
	}
	child = fork();
	if (child < 0) {
		complain("fork", "%s", strerror(errno));
		exit(EXIT_FAILURE);
	}
	if (child) {
		take_signals(how);
		close(out[1]);
		close(err[1]);
		close(ended[1]);
		watch(child, ended[0], out[0], err[0]);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	if (how == GUARD_OUTPUT) {
		dup2(out[1], STDOUT_FILENO);
		dup2(err[1], STDERR_FILENO);
		close(out[0]);
		close(out[1]);
		close(err[0]);
		close(err[1]);
	}
	close(ended[0]);
	ended_fd = ended[1];
}
