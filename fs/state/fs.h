/* SPDX-License-Identifier: MIT */
/*
 * A worker's state: its lock, the state directory, and the tables over the engine files that it
 * builds after each start. Each table belongs to the module of its header.
 *
 * Locking: the daemon lock (fs.lock) is held by whichever thread works: the loop thread while it
 * handles a request, the event thread while it handles an event. Nobody waits for long under it:
 * replies are written, and engine mutexes taken with a time limit. Order: fs.lock, then libfuse's
 * own locks, then one object's mutex, then the mount file's mutex.
 */
#ifndef IPCFS_FS_H
#define IPCFS_FS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "object/engine.h"
#include "state/options.h"

struct fuse_session;
struct node;
struct object;
struct state_observer;

struct fs {
	pthread_mutex_t lock;
	const struct state_observer *above;
	struct options opt;
	struct fuse_session *se;
	int state_fd, objects_fd;
	struct ipc_env env, mount_env;
	struct ipc_obj mount;
	struct node *root, *by_id;
	struct object *lru; /* least recently used first */
	unsigned int mapped;
	uint64_t mapped_bytes; /* of address space */
	struct object *away;   /* needed, and not mapped */
	struct object *idle;   /* not in use, the longest first */
	unsigned int idle_count;
	bool catching_up;       /* requests that the last worker had may still come again */
	uint32_t unseen;        /* objects in use that were not looked at since the start */
	struct object *hungry;  /* the longest waiting first */
	struct object *stalled; /* whose lock some process keeps */
	struct object *look;
	uint64_t memory; /* as in the mount file, to look at without its lock */
	uint64_t started;
	/* what the supervisor says for .ctl/status */
	pid_t supervisor;
	uint32_t restarts;
	bool told_ends; /* the kernel tells how a process ended that is gone: unfinished.c */
};

extern struct fs fs;

static inline struct ipc_mount *mount_body(void)
{
	return &fs.mount.h->b.mount;
}

#endif
