/* SPDX-License-Identifier: MIT */
/* The slow half of lock.h. */
#define _GNU_SOURCE
#include "file/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "file/clock.h"

#define SPINS           600     /* pauses before the first sleep: some 10 to 20 µs */
#define CROWD_SPINS     40      /* the same, if somebody is asleep already */
#define SPIN_FIRST      32      /* pauses between two looks at the word, … */
#define CONTENDED_AFTER 320     /* … and after so many the lock is marked contended */
#define PASS_ON         16      /* pauses, for the spinner to take it */
#define FIRST_SLICE     1000000 /* ns of the first sleep; each is twice as long … */
#define CLOSE_SLICE     8000000 /* … and from here on the holder is checked closely */
#define LAST_SLICE      64000000
#define PATIENCE_NS     100000000
#define RUNS_NS         1000000000
#define ASK_EVERY       256 /* waits, as a program may be tied to one CPU later */

__thread uint32_t ipc_tid_cache;

static void forget_tid(void)
{
	ipc_tid_cache = 0;
}

__attribute__((constructor)) static void forget_after_fork(void)
{
	pthread_atfork(NULL, NULL, forget_tid);
}

uint32_t ipc_tid_ask(void)
{
	ipc_tid_cache = (uint32_t)syscall(SYS_gettid);
	return ipc_tid_cache;
}

static bool is_gone(uint32_t tid)
{
	return kill((pid_t)tid, 0) < 0 && errno == ESRCH;
}

/*
 * The state of a thread in /proc: R, D, S, T, Z … 0: it is gone. '?': not visible, as another
 * user's with hidepid=2.
 */
static char state_of(uint32_t tid)
{
	char path[32], buf[256], *p;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/status", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return is_gone(tid) ? 0 : '?';
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[n > 0 ? n : 0] = 0;
	p = strstr(buf, "\nState:\t");
	return n <= 0 ? 0 : p ? p[8] : '?';
}

/* A zombie, which has died but has not been waited for by its parent, is dead too. */
static bool is_zombie(uint32_t tid)
{
	char state = state_of(tid);

	return !state || state == 'Z' || state == 'X';
}

static bool is_dead(uint32_t tid, bool closely)
{
	if (tid == ipc_tid()) /* not us, but an earlier thread with our id */
		return true;
	if (!tid || is_gone(tid))
		return true;
	return closely && is_zombie(tid);
}

static bool swap(uint32_t *word, uint32_t from, uint32_t to)
{
	return __atomic_compare_exchange_n(word, &from, to, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Spin: look rarely at first, so that the holder keeps its cache line; then say that we spin. */
static bool spin(uint32_t *word, uint32_t tid)
{
	unsigned int wait = SPIN_FIRST, most = SPINS;

	if (!ipc_may_spin())
		return false;
	for (unsigned int spent = 0; spent < most; spent += wait) {
		uint32_t v;

		for (unsigned int i = 0; i < wait; i++)
			ipc_pause();
		v = __atomic_load_n(word, __ATOMIC_RELAXED);
		if (!v && swap(word, 0, tid))
			return true;
		/* The holder may need the very CPU on which a crowd would spin. */
		if (v & LOCK_SLEEPERS)
			most = CROWD_SPINS;
		if (v && spent >= CONTENDED_AFTER) {
			wait = 1;
			if (!(v & LOCK_CONTENDED))
				swap(word, v, v | LOCK_CONTENDED);
		}
	}
	return false;
}

bool ipc_may_spin(void)
{
	static int cpus, asked;
	int n = __atomic_load_n(&cpus, __ATOMIC_RELAXED);

	if (!n || __atomic_add_fetch(&asked, 1, __ATOMIC_RELAXED) % ASK_EVERY == 0) {
		cpu_set_t set;

		/* More CPUs than the set has room for: certainly more than one. */
		n = sched_getaffinity(0, sizeof(set), &set) < 0 ? 2 : CPU_COUNT(&set);
		__atomic_store_n(&cpus, n, __ATOMIC_RELAXED);
	}
	return n > 1;
}

/* Wait for a release. true: none came in time. */
static bool sleep_on(uint32_t *word, uint32_t v, uint64_t ns)
{
	struct timespec ts = { 0, (long)ns };

	if (!(v & LOCK_SLEEPERS) && !swap(word, v, v | LOCK_SLEEPERS))
		return false;
	return syscall(SYS_futex, word, FUTEX_WAIT, v | LOCK_SLEEPERS, &ts, NULL, 0) < 0 &&
	       errno == ETIMEDOUT;
}

int ipc_lock_take_slowly(uint32_t *word, int64_t timeout_ns)
{
	uint64_t start = 0, slice = FIRST_SLICE, left, spent;
	uint32_t tid = ipc_tid();

	if (spin(word, tid))
		return 0;
	for (;;) {
		uint32_t v = __atomic_load_n(word, __ATOMIC_RELAXED);
		bool dead;

		if (__atomic_load_n(word + 1, __ATOMIC_RELAXED))
			return -EIO;
		if (!v && swap(word, 0, tid | LOCK_SLEEPERS))
			return 0;
		if (!start)
			start = ipc_now();
		spent = ipc_now() - start;
		left = timeout_ns < 0               ? UINT64_MAX :
		       spent < (uint64_t)timeout_ns ? (uint64_t)timeout_ns - spent :
						      0;
		/*
		 * Opening a file in /proc is expensive, above all if a thousand threads do it at
		 * once.
		 */
		dead = v && is_dead(v & LOCK_TID, !left || slice >= CLOSE_SLICE);
		if (dead && swap(word, v, tid | LOCK_SLEEPERS))
			return -EOWNERDEAD;
		/* (A hostile process may rewrite it all the time.) */
		if (!left)
			return -EBUSY;
		if (v && !dead && sleep_on(word, v, left < slice ? left : slice))
			slice = slice < LAST_SLICE ? slice * 2 : LAST_SLICE;
	}
}

int64_t ipc_lock_patience(const uint32_t *word)
{
	uint32_t v = __atomic_load_n(word, __ATOMIC_RELAXED);
	char state = v ? state_of(v & LOCK_TID) : 0;

	return !state || state == 'R' || state == 'D' ? RUNS_NS : PATIENCE_NS;
}

bool ipc_lock_stopped(const uint32_t *word)
{
	char state = state_of(__atomic_load_n(word, __ATOMIC_RELAXED) & LOCK_TID);

	return state == 'T' || state == 't';
}

void ipc_lock_pass_on(uint32_t *word, uint32_t v)
{
	if (v & LOCK_SLEEPERS)
		syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
	if (!(v & LOCK_CONTENDED))
		return;
	for (int i = 0; i < PASS_ON && !__atomic_load_n(word, __ATOMIC_RELAXED); i++)
		ipc_pause();
}
