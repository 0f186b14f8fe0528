/* SPDX-License-Identifier: MIT */
/*
 * The namespace in STATE/mount: nodes (directories and objects), the index that finds them
 * (index.c, order.c), and aliases (second inode numbers). Only the daemon maps this file. The next
 * worker takes over the index as it is, so a start costs the same with ten names as with a million.
 *
 * All functions run with the mount file locked, and commit. Errors: -ENOSPC, -EIO.
 */
#ifndef IPC_NAMES_H
#define IPC_NAMES_H

#include "object/engine.h"

#define IPC_ROOT_ID 1u

struct ipc_new_node {
	uint64_t parent;
	uint32_t type, mode, uid, gid;
	const char *name;
	size_t name_len;
	uint32_t flags;  /* NODE_* */
	uint64_t size;   /* what ls shows */
	uint64_t unique; /* the request, recorded with the change */
};

static inline struct ipc_node *node_at(struct ipc_obj *m, ref_t r)
{
	return AT(m, ipc_node, r);
}

/* Its name, and how long that is; a 0 follows. */
static inline const char *name_at(struct ipc_obj *m, ref_t r, size_t *ret_len)
{
	size_t len = node_at(m, r)->name_len;
	struct ipc_node *n;

	if (len > IPC_NAME_MAX) {
		obj_damage(m, "a name is too long");
		len = 0;
	}
	n = (struct ipc_node *)at(m, r, sizeof(*n) + len + 1);
	*ret_len = n->name[len] ? 0 : len;
	if (!n->name[len])
		return n->name;
	obj_damage(m, "a name does not end");
	return "";
}

static inline const struct ipc_dir *names_dir(struct ipc_obj *m, ref_t dir)
{
	return AT(m, ipc_dir, node_at(m, dir)->dir);
}

/* ---- finding ---- */

/* 0: there is none, or the file is damaged. */
ref_t names_by_id(struct ipc_obj *m, uint64_t id);
ref_t names_find(struct ipc_obj *m, uint64_t parent, const char *name, size_t len);
/* A directory's first entry after a cookie (whose entry may be gone); after an entry. */
ref_t names_after(struct ipc_obj *m, ref_t dir, uint64_t cookie);
ref_t names_next(struct ipc_obj *m, ref_t dir, ref_t r);
/* Call fn() for all nodes, in no particular order, until it returns false. */
void names_each(struct ipc_obj *m, bool (*fn)(void *arg, ref_t r), void *arg);

/* ---- changes ---- */

static inline struct ipc_alias *alias_at(struct ipc_obj *m, ref_t r)
{
	return AT(m, ipc_alias, r);
}

/*
 * A new worker starts: keep the last result of the previous one, which may have died before it
 * replied; other requests may be handled before that one is resent.
 */
void names_restarted(struct ipc_obj *m);
/* Was this request done before a restart? And with which node? */
bool names_done(struct ipc_obj *m, uint64_t unique, uint64_t *ret_id);

/* The limits of the mount, and the initial settings of its objects. */
struct ipc_limits {
	uint64_t memory, objects, message;
	struct ipc_defaults fresh;
};

void names_limits(struct ipc_obj *m, const struct ipc_limits *l);

/* The id that the next node will have, as its engine file is made before the node. */
uint64_t names_next_id(struct ipc_obj *m);
/* For repair: the id of the next node; the epoch of the mount. */
void names_use_id(struct ipc_obj *m, uint64_t id);
void names_epoch(struct ipc_obj *m, uint64_t epoch);
/* -ENOENT: there is no such directory. The first one is the root, and has no parent. */
int names_add(struct ipc_obj *m, const struct ipc_new_node *n, ref_t *ret);
/*
 * Move the node to (parent, name), until now the place of `gone` (0: none). *ret is its new block.
 */
int names_move(struct ipc_obj *m, ref_t node, uint64_t parent, const char *name, size_t len,
	       ref_t gone, uint64_t unique, ref_t *ret);
/* Remove the name; with `keep` the node stays without one, because it is still open. */
void names_remove(struct ipc_obj *m, ref_t node, bool keep, uint64_t unique);
void names_chmod(struct ipc_obj *m, ref_t node, uint32_t mode, uint32_t uid, uint32_t gid);
void names_active(struct ipc_obj *m, ref_t node, bool active);
/*
 * This node's engine file is about to be made or removed; 0: none is any more. Until the node's
 * flags say so too, whoever starts after a death learns from this what may be left over.
 */
void names_making(struct ipc_obj *m, uint64_t id);
/* The node's flags; making: as names_making(), in the same change. */
void names_flags(struct ipc_obj *m, ref_t node, uint32_t flags, uint64_t making);

/*
 * The statistics of an object from before it was last blank; NULL: none. And record them when it
 * becomes blank, in the same change, as by names_flags(). -ENOSPC, -EIO: nothing has changed.
 */
const struct ipc_stats *names_stats(struct ipc_obj *m, ref_t node);
int names_blank(struct ipc_obj *m, ref_t node, uint32_t flags, uint64_t making,
		const struct ipc_stats *s);

/* For this thread to open. */
int alias_add(struct ipc_obj *m, uint64_t nodeid, int64_t timeout, uint32_t tid, ref_t *ret);
void alias_remove(struct ipc_obj *m, ref_t alias);
/* A mount begins. */
void names_forget_aliases(struct ipc_obj *m);

/*
 * The generation of a new handle or alias. Never 0, which means none. It must leave the top bit
 * free, which says what kind of number the kernel was given (fs/state/nodeid.h).
 */
#define NAMES_GEN_MOST 0x7fffffffu
uint32_t names_next_gen(struct ipc_obj *m);

#endif
