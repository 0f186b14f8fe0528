/* SPDX-License-Identifier: MIT */
/*
 * A damaged file, and the other processes that have it mapped.
 *
 * The process that finds the damage (obj_damage) marks the file, in the word next to its lock. From
 * then on every obj_lock() fails, even one that is already waiting. When the daemon maps the file
 * again, it checks again, and removes the mark if the file is sound (because the change was undone,
 * or the file was repaired).
 */
#ifndef IPC_DAMAGE_H
#define IPC_DAMAGE_H

#include "file/obj.h"

void damage_mark(struct ipc_obj *o);
void damage_unmark(struct ipc_obj *o);
static inline bool damage_marked(const struct ipc_obj *o)
{
	return __atomic_load_n(&o->h->m.damaged, __ATOMIC_ACQUIRE);
}

/*
 * Wake all direct clients that sleep on it, so that they see the mark. `fd` is the file. No list in
 * it is trusted.
 */
void damage_wake(struct ipc_obj *o, int fd);

#endif
