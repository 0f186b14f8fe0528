/* SPDX-License-Identifier: MIT */
/* The process that serves requests: worker.c. */
#ifndef IPCFS_WORKER_H
#define IPCFS_WORKER_H

struct fuse_session;
struct worker_shared;

/*
 * Serve requests from `fd` until unmounted or told to stop by SIGTERM. 0 or -errno. supervisor: a pidfd
 * of the process that starts the next worker; -1.
 */
int worker_run(struct fuse_session *se, int fd, struct worker_shared *sh, int supervisor);

#endif
