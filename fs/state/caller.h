/* SPDX-License-Identifier: MIT */
/* Who asks, and by which request: one that the kernel sends again is recognised by its number. */
#ifndef IPCFS_CALLER_H
#define IPCFS_CALLER_H

#include <stdbool.h>
#include <stdint.h>

#define UNIQUE_RESENT (1ull << 63) /* in the number of a request that is sent again */

/* The number without it: the same each time that the request is sent. */
static inline uint64_t unique_of(uint64_t unique)
{
	return unique & ~UNIQUE_RESENT;
}

static inline bool unique_is_resent(uint64_t unique)
{
	return unique & UNIQUE_RESENT;
}

/* Who asks, and by which request. */
struct caller {
	uint64_t unique; /* unique_of() */
	bool resent;
	uint32_t tid, uid, gid;
};

/* Is it the request of this number, sent again? */
static inline bool again_is(const struct caller *by, uint64_t unique)
{
	return by->resent && by->unique == unique;
}

#endif
