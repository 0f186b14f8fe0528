// SPDX-License-Identifier: MIT
/*
 * ipcctl check, the namespace. One that is damaged is not mended in place: each node that any way
 * of the index still leads to, and that makes sense, goes into a new one. Objects whose node is
 * lost get a new name in the root.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "names/index.h"
#include "object/type.h"
#include "repair/check_parts.h"
#include "util.h"

#define DEPTH_MOST 1000

static int add_as(struct ipc_obj *m, const struct item *it, uint64_t parent, const char *name)
{
	struct ipc_new_node n = { .parent = parent,
				  .type = it->type,
				  .mode = it->mode,
				  .uid = it->uid,
				  .gid = it->gid,
				  .flags = it->flags,
				  .size = it->size,
				  .name = name,
				  .name_len = strlen(name) };
	ref_t r;
	int e;

	names_use_id(m, it->id);
	e = names_add(m, &n, &r);
	if (e == 0) {
		node_at(m, r)->atime = it->atime;
		node_at(m, r)->mtime = it->mtime;
		node_at(m, r)->ctime = it->ctime;
		if (it->flags & NODE_BLANK)
			e = names_blank(m, r, it->flags, 0, &it->stats);
	}
	return e;
}

/* Under a name that says what it was, where it cannot have its own. */
static int recover(struct ipc_obj *m, struct item *it, const char *was)
{
	const struct ipc_type *t = ipc_type_of_node(it->type);
	char *name CLEANUP(free_string) = NULL;

	if (was)
		name = str("recovered-%llu-%.200s", (unsigned long long)it->id, was);
	else
		name = str("recovered-%llu%s", (unsigned long long)it->id, t ? t->suffix : "");
	printf("%s: %s\n", name, was ? "is its name now" : "is an object that has lost its name");
	return add_as(m, it, IPC_ROOT_ID, name);
}

/* After its directory; depth: of those that are being added. */
static int add_item(struct state *s, struct ipc_obj *m, struct item *it, unsigned int depth)
{
	struct item *dir = state_find(s, it->parent);
	int r = 0;

	if (it->added || !it->parent)
		return 0;
	it->added = true; /* and if it is below itself, what is above it is in the root */
	if (dir && dir->type == IPC_DIR && !dir->added && depth < DEPTH_MOST)
		r = add_item(s, m, dir, depth + 1);
	if (r < 0)
		return r;
	if (!dir || !names_by_id(m, dir->id) || dir->type != IPC_DIR ||
	    names_find(m, dir->id, it->name, strlen(it->name)))
		return recover(m, it, it->name);
	return add_as(m, it, dir->id, it->name);
}

/* If not even the root was found: whatever was in it keeps its name. */
static void ensure_root(struct state *s)
{
	if (state_find(s, IPC_ROOT_ID))
		return;
	s->items = xrealloc(s->items, (s->n + 1) * sizeof(*s->items));
	memmove(s->items + 1, s->items, s->n++ * sizeof(*s->items));
	s->items[0] = (struct item){ .id = IPC_ROOT_ID,
				     .type = IPC_DIR,
				     .mode = 0755,
				     .uid = geteuid(),
				     .gid = getegid(),
				     .name = xstrdup("") };
}

static int by_cookie(const void *a, const void *b)
{
	const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;

	return x->cookie < y->cookie ? -1 : x->cookie > y->cookie;
}

/* In the order in which READDIR had them. */
static int add_items(struct state *s, struct ipc_obj *m)
{
	struct item **order = xrealloc(NULL, s->n * sizeof(*order));
	int r = add_as(m, state_find(s, IPC_ROOT_ID), 0, "");

	for (size_t i = 0; i < s->n; i++)
		order[i] = &s->items[i];
	qsort(order, s->n, sizeof(*order), by_cookie);
	for (size_t i = 0; i < s->n && r == 0; i++)
		r = add_item(s, m, order[i], 0);
	free(order);
	return r;
}

/* What an engine file without a name is; false: nothing that can have one. */
static bool identify(struct state *s, uint64_t id, struct item *ret, uint64_t *epoch)
{
	struct state_name file = state_engine(id);
	struct ipc_obj o;

	if (id <= IPC_ROOT_ID || state_map(s, s->objects, file.s, true, &o) < 0)
		return false;
	*ret = (struct item){
		.id = id,
		.type = o.type,
		.mode = 0600,
		.uid = geteuid(),
		.gid = getegid(),
		.flags = NODE_MAPPED,
	};
	if (o.h->epoch > *epoch)
		*epoch = o.h->epoch;
	state_unmap(&o);
	return ipc_type_of(ret->type)->suffix != NULL;
}

