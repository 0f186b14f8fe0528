/* SPDX-License-Identifier: MIT */
/*
 * pingpong PEER CPU COUNT - a message goes from one process to another through one object and comes
 * back through a second one; nanoseconds per round trip. Both are pinned to CPU (-1: to none).
 */
#include <stdio.h>
#include <string.h>

#include "channel.h"

#define SIZE 64

static const struct channel_type *type;
static void *there, *back;
static long count;

static void prepare(int i)
{
	if (!type->open)
		return;
	type->open(there, i == 0);
	type->open(back, i == 1);
}

static void body(int i)
{
	char buf[SIZE] = { 0 };

	for (long n = 0; n < count; n++) {
		if (i == 1)
			type->get(there, buf, SIZE, 1);
		type->put(i == 0 ? there : back, buf, SIZE, 1);
		if (i == 0)
			type->get(back, buf, SIZE, 1);
	}
}

int main(int argc, char **argv)
{
	struct team team = { .n = 2, .prepare = prepare, .body = body };
	uint64_t ns;

	bench_start();
	if (argc != 4)
		die("usage: pingpong PEER CPU COUNT");
	type = channel_type(argv[1]);
	team.cpu = (int)number(argv[2]);
	count = number(argv[3]);
	there = type->make(0, SIZE);
	back = type->make(1, SIZE);
	ns = team_run(&team);
	if (type->drop) {
		type->drop(there);
		type->drop(back);
	}
	printf("{\"ns\": %.2f}\n", (double)ns / (double)count);
	return 0;
}
