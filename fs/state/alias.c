/* SPDX-License-Identifier: MIT */
/*
 * Aliases: inode numbers for one open file each.
 *
 * The kernel holds an inode's lock until a WRITE to it is answered, and a task that waits for that
 * lock cannot be killed: chmod, truncate and every open with O_TRUNC, and rm and mv while they hold
 * the directory's lock. So no name may lead to an inode on which a WRITE can wait. An object's own
 * inode number (the base), which the kernel may cache under its name for long, is not opened for
 * writing: OPEN fails with ESTALE. The kernel then looks the name up again, and LOOKUP returns an
 * alias that only this thread may open. The kernel asks for an alias each time the name is used, so
 * everybody else who uses the name gets another inode.
 *
 * An alias is
 *	told	to one thread by LOOKUP. Nobody else gets it, or may open it for writing.
 *	open	as `fh`. Nobody gets it.
 *	free	each of its lookups ended in an open file, and all of these are closed: then nobody
 *		can be using it, and the next thread gets it. So the kernel keeps its entry for the
 *		name, and the next user needs no more requests than with the base.
 *
 * An array's own inode may be written to: its writes never wait (array.c), and the kernel drops its
 * cached bytes, which sendfile(2) uses, of the inode that is written to.
 *
 * The kernel retries only once, and does not look up when a descriptor is reopened
 * (/proc/self/fd/3, /dev/stdout). So whoever was refused is let in the second time, and from then
 * on no name leads to that inode.
 *
 * Aliases are in the mount file, since the kernel knows them whichever worker runs.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/alloc.h"
#include "file/list.h"
#include "object/type.h"
#include "state/alias.h"
#include "state/caller.h"
#include "state/fs.h"
#include "state/nodeid.h"
#include "state/target.h"
#include "state/tree.h"

#define PENDING_MOST 4096u

struct owner {
	uint64_t base;
	int64_t timeout;
	uint64_t tid; /* or ALIAS_ANYBODY */
};

struct alias {
	uint64_t nodeid;
	uint64_t seq;              /* when it was last looked up: the kernel has the newest */
	struct owner owner;        /* key, while it is idle */
	bool idle;                 /* neither open nor spoilt, and the newest of its owner */
	struct alias *prev, *next; /* pending */
	UT_hash_handle hh, by_owner;
};

static struct alias *aliases, *idle, *pending;
static unsigned int pending_count;

static struct ipc_alias *block(const struct alias *a)
{
	return alias_at(&fs.mount, (ref_t)a->nodeid);
}

static struct alias *find(uint64_t nodeid)
{
	struct alias *a = NULL;

	if (nodeid & NODEID_ALIAS)
		HASH_FIND(hh, aliases, &nodeid, sizeof(nodeid), a);
	return a;
}

ref_t alias_ref(uint64_t nodeid)
{
	return find(nodeid) ? (ref_t)nodeid : 0;
}

static bool is_pending(const struct alias *a)
{
	return block(a)->flags & ALIAS_PENDING;
}

/* ---- who may have which ---- */

static struct alias *idle_of(uint64_t base, int64_t timeout, uint32_t tid)
{
	struct owner key = { base, timeout, tid };
	struct alias *a;

	HASH_FIND(by_owner, idle, &key, sizeof(key), a);
	return a;
}

static void make_busy(struct alias *a)
{
	if (!a->idle)
		return;
	HASH_DELETE(by_owner, idle, a);
	a->idle = false;
}

/* Of several, the kernel has the newest; the others go when it forgets them. */
static void make_idle(struct alias *a, uint32_t tid)
{
	struct ipc_alias *b = block(a);
	struct alias *other;

	make_busy(a);
	b->tid = tid;
	other = idle_of(b->nodeid, b->timeout, tid);
	if (other && (other->seq > a->seq || is_pending(other)))
		return;
	if (other)
		make_busy(other);
	a->owner = (struct owner){ b->nodeid, b->timeout, tid };
	a->idle = true;
	HASH_ADD(by_owner, idle, owner, sizeof(a->owner), a);
}

