/* SPDX-License-Identifier: MIT */
/*
 * Names and inode numbers: an index over the mount file's nodes, and what a nodeid means.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "state/alias.h"
#include "object/type.h"

/* ---- nodes ---- */

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
	n->size = old->size;
	n->size_known = old->size_known;
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

/* ---- nodeids ---- */

int target_of(uint64_t nodeid, struct target *t)
{
	*t = (struct target){ .timeout = -1, .nodeid = nodeid, .base = nodeid };
	if (nodeid & NODEID_ALIAS) {
		t->alias = alias_ref(nodeid);
		if (!t->alias)
			return -ESTALE;
		t->base = alias_at(&fs.mount, t->alias)->nodeid;
		t->timeout = alias_at(&fs.mount, t->alias)->timeout;
	}
	t->sub = (unsigned int)(t->base >> 40);
	t->node = tree_by_id(t->base & 0xffffffffffull);
	if (!t->node)
		return -ESTALE;
	/* So that nothing behind here meets a file that this type has not. */
	switch (t->sub) {
	case SUB_SELF:
		return 0;
	case SUB_END_A:
	case SUB_END_B:
		return t->node->type == IPC_TWOWAY ? 0 : -ESTALE;
	default:
		return fs.above->ctl_exists(t) ? 0 : -ESTALE;
	}
}

/* ---- attributes ---- */

static void set_time(struct timespec *ts, int64_t ns)
{
	ts->tv_sec = ns / 1000000000;
	ts->tv_nsec = ns % 1000000000;
	if (ts->tv_nsec < 0) {
		ts->tv_nsec += 1000000000;
		ts->tv_sec--;
	}
}

static uint64_t object_size(struct node *n)
{
	struct object *ob;
	int e;

	if (!n->ob && n->size_known)
		return n->size;
	ob = object_of(n, &e);
	return ob && !ob->o.damage ? ipc_size(&ob->o) : 0;
}

void target_attr(const struct target *t, struct stat *st)
{
	struct node *n = t->node;
	struct ipc_node *b = node_block(n);

	*st = (struct stat){
		.st_ino = t->base,
		.st_nlink = n->parent || n == fs.root,
		.st_uid = b->uid,
		.st_gid = b->gid,
		.st_blksize = 128 * 1024,
		.st_mode = b->mode & 07777,
	};
	set_time(&st->st_atim, b->atime);
	set_time(&st->st_mtim, b->mtime);
	set_time(&st->st_ctim, b->ctime);
	if (t->sub >= SUB_CTL) {
		fs.above->ctl_attr(t, st);
		return;
	}
	if (t->sub == SUB_SELF && node_is_dir(n)) {
		st->st_mode |= S_IFDIR;
		st->st_nlink = n->parent || n == fs.root ? 2 + n->subdirs : 0;
		st->st_size = n->type == IPC_DIR ? n->entries : 0;
		return;
	}
	st->st_mode = S_IFREG | (st->st_mode & (n->type == IPC_TWOWAY ? 0666 : 07777));
	st->st_size = (off_t)object_size(n);
	/* An end of a two-way pipe shows what is to be read there. */
	if (n->ob && !n->ob->o.damage && n->type == IPC_TWOWAY)
		st->st_size = (off_t)ipc_end_size(&n->ob->o, t->sub == SUB_END_B);
	/* A program that asks for the size first would not even try to read one of size 0. */
	if (t->timeout >= 0 && !st->st_size && !node_is(n, TYPE_MEMORY))
		st->st_size = CTL_SIZE;
	if (n->ob)
		st->st_blocks = (blkcnt_t)(object_memory(n->ob) / 512);
	/*
	 * What is in an engine file may be anything; the kernel would fail the whole directory for
	 * it.
	 */
	if (st->st_size < 0)
		st->st_size = INT64_MAX;
}
