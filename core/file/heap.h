/* SPDX-License-Identifier: MIT */
/* Memory within an engine file: heap.c. */
#ifndef IPC_HEAP_H
#define IPC_HEAP_H

#include "file/obj.h"

/*
 * A block of at least `size` bytes (at most 64 KiB), or 0 with o->grow_order set: then the caller
 * rolls back, calls heap_grow() and starts over. Part of the change under way.
 */
ref_t heap_alloc(struct ipc_obj *o, size_t size);
void heap_free(struct ipc_obj *o, ref_t r);
/*
 * Up to n blocks of at most 2 KiB at once, as far as the log has room; returns how many. The first
 * word of each must be made a reference to the next (of the last: any), and must be one when they
 * are freed at once: then they are a chain of free blocks already, which costs few records.
 */
unsigned int heap_alloc_run(struct ipc_obj *o, size_t size, ref_t *ret, unsigned int n);
unsigned int heap_free_run(struct ipc_obj *o, const ref_t *r, unsigned int n);
size_t heap_run_size(size_t size); /* the size of such a block; 0: too large */
#define HEAP_RUN_MOST 2048u
#define HEAP_RUN_ROOM 40 /* records that one page of them and the caller may need */
/* Are two blocks in different pages? */
static inline bool heap_apart(ref_t a, ref_t b)
{
	return (a ^ b) >= IPC_PAGE / IPC_UNIT;
}

size_t heap_size(struct ipc_obj *o, ref_t r); /* size of the block in bytes */
/*
 * Make room for what heap_alloc() last wanted. Only between changes. 0, -ENOSPC, -ENOMEM (may
 * not).
 */
int heap_grow(struct ipc_obj *o, bool essential);
bool heap_has_room(const struct ipc_obj *o, uint64_t bytes); /* for a message of that length */
/*
 * Give memory back to the system when much is free, or all that can be, when `hard`. Only between
 * changes.
 */
void heap_trim(struct ipc_obj *o, bool hard);
/* The same, but what was needed since heap_idle_begin(), or since this was called last, stays. */
void heap_trim_idle(struct ipc_obj *o);
void heap_idle_begin(struct ipc_obj *o);
bool heap_much_free(const struct ipc_obj *o);
/*
 * Cut off what is free at the end: of a heap in which nothing is in use, all. Only between changes, and
 * when no other process uses the file.
 */
void heap_shrink(struct ipc_obj *o);
/* Pages in which nothing is in use are free: after that h->pages_used says whether anything is. */
void heap_tidy(struct ipc_obj *o);
/* An empty heap has so many pages behind its header, of zeros: they are its own. */
void heap_begin(struct ipc_obj *o, uint32_t pages);
uint64_t heap_held(const struct ipc_obj *o);             /* bytes of memory that the file takes */
int heap_check(struct ipc_obj *o, uint64_t *ret_blocks); /* and how many are in use */

#endif
