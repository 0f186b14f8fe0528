/* SPDX-License-Identifier: MIT */
/*
 * The namespace: see names.h. A directory does not list its entries: a node names its parent, and
 * `cookie` orders the entries of a directory by the time at which they were added.
 */
#include "names/names.h"

#include <string.h>
#include <time.h>

#include "file/heap.h"
#include "file/list.h"
#include "file/log.h"
#include "object/type.h"

#define M(o) (&(o)->h->b.mount)

static int64_t now_real(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void init(struct ipc_header *h, const struct ipc_defaults *d)
{
	(void)d;
	h->b.mount.next_id = IPC_ROOT_ID;
	h->b.mount.next_cookie = 16;
	h->b.mount.next_gen = 1;
}

static void completed(struct ipc_obj *m, uint64_t unique, int64_t result, uint64_t id)
{
	if (!unique)
		return;
	set64(m, M(m)->unique, unique);
	set64(m, M(m)->result, result);
	set64(m, M(m)->result_id, id);
}

/*
 * heap_alloc() that grows the file if it must. Only at the beginning of a change. essential: for
 * what exists already, and must go on even when nothing new can be made.
 */
static int alloc(struct ipc_obj *m, size_t size, bool essential, ref_t *ret)
{
	for (;;) {
		int r;

		*ret = heap_alloc(m, size);
		if (*ret)
			return 0;
		obj_rollback(m);
		if (m->damage)
			return -EIO;
		r = heap_grow(m, essential);
		if (r < 0)
			return r == -EIO ? r : -ENOSPC;
	}
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

int names_add(struct ipc_obj *m, const struct ipc_new_node *n, ref_t *ret)
{
	struct ipc_node *node;
	ref_t r;
	int e = alloc(m, sizeof(*node) + n->name_len + 1, false, &r);

	if (e < 0)
		return e;
	node = at(m, r, sizeof(*node) + n->name_len + 1);
	*node = (struct ipc_node){
		.id = M(m)->next_id,
		.parent = n->parent,
		.cookie = M(m)->next_cookie,
		.type = n->type,
		.mode = n->mode,
		.uid = n->uid,
		.gid = n->gid,
		.flags = n->flags,
		.size = n->size,
		.name_len = (uint16_t)n->name_len,
	};
	node->atime = node->mtime = node->ctime = now_real();
	memcpy(node->name, n->name, n->name_len);
	node->name[n->name_len] = 0;
	list_push(m, &M(m)->nodes, r);
	set64(m, M(m)->next_id, M(m)->next_id + 1);
	set64(m, M(m)->next_cookie, M(m)->next_cookie + 1);
	if (n->type != IPC_DIR)
		set64(m, M(m)->objects, M(m)->objects + 1);
	completed(m, n->unique, 0, node->id);
	commit(m);
	*ret = r;
	return m->damage ? -EIO : 0;
}

static void forget(struct ipc_obj *m, ref_t r)
{
	struct ipc_node *node = node_at(m, r);

	if (node->type != IPC_DIR)
		set64(m, M(m)->objects, M(m)->objects - 1);
	list_remove(m, &M(m)->nodes, r);
	heap_free(m, r);
}

int names_move(struct ipc_obj *m, ref_t from, uint64_t parent, const char *name, size_t len,
	       ref_t gone, uint64_t unique, ref_t *ret)
{
	struct ipc_node *old = node_at(m, from), *node;
	ref_t r;
	int e = alloc(m, sizeof(*node) + len + 1, true, &r);

	if (e < 0)
		return e;
	node = at(m, r, sizeof(*node) + len + 1);
	*node = *old;
	node->parent = parent;
	node->cookie = M(m)->next_cookie;
	node->ctime = now_real();
	node->name_len = (uint16_t)len;
	memcpy(node->name, name, len);
	node->name[len] = 0;
	set64(m, M(m)->next_cookie, M(m)->next_cookie + 1);
	list_push(m, &M(m)->nodes, r);
	if (gone)
		set64(m, node_at(m, gone)->parent, 0);
	list_remove(m, &M(m)->nodes, from);
	completed(m, unique, 0, node->id);
	heap_free(m, from);
	commit(m);
	*ret = r;
	return m->damage ? -EIO : 0;
}

void names_remove(struct ipc_obj *m, ref_t r, bool keep, uint64_t unique)
{
	completed(m, unique, 0, node_at(m, r)->id);
	if (keep) {
		node_at(m, r)->ctime = now_real();
		set64(m, node_at(m, r)->parent, 0);
	} else {
		forget(m, r);
	}
	commit(m);
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

void names_active(struct ipc_obj *m, ref_t r, bool active)
{
	set32(m, node_at(m, r)->active, active);
	commit(m);
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

int alias_add(struct ipc_obj *m, uint64_t nodeid, int64_t timeout, uint32_t tid, ref_t *ret)
{
	ref_t r;
	int e = alloc(m, sizeof(struct ipc_alias), true, &r);

	if (e < 0)
		return e;
	*alias_at(m, r) = (struct ipc_alias){
		.nodeid = nodeid,
		.timeout = timeout,
		.gen = M(m)->next_gen,
		.tid = tid,
	};
	set32(m, M(m)->next_gen, M(m)->next_gen + 1);
	list_push(m, &M(m)->aliases, r);
	commit(m);
	*ret = r;
	return m->damage ? -EIO : 0;
}

void alias_remove(struct ipc_obj *m, ref_t r)
{
	list_remove(m, &M(m)->aliases, r);
	heap_free(m, r);
	commit(m);
}

void names_forget_aliases(struct ipc_obj *m)
{
	while (M(m)->aliases.head && !m->damage)
		alias_remove(m, M(m)->aliases.head);
}

uint32_t names_next_gen(struct ipc_obj *m)
{
	uint32_t gen = M(m)->next_gen;

	set32(m, M(m)->next_gen, gen + 1 ? gen + 1 : 1);
	commit(m);
	return gen;
}

static int names_check(struct ipc_obj *m, struct ipc_check *k)
{
	uint64_t objects = 0, id_max = 0;
	uint32_t n = 0;

	for (ref_t r = M(m)->nodes.head; r; r = node_at(m, r)->link.next) {
		struct ipc_node *node = node_at(m, r);

		if (n++ >= M(m)->nodes.count || m->damage)
			return k->why = "list of nodes longer than its count", -EIO;
		if (heap_size(m, r) < sizeof(*node) + node->name_len + 1 ||
		    node->name_len > IPC_NAME_MAX || memchr(node->name, 0, node->name_len))
			return k->why = "node with an invalid name", -EIO;
		objects += node->type != IPC_DIR;
		id_max = node->id > id_max ? node->id : id_max;
		k->blocks++;
	}
	k->blocks += M(m)->aliases.count;
	if (n != M(m)->nodes.count)
		k->why = "list of nodes shorter than its count";
	else if (objects != M(m)->objects)
		k->why = "wrong count of objects";
	else if (id_max >= M(m)->next_id)
		k->why = "an id that has not been assigned yet";
	return k->why ? -EIO : 0;
}

const struct ipc_type ipc_mount_type = {
	.id = IPC_MOUNT,
	.name = "mount",
	.traits = TYPE_LARGE,
	.init = init,
	.check = names_check,
};
