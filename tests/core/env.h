/* SPDX-License-Identifier: MIT */
/* How a process ends, or only gives up, at a fault point. */
#ifndef TEST_ENV_H
#define TEST_ENV_H

#include <setjmp.h>

#define FAULT_EXIT 99 /* how a process ends that ipc_fault_after kills */

extern jmp_buf *fault_jump; /* or where it goes on, if it only gives up */

#endif
