/* SPDX-License-Identifier: MIT */
/* From the kernel's messages to handlers: dispatch.c. */
#ifndef IPCFS_DISPATCH_H
#define IPCFS_DISPATCH_H

#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stddef.h>

struct aside;

extern const struct fuse_lowlevel_ops fs_ops; /* what libfuse calls back */
/*
 * Deal with one message of the kernel's. again: for the second time. true: it is to be put aside, as
 * *as says, which is what its last time left.
 */
bool dispatch(void *msg, size_t len, bool again, struct aside *as);

#endif