/* Objects whose node is lost, or whose name: they get one in the root. */
static int add_lost(struct state *s, struct ipc_obj *m, uint64_t *epoch)
{
	uint64_t *ids;
	size_t n = state_files(s, &ids);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		struct item it;

		/* (One without a name was removed, and still open.) */
		if (!state_find(s, ids[i]) && identify(s, ids[i], &it, epoch))
			r = recover(m, &it, NULL);
	}
	free(ids);
	return r;
}

static uint64_t next_id(struct state *s, struct ipc_obj *m)
{
	uint64_t *ids, most = names_next_id(m) - 1;
	size_t n = state_files(s, &ids);

	if (n && ids[n - 1] > most)
		most = ids[n - 1];
	if (s->n && s->items[s->n - 1].id > most)
		most = s->items[s->n - 1].id;
	free(ids);
	return most + 1;
}

/* What is known of the old one: its limits, and which mount it was. */
static int rebuild(struct state *s, const struct ipc_limits *limits, uint64_t making,
		   uint64_t epoch)
{
	struct ipc_obj m;
	int r = renameat(s->dir, STATE_MOUNT, s->dir, STATE_MOUNT STATE_DAMAGED) < 0 &&
				errno != ENOENT ?
			-errno :
			0;

	if (r == 0)
		r = ipc_create(&s->env, s->dir, STATE_MOUNT, 0, &ipc_mount_type,
			       ipc_reserve(&ipc_mount_type, 4ull << 30), NULL);
	if (r == 0)
		r = state_map(s, s->dir, STATE_MOUNT, false, &m);
	if (r < 0)
		return r;
	names_limits(&m, limits);
	r = add_items(s, &m);
	if (r == 0)
		r = add_lost(s, &m, &epoch);
	names_use_id(&m, next_id(s, &m));
	names_epoch(&m, epoch);
	names_making(&m, making);
	state_unmap(&m);
	return r;
}

static void free_items(struct state *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->items[i].name);
	free(s->items);
	s->items = NULL;
	s->n = 0;
}

/* After what was said of it. */
static int repair(struct state *s, struct ipc_obj *m, const char *dir)
{
	struct ipc_limits limits = { .memory = 0 }; /* as the next mount says */
	struct ipc_obj new;
	uint64_t making = 0, epoch = 0;
	size_t n;
	int r;

	if (m) {
		const struct ipc_mount *b = MOUNT(m);

		limits.memory = b->memory_limit;
		limits.objects = b->object_limit;
		limits.message = b->message_limit;
		limits.fresh = (struct ipc_defaults){ b->framing, b->take };
		state_read_names(s, m, true);
		epoch = b->epoch;
		making = b->making;
		state_unmap(m);
	}
	n = s->n;
	ensure_root(s);
	r = rebuild(s, &limits, making, epoch);
	free_items(s);
	if (r == 0)
		r = state_map(s, s->dir, STATE_MOUNT, true, &new);
	if (r < 0) {
		complain(dir, "cannot make a new namespace: %s", strerror(-r));
		return r;
	}
	s->result->repaired++;
	printf("the namespace: recreated, the old one is " STATE_MOUNT STATE_DAMAGED "; %s\n",
	       n ? "what was readable of it is in the new one" :
		   "names, folders, owners and modes are lost");
	state_read_names(s, &new, false);
	state_unmap(&new);
	return 0;
}

void check_resized(struct state *s, const struct item *it)
{
	struct ipc_obj m;

	if (state_map(s, s->dir, STATE_MOUNT, false, &m) < 0)
		return;
	names_flags(&m, it->ref, it->flags | NODE_MAPPED, MOUNT(&m)->making);
	state_unmap(&m);
}

int check_names(struct state *s, const char *dir)
{
	struct ipc_check k = { 0 };
	struct ipc_obj m;
	int r = state_map(s, s->dir, STATE_MOUNT, true, &m);

	if (r == -EPROTO) {
		complain(dir, "was made by another version of ipcfs; this one cannot check it");
		return r;
	}
	if (r == 0 && ipc_check(&m, &k) == 0 && !m.damage) {
		state_read_names(s, &m, false);
		state_unmap(&m);
		return 0;
	}
	printf("the namespace: %s\n", r < 0 ? state_error(r) : k.why ? k.why : m.damage);
	s->result->damaged++;
	if (s->repair)
		return repair(s, r == 0 ? &m : NULL, dir);
	if (r == 0)
		state_unmap(&m);
	return -EIO;
}
