/* SPDX-License-Identifier: MIT */
/*
 * What has happened to an object: ctl/stats.
 *
 * The fast paths must not pay for statistics, so most counts are derived from fields that
 * operations write anyway. For example, the messages ever put into a queue are those that are
 * unfinished plus those reported as done; of these, the ones no longer there were taken.
 * header.stats has only what cannot be derived, and is written only where an operation has to wait
 * anyway. Nearly every count is part of the change that it counts: a process that dies has made
 * both or neither, and a request that is resent counts once.
 *
 * The maximum, and whatever direct clients do with one instruction (fast.h, count.h), is outside
 * the undo log, so it may be off by one after a death. Two clients that take a permit of one
 * semaphore at the very same moment may be counted as one.
 */
#ifndef IPC_STATS_H
#define IPC_STATS_H

#include "file/log.h"
#include "object/engine.h"

/* Part of the change under way. n may be negative. */
#define STAT_ADD(o, field, n) \
	set64((o), (o)->h->stats.field, (o)->h->stats.field + (uint64_t)(int64_t)(n))

/* Add n outside the log. Others may do so at the same time. */
static inline void stat_fast(uint64_t *p, uint64_t n)
{
	__atomic_store_n(p, __atomic_load_n(p, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

/* The object comes to rest: move a count from its body to header.stats. */
#define STAT_FOLD(o, from, field)             \
	do {                                  \
		STAT_ADD((o), field, (from)); \
		set64((o), (from), 0);        \
	} while (0)

#define STATS_NONE UINT64_MAX /* this type does not have it */

struct ipc_counts {
	uint64_t puts, gets, bytes_put, bytes_got; /* bytes: pipes */
	uint64_t locks;                            /* of the lock that it also has */
	uint64_t most;                             /* of what ipc_size() says */
	uint64_t waits, wakes, timeouts, cancels;
	ref_t first;      /* the message that is in it longest; 0 */
	uint64_t oldest;  /* when that was put, CLOCK_REALTIME; 0: it is empty */
	uint64_t longest; /* when the longest wait began; 0: nobody waits */
};

/* How long ago that was; 0: never. */
static inline double stats_seconds(uint64_t since)
{
	return since ? (double)(ipc_now() - since) / 1e9 : 0;
}

/* The same for a message; the wall clock may have been set back since. */
static inline double stats_age(uint64_t put)
{
	uint64_t now = put ? ipc_wall() : 0;

	return now > put ? (double)(now - put) / 1e9 : 0;
}

/* The object is locked, or nobody else can change it. */
void ipc_counts(struct ipc_obj *o, struct ipc_counts *ret);
/* The same from the header alone: not `longest`, and instead of `oldest` what `first` is. */
void ipc_counts_words(struct ipc_obj *o, struct ipc_counts *ret);
/* A wait has ended with this result or -errno. Part of the change under way. */
void stats_ended(struct ipc_obj *o, int64_t result);

#endif
