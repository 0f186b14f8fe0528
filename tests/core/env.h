/* SPDX-License-Identifier: MIT */
/* What main.c does around each test. */
#ifndef TEST_ENV_H
#define TEST_ENV_H

#define FAULT_EXIT 99			/* how a process ends that ipc_fault_after kills */

void env_begin(void);
void env_verify(void);			/* all objects are sound */
void env_end(void);

#endif
