/* SPDX-License-Identifier: MIT */
/*
 * Names: what this worker knows about the nodes of the mount file.
 *
 * The index is in the mount file (core/names), so a worker builds nothing when it starts, and a
 * node that nobody has asked for costs it nothing. A struct node is made when it is first asked
 * for, and kept while somebody needs it; of the others the last few thousand are kept. They are
 * dropped only between turns: a pointer is valid for the rest of its turn.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "file/list.h"
#include "base/alloc.h"
#include "object/engine.h"
#include "object/type.h"
#include "state/object.h"
#include "state/tree.h"

#define IDLE_MOST 4096u

static struct node *idle; /* not needed, at least not when they were listed */
static unsigned int idle_count;

/* ---- what is known of them ---- */

struct node *tree_known(uint64_t id)
{
	struct node *n;

	HASH_FIND(by_id, fs.by_id, &id, sizeof(id), n);
	return n;
}

static struct node *remember(uint64_t id, ref_t ref)
{
	struct node *n = must_alloc(sizeof(*n));

	n->id = id;
	n->ref = ref;
	n->type = node_at(&fs.mount, ref)->type;
	n->ops = ipc_type_of_node(n->type);
	HASH_ADD(by_id, fs.by_id, id, sizeof(n->id), n);
	tree_idle(n);
	return n;
}

struct node *tree_by_id(uint64_t id)
{
	struct node *n = tree_known(id);
	ref_t ref = n ? 0 : names_by_id(&fs.mount, id);

	return n || !ref ? n : remember(id, ref);
}

struct node *tree_at(ref_t ref)
{
	uint64_t id = node_at(&fs.mount, ref)->id;
	struct node *n = tree_known(id);

	return n ? n : remember(id, ref);
}

static bool is_needed(const struct node *n)
{
	return n->ob || n->aliases || n == fs.root;
}

void tree_idle(struct node *n)
{
	if (n->idle)
		return;
	n->idle = true;
	idle_count++;
	DL_APPEND(idle, n);
}

static void unlist(struct node *n)
{
	if (!n->idle)
		return;
	n->idle = false;
	idle_count--;
	DL_DELETE(idle, n);
}

void tree_forget(struct node *n)
{
	unlist(n);
	HASH_DELETE(by_id, fs.by_id, n);
	free(n);
}

void tree_remove(struct node *n)
{
	names_remove(&fs.mount, n->ref, false, 0);
	tree_forget(n);
}

void tree_trim(void)
{
	while (idle_count > IDLE_MOST) {
		struct node *n = idle;

		if (is_needed(n)) {
			unlist(n); /* until tree_idle() */
			continue;
		}
		/* (The kernel has attributes of it, which are to be recalled when it changes.) */
		if (n->listed && ipc_now() < n->listed)
			return;
		tree_forget(n);
	}
}

/* ---- names ---- */

bool node_has_name(const struct node *n)
{
	return node_block(n)->parent || n == fs.root;
}

struct node *tree_parent(const struct node *n)
{
	uint64_t parent = node_block(n)->parent;

	return parent ? tree_by_id(parent) : NULL;
}

uint32_t node_entries(const struct node *n)
{
	return n->type == IPC_DIR ? names_dir(&fs.mount, n->ref)->entries : 0;
}

uint32_t node_subdirs(const struct node *n)
{
	return n->type == IPC_DIR ? names_dir(&fs.mount, n->ref)->subdirs : 0;
}

struct node *tree_find(const struct node *dir, const char *name, size_t len)
{
	ref_t ref = len > IPC_NAME_MAX ? 0 : names_find(&fs.mount, dir->id, name, len);

	return ref ? tree_at(ref) : NULL;
}

bool tree_contains(const struct node *dir, const struct node *n)
{
	uint64_t left = mount_body()->nodes;

	for (; n && n != dir; n = tree_parent(n))
		if (!left--) {
			obj_damage(&fs.mount, "directories that lead in a circle");
			return true;
		}
	return n == dir;
}

void tree_path(const struct node *n, char *buf, size_t size)
{
	char tmp[4096];
	size_t at = sizeof(tmp) - 1, len;

	tmp[at] = 0;
	while (n && n != fs.root && at > 300) {
		const char *name = name_at(&fs.mount, n->ref, &len);
		const struct node *dir = tree_parent(n);

		at -= len;
		memcpy(tmp + at, name, len);
		if (!dir) {
			static const char gone[] = "(removed) ";

			at -= sizeof(gone) - 1;
			memcpy(tmp + at, gone, sizeof(gone) - 1);
		} else if (dir != fs.root) {
			tmp[--at] = '/';
		}
		n = dir;
	}
	snprintf(buf, size, "%s", tmp + at);
}

/* ---- those in use ---- */

uint64_t *tree_listed(bool (*want)(const struct ipc_node *n), uint32_t *ret_count)
{
	struct ipc_list *l = &mount_body()->active;
	uint32_t most = list_most(&fs.mount, l);
	uint64_t *ids = most ? must_alloc(most * sizeof(*ids)) : NULL;

	*ret_count = 0;
	LIST_EACH(&fs.mount, l, r)
		if (want(node_at(&fs.mount, r)))
			ids[(*ret_count)++] = node_at(&fs.mount, r)->id;
	return ids;
}

/* ---- begin and end ---- */

static int make_root(void)
{
	struct ipc_new_node root = {
		.type = IPC_DIR, .mode = 0755, .uid = geteuid(), .gid = getegid(), .name = ""
	};
	ref_t r;

	return names_add(&fs.mount, &root, &r);
}

int tree_load(bool check)
{
	struct ipc_obj *m = &fs.mount;
	struct ipc_check k;
	int r = 0;

	if (check && ipc_check(m, &k) < 0) {
		obj_damage(m, k.why);
		return -EIO;
	}
	if (!mount_body()->nodes)
		r = make_root();
	if (r < 0)
		return r;
	fs.root = tree_by_id(IPC_ROOT_ID);
	if (!fs.root || fs.root->type != IPC_DIR)
		obj_damage(m, "there is no root");
	return m->damage ? -EIO : 0;
}

void tree_unload(void)
{
	struct node *n, *tmp;

	HASH_ITER(by_id, fs.by_id, n, tmp)
		tree_forget(n);
	fs.root = NULL;
}
