/* SPDX-License-Identifier: MIT */
#ifndef IPCFS_WORKER_H
#define IPCFS_WORKER_H

#include "fs.h"

/* What outlives a worker: shared memory of the supervisor. */
struct worker_shared {
	uint32_t init_len;
	uint32_t restarts;
	pid_t supervisor;
	uint64_t started;
	char init[4096];		/* the kernel's first request */
};

/* Serve requests from `fd` until unmounted or told to stop by SIGTERM. 0 or -errno. */
int worker_run(struct fuse_session *se, int fd, struct worker_shared *sh);

/* Fork workers until one ends well; the exit status. */
int supervise(struct fuse_session *se, int fd, struct worker_shared *sh);

void io_cleanup(void);		/* io.c: what open files had in memory */

#endif
