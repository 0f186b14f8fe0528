/* SPDX-License-Identifier: MIT */
/* Objects without an engine file: blank.c. */
#ifndef IPCFS_BLANK_H
#define IPCFS_BLANK_H

#include "state/object.h"

static inline bool node_is_blank(const struct node *n)
{
	return node_block(n)->flags & NODE_BLANK;
}

/* The initial flags and size of a new node of this type. */
void blank_new(const struct ipc_type *t, struct ipc_new_node *ret);
/*
 * A blank object as it would be if it had a file, to look at, until the next call. It counts as
 * locked; changes to it are lost.
 */
struct object *blank_image(struct node *n);
/* For object_of(): make its file, and map it. 0 or -errno. */
int blank_end(struct object *ob);
/* Is it as it was created? Locked, and after ipc_rest(). */
bool blank_again(const struct object *ob);
/* After a start: undo what a dead worker had begun. */
void blank_sweep(void);

/* ---- ready.c: files kept for the next object ---- */

/* The object gives up its file, which is kept, mapped. false: it is not kept. */
bool ready_put(struct ipc_obj *o);
/* This object gets one of these files. -ENOENT: there is none. */
int ready_take(uint64_t id, const struct ipc_type *t, uint64_t reserve,
	       const struct ipc_defaults *defaults, struct ipc_obj *ret);
bool ready_bus_error(uintptr_t page); /* is it in one of them? Then that one is not used any more */
bool ready_drop(void);                /* drop all. false: there were none */
void ready_sweep(void);               /* after a start: remove those of an earlier worker */

#endif
