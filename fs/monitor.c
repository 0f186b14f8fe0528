/* SPDX-License-Identifier: MIT */
/*
 * ctl/lock: a condition, value or array whose lock is another object, a .lock or .rlock.
 *
 * flock on its handle takes that lock, through a companion: a handle of the lock that is opened
 * for it and closed with it. A condition's read gives the lock up and takes it back in the steps
 * that core/lend.c describes; each can be done again, so a restarted worker goes through them
 * from the first that it cannot see done.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>

#include "held.h"
#include "io.h"
#include "monitor.h"
#include "type.h"

static uint64_t *lock_field(struct object *ob)
{
	switch (ob->o.type) {
	case IPC_COND:
		return &ob->o.h->b.cond.lock_id;
	case IPC_VALUE:
		return &ob->o.h->b.value.lock_id;
	case IPC_ARRAY:
		return &ob->o.h->b.array.lock_id;
	default:
		return NULL;
	}
}

/* The other object; NULL: it uses its own lock (also when the other one is gone). */
struct object *lock_object(struct object *ob)
{
	uint64_t *id = lock_field(ob);
	struct node *n = id && *id ? tree_by_id(*id) : NULL;
	int e;

	if (!n || (n->type != IPC_LOCK && n->type != IPC_RLOCK))
		return NULL;
	return object_of(n, &e);
}

void show_lock(struct object *ob, FILE *f)
{
	uint64_t *id = lock_field(ob);
	struct node *n = id && *id ? tree_by_id(*id) : NULL;

	fprintf(f, "%s\n", n && n->parent ? node_name(n) : "own");
}

int store_lock(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	struct node *n = NULL;

	if (len && !(len == 3 && !memcmp(s, "own", 3))) {
		uint32_t type = ipc_type_by_name(s, len);

		if (type != IPC_LOCK && type != IPC_RLOCK)
			return -EINVAL;
		if (memchr(s, '/', len) || !ob->node->parent)
			return -EINVAL;
		n = tree_find(ob->node->parent, s, len);
		if (!n)
			return -ENOENT;
	}
	/* Who holds or waits would be left with the other lock. */
	if (ob->o.h->holds.count || ob->o.h->lines[0].count || ob->o.h->lines[1].count)
		return -EBUSY;
	ipc_setting64(&ob->o, lock_field(ob), n ? n->id : 0);
	return 0;
}

/*
 * May the caller take that lock? Whoever may write the object says which one it is, so this is
 * asked for each use; the kernel has only looked at the object.
 */
bool monitor_may(fuse_req_t req, const struct object *lock)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	const struct ipc_node *b = node_block(lock->node);
	gid_t groups[256];
	int n;

	if (ctx->uid == 0)
		return true;
	if (ctx->uid == b->uid)
		return (b->mode >> 6 & 6) == 6;
	if (ctx->gid == b->gid)
		return (b->mode >> 3 & 6) == 6;
	n = fuse_req_getgroups(req, 256, groups);
	for (int i = 0; i < n && i < 256; i++)
		if (groups[i] == b->gid)
			return (b->mode >> 3 & 6) == 6;
	return (b->mode & 6) == 6;
}

/* ---- flock ---- */

/* The handle of the lock that stands for this one: made when it is first needed. */
/* What says that a handle of the lock is that of this handle: its `companion` leads back. */
static uint64_t back_of(struct object *ob, const struct ipc_handle *hd)
{
	return (uint64_t)hd->gen << 32 | ref_of(&ob->o, hd);
}

/* (Who may write the object may have set any number; the lock's own handles are not theirs.) */
static struct ipc_handle *companion_of(struct object *lock, uint64_t fh, uint64_t id, uint64_t back)
{
	struct ipc_handle *c = ipc_handle(&lock->o, (ref_t)fh, (uint32_t)(fh >> 32));

	return c && c->nodeid == id && c->companion == back ? c : NULL;
}

