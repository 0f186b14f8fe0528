/* SPDX-License-Identifier: MIT */
/*
 * The clock of all waits and time limits; and the wall clock, for times that mean something after the
 * next boot, too.
 */
#ifndef IPC_CLOCK_H
#define IPC_CLOCK_H

#include <stdint.h>
#include <time.h>

uint64_t ipc_now(void);  /* CLOCK_MONOTONIC, ns */
uint64_t ipc_wall(void); /* CLOCK_REALTIME, ns */

/* The same as of the kernel's last tick, some milliseconds ago: nearly for nothing. */
static inline uint64_t ipc_wall_coarse(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

#endif
