/* SPDX-License-Identifier: MIT */
/*
 * A damaged file, and the other processes that have it mapped.
 *
 * The process that finds it damaged (obj_damage) marks it, in the word next to its lock: from then
 * on every obj_lock() fails, even one that waits. The daemon checks again when it maps the file
 * anew: if it is sound then (the change was undone, or it was repaired), the mark goes.
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
 * Wake all direct clients that sleep on it, so that they see the mark. `fd` is the file; no list in
 * it is trusted.
 */
void damage_wake(struct ipc_obj *o, int fd);

#endif
