/* SPDX-License-Identifier: MIT */
/*
 * See keepers.h. How a handle's open file is found among those of its inode, opened in the same way:
 *
 *	- The process that opened the handle has it, if that lives and did not close it.
 *	- Otherwise it is one that no other handle's opener has.
 *
 * If several are left, all who have one of them are named: at least no one is missing.
 */
#include "ctl/keepers.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/mounted.h"
#include "file/list.h"
#include "object/type.h"
#include "state/fs.h"
#include "state/nodeid.h"
#include "state/object.h"

void keepers_begin(struct keepers *k)
{
	dev_t dev;

	*k = (struct keepers){ 0 };
	k->blind = !fs.opt.mountpoint || !mount_is_ours(fs.opt.mountpoint, &dev);
	census_begin(&k->census, k->blind ? 0 : dev);
}

/* ---- handles ---- */

/* That of a condition or value in the object that ctl/lock names: who has the condition open? */
static bool is_companion(const struct ipc_obj *o, const struct ipc_handle *hd)
{
	return hd->companion && ipc_is(o, TYPE_LOCK);
}

static int by_ref(const void *a, const void *b)
{
	const struct kept_handle *x = a, *y = b;

	return (x->ref > y->ref) - (x->ref < y->ref);
}

void keepers_collect(struct keepers *k, struct object *ob)
{
	struct ipc_obj *o = &ob->o;
	uint32_t object = (uint32_t)k->n_objects;

	MORE(k->objects, k->n_objects);
	k->objects[object] = (struct kept_object){ .first = k->n_handles };
	LIST_EACH(o, &o->h->handles, r) {
		const struct ipc_handle *hd = handle_at(o, r);
		bool companion = is_companion(o, hd);

		MORE(k->handles, k->n_handles);
		k->handles[k->n_handles - 1] = (struct kept_handle){
			.ref = r,
			.object = object,
			.id = companion ? hd->nodeid : ob->node->id,
			.nodeid = companion ? 0 : hd->nodeid,
			.mode = hd->oflags & O_ACCMODE,
			.opener = hd->opener,
			.kind = hd->kind,
			.flags = hd->flags,
			.since = hd->since,
		};
		k->objects[object].n++;
	}
	if (k->objects[object].n)
		qsort(k->handles + k->objects[object].first, k->objects[object].n,
		      sizeof(*k->handles), by_ref);
}

size_t keepers_handle(const struct keepers *k, ref_t handle)
{
	const struct kept_object *o = &k->objects[k->n_objects - 1];
	const struct kept_handle key = { .ref = handle }, *found = NULL;

	if (o->n)
		found = bsearch(&key, k->handles + o->first, o->n, sizeof(key), by_ref);
	return found ? (size_t)(found - k->handles) : k->n_handles;
}

/* ---- open files ---- */

static uint64_t file_id(const struct census_file *f)
{
	return nodeid_id(f->ino || f->nodeid & NODEID_ALIAS ? f->ino : f->nodeid);
}

static bool may_be(const struct census_file *f, const struct kept_handle *h)
{
	if (file_id(f) != h->id)
		return false;
	if (!h->nodeid)
		return nodeid_sub(f->ino) == SUB_SELF;
	return (!f->nodeid || f->nodeid == h->nodeid) && (f->flags & O_ACCMODE) == h->mode;
}

bool keepers_has(struct keepers *k, size_t handle, uint32_t pid, uint64_t when)
{
	const struct census *c = &k->census;
	const struct census_process *p;

	if (k->blind || handle >= k->n_handles)
		return true;
	if (!k->all)
		census_one(&k->census, pid);
	p = census_find_since(c, pid, when);
	if (!p || p->closed)
		return p;
	for (size_t i = 0; i < c->n_files; i++)
		if (c->files[i].pid == pid && may_be(&c->files[i], &k->handles[handle]))
			return true;
	return false;
}

static int by_key(const struct census_file *x, const struct census_file *y)
{
	uint64_t a[3] = { file_id(x), x->nodeid, x->flags & O_ACCMODE };
	uint64_t b[3] = { file_id(y), y->nodeid, y->flags & O_ACCMODE };

	for (int i = 0; i < 3; i++)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return 0;
}

static int by_key_and_pid(const void *a, const void *b)
{
	const struct census_file *x = a, *y = b;
	int r = by_key(x, y);

	return r ? r : (x->pid > y->pid) - (x->pid < y->pid);
}

static int by_open_file(const void *a, const void *b)
{
	int r = by_key(a, b);

	return r ? r : census_order(a, b);
}

void keepers_look(struct keepers *k)
{
	struct census *c = &k->census;

	if (k->all)
		return;
	census_all(c);
	k->all = true;
	if (c->n_files)
		qsort(c->files, c->n_files, sizeof(*c->files), by_key_and_pid);
}

/* ---- groups ---- */

