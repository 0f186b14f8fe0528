/* SPDX-License-Identifier: MIT */
/* What bench.h promises: clock, gate and teams of processes. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define MAX_TEAM 16

struct meeting {
	uint32_t ready, go;
	uint64_t start[MAX_TEAM], end[MAX_TEAM];
};

static pid_t main_pid;

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	if (getpid() == main_pid)
		exit(1);
	_exit(1);
}

void die_errno(const char *what)
{
	die("%s: %s", what, strerror(errno));
}

static void too_long(int sig)
{
	static const char text[] = "not done within the time limit\n";

	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(1);
}

void bench_start(void)
{
	const char *limit = getenv("BENCH_LIMIT"), *cpu = getenv("BENCH_CPU");

	main_pid = getpid();
	signal(SIGALRM, too_long);
	signal(SIGPIPE, SIG_IGN);
	alarm(limit ? (unsigned int)atoi(limit) : 60);
	pin(cpu ? atoi(cpu) : -1);
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		die_errno("sched_setaffinity");
}

const char *need_env(const char *name)
{
	const char *value = getenv(name);

	if (!value)
		die("%s is not in the environment", name);
	return value;
}

long number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*end || end == text)
		die("not a number: %s", text);
	return n;
}

const char *path_in(const char *env, const char *name)
{
	static char paths[5][PATH_MAX];
	static int next;
	char *path = paths[next++ % 5];

	snprintf(path, PATH_MAX, "%s/%d-%s", need_env(env), (int)main_pid, name);
	return path;
}

void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die_errno(path);
	close(fd);
}

void *shared_memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die_errno("mmap");
	return p;
}

void futex_wait(uint32_t *word, uint32_t value)
{
	syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

void futex_wake(uint32_t *word, int n)
{
	syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);
}

void wait_for(uint32_t *word, uint32_t value)
{
	uint32_t seen;

	while ((seen = __atomic_load_n(word, __ATOMIC_ACQUIRE)) < value)
		futex_wait(word, seen);
}

/* ---- teams ---- */

static _Noreturn void be_member(const struct team *t, struct meeting *m, int i, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	pin(t->cpu);
	if (t->prepare)
		t->prepare(i);
	__atomic_add_fetch(&m->ready, 1, __ATOMIC_RELEASE);
	futex_wake(&m->ready, INT_MAX);
	wait_for(&m->go, 1);
	m->start[i] = now_ns();
	t->body(i);
	m->end[i] = now_ns();
	_exit(0);
}

/* One failed, or the time is to be told to the others: the parent is told by the kernel of both. */
static void gather(const struct team *t, pid_t *pids)
{
	int left = t->n, status, i;
	pid_t pid;

	while (left && (pid = wait(&status)) > 0) {
		for (i = 0; i < t->n && pids[i] != pid; i++)
			;
		if (i == t->n)
			continue;
		pids[i] = 0;
		left--;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			continue;
		for (i = 0; i < t->n; i++)
			if (pids[i])
				kill(pids[i], SIGKILL);
		die("a process of the team failed (status %#x)", (unsigned int)status);
	}
}

static void stop_later(const struct team *t)
{
	struct timespec time = {
		.tv_sec = (time_t)(t->run_ns / 1000000000),
		.tv_nsec = (long)(t->run_ns % 1000000000),
	};

	while (nanosleep(&time, &time) < 0 && errno == EINTR)
		;
	__atomic_store_n(t->stop, 1, __ATOMIC_RELAXED);
}

uint64_t team_run(const struct team *t)
{
	struct meeting *m = shared_memory(sizeof(*m));
	uint64_t start = UINT64_MAX, end = 0;
	pid_t pids[MAX_TEAM], self = getpid();
	uint32_t seen;

	for (int i = 0; i < t->n; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			die_errno("fork");
		if (!pids[i])
			be_member(t, m, i, self);
	}
	/* A member that dies before the gate would leave us here until the alarm. */
	while ((seen = __atomic_load_n(&m->ready, __ATOMIC_ACQUIRE)) < (uint32_t)t->n) {
		struct timespec look = { .tv_nsec = 100000000 };
		siginfo_t info = { .si_pid = 0 };

		syscall(SYS_futex, &m->ready, FUTEX_WAIT, seen, &look, NULL, 0);
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid)
			gather(t, pids);
	}
	__atomic_store_n(&m->go, 1, __ATOMIC_RELEASE);
	futex_wake(&m->go, INT_MAX);
	if (t->stop)
		stop_later(t);
	gather(t, pids);
	for (int i = 0; i < t->n; i++) {
		start = m->start[i] < start ? m->start[i] : start;
		end = m->end[i] > end ? m->end[i] : end;
	}
	return end - start;
}
