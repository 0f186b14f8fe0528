/* SPDX-License-Identifier: MIT */
/* The process that holds the mount and keeps a worker running: supervisor.c. */
#ifndef IPCFS_SUPERVISOR_H
#define IPCFS_SUPERVISOR_H

struct fuse_session;
struct resume;
struct worker_shared;

/*
 * Fork workers until one ends well; the exit status. Only returns when it is time to unmount. On
 * SIGHUP the process goes on as another program; when no worker can live it ends.
 */
int supervise(struct fuse_session *se, struct worker_shared *sh, struct resume *r);

#endif
