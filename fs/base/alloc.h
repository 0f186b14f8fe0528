/* SPDX-License-Identifier: MIT */
/*
 * Out of memory: there is one policy.
 *
 * What a request asks for, and can be refused, fails with ENOMEM and changes nothing: a snapshot of
 * a .ctl file, the mapping of an object, a new name.
 *
 * What the daemon has to remember of something that has happened (a request that waits, a poller, an
 * alias) it must have, or its index would not be true. must_alloc() ends the worker then. All of it
 * is in the engine files or comes from the kernel again, so the next worker goes on without it, and
 * nothing is lost.
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
