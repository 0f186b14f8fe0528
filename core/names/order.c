/* SPDX-License-Identifier: MIT */
/*
 * The entries of a directory, in the order in which they were added: by cookie, with which READDIR
 * also says where to continue. That entry may be gone by then, so "the first one after this cookie"
 * has to be found quickly; therefore the entries form a skip list. All are in level 0, one in 16 of
 * these in level 1, and so on. Every level is linked both ways: a new entry, whose cookie is the
 * highest, goes to the end of each, and an entry that leaves is taken out without a search.
 *
 * The hash of its cookie decides in how many levels an entry is. Cookies increase along each level,
 * or the file is damaged, so every walk ends.
 */
#include "names/index.h"

unsigned int order_height(struct ipc_obj *m, uint64_t cookie)
{
	unsigned int zeros = (unsigned int)__builtin_ctzll(index_hash(m, cookie) | 1ull << 63);

	return 1 + (zeros / 4 < IPC_LEVELS ? zeros / 4 : IPC_LEVELS - 1);
}

struct ipc_link *order_link(struct ipc_obj *m, ref_t r, unsigned int level)
{
	struct ipc_node *n = node_at(m, r);
	unsigned int height = n->height;

	if (!level)
		return &n->order;
	if (level >= height || height > IPC_LEVELS) {
		obj_damage(m, "an entry is in more levels than it has links");
		return &n->order;
	}
	/* (The name was not looked at: the block may be anywhere.) */
	n = at(m, r, node_size(n->name_len, height));
	return (struct ipc_link *)((char *)n + node_links(n->name_len)) + level - 1;
}

static unsigned int height_of(struct ipc_obj *m, ref_t r)
{
	unsigned int height = node_at(m, r)->height;

	if (height && height <= IPC_LEVELS)
		return height;
	obj_damage(m, "an entry with an invalid height");
	return 1;
}

static void count(struct ipc_obj *m, struct ipc_dir *d, ref_t r, uint32_t by)
{
	set32(m, d->entries, d->entries + by);
	if (is_dir_type(node_at(m, r)->type))
		set32(m, d->subdirs, d->subdirs + by);
}

void order_append(struct ipc_obj *m, ref_t dir, ref_t r)
{
	struct ipc_dir *d = dir_at(m, node_at(m, dir));

	for (unsigned int k = height_of(m, r); k--;) {
		struct ipc_link *l = order_link(m, r, k);
		ref_t last = d->level[k].last;

		set32(m, l->next, 0);
		set32(m, l->prev, last);
		if (last)
			set32(m, order_link(m, last, k)->next, r);
		else
			set32(m, d->level[k].first, r);
		set32(m, d->level[k].last, r);
	}
	count(m, d, r, 1);
}

void order_remove(struct ipc_obj *m, ref_t dir, ref_t r)
{
	struct ipc_dir *d = dir_at(m, node_at(m, dir));

	for (unsigned int k = height_of(m, r); k--;) {
		struct ipc_link *l = order_link(m, r, k);
		ref_t next = l->next, prev = l->prev;
		ref_t *to_it = prev ? &order_link(m, prev, k)->next : &d->level[k].first;
		ref_t *back = next ? &order_link(m, next, k)->prev : &d->level[k].last;

		if (*to_it != r || *back != r) {
			obj_damage(m, "an entry is not in its directory");
			return;
		}
		set32(m, *to_it, next);
		set32(m, *back, prev);
	}
	count(m, d, r, -1u);
}

/* Does `next` follow `r` (0: is it the first) in this directory? */
static bool comes_behind(struct ipc_obj *m, const struct ipc_node *dir, ref_t r, ref_t next)
{
	const struct ipc_node *n = node_at(m, next);

	if (n->parent == dir->id && (!r || n->cookie > node_at(m, r)->cookie) && !m->damage)
		return true;
	obj_damage(m, "the entries of a directory are out of order");
	return false;
}

static ref_t step(struct ipc_obj *m, ref_t dir, ref_t r, unsigned int level)
{
	struct ipc_node *n = node_at(m, dir);
	ref_t next = r ? order_link(m, r, level)->next : dir_at(m, n)->level[level].first;

	return next && comes_behind(m, n, r, next) ? next : 0;
}

ref_t names_after(struct ipc_obj *m, ref_t dir, uint64_t cookie)
{
	ref_t r = 0, next;

	for (unsigned int k = IPC_LEVELS; k--;)
		while ((next = step(m, dir, r, k)) && node_at(m, next)->cookie <= cookie)
			r = next;
	return step(m, dir, r, 0);
}

ref_t names_next(struct ipc_obj *m, ref_t dir, ref_t r)
{
	return step(m, dir, r, 0);
}
