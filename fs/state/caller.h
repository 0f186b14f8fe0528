/* SPDX-License-Identifier: MIT */
#ifndef IPCFS_CALLER_H
#define IPCFS_CALLER_H

#include <stdbool.h>
#include <stdint.h>

/* Who asks, and by which request. */
struct caller {
	uint64_t unique; /* without the bit that says it was sent again */
	bool resent;
	uint32_t tid, uid, gid;
};

/* Is it the request of this number, sent again? */
static inline bool again_is(const struct caller *by, uint64_t unique)
{
	return by->resent && by->unique == unique;
}

#endif
