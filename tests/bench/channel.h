/* SPDX-License-Identifier: MIT */
/*
 * channel.h - one way for messages from putters to getters, in one form for all peers, so that the
 * workloads queue and pingpong are the same loop for each of them.
 *
 * make() runs before the processes are forked, open() in each of them, drop() in the parent at the
 * end. put() and get() end the process on any error. Peers without content (eventfd, semaphores)
 * pass a token and leave the buffer alone.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include "bench.h"

/*
 * Messages, for every peer that can have a bound. Long ones: what fits into a cache, as a pipe
 * does.
 */
#define BOUND(size) ((size) > 4096 ? 16 : 1024)

#ifdef __cplusplus
extern "C" {
#endif

struct channel_type {
	const char *name;
	int batch;  /* messages one call may move */
	bool token; /* has no content */
	void *(*make)(int id, size_t size);
	void (*open)(void *channel, bool putter); /* may be NULL */
	void (*put)(void *channel, const char *msgs, size_t size, int n);
	int (*get)(void *channel, char *msgs, size_t size, int n); /* how many came */
	void (*drop)(void *channel);                               /* may be NULL */
};

/* Ended by an entry without a name. */
extern const struct channel_type ipcfs_channels[], unix_channels[], token_channels[],
	redis_channels[], boost_channels[];

const struct channel_type *channel_type(const char *name);

#ifdef __cplusplus
}
#endif

#endif