static int companion(struct object *ob, struct ipc_handle *hd, struct object *lock, uint64_t *ret_fh)
{
	struct ipc_opening how = {
		.oflags = O_RDWR, .tid = hd->tid, .pid = hd->pid, .uid = hd->uid, .timeout = -1,
		.nodeid = ob->node->id,
	};
	uint64_t back = back_of(ob, hd), known = hd->companion;
	ref_t handle;
	int r = object_enter(lock);

	if (r < 0)
		return r;
	if (known && companion_of(lock, known, ob->node->id, back)) {
		*ret_fh = known;
		object_unlock(lock);
		return 0;
	}
	how.gen = names_next_gen(&fs.mount) & 0x7fffffff;
	r = ipc_open(&lock->o, &how, &handle);
	if (r == 0) {
		set64(&lock->o, handle_at(&lock->o, handle)->companion, back);
		ipc_adopt(&lock->o, handle, hd->opener);
	}
	settle(lock);
	if (r < 0)
		return r;
	*ret_fh = (uint64_t)how.gen << 32 | handle;
	set64(&ob->o, hd->companion, *ret_fh);
	commit(&ob->o);
	return 0;
}

int monitor_flock(struct object *ob, struct ipc_handle *hd, struct object *lock, int how, uint64_t *ret_fh)
{
	int r;

	/* An unlock also gives up a wait that a signal has interrupted. */
	if (how == LOCK_UN) {
		struct ipc_call c = { .handle = ref_of(&ob->o, hd), .op = OP_FLOCK };

		r = ipc_flock(&ob->o, &c, LOCK_UN);
		ipc_pump(&ob->o);
		if (r < 0 || !hd->companion) {
			*ret_fh = 0;
			return r;
		}
	}
	return companion(ob, hd, lock, ret_fh);
}

uint64_t monitor_back(struct object *ob, const struct ipc_handle *hd)
{
	return back_of(ob, hd);
}

void monitor_closed(uint64_t lock_id, uint64_t fh, uint64_t id, uint64_t back)
{
	struct node *n = tree_by_id(lock_id);
	int e;
	struct object *lock = n && (n->type == IPC_LOCK || n->type == IPC_RLOCK) ? object_of(n, &e) : NULL;

	if (!fh || !lock)
		return;
	e = object_lock(lock);
	if (e == -EBUSY)
		held_close(lock, fh, id, back);
	if (e < 0)
		return;
	if (companion_of(lock, fh, id, back))
		ipc_close(&lock->o, (ref_t)fh);
	settle(lock);
}

uint64_t monitor_lock_id(struct object *ob)
{
	uint64_t *id = lock_field(ob);

	return id ? *id : 0;
}

/* ---- a condition's read ---- */

int monitor_find(struct object *lock, struct ipc_call *c)
{
	int r = object_enter(lock);

	if (r < 0)
		return r == -EBUSY ? r : 0;	/* a damaged one is as none */
	ipc_lent_find(&lock->o, c->pid, &c->lent);
	object_unlock(lock);
	return 0;
}

/* The waiter stands in line: now the lock is given up. */
void monitor_lend(struct object *ob, ref_t w)
{
	struct object *lock = lock_object(ob);
	struct ipc_lent lent;

	if (waiter_at(&ob->o, w)->state != WAITER_WAITING || !lock ||
	    !ipc_cond_lent(&ob->o, w, &lent) || object_lock_patiently(lock) < 0)
		return;
	ipc_lend(&lock->o, &lent);
	settle(lock);
}

/*
 * The waiter's outcome is settled: take the lock back. 0: it has it (or never had it, or its handle
 * there is closed), and can be answered. IPC_WAIT: *ret waits in the lock, which is locked. -EBUSY:
 * not now, settle() is called again. Another error: it cannot have it, and is told so.
 */
int monitor_retake(struct object *ob, ref_t w, struct object **ret_lock, struct ipc_call *ret)
{
	struct ipc_waiter *wt = waiter_at(&ob->o, w);
	struct object *lock = lock_object(ob);
	struct ipc_lent lent;
	int r;

	*ret_lock = lock;
	if (ob->o.type != IPC_COND || !lock || !ipc_cond_lent(&ob->o, w, &lent))
		return 0;
	r = object_lock(lock);
	if (r == -EBUSY)
		held_add(ob);
	if (r < 0)
		return r;
	*ret = (struct ipc_call){
		.tid = wt->tid, .pid = wt->pid, .uid = wt->uid, .unique = wt->unique,
		.deadline = IPC_NEVER,
	};
	/* Does it stand there already, from before a restart? */
	ret->waiter = ipc_find_waiter(&lock->o, wt->unique);
	r = ret->waiter ? IPC_WAIT : ipc_lent_retake(&lock->o, ret, &lent);
	if (r != IPC_WAIT)
		settle(lock);
	return r == -EBADF ? 0 : r;
}
