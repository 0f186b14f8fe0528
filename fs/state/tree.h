/* SPDX-License-Identifier: MIT */
/* Names: an index over the mount file's nodes. tree.c */
#ifndef IPCFS_TREE_H
#define IPCFS_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "names/names.h"
#include "object/type.h"
#include "state/fs.h"

struct object;

/* A name. */
struct node {
	uint64_t id;
	ref_t ref; /* its block in the mount file */
	uint32_t type;
	const struct ipc_type *ops; /* NULL: a plain directory */
	struct node *parent;        /* NULL: the root, or removed */
	struct node *first, *last;  /* directories: entries by cookie */
	struct node *next, *prev;
	uint32_t subdirs, entries;
	uint64_t cookie;
	struct object *ob; /* mapped; NULL */
	uint64_t lent;     /* as which inode the kernel has attributes of it: lent.c; 0 */
	uint32_t aliases;  /* that there are of it */
	uint64_t listed;   /* until then it may have those of a READDIRPLUS; 0 */
	bool refused;      /* its engine file cannot be used, as the log says */
	UT_hash_handle by_id, by_name, by_cookie;
	uint32_t key_len;
	char key[]; /* parent's id, then the name */
};

static inline struct ipc_node *node_block(const struct node *n)
{
	return node_at(&fs.mount, n->ref);
}

static inline bool node_is(const struct node *n, uint32_t trait)
{
	return n->ops && n->ops->traits & trait;
}

/* Also the folder that a two-way pipe is. */
static inline bool node_is_dir(const struct node *n)
{
	return n->type == IPC_DIR || n->type == IPC_TWOWAY;
}

static inline const char *node_name(const struct node *n)
{
	return n->key + sizeof(uint64_t);
}

int tree_load(void);
void tree_unload(void);
struct node *tree_by_id(uint64_t id);
struct node *tree_find(const struct node *dir, const char *name, size_t len);
struct node *tree_after(struct node *dir, uint64_t cookie);
struct node *tree_insert(ref_t ref);
void tree_detach(struct node *n); /* out of its directory; stays known by id */
void tree_forget(struct node *n);
void tree_moved(struct node **n, ref_t ref); /* its block and name are new */
/* The path of a node inside the mount. */
void tree_path(const struct node *n, char *buf, size_t size);

#endif
