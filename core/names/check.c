/* SPDX-License-Identifier: MIT */
/*
 * Is the mount file sound? The nodes that count are those that the index has by id. Each of the
 * other ways to a node must then lead to as many of them as it should, to no others, and to none
 * twice. Finally the tree is walked once: everything in a directory must be below the root.
 */
#include <string.h>

#include "file/heap.h"
#include "file/list.h"
#include "names/index.h"
#include "object/engine.h"
#include "object/type.h"

struct walk {
	struct ipc_obj *m;
	struct ipc_check *k;
	uint64_t nodes, objects, listed, names; /* by id */
	uint64_t named;                         /* by name */
	uint64_t entries;                       /* of directories */
};

static int bad(struct walk *w, const char *why)
{
	if (!w->k->why)
		w->k->why = w->m->damage ? w->m->damage : why;
	return -EIO;
}

static int block(struct walk *w, ref_t r, size_t size)
{
	if (!obj_has(w->m, (uint64_t)r * IPC_UNIT, size) || heap_size(w->m, r) < size)
		return bad(w, "the index refers to a block that is too small or free");
	return 0;
}

/* Is it a node, and the one that its id leads to? */
static bool known(struct walk *w, ref_t r)
{
	return block(w, r, sizeof(struct ipc_node)) == 0 &&
	       names_by_id(w->m, node_at(w->m, r)->id) == r;
}

/* ---- by id ---- */

static int check_node(struct walk *w, ref_t r)
{
	struct ipc_mount *b = MOUNT(w->m);
	struct ipc_node *n = node_at(w->m, r);
	bool directory = n->type == IPC_DIR, root = n->id == IPC_ROOT_ID;

	if (n->name_len > IPC_NAME_MAX || !n->height || n->height > IPC_LEVELS ||
	    block(w, r, node_size(n->name_len, n->height)) < 0 || memchr(n->name, 0, n->name_len) ||
	    n->name[n->name_len])
		return bad(w, "node with an invalid name");
	if (!n->id || n->id >= b->next_id || n->cookie >= b->next_cookie)
		return bad(w, "an id that has not been assigned yet");
	if (names_by_id(w->m, n->id) != r)
		return bad(w, "two nodes have one id");
	if ((directory && !n->dir) || (root && (!directory || n->parent)))
		return bad(w, "a directory that is none");
	if (directory ? block(w, n->dir, sizeof(struct ipc_dir)) < 0 :
			n->stats && block(w, n->stats, sizeof(struct ipc_stats)) < 0)
		return -EIO;
	w->k->blocks += 1 + (n->dir != 0);
	w->nodes++;
	w->objects += !directory;
	w->names += n->parent != 0;
	w->listed += n->active || (!n->parent && !root);
	return 0;
}

/* A chain of one bucket: all of them belong there. */
static int check_chain(struct walk *w, uint32_t bucket, enum ipc_chain chain)
{
	ref_t r = bucket_at(w->m, bucket)->head[chain];

	for (unsigned int n = 0; r; n++) {
		if (n == CHAIN_MOST)
			return bad(w, "a chain of the index does not end");
		if (block(w, r, sizeof(struct ipc_node)) < 0)
			return -EIO;
		if (chain == CHAIN_ID ? check_node(w, r) < 0 : !known(w, r))
			return bad(w, "the index refers to a node that is none");
		if (index_bucket(w->m, r, chain) != bucket)
			return bad(w, "a node is in a wrong place of the index");
		w->named += chain == CHAIN_NAME;
		r = node_at(w->m, r)->same[chain];
	}
	return 0;
}

/* ---- by name ---- */

/* Looking up its name finds it, and nothing else. */
static int check_name(struct walk *w, ref_t r)
{
	struct ipc_node *n = node_at(w->m, r);
	size_t len;
	const char *name = name_at(w->m, r, &len);
	ref_t dir = names_by_id(w->m, n->parent);

	if (!n->parent)
		return 0;
	if (!dir || node_at(w->m, dir)->type != IPC_DIR)
		return bad(w, "a name in a directory that does not exist");
	return names_find(w->m, n->parent, name, len) == r ?
		       0 :
		       bad(w, "a name that leads to another node");
}

/* ---- by cookie ---- */

static int check_level(struct walk *w, ref_t dir, unsigned int level, const uint32_t *expected)
{
	struct ipc_node *d = node_at(w->m, dir);
	struct ipc_dir *body = dir_at(w->m, d);
	uint32_t count[IPC_LEVELS + 1] = { 0 }, n = 0, subdirs = 0;
	ref_t prev = 0;

	for (ref_t r = body->level[level].first; r; n++) {
		struct ipc_node *e = node_at(w->m, r);

		if (!known(w, r) || e->parent != d->id || e->height <= level ||
		    e->height > IPC_LEVELS || (prev && e->cookie <= node_at(w->m, prev)->cookie) ||
		    order_link(w->m, r, level)->prev != prev)
			return bad(w, "the entries of a directory are out of order");
		count[e->height]++;
		subdirs += is_dir_type(e->type);
		prev = r;
		r = order_link(w->m, r, level)->next;
	}
	if (body->level[level].last != prev || n != *expected)
		return bad(w, "the entries of a directory are not as many as it counts");
	if (level)
		return 0;
	if (subdirs != body->subdirs)
		return bad(w, "wrong count of subdirectories");
	w->entries += n;
	for (unsigned int k = 1; k < IPC_LEVELS; k++) {
		n -= count[k];
		if (check_level(w, dir, k, &n) < 0)
			return -EIO;
	}
	return 0;
}

