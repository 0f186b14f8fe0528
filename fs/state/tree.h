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
	struct object *ob;          /* mapped; NULL */
	bool refused;               /* its engine file cannot be used, as the log says */
	bool idle;                  /* in the list of those that can be dropped */
	uint32_t aliases;           /* how many it has */
	uint64_t lent;              /* the inode whose attributes the kernel has: lent.c; 0 */
	uint64_t listed;            /* until then the kernel may have those of a READDIRPLUS; 0 */
	struct node *next, *prev;   /* idle */
	UT_hash_handle by_id;
};

static inline struct ipc_node *node_block(const struct node *n)
{
	return node_at(&fs.mount, n->ref);
}

static inline bool node_in_use(const struct ipc_node *n)
{
	return n->active && n->type != IPC_DIR;
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

/* If it has no name any more: its last one. */
static inline const char *node_name(const struct node *n)
{
	size_t len;

	return name_at(&fs.mount, n->ref, &len);
}

bool node_has_name(const struct node *n);    /* or is the root */
uint32_t node_entries(const struct node *n); /* of a plain directory; 0 */
uint32_t node_subdirs(const struct node *n);

/* check: all of the mount file, first. -EIO: it is damaged. */
int tree_load(bool check);
void tree_unload(void);
struct node *tree_known(uint64_t id); /* NULL: nothing is known of it but its record */
/* NULL: there is none. */
struct node *tree_by_id(uint64_t id);
struct node *tree_find(const struct node *dir, const char *name, size_t len);
struct node *tree_parent(const struct node *n);
struct node *tree_at(ref_t ref);
bool tree_contains(const struct node *dir, const struct node *n); /* at any depth, or is it */
/* One reason to keep it is gone. */
void tree_idle(struct node *n);
/* It has no name, and its files are gone: remove its record, and forget it. */
void tree_remove(struct node *n);
/* Its record is gone. */
void tree_forget(struct node *n);
void tree_trim(void); /* between turns: drop what nobody needs */
/*
 * The ids of nodes that are in use or have no name, as far as they are wanted; to be freed. (A list, for
 * whatever is done to one may remove others from the file's list.)
 */
uint64_t *tree_listed(bool (*want)(const struct ipc_node *n), uint32_t *ret_count);
/* The path of a node inside the mount. */
void tree_path(const struct node *n, char *buf, size_t size);

#endif
