/* SPDX-License-Identifier: MIT */
/* The ipcfs mounts of this mount namespace, from /proc/self/mountinfo. */
#ifndef IPCCTL_MOUNTS_H
#define IPCCTL_MOUNTS_H

#include "util.h"

struct mount {
	unsigned int major, minor; /* minor: its number in /sys/fs/fuse/connections */
	char *root;                /* "/", or the part that a bind mount shows */
	char *path;
};

struct mounts {
	struct mount *list;
	size_t n;
};

/* Every filesystem once, by its root if that is mounted anywhere. */
int mounts_read(struct mounts *ret);
void mounts_free(struct mounts *m);
/* The same for commands that need one: if there is none, says so and returns -ENOENT. */
int mounts_read_or_complain(struct mounts *ret);

#endif
