/* SPDX-License-Identifier: MIT */
/* The clock of all waits and time limits. */
#ifndef IPC_CLOCK_H
#define IPC_CLOCK_H

#include <stdint.h>

uint64_t ipc_now(void); /* CLOCK_MONOTONIC, ns */

#endif
