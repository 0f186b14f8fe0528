/* SPDX-License-Identifier: MIT */
/* Takes a lock or a permit by flock: it returns when the descriptor is closed, in whatever way. */
#ifndef IPCCTL_BORROW_H
#define IPCCTL_BORROW_H

#include <stdint.h>

#define FOR_EVER INT64_C(-1)

struct borrow {
	const char *name;
	int64_t limit_ns; /* FOR_EVER; 0: do not wait */
	int operation;    /* LOCK_EX or LOCK_SH */
};

/*
 * A descriptor, or a negative errno: -ETIMEDOUT and -EAGAIN if it is taken. From then on the guard
 * lets this process be quiet.
 */
int borrow(const struct borrow *o);
/* Says that it is taken, and by whom. */
void borrow_complain_taken(const struct borrow *o);

#endif
