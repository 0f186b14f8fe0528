/* SPDX-License-Identifier: MIT */
/* The ioctls of libipcfs: see direct.c. */
#ifndef IPCFS_DIRECT_H
#define IPCFS_DIRECT_H

#include "client/lib.h"
#include "device/request.h"

/* With rq->ob locked. `out` has room for the largest answer; -ENOTTY: none of these. */
int direct_ioctl(struct request *rq, void *out, size_t *ret_size);

#endif
