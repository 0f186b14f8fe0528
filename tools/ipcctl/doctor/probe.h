/* SPDX-License-Identifier: MIT */
#ifndef IPCCTL_PROBE_H
#define IPCCTL_PROBE_H

#include "util.h"

/*
 * Reads a file of a mount that may be dead, in a child: not even SIGKILL ends a request that a hung
 * daemon has in hand, and this process must not hang. -ETIMEDOUT if there is no answer in time.
 */
int probe_read(const char *path, int64_t limit_ns, struct buf *ret);

/* Waits until a process has ended: 0, -ETIMEDOUT, or another negative errno. */
int probe_wait_pidfd(int pidfd, int64_t limit_ns);

int probe_pidfd_open(pid_t pid); /* or a negative errno */

#endif
