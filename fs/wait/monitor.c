/* SPDX-License-Identifier: MIT */
/*
 * ctl/lock: a condition, value or array whose lock is another object, a .lock or .rlock.
 *
 * flock on its handle takes that lock, through a companion: a handle of the lock that is opened
 * for it and closed with it. A condition's read gives the lock up and takes it back in the steps
 * that core/object/lend.c describes; each can be done again, so a restarted worker goes through them
 * from the first that it cannot see done.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/file.h>

#include "base/proc.h"
#include "file/list.h"
#include "object/hold.h"
#include "object/parked.h"
#include "object/type.h"
#include "object/waiter.h"
#include "state/nodeid.h"
#include "object/lend.h"
#include "object/poll.h"
#include "wait/ask.h"
#include "wait/monitor.h"
#include "wait/pollers.h"

/* The node of the lock object of this id; NULL: there is none, or it is no lock. */
static struct node *lock_node(uint64_t id)
{
	struct node *n = id ? tree_by_id(id) : NULL;

	return n && node_is(n, TYPE_LOCK) ? n : NULL;
}

/* The other object; NULL: it uses its own lock (also when the other one is gone). */
struct object *lock_object(struct object *ob)
{
	struct node *n = lock_node(ipc_lock_id(&ob->o));
	int e;

	return n ? object_of(n, &e) : NULL;
}

void show_lock(struct object *ob, FILE *f)
{
	uint64_t id = ipc_lock_id(&ob->o);
	struct node *n = id ? tree_by_id(id) : NULL;

	fprintf(f, "%s\n", n && node_has_name(n) ? node_name(n) : "own");
}

int store_lock(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	struct node *n = NULL;

	if (len && !(len == 3 && !memcmp(s, "own", 3))) {
		const struct ipc_type *type = ipc_type_by_name(s, len);

		const struct node *dir = tree_parent(ob->node);

		if (!type || !(type->traits & TYPE_LOCK))
			return -EINVAL;
		if (memchr(s, '/', len) || !dir)
			return -EINVAL;
		n = tree_find(dir, s, len);
		if (!n)
			return -ENOENT;
	}
	return ipc_set_lock_id(&ob->o, n ? n->id : 0);
}

/*
 * May the caller take that lock? Anyone with write access to the object chooses which lock it is,
 * so this is checked at each use; the kernel has checked access to the object only.
 */
bool monitor_may(const struct request *rq, const struct object *lock)
{
	const struct ipc_node *b = node_block(lock->node);

	if (rq->by.uid == 0)
		return true;
	if (rq->by.uid == b->uid)
		return (b->mode >> 6 & 6) == 6;
	if (rq->by.gid == b->gid || request_in_group(rq, b->gid))
		return (b->mode >> 3 & 6) == 6;
	return (b->mode & 6) == 6;
}

/* ---- flock ---- */

/* What marks a handle of the lock as this handle's companion: its own `companion` leads back. */
static uint64_t back_of(struct object *ob, const struct ipc_handle *hd)
{
	return fh_of(hd->gen, ref_of(&ob->o, hd));
}

/*
 * (Someone with write access to the object may have set any number, and must not reach other
 * handles of the lock by it.)
 */
#define COMPANION_SOUGHT 1 /* it may have one: look for it */

static struct ipc_handle *companion_of(struct object *lock, uint64_t fh, uint64_t id, uint64_t back)
{
	struct ipc_handle *c = ipc_handle_from_outside(&lock->o, fh_ref(fh), fh_gen(fh));

	return c && c->nodeid == id && c->companion == back ? c : NULL;
}

/* The companion of this handle in the lock; 0: none yet. */
static uint64_t companion_find(struct object *lock, uint64_t known, uint64_t id, uint64_t back)
{
	if (known && companion_of(lock, known, id, back))
		return known;
	LIST_EACH(&lock->o, &lock->o.h->handles, r) {
		const struct ipc_handle *c = handle_at(&lock->o, r);

		if (c->nodeid == id && c->companion == back)
			return fh_of(c->gen, r);
	}
	return 0;
}

/* It is made when it is first needed, by this handle. */
static struct ipc_opening companion_of_handle(const struct request *rq)
{
	const struct ipc_call *c = &rq->call;

	return (struct ipc_opening){
		.oflags = O_RDWR,
		.tid = c->tid,
		.pid = c->pid,
		.uid = c->uid,
		.timeout = -1,
		.nodeid = rq->ob->node->id,
		.companion = back_of(rq->ob, rq->hd),
		.opener = rq->hd->opener,
	};
}

