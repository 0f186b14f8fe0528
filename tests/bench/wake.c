/* SPDX-License-Identifier: MIT */
/*
 * wake PEER THREADS REPETITIONS - one sets what many wait for.
 *
 * Nanoseconds from before the set to the moment at which the last thread is back, by the number of
 * threads: the median of the repetitions, of which there are fewer (1 at least) if they take more
 * than two seconds. Before each, all threads are known to wait.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "crew.h"

#define ENOUGH_NS 2000000000u

static const struct wait_type *type;
static int n_threads;
static uint32_t back, round_no; /* atomic */
static uint32_t all_back;       /* atomic; repetitions that are over */
static uint64_t last_back;

static void body(int i)
{
	for (uint32_t round = 0;; round++) {
		wait_for(&round_no, round);
		crew_about_to_wait(i);
		type->wait(i);
		if (__atomic_add_fetch(&back, 1, __ATOMIC_ACQ_REL) != (uint32_t)n_threads)
			continue;
		last_back = now_ns();
		__atomic_add_fetch(&all_back, 1, __ATOMIC_RELEASE);
		futex_wake(&all_back, 1);
	}
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double repetition(uint32_t n)
{
	uint64_t start;

	crew_all_wait(type, n + 1);
	start = now_ns();
	type->wake();
	wait_for(&all_back, n + 1);
	if (type->reset)
		type->reset();
	back = 0;
	return (double)(last_back - start) / n_threads;
}

int main(int argc, char **argv)
{
	double ns[1000], spent = 0;
	int n, i;

	bench_start();
	if (argc != 4)
		die("usage: wake PEER THREADS REPETITIONS");
	type = wait_type(argv[1]);
	n_threads = (int)number(argv[2]);
	n = (int)number(argv[3]);
	if (n < 1 || n > 1000)
		die("1 to 1000 repetitions");
	if (type->make)
		type->make(n_threads);
	for (i = 0; type->open && i < n_threads; i++)
		type->open(i);
	crew_start(n_threads, body);
	for (i = 0; i < n && spent < ENOUGH_NS; i++) {
		ns[i] = repetition((uint32_t)i);
		spent += ns[i] * n_threads;
		__atomic_add_fetch(&round_no, 1, __ATOMIC_RELEASE);
		futex_wake(&round_no, INT_MAX);
	}
	/* Nobody is left in a wait for the exit to interrupt, but those of the round to come. */
	if (type->drop)
		type->drop();
	n = i;
	qsort(ns, (size_t)n, sizeof(ns[0]), by_size);
	printf("{\"ns\": %.2f, \"min\": %.2f, \"max\": %.2f}\n", ns[n / 2], ns[0], ns[n - 1]);
	return 0;
}
