/* SPDX-License-Identifier: MIT */
/* What main.c does around each test. */
#ifndef TEST_ENV_H
#define TEST_ENV_H

#include <setjmp.h>

#define FAULT_EXIT 99			/* how a process ends that ipc_fault_after kills */

extern jmp_buf *fault_jump;		/* or where it goes on, if it only gives up */

void env_begin(void);
void env_verify(void);			/* all objects are sound */
void env_end(void);

#endif