/* ---- all ---- */

static int each_bucket(struct walk *w, int (*fn)(struct walk *w, uint32_t bucket))
{
	for (uint32_t n = 0; n < MOUNT(w->m)->buckets; n++)
		if (fn(w, n) < 0)
			return -EIO;
	return 0;
}

static int bucket_ids(struct walk *w, uint32_t bucket)
{
	return check_chain(w, bucket, CHAIN_ID);
}

static int bucket_names(struct walk *w, uint32_t bucket)
{
	if (check_chain(w, bucket, CHAIN_NAME) < 0)
		return -EIO;
	for (ref_t r = bucket_at(w->m, bucket)->head[CHAIN_ID]; r;
	     r = node_at(w->m, r)->same[CHAIN_ID]) {
		if (check_name(w, r) < 0)
			return -EIO;
		if (node_at(w->m, r)->type == IPC_DIR &&
		    check_level(w, r, 0, &dir_at(w->m, node_at(w->m, r))->entries) < 0)
			return -EIO;
	}
	return 0;
}

/* The pages of buckets; those not in use yet must be empty. */
static int check_table(struct walk *w)
{
	uint32_t buckets = MOUNT(w->m)->buckets, pages = index_pages(w->m);
	const ref_t *table;

	if (buckets > (uint64_t)pages * IPC_BUCKETS)
		return bad(w, "more buckets than the index has room for");
	if (!pages)
		return 0;
	if (block(w, MOUNT(w->m)->index, pages * sizeof(ref_t)) < 0)
		return -EIO;
	w->k->blocks++;
	table = at(w->m, MOUNT(w->m)->index, pages * sizeof(ref_t));
	for (uint32_t i = 0; i < pages; i++) {
		if (!table[i] && i >= (buckets + IPC_BUCKETS - 1) / IPC_BUCKETS)
			continue;
		if (block(w, table[i], IPC_PAGE) < 0)
			return -EIO;
		w->k->blocks++;
		for (uint32_t n = 0; n < IPC_BUCKETS; n++) {
			struct ipc_bucket *b = bucket_at(w->m, i * IPC_BUCKETS + n);

			if (i * IPC_BUCKETS + n >= buckets &&
			    (b->head[CHAIN_ID] || b->head[CHAIN_NAME]))
				return bad(w, "a bucket behind the last one is not empty");
		}
	}
	return 0;
}

static int check_active(struct walk *w)
{
	struct ipc_list *l = &MOUNT(w->m)->active;
	uint32_t n = 0;
	ref_t prev = 0;

	for (ref_t r = l->head; r; r = node_at(w->m, r)->link.next) {
		if (n++ >= list_most(w->m, l) || !known(w, r) ||
		    (!node_at(w->m, r)->active && node_at(w->m, r)->parent) ||
		    node_at(w->m, r)->link.prev != prev)
			return bad(w, "the list of nodes in use is not sound");
		prev = r;
	}
	return n == l->count && l->tail == prev && n == w->listed ?
		       0 :
		       bad(w, "the list of nodes in use is not complete");
}

/* What follows r in a walk of the whole tree; 0: nothing. */
static ref_t next_in_tree(struct ipc_obj *m, ref_t r)
{
	ref_t next = 0;

	if (node_at(m, r)->type == IPC_DIR)
		next = names_next(m, r, 0);
	while (!next && !m->damage && node_at(m, r)->parent) {
		ref_t dir = names_by_id(m, node_at(m, r)->parent);

		next = dir ? names_next(m, dir, r) : 0;
		r = dir;
	}
	return next;
}

static int check_tree(struct walk *w)
{
	ref_t r = names_by_id(w->m, IPC_ROOT_ID);
	uint64_t n = 0;

	if (!r)
		return w->nodes ? bad(w, "no root") : 0;
	while ((r = next_in_tree(w->m, r)) && n <= w->names)
		n++;
	return n == w->names ? 0 : bad(w, "directories that lead in a circle");
}

int names_check(struct ipc_obj *m, struct ipc_check *k)
{
	struct walk w = { .m = m, .k = k };
	struct ipc_mount *b = MOUNT(m);

	if (check_table(&w) < 0 || each_bucket(&w, bucket_ids) < 0 ||
	    each_bucket(&w, bucket_names) < 0 || check_active(&w) < 0)
		return -EIO;
	k->blocks += b->aliases.count;
	if (w.nodes != b->nodes)
		return bad(&w, "wrong count of nodes");
	if (w.objects != b->objects)
		return bad(&w, "wrong count of objects");
	if (w.names != b->names || w.named != w.names || w.entries != w.names)
		return bad(&w, "wrong count of names");
	return check_tree(&w);
}
