/* SPDX-License-Identifier: MIT */
/* Between the files of this folder: what a change of the namespace does to the index. */
#ifndef IPC_INDEX_H
#define IPC_INDEX_H

#include "file/log.h"
#include "names/names.h"

#define MOUNT(o) (&(o)->h->b.mount)

/* A secret hash spreads the nodes: so many in one bucket mean that the file is damaged. */
#define CHAIN_MOST 32u

static inline bool is_dir_type(uint32_t type)
{
	return type == IPC_DIR || type == IPC_TWOWAY;
}

/* Where its links in the upper levels begin; the bytes of its block. */
static inline size_t node_links(size_t name_len)
{
	return (sizeof(struct ipc_node) + name_len + 1 + 3) & ~(size_t)3;
}

static inline size_t node_size(size_t name_len, unsigned int height)
{
	return node_links(name_len) + (height - 1) * sizeof(struct ipc_link);
}

static inline struct ipc_dir *dir_at(struct ipc_obj *m, const struct ipc_node *n)
{
	return AT(m, ipc_dir, n->dir);
}

/*
 * End a change. If it met damage it stays incomplete, and whoever locks the file next rolls it
 * back.
 */
static inline int names_commit(struct ipc_obj *m)
{
	if (m->damage)
		return -EIO;
	commit(m);
	return 0;
}

/* ---- index.c ---- */
void index_init(struct ipc_mount *b);
/* Before a node is added, and after one was removed: changes of their own. 0; -ENOSPC, -EIO. */
int index_grow(struct ipc_obj *m);
void index_shrink(struct ipc_obj *m);
/* Part of the change under way. */
void index_insert(struct ipc_obj *m, ref_t r, enum ipc_chain chain);
void index_remove(struct ipc_obj *m, ref_t r, enum ipc_chain chain);
uint64_t index_hash(struct ipc_obj *m, uint64_t number);
uint32_t index_bucket(struct ipc_obj *m, ref_t r, enum ipc_chain chain); /* which is its */
struct ipc_bucket *bucket_at(struct ipc_obj *m, uint32_t n);
uint32_t index_pages(struct ipc_obj *m); /* that the table has room for */

/* ---- order.c ---- */
unsigned int order_height(struct ipc_obj *m, uint64_t cookie);
void order_append(struct ipc_obj *m, ref_t dir, ref_t r);
void order_remove(struct ipc_obj *m, ref_t dir, ref_t r);
struct ipc_link *order_link(struct ipc_obj *m, ref_t r, unsigned int level);

/* ---- alloc.c ---- */
/* heap_alloc() for several blocks, growing the file if need be. Only at the start of a change. */
int names_alloc(struct ipc_obj *m, const size_t *size, unsigned int n, bool essential, ref_t *ret);

/* ---- check.c ---- */
struct ipc_check;
int names_check(struct ipc_obj *m, struct ipc_check *k);

#endif
