/* SPDX-License-Identifier: MIT */
/* The ioctls of libipcfs: see direct.c. */
#ifndef IPCFS_DIRECT_H
#define IPCFS_DIRECT_H

#include "state/fs.h"
#include "client/lib.h"

/* With the object locked. `out` has room for the largest answer; -ENOTTY: none of these. */
int direct_ioctl(struct object *ob, struct ipc_handle *hd, fuse_req_t req, unsigned int cmd,
		 const void *in, size_t in_size, void *out, size_t *ret_size);

#endif
