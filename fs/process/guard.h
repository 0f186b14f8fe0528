/* SPDX-License-Identifier: MIT */
/* The worker watches its supervisor, and replaces it when it dies: guard.c. */
#ifndef IPCFS_GUARD_H
#define IPCFS_GUARD_H

struct worker_shared;

/* fuse_fd: the mount. supervisor: a pidfd, or -1. */
void guard_begin(const struct worker_shared *sh, int fuse_fd, int supervisor);
int guard_fd(void); /* readable when the supervisor has ended; -1: nothing to watch */
/* It has: start another. guard_fd() is that one's then. */
void guard_ended(void);

#endif
