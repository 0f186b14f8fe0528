/* SPDX-License-Identifier: MIT */
/* Operations with O_NONBLOCK: poll.c. */
#ifndef IPCFS_NONBLOCK_H
#define IPCFS_NONBLOCK_H

#include <stdint.h>

#include "object/engine.h"

struct object;

/* A read of a condition or barrier with O_NONBLOCK is queued. */
void nonblock_stand(struct object *ob, struct ipc_handle *hd, struct ipc_call *c, int flags);
/*
 * The result of an operation that may not wait: EAGAIN until the handle's time limit has passed.
 * dir: 0 read, 1 write.
 */
int nonblock_ended(struct object *ob, struct ipc_call *c, unsigned int dir, int flags, int r);

#endif
