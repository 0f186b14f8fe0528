/* SPDX-License-Identifier: MIT */
/*
 * What no file of the mount shows as it is needed for a copy: the messages of a queue or pipe with
 * their ids and attempts, and the permits that come back when their holders go. It is read from the
 * engine file under the object's own lock, by whoever may open that: the owner of the mount.
 */
#ifndef IPCCTL_ENGINE_H
#define IPCCTL_ENGINE_H

#include <stdio.h>

#include "object.h"

/* Writes the records of a queue or pipe. -EBUSY: somebody who is stopped keeps the lock. */
int engine_save_messages(const struct target *t, FILE *out);
/* How many permits there are when all are back that would come back by themselves. */
int engine_permits(const struct target *t, uint64_t *ret);

#endif
