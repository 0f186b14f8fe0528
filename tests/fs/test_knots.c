/* SPDX-License-Identifier: MIT */
/* Who can never go on: knots.h. */
#include "base/knots.h"

#include <string.h>

#include "runner.h"

static struct knots k;
static size_t cycles, longest;
static uint32_t first_pid;

static void count_cycle(void *arg, const struct knot_step *steps, size_t n)
{
	(void)arg;
	for (size_t i = 0; i < n; i++)
		CHECK_INT(steps[i].to, steps[(i + 1) % n].from);
	if (!cycles++)
		first_pid = k.processes[steps[0].from].pid;
	longest = n > longest ? n : longest;
}

static size_t solve(bool strict)
{
	cycles = longest = 0;
	knots_solve(&k, strict);
	knots_each_cycle(&k, count_cycle, NULL);
	return cycles;
}

static uint32_t person(uint32_t pid)
{
	return knots_process(&k, pid, 1);
}

/* Something that these hold, each by a handle of its own. */
static uint32_t held_by(bool any, const uint32_t *pids, size_t n)
{
	uint32_t thing = knots_thing(&k, any);

	for (size_t i = 0; i < n; i++) {
		knots_giver(&k, true);
		knots_member(&k, person(pids[i]));
	}
	return thing;
}

static void waits(uint32_t pid, uint32_t thing)
{
	knots_wait(&k, person(pid), thing, 1, false);
}

/* n processes, each of which waits for what the next one holds. */
static void ring(uint32_t first, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t holder = first + (i + 1) % n;

		waits(first + i, held_by(false, &holder, 1));
	}
}

static void end(void)
{
	knots_free(&k);
}

TEST(knots_ring)
{
	ring(100, 3);
	CHECK_INT(solve(false), 1);
	CHECK_INT(longest, 3);
	CHECK_INT(first_pid, 100);
	end();
}

TEST(knots_itself)
{
	ring(100, 1);
	CHECK_INT(solve(true), 1);
	CHECK_INT(longest, 1);
	end();
}

/* There is no limit on how long a cycle is. */
TEST(knots_long)
{
	ring(1, 100000);
	CHECK_INT(solve(false), 1);
	CHECK_INT(longest, 100000);
	end();
}

/* ... nor on how many wait for how many. */
TEST(knots_wide)
{
	enum { N = 3000 };
	static uint32_t pids[N];
	uint32_t thing;

	for (uint32_t i = 0; i < N; i++)
		pids[i] = i + 1;
	thing = held_by(false, pids, N);
	for (uint32_t i = 0; i < N; i++)
		waits(pids[i], thing);
	CHECK(solve(false) >= 1);
	for (uint32_t i = 0; i < N; i++)
		CHECK(knots_stuck(&k, person(i + 1)));
	end();
}

/* Who waits behind a cycle is stuck, but in no cycle; who waits for one that runs is not stuck. */
TEST(knots_behind)
{
	uint32_t in_ring = 100, runs = 300;

	ring(100, 2);
	waits(200, held_by(false, &in_ring, 1));
	waits(201, held_by(false, &runs, 1));
	CHECK_INT(solve(false), 1);
	CHECK_INT(longest, 2);
	CHECK(knots_stuck(&k, person(200)));
	CHECK(!knots_stuck(&k, person(201)) && !knots_stuck(&k, person(300)));
	end();
}

/* An exclusive lock needs all who share it to give it back; a permit may come from any. */
TEST(knots_any_and_all)
{
	const uint32_t both[] = { 100, 300 };

	waits(100, held_by(true, both, 2));
	CHECK_INT(solve(false), 0);
	end();
	waits(100, held_by(false, both, 2));
	CHECK_INT(solve(false), 1);
	end();
}

/* What several processes keep open is given back by any of them, if it runs; or it is not known. */
TEST(knots_members)
{
	for (int runs = 0; runs < 2; runs++) {
		uint32_t thing = knots_thing(&k, false);

		knots_giver(&k, true);
		knots_member(&k, person(100));
		knots_member(&k, person(101));
		waits(100, thing);
		if (!runs)
			waits(101, thing);
		CHECK_INT(solve(false), !runs);
		end();
	}
	for (int sure = 0; sure < 2; sure++) {
		uint32_t thing = knots_thing(&k, false);

		knots_giver(&k, sure);
		knots_member(&k, person(100));
		waits(100, thing);
		CHECK_INT(solve(false), sure);
		end();
	}
}

/* Strictly, a process is stuck with all of its threads, and only if no wait ends by itself. */
TEST(knots_strict)
{
	uint32_t me = 100, thing;

	knots_process(&k, 100, 2);
	thing = held_by(false, &me, 1);
	waits(100, thing);
	CHECK_INT(solve(false), 1);
	CHECK_INT(solve(true), 0);
	waits(100, thing);
	CHECK_INT(solve(true), 1);
	end();
	thing = held_by(false, &me, 1);
	knots_wait(&k, person(100), thing, 1, true);
	CHECK_INT(solve(false), 1);
	CHECK_INT(solve(true), 0);
	end();
}

/* Two cycles that share a process are both told. */
TEST(knots_eight)
{
	const uint32_t left = 101, right = 102, middle = 100;

	knots_process(&k, 100, 2);
	waits(100, held_by(false, &left, 1));
	waits(100, held_by(false, &right, 1));
	waits(101, held_by(false, &middle, 1));
	waits(102, held_by(false, &middle, 1));
	CHECK_INT(solve(false), 2);
	end();
}

/* What nobody can give: it is stuck, and in no cycle. */
TEST(knots_hopeless)
{
	uint32_t thing = knots_thing(&k, true);

	k.things[thing].hopeless = true;
	waits(100, thing);
	CHECK_INT(solve(false), 0);
	CHECK(knots_stuck(&k, person(100)));
	end();
}
