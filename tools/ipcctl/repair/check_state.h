/* SPDX-License-Identifier: MIT */
/* Checking and repairing a state directory that no daemon uses. */
#ifndef IPCCTL_CHECK_STATE_H
#define IPCCTL_CHECK_STATE_H

#include <stdbool.h>
#include <stdint.h>

struct check_result {
	uint64_t objects, damaged, repaired, stalled;
};

/* Prints what is wrong on standard output. 0, or -errno after a message on standard error. */
int check_state(const char *dir, bool repair, struct check_result *ret);

#endif
