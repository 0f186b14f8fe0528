/* SPDX-License-Identifier: MIT */
/*
 * A file that is damaged, and the other processes that have it mapped.
 *
 * Who finds it damaged (obj_damage) marks it, in the word next to its lock: from then on every
 * obj_lock() fails, also one that waits. The daemon looks once more when it maps a file anew: what is
 * sound then (it was taken back, or repaired) is not damaged any more.
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
 * Wake all direct clients that sleep with it, so that they meet the mark. `fd` is the file; no list in
 * it is trusted.
 */
void damage_wake(struct ipc_obj *o, int fd);

#endif
