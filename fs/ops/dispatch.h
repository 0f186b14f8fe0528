/* SPDX-License-Identifier: MIT */
/* From the kernel's messages to handlers: dispatch.c. */
#ifndef IPCFS_DISPATCH_H
#define IPCFS_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>

struct aside;
struct fuse_lowlevel_ops;

extern const struct fuse_lowlevel_ops fuse_ops; /* the callbacks of the session (fs/device/fuse.c) */

/*
 * Handle one message from the kernel. again: it was handled before, and left *as. true: it is to be
 * put aside, as *as says.
 */
bool dispatch(void *msg, size_t len, bool again, struct aside *as);

#endif
