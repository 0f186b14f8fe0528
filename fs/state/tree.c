/* SPDX-License-Identifier: MIT */
/*
 * Names: an index over the mount file's nodes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "object/type.h"
#include "state/alias.h"
#include "state/object.h"
#include "state/tree.h"

struct node *tree_by_id(uint64_t id)
{
	struct node *n;

	HASH_FIND(by_id, fs.by_id, &id, sizeof(id), n);
	return n;
}

struct node *tree_find(const struct node *dir, const char *name, size_t len)
{
	char key[sizeof(uint64_t) + IPC_NAME_MAX + 1];
	struct node *n;

	if (len > IPC_NAME_MAX)
		return NULL;
	memcpy(key, &dir->id, sizeof(dir->id));
	memcpy(key + sizeof(dir->id), name, len);
	HASH_FIND(by_name, fs.by_name, key, (unsigned int)(sizeof(dir->id) + len), n);
	return n;
}

/* The first entry of a directory behind a cookie. */
struct node *tree_after(struct node *dir, uint64_t cookie)
{
	struct node *n;

	HASH_FIND(by_cookie, fs.by_cookie, &cookie, sizeof(cookie), n);
	if (n && n->parent == dir)
		return n->next;
	for (n = dir->first; n && n->cookie <= cookie; n = n->next)
		;
	return n;
}

static void attach(struct node *n, struct node *dir)
{
	n->parent = dir;
	n->prev = dir->last;
	n->next = NULL;
	if (dir->last)
		dir->last->next = n;
	else
		dir->first = n;
	dir->last = n;
	dir->entries++;
	dir->subdirs += node_is_dir(n);
	HASH_ADD_KEYPTR(by_name, fs.by_name, n->key, n->key_len, n);
	HASH_ADD(by_cookie, fs.by_cookie, cookie, sizeof(n->cookie), n);
}

void tree_detach(struct node *n)
{
	struct node *dir = n->parent;

	if (!dir)
		return;
	if (n->prev)
		n->prev->next = n->next;
	else
		dir->first = n->next;
	if (n->next)
		n->next->prev = n->prev;
	else
		dir->last = n->prev;
	dir->entries--;
	dir->subdirs -= node_is_dir(n);
	HASH_DELETE(by_name, fs.by_name, n);
	HASH_DELETE(by_cookie, fs.by_cookie, n);
	n->parent = NULL;
}

static struct node *node_new(ref_t ref)
{
	struct ipc_node *b = node_at(&fs.mount, ref);
	struct node *n = calloc(1, sizeof(*n) + sizeof(uint64_t) + b->name_len + 1u);

	if (!n)
		return NULL;
	n->id = b->id;
	n->ref = ref;
	n->type = b->type;
	n->ops = ipc_type_of_node(b->type);
	n->cookie = b->cookie;
	n->key_len = (uint32_t)sizeof(uint64_t) + b->name_len;
	memcpy(n->key, &b->parent, sizeof(uint64_t));
	memcpy(n->key + sizeof(uint64_t), b->name, b->name_len);
	return n;
}

struct node *tree_insert(ref_t ref)
{
	struct node *n = node_new(ref), *dir;
	uint64_t parent = node_at(&fs.mount, ref)->parent;

	if (!n)
		return NULL;
	HASH_ADD(by_id, fs.by_id, id, sizeof(n->id), n);
	dir = parent ? tree_by_id(parent) : NULL;
	if (dir)
		attach(n, dir);
	return n;
}

void tree_moved(struct node **pn, ref_t ref)
{
	struct node *old = *pn, *n = node_new(ref), *dir;

	if (!n)
		abort(); /* an index that is not true is worse than a restart */
	dir = tree_by_id(node_at(&fs.mount, ref)->parent);
	tree_detach(old);
	HASH_DELETE(by_id, fs.by_id, old);
	n->first = old->first;
	n->last = old->last;
	n->entries = old->entries;
	n->subdirs = old->subdirs;
	for (struct node *e = n->first; e; e = e->next)
		e->parent = n;
	n->aliases = old->aliases;
	n->ob = old->ob;
	if (n->ob)
		n->ob->node = n;
	if (fs.root == old)
		fs.root = n;
	HASH_ADD(by_id, fs.by_id, id, sizeof(n->id), n);
	attach(n, dir);
	free(old);
	*pn = n;
}

void tree_forget(struct node *n)
{
	tree_detach(n);
	HASH_DELETE(by_id, fs.by_id, n);
	free(n);
}

static int by_cookie(const void *a, const void *b)
{
	const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;

	return (x->cookie > y->cookie) - (x->cookie < y->cookie);
}

int tree_load(void)
{
	struct ipc_obj *m = &fs.mount;
	struct ipc_check k;
	struct node **all;
	size_t n = 0, most;
	ref_t r;

	if (ipc_check(m, &k) < 0) {
		obj_damage(m, k.why);
		return -EIO;
	}
	if (!mount_body()->nodes.count) {
		struct ipc_new_node root = { .type = IPC_DIR,
					     .mode = 0755,
					     .uid = geteuid(),
					     .gid = getegid(),
					     .name = "" };
		int e = names_add(m, &root, &r);

		if (e < 0)
			return e;
	}
	most = mount_body()->nodes.count;
	all = calloc(most, sizeof(*all));
	if (!all)
		return -ENOMEM;
	for (r = mount_body()->nodes.head; r && n < most; r = node_at(m, r)->link.next) {
		all[n] = node_new(r);
		if (!all[n])
			abort();
		HASH_ADD(by_id, fs.by_id, id, sizeof(all[n]->id), all[n]);
		n++;
	}
	fs.root = tree_by_id(IPC_ROOT_ID);
	qsort(all, n, sizeof(*all), by_cookie);
	for (size_t i = 0; i < n && fs.root; i++) {
		uint64_t parent = node_block(all[i])->parent;
		struct node *dir = parent ? tree_by_id(parent) : NULL;

		if (dir && node_is_dir(dir))
			attach(all[i], dir);
	}
	free(all);
	alias_load();
	return fs.root ? 0 : -EIO;
}

void tree_unload(void)
{
	struct node *n, *tmp;

	HASH_CLEAR(by_name, fs.by_name);
	HASH_CLEAR(by_cookie, fs.by_cookie);
	HASH_ITER(by_id, fs.by_id, n, tmp) {
		HASH_DELETE(by_id, fs.by_id, n);
		free(n);
	}
	fs.root = NULL;
	alias_unload();
	writers_unload();
}

void tree_path(const struct node *n, char *buf, size_t size)
{
	char tmp[4096];
	size_t at = sizeof(tmp) - 1;

	tmp[at] = 0;
	for (; n && n != fs.root && at > 300; n = n->parent) {
		size_t len = n->key_len - sizeof(uint64_t);

		at -= len;
		memcpy(tmp + at, node_name(n), len);
		if (!n->parent) {
			static const char gone[] = "(removed) ";

			at -= sizeof(gone) - 1;
			memcpy(tmp + at, gone, sizeof(gone) - 1);
		} else if (n->parent != fs.root) {
			tmp[--at] = '/';
		}
	}
	snprintf(buf, size, "%s", tmp + at);
}
