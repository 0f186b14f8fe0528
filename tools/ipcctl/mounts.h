/* SPDX-License-Identifier: MIT */
/* The ipcfs mounts of this mount namespace, from /proc/self/mountinfo. */
#ifndef IPCCTL_MOUNTS_H
#define IPCCTL_MOUNTS_H

#include "util.h"

struct mount {
	unsigned int major, minor; /* minor: its number in /sys/fs/fuse/connections */
	char *root;                /* "/", or what part of it a bind mount shows */
	char *path;
};

struct mounts {
	struct mount *list;
	size_t n;
};

/* Every filesystem once, by its root where that is mounted anywhere. */
int mounts_read(struct mounts *ret);
void mounts_free(struct mounts *m);
/* The same for commands that need one: says so and gives -ENOENT when there is none. */
int mounts_read_or_complain(struct mounts *ret);

#endif
