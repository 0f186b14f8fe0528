/* SPDX-License-Identifier: MIT */
/*
 * park PEER THREADS - many waiters for somebody else to measure.
 *
 * Opens the handles and says "open"; at the next line of its input starts the threads, and says
 * "parked" when all of them wait; ends at the next line, or at the end of its input.
 *
 * park PEER THREADS REPETITIONS - many wait in a queue, and one after the other is served.
 *
 * Nanoseconds (median) from before a release to the moment at which the first of them has it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "crew.h"

static const struct wait_type *type;
static uint32_t served; /* atomic */
static uint64_t served_at;
static int served_who;
static uint32_t *turns;

static void park(int i)
{
	crew_about_to_wait(i);
	type->wait(i);
}

static void stand_in_line(int i)
{
	for (;;) {
		crew_about_to_wait(i);
		type->wait(i);
		served_at = now_ns();
		served_who = i;
		turns[i]++;
		__atomic_add_fetch(&served, 1, __ATOMIC_RELEASE);
		futex_wake(&served, 1);
	}
}

static void next_line(const char *say)
{
	char line[16];

	puts(say);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		exit(0);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void measure(int n)
{
	double *ns = calloc((size_t)n, sizeof(*ns));

	for (int i = 0; i < n; i++) {
		uint64_t start = now_ns();

		type->wake();
		wait_for(&served, (uint32_t)i + 1);
		ns[i] = (double)(served_at - start);
		/* Back into the queue: else the next release would find one less, or nobody. */
		crew_one_waits(served_who, turns[served_who] + 1);
	}
	qsort(ns, (size_t)n, sizeof(*ns), by_size);
	printf("{\"ns\": %.2f}\n", ns[n / 2]);
}

int main(int argc, char **argv)
{
	int threads;

	bench_start();
	if (argc != 3 && argc != 4)
		die("usage: park PEER THREADS [REPETITIONS]");
	type = wait_type(argv[1]);
	threads = (int)number(argv[2]);
	turns = calloc((size_t)threads, sizeof(*turns));
	if (type->make)
		type->make(threads);
	for (int i = 0; type->open && i < threads; i++)
		type->open(i);
	if (argc == 3)
		next_line("open");
	crew_start(threads, argc == 3 ? park : stand_in_line);
	crew_all_wait(type, 1);
	if (argc == 3)
		next_line("parked");
	else
		measure((int)number(argv[3]));
	if (type->drop)
		type->drop();
	return 0;
}
