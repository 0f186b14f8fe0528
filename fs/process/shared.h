/* SPDX-License-Identifier: MIT */
/* What outlives a worker, and a supervisor: memory that both have, handed over from one to the next. */
#ifndef IPCFS_SHARED_H
#define IPCFS_SHARED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* If another version of ipcfs takes it over, that version refuses a struct of another size. */
struct worker_shared {
	uint32_t size; /* of this struct */
	uint32_t init_len;
	uint32_t restarts;
	pid_t supervisor;
	uint64_t started;
	bool ended;  /* the worker ended cleanly: an adopting supervisor sees no exit status */
	bool begun;  /* the kernel has the answer to its first request */
	bool check;  /* the last one failed by itself: check the mount file first */
	bool served; /* it handled a request that no earlier worker had read */
	int error;   /* -errno: it failed to start, … */
	char why[4096 + 256];        /* … for this reason, a sentence; or "" */
	_Alignas(8) char init[4096]; /* the kernel's first request */
	/* As resolved at the first start: paths on the command line may be relative to another folder. */
	char exe[4096], mountpoint[4096], state[4096];
	/*
	 * The request in hand: the kernel writes it here directly, so that it is known if the worker
	 * dies. Its first word is 0 when there is none.
	 */
	uint64_t tried; /* the request that was handled again: once only */
	/* (From here on to the page there are zeros if an older version mounted it.) */
	uint32_t connection; /* the mount's, in /sys/fs/fuse/connections; 0: not known */
	_Alignas(4096) char request[256 * 4096 + 0x1000];
};

#endif
