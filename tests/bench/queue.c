/* SPDX-License-Identifier: MIT */
/*
 * queue PEER PRODUCERS CONSUMERS SIZE COUNT - messages one way.
 *
 * COUNT messages of SIZE bytes go from the producers to the consumers; nanoseconds per message from
 * the common start to the last one's end. Each message has its number, and the sum of all numbers
 * that came is checked: a peer that loses messages or gives them twice has no result.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"

static const struct channel_type *type;
static void *channel;
static size_t size;
static long each_puts, each_gets;
static int producers;
static uint64_t *sums;

static void prepare(int i)
{
	if (type->open)
		type->open(channel, i < producers);
}

static void produce(char *buf)
{
	for (long done = 0; done < each_puts;) {
		int n = (int)(each_puts - done < type->batch ? each_puts - done : type->batch);

		for (int i = 0; i < n; i++)
			*(uint64_t *)(buf + (size_t)i * size) = (uint64_t)(done + i);
		type->put(channel, buf, size, n);
		done += n;
	}
}

static uint64_t consume(char *buf)
{
	uint64_t sum = 0;

	for (long done = 0; done < each_gets;) {
		int n = (int)(each_gets - done < type->batch ? each_gets - done : type->batch);

		n = type->get(channel, buf, size, n);
		for (int i = 0; i < n; i++)
			sum += *(uint64_t *)(buf + (size_t)i * size);
		done += n;
	}
	return sum;
}

static void body(int i)
{
	char *buf = calloc((size_t)type->batch, size);

	if (i < producers)
		produce(buf);
	else
		sums[i] = consume(buf);
}

int main(int argc, char **argv)
{
	struct team team = { .cpu = -1, .prepare = prepare, .body = body };
	int consumers;
	uint64_t ns, sum = 0;
	long count;

	bench_start();
	if (argc != 6)
		die("usage: queue PEER PRODUCERS CONSUMERS SIZE COUNT");
	type = channel_type(argv[1]);
	producers = (int)number(argv[2]);
	consumers = (int)number(argv[3]);
	size = (size_t)number(argv[4]);
	count = number(argv[5]);
	each_puts = count / (producers * consumers) * consumers;
	each_puts = each_puts ? each_puts : consumers;
	each_gets = each_puts * producers / consumers;
	team.n = producers + consumers;
	sums = shared_memory((size_t)team.n * sizeof(*sums));
	channel = type->make(0, size);
	ns = team_run(&team);
	if (type->drop)
		type->drop(channel);
	for (int i = 0; i < team.n; i++)
		sum += sums[i];
	if (sum != (uint64_t)producers * (uint64_t)(each_puts * (each_puts - 1) / 2))
		die("messages were lost or came twice");
	printf("{\"ns\": %.2f}\n", (double)ns / (double)(each_puts * producers));
	return 0;
}
