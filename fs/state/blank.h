/* SPDX-License-Identifier: MIT */
/* Objects without an engine file: blank.c. */
#ifndef IPCFS_BLANK_H
#define IPCFS_BLANK_H

#include "state/object.h"

static inline bool node_is_blank(const struct node *n)
{
	return node_block(n)->flags & NODE_BLANK;
}

/* How a new node of this type begins: its flags and size. */
void blank_new(const struct ipc_type *t, struct ipc_new_node *ret);
/*
 * What a blank object would be if it had a file, to be looked at, until the next call. It counts as
 * locked; nothing that is done to it lasts.
 */
struct object *blank_image(struct node *n);
/* For object_of(): it gets its file, and is mapped. 0 or -errno. */
int blank_end(struct object *ob);
/* Is it as it was created? With the object locked, after ipc_rest(). */
bool blank_again(const struct object *ob);
/* After a start: what a dead worker had begun. */
void blank_sweep(void);

/* ---- ready.c: files kept for the next object ---- */

/* The file of an object is its any more; it is kept, with its mapping. false: it is not. */
bool ready_put(struct ipc_obj *o);
/* One of these becomes the file of this object. -ENOENT: there is none. */
int ready_take(uint64_t id, const struct ipc_type *t, uint64_t reserve,
	       const struct ipc_defaults *defaults, struct ipc_obj *ret);
bool ready_bus_error(uintptr_t page); /* is it in one of them? That is not used any more. */
bool ready_drop(void);                /* all go. false: there were none */
void ready_sweep(void);               /* after a start: those of an earlier worker */

#endif
