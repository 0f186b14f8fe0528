/* SPDX-License-Identifier: MIT */
/* Pollers, and operations with O_NONBLOCK. */
#ifndef IPCFS_NONBLOCK_H
#define IPCFS_NONBLOCK_H

#include <stdint.h>

#include "object/engine.h"

struct object;

/*
 * How long a poller that was notified has to take what only one can take, before the others are
 * told as well (at most twice as long). Tests change it.
 */
extern unsigned int poll_interval_ms;

/* With the object locked. */
void wake_pollers(struct object *ob);
void wake_late_pollers(struct object *ob);
void poll_rearm(struct object *ob); /* after a start */
/* Have it looked at, and settled, at this time (CLOCK_MONOTONIC ns) or earlier. */
void look_again_at(struct object *ob, int64_t when);
/* A read of a condition or barrier with O_NONBLOCK is queued. */
void nonblock_stand(struct object *ob, struct ipc_handle *hd, struct ipc_call *c, int flags);
/*
 * The result of an operation that may not wait: EAGAIN until the handle's time limit has passed.
 * dir: 0 read, 1 write.
 */
int nonblock_ended(struct object *ob, struct ipc_call *c, unsigned int dir, int flags, int r);

#endif
