/* SPDX-License-Identifier: MIT */
/*
 * What has happened to an object: ctl/stats.
 *
 * The direct way of an operation must not pay for it, so what it writes anyway is made use of: a queue's
 * messages that were put are those that are unfinished and those that were reported as done; taken are
 * those of them that are not there. header.stats has only what cannot be told from the rest, and is
 * changed where there is something to wait for anyway. Nearly all of it is in the change that it counts:
 * whoever dies has done both or neither, and a request that comes again counts once.
 *
 * Outside the undo log, and so one too many or too few after a death, are the maximum and what direct
 * clients do with one instruction (fast.h, count.h). Two of them that take permits of one semaphore in
 * the very same moment may be counted as one.
 */
#ifndef IPC_STATS_H
#define IPC_STATS_H

#include "file/log.h"
#include "object/engine.h"

/* Part of the change under way. n may be negative. */
#define STAT_ADD(o, field, n) \
	set64((o), (o)->h->stats.field, (o)->h->stats.field + (uint64_t)(int64_t)(n))

/* One more, outside the log. Others may do so at the same time. */
static inline void stat_fast(uint64_t *p, uint64_t n)
{
	__atomic_store_n(p, __atomic_load_n(p, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

/* A count in the body, of a type that comes to rest: from now on it is in header.stats. */
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
	uint64_t longest; /* since when the one waits who has waited longest; 0: nobody does */
};

/* Locked; or of an object whose words nobody else can change. */
void ipc_counts(struct ipc_obj *o, struct ipc_counts *ret);
/* A wait has ended in this way: a result, or -errno. Part of the change under way. */
void stats_ended(struct ipc_obj *o, int64_t result);

#endif
