/* SPDX-License-Identifier: MIT */
/*
 * Healthy objects of every type, beside one whose file somebody spoils: whatever is done to that
 * one, these go on as if nothing were. Each has a request that waits, and something to lose.
 */
#ifndef TEST_NEIGHBOURS_H
#define TEST_NEIGHBOURS_H

#include "calls.h"

#define STRANGER 12345 /* a user whom the neighbours do not let in */

struct ipc_header;

void neighbours_make(void);
/* Each still has what it had, serves who waits, and is not said to be damaged. */
void neighbours_check(void);
/* How many handles and waiters there are of them, as .ctl/status counts. */
extern unsigned int neighbours_handles, neighbours_waiters;

const char *engine_path(const char *name);
/* The engine file of an object in the root, mapped for reading and writing as far as it goes. */
struct ipc_header *spoil(const char *name, size_t *ret_len);
void spoil_end(struct ipc_header *h, size_t len);

/* A number that .ctl/status or NAME.ctl/status tells. */
unsigned long long status_of(const char *file, const char *key);

/* The request is a stranger's, and waits. */
bool strangers_wait(rq n);
/* Processor time of the worker, ms. */
unsigned long worker_cpu_ms(void);

#endif
