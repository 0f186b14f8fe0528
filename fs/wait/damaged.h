/* SPDX-License-Identifier: MIT */
/* Telling those who wait for an object that turns out to be damaged: damaged.c. */
#ifndef IPCFS_DAMAGED_H
#define IPCFS_DAMAGED_H

#include <stdint.h>

#include "object/engine.h"

struct object;

/* For struct ipc_env. */
void damage_found(struct ipc_env *env, struct ipc_obj *o, const char *why);
/* For the end of the turn. */
void damage_tell(struct object *ob);

#endif