static void pending_remove(struct alias *a)
{
	if (!is_pending(a))
		return;
	DL_DELETE(pending, a);
	pending_count--;
	block(a)->flags &= ~ALIAS_PENDING;
}

static void count(const struct alias *a, int by)
{
	struct node *n = tree_by_id(nodeid_id(block(a)->nodeid));

	if (!n)
		return;
	n->aliases += (uint32_t)by;
	if (!n->aliases)
		tree_idle(n);
}

static void gone(struct alias *a)
{
	count(a, -1);
	pending_remove(a);
	make_busy(a);
	HASH_DEL(aliases, a);
	alias_remove(&fs.mount, (ref_t)a->nodeid);
	free(a);
}

/* It was closed, or some lookups were forgotten: may it go, or be given to anybody? */
static void review(struct alias *a)
{
	struct ipc_alias *b = block(a);

	if (b->fh || b->flags & ALIAS_PENDING)
		return;
	if (!b->lookups)
		gone(a);
	else if (!(b->flags & ALIAS_SHARED))
		make_idle(a, b->lookups == b->opens ? ALIAS_ANYBODY : b->tid);
}

static struct alias *known(ref_t r)
{
	struct alias *a = must_alloc(sizeof(*a));

	a->nodeid = nodeid_alias(alias_at(&fs.mount, r)->gen, r);
	HASH_ADD(hh, aliases, nodeid, sizeof(a->nodeid), a);
	count(a, 1);
	return a;
}

static int alias_new(uint64_t base, int64_t timeout, uint32_t tid, struct alias **ret)
{
	ref_t r;
	int e = alias_add(&fs.mount, base, timeout, tid, &r);

	if (e == 0)
		*ret = known(r);
	return e;
}

void alias_load(void)
{
	LIST_EACH(&fs.mount, &mount_body()->aliases, r) {
		struct ipc_alias *b = alias_at(&fs.mount, r);
		struct alias *a = known(r);

		if (b->flags & ALIAS_PENDING) {
			DL_APPEND(pending, a);
			pending_count++;
		}
		if (!b->fh && !(b->flags & ALIAS_SHARED))
			make_idle(a, b->tid);
	}
}

void alias_unload(void)
{
	HASH_CLEAR(by_owner, idle);
	while (aliases) {
		struct alias *a = aliases;

		HASH_DEL(aliases, a);
		free(a);
	}
	pending = NULL;
	pending_count = 0;
}

/* ---- LOOKUP and FORGET ---- */

static void tell(const struct caller *by, struct alias *a)
{
	static uint64_t seq;
	struct ipc_alias *b = block(a);

	a->seq = ++seq;
	make_idle(a, by->tid);
	b->refused = 0;
	/* A resent one has been counted. */
	if (!again_is(by, b->told))
		b->lookups++;
	b->told = by->unique;
}

int nodeid_for(const struct caller *by, uint64_t base, int64_t timeout, bool opens, uint64_t *ret)
{
	uint32_t tid = by->tid;
	struct alias *a = idle_of(base, timeout, tid);
	bool will_open = habit_looked(base, tid) || opens || timeout >= 0;
	int r = 0;

	/* Threads of other pid namespaces all have the number 0, so they cannot be told apart. */
	if (a && !tid && !is_pending(a))
		a = NULL;
	if (!will_open && !(a && is_pending(a)) && !base_leads_nowhere(base)) {
		*ret = base;
		return 0;
	}
	if (!a)
		a = idle_of(base, timeout, ALIAS_ANYBODY);
	if (!a)
		r = alias_new(base, timeout, tid, &a);
	if (r < 0)
		return r;
	tell(by, a);
	*ret = a->nodeid;
	return 0;
}