/* Before it may be made: we may die before it is recorded (ipc_handle_companion). */
static void seek_companion(struct ipc_handle *hd)
{
	if (!hd->companion)
		ipc_handle_companion(hd, COMPANION_SOUGHT);
}

static int companion_make(struct object *lock, struct ipc_opening *how, uint64_t *ret_fh)
{
	ref_t handle;
	int r;

	how->gen = names_next_gen(&fs.mount);
	r = ipc_open(&lock->o, how, &handle);
	if (r == 0)
		*ret_fh = fh_of(how->gen, handle);
	return r;
}

int monitor_flock(struct request *rq, struct object *lock, int how)
{
	struct ipc_call un = { .handle = ref_of(&rq->ob->o, rq->hd), .op = OP_FLOCK };
	int r = 0;

	/* An unlock also abandons a wait that a signal interrupted. */
	if (how == LOCK_UN) {
		r = ipc_flock(&rq->ob->o, &un, LOCK_UN);
		ipc_pump(&rq->ob->o);
	}
	if (r < 0 || (how == LOCK_UN && !rq->hd->companion))
		return r;
	rq->lock = lock;
	rq->opening = companion_of_handle(rq);
	rq->companion = rq->hd->companion;
	seek_companion(rq->hd);
	return 0;
}

int monitor_companion(struct request *rq, int how)
{
	struct object *lock = rq->ob;
	uint64_t fh =
		companion_find(lock, rq->companion, rq->opening.nodeid, rq->opening.companion);
	int r = 0;

	if (!fh && how != LOCK_UN)
		r = companion_make(lock, &rq->opening, &fh);
	if (fh && how == LOCK_UN)
		ipc_poll_gone(&lock->o, fh_ref(fh));
	rq->companion = fh;
	rq->call.handle = fh_ref(fh);
	return r;
}

static int close_companion(struct request *rq)
{
	struct object *lock = rq->lock;
	uint64_t fh =
		companion_find(lock, rq->hd->companion, rq->ob->node->id, back_of(rq->ob, rq->hd));
	const struct ipc_handle *c = fh ? handle_at(&lock->o, fh_ref(fh)) : NULL;

	if (c && c->poll_kh)
		pollers_remove(lock, c->poll_kh);
	if (c)
		ipc_close(&lock->o, fh_ref(fh));
	return 0;
}

int monitor_close(struct request *rq)
{
	struct object *lock = rq->hd->companion ? lock_object(rq->ob) : NULL;
	int r = lock ? lock_change(lock, rq, close_companion) : 0;

	return r == -EBUSY ? r : 0; /* in a damaged one there is nothing to close */
}

/* ---- a condition's read ---- */

static int find_lent(struct request *rq)
{
	struct ipc_call *c = &rq->call;

	c->pid = proc_pid(c->tid);
	ipc_lent_find(&rq->lock->o, c->pid, &c->lent);
	return 0;
}

int monitor_find(struct request *rq, struct object *lock)
{
	int r = lock_change(lock, rq, find_lent);

	return r == -EBUSY ? r : 0; /* a damaged lock counts as none */
}

static void lend(struct object *lock, const struct deferred *d)
{
	ipc_lend(&lock->o, &d->lent, d->pid);
}

/* The waiter is queued: now the lock is given up. */
void monitor_lend(struct object *ob, ref_t w, uint32_t tid)
{
	struct object *lock = lock_object(ob);
	struct ipc_lent lent;

	if (waiter_at(&ob->o, w)->state != WAITER_WAITING || !lock ||
	    !ipc_cond_lent(&ob->o, w, &lent))
		return;
	object_do(lock, &(struct deferred){ .run = lend, .lent = lent, .pid = proc_pid(tid) });
}

/* (It may be queued there already, from before a restart.) */
int monitor_retake(struct object *lock, struct ipc_call *c, const struct ipc_lent *lent)
{
	int r;

	c->pid = proc_pid(c->tid);
	c->waiter = ipc_find_waiter(&lock->o, c->unique);
	r = c->waiter ? IPC_WAIT : ipc_lent_retake(&lock->o, c, lent);
	return r == -EBADF ? 0 : r;
}

/*
 * ---- a condition's read with O_NONBLOCK ----
 *
 * Its waiter is queued without a request, and is granted when its outcome is settled; but the
 * lock is taken back only by the read that fetches it, for only a request says who asks. It does
 * not join the lock's wait queue for it: if somebody has the lock it gets EAGAIN (WAITER_BUSY), as
 * LOCK_NB does, and its companion polls the lock in its place, with the name by which the kernel
 * knows the condition's poller.
 */

