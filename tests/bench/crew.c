/* SPDX-License-Identifier: MIT */
/* The threads of crew.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "crew.h"

#define STACK 65536

struct member {
	int i;
	pid_t tid;
	uint32_t times; /* atomic */
};

static struct member *members;
static int n_members;
static void (*member_body)(int i);
static uint32_t said;              /* how often, all together */
static uint32_t wanted = UINT_MAX; /* wake the one who waits for this many */

static void *be_member(void *arg)
{
	struct member *m = arg;

	m->tid = gettid();
	member_body(m->i);
	return NULL;
}

void crew_start(int n, void (*body)(int i))
{
	pthread_attr_t attr;
	pthread_t thread;
	char *stacks = mmap(NULL, (size_t)n * STACK, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	members = calloc((size_t)n, sizeof(*members));
	n_members = n;
	member_body = body;
	if (stacks == MAP_FAILED || !members)
		die_errno("threads' memory");
	for (int i = 0; i < n; i++) {
		members[i].i = i;
		pthread_attr_init(&attr);
		pthread_attr_setstack(&attr, stacks + (size_t)i * STACK, STACK);
		errno = pthread_create(&thread, &attr, be_member, &members[i]);
		if (errno)
			die_errno("pthread_create");
		pthread_attr_destroy(&attr);
	}
}

void crew_about_to_wait(int i)
{
	uint32_t now;

	__atomic_add_fetch(&members[i].times, 1, __ATOMIC_RELEASE);
	now = __atomic_add_fetch(&said, 1, __ATOMIC_SEQ_CST);
	if (now >= __atomic_load_n(&wanted, __ATOMIC_SEQ_CST))
		futex_wake(&said, INT_MAX);
}

static void all_said(uint32_t n)
{
	uint32_t seen;

	__atomic_store_n(&wanted, n, __ATOMIC_SEQ_CST);
	while ((seen = __atomic_load_n(&said, __ATOMIC_SEQ_CST)) < n)
		futex_wait(&said, seen);
	__atomic_store_n(&wanted, UINT_MAX, __ATOMIC_SEQ_CST);
}

static bool sleeps(const struct member *m)
{
	char path[64], buf[512], *state;
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)m->tid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return false;
	buf[n] = 0;
	state = strrchr(buf, ')');
	return state && (state[2] == 'S' || state[2] == 'D');
}

void crew_all_wait(const struct wait_type *t, uint32_t times)
{
	all_said(times * (uint32_t)n_members);
	for (int i = 0; i < n_members; i++)
		while (!sleeps(&members[i]))
			sched_yield();
	while (t->waiting && t->waiting() != n_members)
		sched_yield();
}

void crew_one_waits(int i, uint32_t times)
{
	while (__atomic_load_n(&members[i].times, __ATOMIC_ACQUIRE) < times || !sleeps(&members[i]))
		sched_yield();
}