void nodeid_forget(uint64_t nodeid, uint64_t lookups)
{
	struct alias *a = find(nodeid);
	struct ipc_alias *b;

	if (!a)
		return;
	b = block(a);
	b->lookups -= lookups < b->lookups ? lookups : b->lookups;
	review(a);
}

/* ---- OPEN and RELEASE ---- */

/*
 * Drop those that were refused and never came back: their threads are gone, or there are too many.
 */
static void sweep(void)
{
	for (unsigned int i = 0; i < 2 && pending; i++) {
		struct alias *a = pending;
		uint32_t tid = block(a)->tid;

		if (pending_count <= PENDING_MOST &&
		    (!tid || kill((pid_t)tid, 0) == 0 || errno != ESRCH)) {
			DL_DELETE(pending, a);
			DL_APPEND(pending, a);
			continue;
		}
		pending_remove(a);
		review(a);
	}
}

static int refuse(const struct caller *by, const struct target *t)
{
	uint32_t tid = by->tid;
	struct ipc_alias *b;
	struct alias *a;
	int r = 0;

	sweep();
	a = idle_of(t->base, t->timeout, tid);
	if (!a)
		a = idle_of(t->base, t->timeout, ALIAS_ANYBODY);
	if (!a)
		r = alias_new(t->base, t->timeout, tid, &a);
	if (r < 0)
		return r;
	b = block(a);
	make_idle(a, tid);
	b->refused = t->nodeid;
	b->unique = by->unique;
	if (!(b->flags & ALIAS_PENDING)) {
		b->flags |= ALIAS_PENDING;
		DL_APPEND(pending, a);
		pending_count++;
	}
	return -ESTALE;
}

bool writes_may_wait(const struct target *t, int oflags)
{
	return (oflags & O_ACCMODE) != O_RDONLY &&
	       (!node_is(t->node, TYPE_MEMORY) || t->sub >= SUB_CTL);
}

/* It was told to this thread alone. (Those called 0 may be several: what one was told it gets.) */
static bool may_open(const struct ipc_alias *b, uint32_t tid)
{
	if (b->tid != tid)
		return false;
	return tid ? !b->fh && !(b->flags & ALIAS_SHARED) : b->lookups > b->opens;
}

int alias_enter(const struct caller *by, const struct target *t, bool write)
{
	uint32_t tid = by->tid;
	struct alias *a = find(t->nodeid), *own;
	struct ipc_alias *b = a ? block(a) : NULL;

	if (!write || (a && may_open(b, tid)))
		return 0;
	if (a && b->fh && again_is(by, b->unique))
		return 0; /* it was granted */
	own = idle_of(t->base, t->timeout, tid);
	if (!own || !is_pending(own))
		return refuse(by, t);
	/* Its first OPEN was resent: it was told so, or would have been. */
	if (again_is(by, block(own)->unique))
		return -ESTALE;
	return block(own)->refused == t->nodeid ? 0 : refuse(by, t);
}

void alias_opened(const struct caller *by, const struct target *t, uint64_t fh, bool write)
{
	uint32_t tid = by->tid;
	struct alias *a = find(t->nodeid), *own;
	struct ipc_alias *b;

	habit_opened(t->base, tid, write);
	own = write ? idle_of(t->base, t->timeout, tid) : NULL;
	if (own && own != a && is_pending(own)) { /* by descriptor: it needs none */
		pending_remove(own);
		review(own);
	}
	if (!a)
		return;
	b = block(a);
	pending_remove(a);
	make_busy(a);
	if (b->fh && again_is(by, b->unique)) {
		b->fh = fh;
		return;
	}
	if (b->fh || b->tid != tid)
		b->flags |= ALIAS_SHARED;
	b->unique = by->unique; /* first: then it is known if we die here */
	b->refused = 0;
	if (!b->fh)
		b->fh = fh;
	b->opens++;
}

void alias_closed(uint64_t nodeid, uint64_t fh)
{
	struct alias *a = find(nodeid);

	if (!a || block(a)->fh != fh)
		return;
	block(a)->fh = 0;
	review(a);
}
