/* SPDX-License-Identifier: MIT */
#include "file/clock.h"

static uint64_t now_by(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t ipc_now(void)
{
	return now_by(CLOCK_MONOTONIC);
}

uint64_t ipc_wall(void)
{
	return now_by(CLOCK_REALTIME);
}
