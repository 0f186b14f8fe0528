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

/* An open file (by the kernel's name for it) polls the object; it was closed. */
void pollers_add(struct object *ob, uint64_t kh);
/* It polls while somebody keeps the object's lock. (The daemon alone writes the words of this.) */
void pollers_add_late(struct object *ob, struct ipc_handle *hd, uint64_t kh);
void pollers_remove(struct object *ob, uint64_t kh);
void pollers_forget(struct object *ob); /* all of them: the object goes */
void pollers_find(struct object *ob);   /* after a restart: what its file says */

#endif
