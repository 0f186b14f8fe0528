/* SPDX-License-Identifier: MIT */
/*
 * The namespace: see names.h. A node refers to its parent by id, because a rename moves the parent
 * to another block. `cookie` orders the entries of a directory by when they were added.
 */
#include <string.h>
#include <time.h>

#include "file/heap.h"
#include "file/list.h"
#include "file/log.h"
#include "names/index.h"
#include "object/type.h"

#define M MOUNT

static int64_t now_real(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void completed(struct ipc_obj *m, uint64_t unique, int64_t result, uint64_t id)
{
	if (!unique)
		return;
	set64(m, M(m)->unique, unique);
	set64(m, M(m)->result, result);
	set64(m, M(m)->result_id, id);
}

void names_restarted(struct ipc_obj *m)
{
	struct ipc_mount *b = M(m);

	if (!b->unique || b->unique == b->before[0][0])
		return;
	for (unsigned int i = IPC_RESTARTS - 1; i; i--)
		for (unsigned int k = 0; k < 2; k++)
			set64(m, b->before[i][k], b->before[i - 1][k]);
	set64(m, b->before[0][0], b->unique);
	set64(m, b->before[0][1], b->result_id);
	commit(m);
}

bool names_done(struct ipc_obj *m, uint64_t unique, uint64_t *ret_id)
{
	struct ipc_mount *b = M(m);

	if (b->unique == unique) {
		*ret_id = b->result_id;
		return true;
	}
	for (unsigned int i = 0; i < IPC_RESTARTS; i++)
		if (b->before[i][0] == unique) {
			*ret_id = b->before[i][1];
			return true;
		}
	return false;
}

void names_limits(struct ipc_obj *m, const struct ipc_limits *l)
{
	set64(m, M(m)->memory_limit, l->memory);
	set64(m, M(m)->object_limit, l->objects);
	set64(m, M(m)->message_limit, l->message);
	set32(m, M(m)->framing, l->fresh.framing);
	set32(m, M(m)->take, l->fresh.take);
	commit(m);
}

uint64_t names_next_id(struct ipc_obj *m)
{
	return M(m)->next_id;
}

void names_use_id(struct ipc_obj *m, uint64_t id)
{
	set64(m, M(m)->next_id, id);
	commit(m);
}

void names_epoch(struct ipc_obj *m, uint64_t epoch)
{
	set64(m, M(m)->epoch, epoch);
	commit(m);
}

/* ---- in use, or without a name ---- */

static bool is_listed(const struct ipc_node *n)
{
	return n->active || (!n->parent && n->id != IPC_ROOT_ID);
}

/* After a change of these two words: put it into the list, or take it out. */
static void list_it(struct ipc_obj *m, ref_t r, bool before)
{
	bool now = is_listed(node_at(m, r));

	if (now && !before)
		list_push(m, &M(m)->active, r);
	else if (before && !now)
		list_remove(m, &M(m)->active, r);
}

void names_active(struct ipc_obj *m, ref_t r, bool active)
{
	struct ipc_node *n = node_at(m, r);
	bool before = is_listed(n);

	set32(m, n->active, active);
	list_it(m, r, before);
	names_commit(m);
}

/* ---- nodes come, move and go ---- */

static ref_t parent_of(struct ipc_obj *m, ref_t r)
{
	ref_t dir = names_by_id(m, node_at(m, r)->parent);

	if (dir && node_at(m, dir)->type == IPC_DIR)
		return dir;
	obj_damage(m, "a name in a directory that does not exist");
	return 0;
}

/* Enter it into its directory, under its name. */
static void enter(struct ipc_obj *m, ref_t dir, ref_t r)
{
	index_insert(m, r, CHAIN_NAME);
	order_append(m, dir, r);
	set64(m, M(m)->names, M(m)->names + 1);
}

/* From now on only its id leads to it. */
static void leave(struct ipc_obj *m, ref_t r)
{
	ref_t dir = parent_of(m, r);

	if (!dir)
		return;
	index_remove(m, r, CHAIN_NAME);
	order_remove(m, dir, r);
	set64(m, M(m)->names, M(m)->names - 1);
}

/* It has no name from now on. */
static void lose_name(struct ipc_obj *m, ref_t r)
{
	bool before = is_listed(node_at(m, r));

	if (!node_at(m, r)->parent)
		return;
	leave(m, r);
	set64(m, node_at(m, r)->parent, 0);
	list_it(m, r, before);
}

static void forget(struct ipc_obj *m, ref_t r)
{
	struct ipc_node *node = node_at(m, r);

	if (node->parent)
		leave(m, r);
	if (is_listed(node))
		list_remove(m, &M(m)->active, r);
	index_remove(m, r, CHAIN_ID);
	if (node->type != IPC_DIR)
		set64(m, M(m)->objects, M(m)->objects - 1);
	set64(m, M(m)->nodes, M(m)->nodes - 1);
	if (node->dir)
		heap_free(m, node->dir);
	heap_free(m, r);
}

/* Nothing refers to a new block yet, so it needs no undo records. */
static void fill(struct ipc_obj *m, struct ipc_node *node, const char *name, size_t len,
		 unsigned int height)
{
	node->cookie = M(m)->next_cookie;
	node->height = (uint16_t)height;
	node->name_len = (uint16_t)len;
	memset(node->name, 0, node_size(len, height) - sizeof(*node));
	memcpy(node->name, name, len);
}

/* The directory for a new node; 0: it is the root, which is in none. -ENOENT. */
static int place_for(struct ipc_obj *m, uint64_t parent, ref_t *ret)
{
	*ret = names_by_id(m, parent);
	if (*ret && node_at(m, *ret)->type == IPC_DIR)
		return 0;
	*ret = 0;
	return !parent && M(m)->next_id == IPC_ROOT_ID ? 0 : m->damage ? -EIO : -ENOENT;
}

static void count_new(struct ipc_obj *m, uint32_t type)
{
	set64(m, M(m)->next_id, M(m)->next_id + 1);
	set64(m, M(m)->next_cookie, M(m)->next_cookie + 1);
	set64(m, M(m)->nodes, M(m)->nodes + 1);
	if (type != IPC_DIR)
		set64(m, M(m)->objects, M(m)->objects + 1);
}

int names_add(struct ipc_obj *m, const struct ipc_new_node *n, ref_t *ret)
{
	unsigned int height = order_height(m, M(m)->next_cookie);
	const size_t size[] = { node_size(n->name_len, height), sizeof(struct ipc_dir) };
	struct ipc_node *node;
	ref_t r[2] = { 0 }, dir;
	int e = place_for(m, n->parent, &dir);

	if (e == 0)
		e = index_grow(m);
	if (e == 0)
		e = names_alloc(m, size, n->type == IPC_DIR ? 2 : 1, false, r);
	if (e < 0)
		return e;
	node = at(m, r[0], size[0]);
	*node = (struct ipc_node){
		.id = M(m)->next_id,
		.parent = n->parent,
		.dir = r[1],
		.type = n->type,
		.mode = n->mode,
		.uid = n->uid,
		.gid = n->gid,
		.flags = n->flags,
		.size = n->size,
	};
	node->atime = node->mtime = node->ctime = now_real();
	fill(m, node, n->name, n->name_len, height);
	if (r[1])
		*AT(m, ipc_dir, r[1]) = (struct ipc_dir){ .entries = 0 };
	index_insert(m, r[0], CHAIN_ID);
	if (dir)
		enter(m, dir, r[0]);
	count_new(m, n->type);
	completed(m, n->unique, 0, node->id);
	*ret = r[0];
	return names_commit(m);
}

int names_move(struct ipc_obj *m, ref_t from, uint64_t parent, const char *name, size_t len,
	       ref_t gone, uint64_t unique, ref_t *ret)
{
	unsigned int height = order_height(m, M(m)->next_cookie);
	const size_t size = node_size(len, height);
	struct ipc_node *node;
	ref_t r, dir;
	int e = place_for(m, parent, &dir);

	if (e == 0)
		e = names_alloc(m, &size, 1, true, &r);
	if (e < 0)
		return e;
	if (gone)
		lose_name(m, gone);
	leave(m, from);
	index_remove(m, from, CHAIN_ID);
	node = at(m, r, size);
	*node = *node_at(m, from);
	node->parent = parent;
	node->ctime = now_real();
	fill(m, node, name, len, height);
	set64(m, M(m)->next_cookie, M(m)->next_cookie + 1);
	index_insert(m, r, CHAIN_ID);
	enter(m, dir, r);
	if (is_listed(node)) {
		list_remove(m, &M(m)->active, from);
		list_push(m, &M(m)->active, r);
	}
	completed(m, unique, 0, node->id);
	heap_free(m, from);
	*ret = r;
	return names_commit(m);
}

void names_remove(struct ipc_obj *m, ref_t r, bool keep, uint64_t unique)
{
	completed(m, unique, 0, node_at(m, r)->id);
	if (keep) {
		node_at(m, r)->ctime = now_real();
		lose_name(m, r);
		names_commit(m);
		return;
	}
	forget(m, r);
	if (names_commit(m) < 0)
		return;
	index_shrink(m);
	heap_trim(m, false);
}

void names_chmod(struct ipc_obj *m, ref_t r, uint32_t mode, uint32_t uid, uint32_t gid)
{
	struct ipc_node *node = node_at(m, r);

	set32(m, node->mode, mode);
	set32(m, node->uid, uid);
	set32(m, node->gid, gid);
	commit(m);
	node->ctime = now_real();
}

void names_making(struct ipc_obj *m, uint64_t id)
{
	set64(m, M(m)->making, id);
	commit(m);
}

void names_flags(struct ipc_obj *m, ref_t r, uint32_t flags, uint64_t making)
{
	set32(m, node_at(m, r)->flags, flags);
	set64(m, M(m)->making, making);
	commit(m);
}

const struct ipc_stats *names_stats(struct ipc_obj *m, ref_t r)
{
	const struct ipc_node *node = node_at(m, r);

	return node->type != IPC_DIR && node->stats ? AT(m, ipc_stats, node->stats) : NULL;
}

static int keep_stats(struct ipc_obj *m, ref_t r, const struct ipc_stats *s)
{
	static const struct ipc_stats none;
	const size_t size = sizeof(*s);
	ref_t stats = node_at(m, r)->stats;
	int e = 0;

	if (!stats && !memcmp(s, &none, sizeof(none)))
		return 0;
	if (!stats) {
		e = names_alloc(m, &size, 1, true, &stats);
		if (e < 0)
			return e;
		*AT(m, ipc_stats, stats) = *s;
		set32(m, node_at(m, r)->stats, stats);
		return 0;
	}
	for (size_t i = 0; i < sizeof(*s) / sizeof(uint64_t); i++)
		set64_at(m, &((uint64_t *)AT(m, ipc_stats, stats))[i], ((const uint64_t *)s)[i]);
	return 0;
}

int names_blank(struct ipc_obj *m, ref_t r, uint32_t flags, uint64_t making,
		const struct ipc_stats *s)
{
	int e = keep_stats(m, r, s);

	if (e < 0)
		return e;
	set32(m, node_at(m, r)->flags, flags | NODE_BLANK);
	set64(m, M(m)->making, making);
	return names_commit(m);
}
