/* SPDX-License-Identifier: MIT */
/*
 * Out of memory: one policy.
 *
 * What a request asks for, and can be refused, fails with ENOMEM and changes nothing: a snapshot of
 * a .ctl file, the mapping of an object, a new name.
 *
 * What the daemon must remember about something that has happened (a waiting request, a poller, an
 * alias) it cannot do without, or its tables would be wrong. There must_alloc() ends the worker.
 * Everything is in the engine files or comes from the kernel again, so the next worker continues
 * and nothing is lost.
 */
#ifndef IPCFS_ALLOC_H
#define IPCFS_ALLOC_H

#include <stdlib.h>

/* Zeroed; free(3). */
static inline void *must_alloc(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		abort();
	return p;
}

/* Room for one more, at the end of an array whose room is a power of two: array[n - 1]. */
#define MORE(array, n)                                                                   \
	do {                                                                             \
		if (((n) & ((n)-1)) == 0 &&                                              \
		    !((array) = realloc((array), ((n) ? (n)*2 : 1) * sizeof(*(array))))) \
			abort();                                                         \
		(n)++;                                                                   \
	} while (0)

#endif
