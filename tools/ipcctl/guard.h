/* SPDX-License-Identifier: MIT */
/*
 * No command hangs: a call on a mount whose daemon is stopped returns when the daemon goes on, and
 * once the daemon has read the request, not even SIGKILL ends it. So a guarded command runs in a
 * child process. Its parent copies what the child prints, and gives up when there has been no
 * progress for ANSWER_LIMIT: it says so, and exits with EXIT_NO_ANSWER.
 *
 * The child says when it may be quiet for longer: before it waits for an object, for input, or for a
 * long computation. All of these do nothing in a process without a guard.
 */
#ifndef IPCCTL_GUARD_H
#define IPCCTL_GUARD_H

#include <stdint.h>

#include "util.h"

#define ANSWER_LIMIT (5 * NSEC_PER_SEC)

enum guard {
	GUARD_NONE,
	GUARD_OUTPUT, /* also what it prints: a child that cannot be ended keeps no pipe open */
	GUARD_ONLY,   /* it keeps its standard output, for a program that it runs */
};

/* How long the daemon has to answer, if not ANSWER_LIMIT; before guard_start(). */
void guard_patience(int64_t ns);
/* From here on this is the child. */
void guard_start(enum guard how);
/* Something was done; each file that util.h reads says so by itself. */
void guard_progress(void);
/* About to wait so long, in ns; < 0: without limit. Afterwards guard_progress(). */
void guard_wait(int64_t limit_ns);
/*
 * Waits until what was printed has been written where it belongs: before more is taken that would be
 * lost with it. If that fails, the parent says so and this process ends. -errno if there is no guard.
 */
int guard_printed(void);
/*
 * The parent is to exit with success: this process stays behind, without standard input and output.
 */
void guard_leave(void);

#endif
