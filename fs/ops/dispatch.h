/* SPDX-License-Identifier: MIT */
/* From the kernel's messages to handlers: dispatch.c. */
#ifndef IPCFS_DISPATCH_H
#define IPCFS_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>

struct aside;
struct fuse_lowlevel_ops;

extern const struct fuse_lowlevel_ops
	fuse_ops; /* for the session: what calls back (fs/device/fuse.c) */

/*
 * Handle one message of the kernel's. again: for the second time. true: it is to be put aside, as
 * *as says, which is what its last time left.
 */
bool dispatch(void *msg, size_t len, bool again, struct aside *as);

#endif
