/* SPDX-License-Identifier: MIT */
/* A list of a Redis server as a channel: LPUSH and BRPOP, one by one or 64 in one go. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"

#define MANY 64

struct redis_channel {
	char key[64];
	redisContext *redis;
};

static void *make(int id, size_t size)
{
	struct redis_channel *c = calloc(1, sizeof(*c));

	snprintf(c->key, sizeof(c->key), "%s", strrchr(path_in("BENCH_REDIS", "list"), '/') + 1);
	snprintf(c->key + strlen(c->key), 16, "-%d", id);
	return c;
}

static void redis_open(void *channel, bool putter)
{
	struct redis_channel *c = channel;

	c->redis = redisConnectUnix(need_env("BENCH_REDIS"));
	if (!c->redis || c->redis->err)
		die("redis: %s", c->redis ? c->redis->errstr : "no memory");
}

static redisReply *reply(struct redis_channel *c)
{
	void *r;

	if (redisGetReply(c->redis, &r) != REDIS_OK)
		die("redis: %s", c->redis->errstr);
	if (((redisReply *)r)->type == REDIS_REPLY_ERROR)
		die("redis: %s", ((redisReply *)r)->str);
	return r;
}

static void put(void *channel, const char *msgs, size_t size, int n)
{
	struct redis_channel *c = channel;

	for (int i = 0; i < n; i++)
		redisAppendCommand(c->redis, "LPUSH %s %b", c->key, msgs + (size_t)i * size, size);
	for (int i = 0; i < n; i++)
		freeReplyObject(reply(c));
}

static int get(void *channel, char *msgs, size_t size, int n)
{
	struct redis_channel *c = channel;

	for (int i = 0; i < n; i++)
		redisAppendCommand(c->redis, "BRPOP %s 0", c->key);
	for (int i = 0; i < n; i++) {
		redisReply *r = reply(c);

		if (r->elements != 2 || r->element[1]->len != size)
			die("redis: a message of another length");
		memcpy(msgs + (size_t)i * size, r->element[1]->str, size);
		freeReplyObject(r);
	}
	return n;
}

const struct channel_type redis_channels[] = {
	{ "redis", 1, false, make, redis_open, put, get, NULL },
	{ "redis-pipelined", MANY, false, make, redis_open, put, get, NULL },
	{ NULL },
};