static struct ipc_waiter *standing(struct object *ob, const struct ipc_handle *hd,
				   struct ipc_lent *ret)
{
	if (!ipc_is(&ob->o, TYPE_MONITOR) || !waiter_granted_standing(&ob->o, hd) ||
	    !ipc_cond_lent(&ob->o, hd->standing, ret))
		return NULL;
	return waiter_at(&ob->o, hd->standing);
}

static void companion_polls(struct object *lock, struct ipc_handle *c, uint64_t kh)
{
	pollers_add(lock, kh);
	ipc_poll_asked(&lock->o, ref_of(&lock->o, c), kh, POLLIN, ipc_ready(&lock->o, c));
}

/* Does it have the lock, or can it have it? */
static int try_retake(struct object *lock, const struct ipc_call *call, const struct ipc_lent *lent)
{
	struct ipc_call none = { 0 }, c = {
		.tid = call->tid,
		.uid = call->uid,
		.unique = call->unique,
	};
	int64_t result;
	int r = monitor_retake(lock, &c, lent);

	if (r != IPC_WAIT)
		return r;
	ipc_pump(&lock->o);
	if (waiter_at(&lock->o, c.waiter)->state != WAITER_GRANTED) {
		ipc_leave(&lock->o, c.waiter, -EAGAIN, &result);
		return -EAGAIN;
	}
	ipc_finish(&lock->o, c.waiter, &none);
	return 0;
}

/* With both locked. */
static int fetch(struct request *rq)
{
	struct object *lock = rq->lock;
	struct ipc_handle *hd = rq->hd;
	uint64_t fh = companion_find(lock, hd->companion, rq->ob->node->id, back_of(rq->ob, hd));
	struct ipc_opening how;
	struct ipc_lent lent;
	int r;

	if (!standing(rq->ob, hd, &lent))
		return 0;
	r = try_retake(lock, &rq->call, &lent);
	if (r == -EAGAIN && !fh) {
		seek_companion(hd);
		how = companion_of_handle(rq);
		if (companion_make(lock, &how, &fh) < 0)
			r = -ENOMEM;
	}
	if (r == -EAGAIN && hd->poll_kh)
		companion_polls(lock, handle_at(&lock->o, fh_ref(fh)), hd->poll_kh);
	else if (r == 0 && fh)
		ipc_poll_gone(&lock->o, fh_ref(fh));
	rq->companion = fh;
	return r;
}

int monitor_fetch(struct request *rq, struct object *lock)
{
	struct object *ob = rq->ob;
	struct ipc_lent lent;
	struct ipc_waiter *w = standing(ob, rq->hd, &lent);
	int r;

	if (!w || (rq->call.deadline && !rq->call.stand))
		return 0;
	r = lock_change(lock, rq, fetch);
	if (r == -EAGAIN) {
		ipc_handle_companion(rq->hd, rq->companion);
		ipc_cond_busy(&ob->o, w, true);
	}
	return r;
}

/* Can the lock be had now? With it locked. */
static bool available(struct object *lock, const struct ipc_lent *lent, struct ipc_handle *c)
{
	return !c || ipc_ready(&lock->o, c) & POLLIN ||
	       hold_find(&lock->o, lent->handle, OP_NONE) ||
	       !ipc_handle_from_outside(&lock->o, lent->handle, lent->gen);
}

void monitor_polled(struct object *ob, struct ipc_handle *hd, uint64_t kh)
{
	struct ipc_lent lent;
	struct ipc_waiter *w = standing(ob, hd, &lent);
	struct ipc_handle *c = NULL;
	struct object *lock;
	int r;

	if (!w || !(w->flags & WAITER_BUSY))
		return;
	lock = lock_object(ob);
	r = lock ? object_look(lock, NULL) : -ENOENT;
	if (r == 0 || r == -EBUSY)
		c = companion_of(lock, hd->companion, ob->node->id, back_of(ob, hd));
	if (r == -EBUSY) {
		if (c && kh)
			pollers_add_late(lock, c, kh);
		return;
	}
	if (r == 0) {
		if (c && kh)
			companion_polls(lock, c, kh);
		r = available(lock, &lent, c) ? 0 : -EAGAIN;
		object_unlock(lock);
	}
	if (r == -EAGAIN)
		return;
	/* (Or it is damaged, or gone: the read says so.) */
	ipc_cond_busy(&ob->o, w, false);
}