static size_t first_file(const struct census *c, uint64_t id)
{
	size_t low = 0, high = c->n_files;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (file_id(&c->files[mid]) < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The open files of a node, which may be those of several objects' handles: companions. */
static void add_groups(struct keepers *k, struct kept_object *o, uint64_t id)
{
	struct census_file *f = k->census.files;
	size_t first = first_file(&k->census, id), end = first;

	while (end < k->census.n_files && file_id(&f[end]) == id)
		end++;
	if (first == end)
		return;
	qsort(f + first, end - first, sizeof(*f), by_open_file);
	for (size_t i = first; i < end; i++) {
		if (i == first || by_key(&f[i - 1], &f[i]) || !census_same(&f[i - 1], &f[i])) {
			MORE(k->groups, k->n_groups);
			k->groups[k->n_groups - 1] = (struct kept_group){ .first = (uint32_t)i };
			o->n_groups++;
		}
		k->groups[k->n_groups - 1].n++;
	}
}

static bool has_opener(const struct keepers *k, const struct kept_group *g,
		       const struct kept_handle *h)
{
	const struct census_file *f = k->census.files + g->first;

	if (!may_be(f, h) || !h->opener)
		return false;
	for (size_t i = 0; i < g->n; i++)
		if (f[i].pid == h->opener)
			return census_find_since(&k->census, h->opener, h->since) != NULL;
	return false;
}

static bool known_before(const struct keepers *k, const struct kept_object *o, size_t i)
{
	for (size_t j = o->first; j < i; j++)
		if (k->handles[j].id == k->handles[i].id)
			return true;
	return false;
}

static void group(struct keepers *k, struct kept_object *o)
{
	if (o->grouped)
		return;
	o->grouped = true;
	o->first_group = k->n_groups;
	for (size_t i = o->first; i < o->first + o->n; i++)
		if (!known_before(k, o, i))
			add_groups(k, o, k->handles[i].id);
	for (size_t i = o->first; i < o->first + o->n; i++)
		for (size_t g = o->first_group; g < o->first_group + o->n_groups; g++)
			k->groups[g].claims += has_opener(k, &k->groups[g], &k->handles[i]);
}

/* ---- who has a handle open ---- */

static bool has_pid(const struct kept *ret, uint32_t pid)
{
	for (size_t i = 0; i < ret->n; i++)
		if (ret->pids[i] == pid)
			return true;
	return false;
}

static void add_all(const struct keepers *k, const struct kept_group *g, struct kept *ret)
{
	for (size_t i = 0; i < g->n; i++) {
		uint32_t pid = k->census.files[g->first + i].pid;

		if (has_pid(ret, pid))
			continue;
		MORE(ret->pids, ret->n);
		ret->pids[ret->n - 1] = pid;
	}
}

/* How many handles were opened by the same process, in the same way. */
static size_t handles_like(const struct keepers *k, const struct kept_object *o,
			   const struct kept_handle *h)
{
	size_t n = 0;

	for (size_t i = o->first; i < o->first + o->n; i++) {
		const struct kept_handle *other = &k->handles[i];

		n += other->opener == h->opener && other->id == h->id &&
		     other->nodeid == h->nodeid && other->mode == h->mode;
	}
	return n;
}

/* The candidates: returns how many open files they are. */
static size_t find_groups(const struct keepers *k, const struct kept_object *o,
			  const struct kept_handle *h, struct kept *ret)
{
	const struct kept_group *g = k->groups + o->first_group;
	size_t own = 0, others = 0;

	for (size_t i = 0; i < o->n_groups; i++)
		if (has_opener(k, &g[i], h)) {
			own++;
			add_all(k, &g[i], ret);
		}
	if (own && own >= handles_like(k, o, h))
		return own;
	for (size_t i = 0; i < o->n_groups; i++)
		if (!g[i].claims && may_be(&k->census.files[g[i].first], h)) {
			others++;
			add_all(k, &g[i], ret);
		}
	return own + others;
}

/* A process whose files cannot be seen: is it behind one of those who can have passed it on? */
static bool may_have_inherited(const struct keepers *k, const struct census_process *p,
			       const struct kept_handle *h, uint32_t taker, const struct kept *ret)
{
	for (int depth = 0; p && depth < 1000; depth++) {
		if (p->pid == taker || p->pid == h->opener || has_pid(ret, p->pid))
			return true;
		p = census_find(&k->census, p->parent);
	}
	return false;
}

static bool others_may_have_it(const struct keepers *k, const struct kept_handle *h, uint32_t taker,
			       const struct kept *ret)
{
	const struct census *c = &k->census;

	for (size_t i = 0; i < c->n_processes; i++)
		if (c->processes[i].closed &&
		    may_have_inherited(k, &c->processes[i], h, taker, ret))
			return true;
	return false;
}

/* To be named first: who took it, or opened it, or else the eldest. */
static bool comes_before(const struct keepers *k, uint32_t a, uint32_t b, uint32_t taker,
			 uint32_t opener)
{
	const struct census_process *x = census_find(&k->census, a),
				    *y = census_find(&k->census, b);

	if (a == taker || b == taker)
		return a == taker;
	if (a == opener || b == opener)
		return a == opener;
	return x && y && (x->start < y->start || (x->start == y->start && a < b));
}

void keepers_find(struct keepers *k, size_t handle, uint32_t taker, struct kept *ret)
{
	const struct kept_handle *h = k->handles + handle;
	struct kept_object *o;

	*ret = (struct kept){ 0 };
	if (k->blind || handle >= k->n_handles)
		return;
	o = &k->objects[h->object];
	group(k, o);
	ret->exact = find_groups(k, o, h, ret) == 1;
	for (size_t i = 1; i < ret->n; i++)
		if (comes_before(k, ret->pids[i], ret->pids[0], taker, h->opener)) {
			uint32_t first = ret->pids[i];

			ret->pids[i] = ret->pids[0];
			ret->pids[0] = first;
		}
	ret->sure = ret->n && !others_may_have_it(k, h, taker, ret);
}

void keepers_free(struct keepers *k)
{
	census_free(&k->census);
	free(k->handles);
	free(k->objects);
	free(k->groups);
	*k = (struct keepers){ 0 };
}
