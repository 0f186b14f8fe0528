// SPDX-License-Identifier: MIT
/*
 * ipcctl check: the nodes of a namespace, sound or damaged. In a damaged one each node counts that any
 * way of the index still leads to, and that makes sense.
 */
#include <stdlib.h>
#include <string.h>

#include "file/heap.h"
#include "names/index.h"
#include "object/type.h"
#include "repair/check_parts.h"
#include "util.h"

struct reading {
	struct state *s;
	struct ipc_obj *m;
	size_t room;
	uint64_t left; /* steps: in a damaged file anything may lead anywhere */
};

static bool is_block(struct ipc_obj *m, ref_t r, size_t size)
{
	return obj_has(m, (uint64_t)r * IPC_UNIT, size) && heap_size(m, r) >= size;
}

static bool is_node(struct ipc_obj *m, ref_t r)
{
	const struct ipc_node *n;

	if (!is_block(m, r, sizeof(*n)))
		return false;
	n = node_at(m, r);
	return n->id && n->id < 1ull << 40 && n->name_len <= IPC_NAME_MAX &&
	       is_block(m, r, sizeof(*n) + n->name_len + 1) && !n->name[n->name_len] &&
	       strlen(n->name) == n->name_len && !strchr(n->name, '/') &&
	       (n->name_len != 0) == (n->id != IPC_ROOT_ID) &&
	       (n->type == IPC_DIR || ipc_type_of_node(n->type));
}

static void keep(struct reading *rd, ref_t r)
{
	const struct ipc_node *n = node_at(rd->m, r);
	struct state *s = rd->s;

	if (s->n == rd->room) {
		rd->room = rd->room ? 2 * rd->room : 64;
		s->items = xrealloc(s->items, rd->room * sizeof(*s->items));
	}
	s->items[s->n++] = (struct item){
		.id = n->id,
		.parent = n->parent,
		.cookie = n->cookie,
		.type = n->type,
		.mode = n->mode,
		.uid = n->uid,
		.gid = n->gid,
		.flags = n->flags,
		.size = n->size,
		.ref = r,
		.atime = n->atime,
		.mtime = n->mtime,
		.ctime = n->ctime,
		.name = xstrdup(n->name),
	};
	if (n->type != IPC_DIR && is_block(rd->m, n->stats, sizeof(struct ipc_stats)))
		s->items[s->n - 1].stats = *AT(rd->m, ipc_stats, n->stats);
}

/* A directory's entries: another way to them. */
static void read_entries(struct reading *rd, ref_t dir)
{
	const struct ipc_node *d = node_at(rd->m, dir);
	ref_t r;

	if (d->type != IPC_DIR || !is_block(rd->m, d->dir, sizeof(struct ipc_dir)))
		return;
	for (r = dir_at(rd->m, d)->level[0].first; is_node(rd->m, r) && rd->left;
	     r = node_at(rd->m, r)->order.next) {
		rd->left--;
		keep(rd, r);
	}
}

static void read_chain(struct reading *rd, ref_t r, enum ipc_chain chain, bool thorough)
{
	for (; is_node(rd->m, r) && rd->left; r = node_at(rd->m, r)->same[chain]) {
		rd->left--;
		keep(rd, r);
		if (thorough)
			read_entries(rd, r);
	}
}

/* Of several with one id (the same one, mostly) the first is as good as any. */
static void drop_doubles(struct state *s)
{
	size_t n = 0;

	if (s->n)
		qsort(s->items, s->n, sizeof(*s->items), item_order);
	for (size_t i = 0; i < s->n; i++) {
		if (n && s->items[n - 1].id == s->items[i].id)
			free(s->items[i].name);
		else
			s->items[n++] = s->items[i];
	}
	s->n = n;
}

/*
 * The root has no name and is in no directory, so one chain alone leads to it. If that is cut, look
 * everywhere: its block is never freed, so whatever looks like it is it.
 */
static void find_root(struct reading *rd)
{
	uint64_t units = (uint64_t)(1 + rd->m->pages) * (IPC_PAGE / IPC_UNIT);

	for (ref_t r = 1; r < units; r++) {
		if (!is_node(rd->m, r) || node_at(rd->m, r)->id != IPC_ROOT_ID ||
		    node_at(rd->m, r)->type != IPC_DIR)
			continue;
		keep(rd, r);
		read_entries(rd, r);
		return;
	}
}

static bool has_root(const struct state *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->items[i].id == IPC_ROOT_ID)
			return true;
	return false;
}

/* Page k of the index; NULL: there is none. */
static const struct ipc_bucket *index_page(struct ipc_obj *m, uint32_t k)
{
	ref_t table = MOUNT(m)->index, page;

	if (!is_block(m, table, (k + 1) * sizeof(ref_t)))
		return NULL;
	page = ((const ref_t *)at(m, table, (k + 1) * sizeof(ref_t)))[k];
	return is_block(m, page, IPC_PAGE) ? at(m, page, IPC_PAGE) : NULL;
}

void state_read_names(struct state *s, struct ipc_obj *m, bool thorough)
{
	struct reading rd = { s, m, 0, (thorough ? 4 : 1) * blocks_most(m) };
	uint32_t pages = index_pages(m);

	s->memory_limit = MOUNT(m)->memory_limit;
	for (uint32_t k = 0; k < pages; k++) {
		const struct ipc_bucket *b = index_page(m, k);

		for (uint32_t n = 0; b && n < IPC_BUCKETS; n++) {
			read_chain(&rd, b[n].head[CHAIN_ID], CHAIN_ID, thorough);
			if (thorough)
				read_chain(&rd, b[n].head[CHAIN_NAME], CHAIN_NAME, true);
		}
	}
	if (thorough && !has_root(s))
		find_root(&rd);
	drop_doubles(s);
}
