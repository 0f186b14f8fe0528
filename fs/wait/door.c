/* SPDX-License-Identifier: MIT */
/*
 * The door to an object's lock, and objects that are stalled: whose lock some process keeps.
 *
 * A direct client may be stopped at any instruction (Ctrl-Z, a debugger, a frozen container), also while
 * it has the lock of an engine file. Nobody can use that object until it goes on or dies, but all others
 * are none of its business. So the daemon waits for a lock only as long as an operation may take on a
 * busy machine. Then the object is stalled: requests for it are put aside at once (aside.c), work of the
 * daemon's own is deferred, and the event thread has the loop thread try the lock every RETRY_MS.
 *
 * A process that keeps the lock and is not stopped is broken, or means harm. After KEPT_NS requests for
 * the object get EIO until the lock is free.
 */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <syslog.h>
#include <utlist.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/proc.h"
#include "file/lock.h"
#include "object/engine.h"
#include "state/fs.h"
#include "device/request.h"
#include "wait/door.h"
#include "wait/turn.h"

#define LOCK_NS 2000000 /* who holds a lock longer is stopped, or waits for a processor */
#define KEPT_NS 5000000000

static _Atomic bool any; /* there are some */
int stalled_fd = -1;

/* ---- which are stalled, and by whom ---- */

static uint32_t keeper(const struct object *ob)
{
	return __atomic_load_n(&ob->o.h->m.lock, __ATOMIC_RELAXED) & LOCK_TID;
}

uint32_t keeper_pid(const struct object *ob)
{
	return proc_pid(ob->keeper);
}

bool keeper_stopped(const struct object *ob)
{
	return ipc_lock_stopped(&ob->o.h->m.lock);
}

bool stalled_any(void)
{
	return any;
}

static void stalled_add(struct object *ob)
{
	if (ob->stalled)
		return;
	ob->stalled = ob->kept_since = ipc_now();
	ob->keeper = keeper(ob);
	DL_APPEND2(fs.stalled, ob, stalled_prev, stalled_next);
	if (!any && stalled_fd >= 0 && eventfd_write(stalled_fd, 1) < 0)
		log_line(LOG_ERR, "eventfd: %m");
	any = true;
}

static void stalled_remove(struct object *ob)
{
	if (!ob->stalled)
		return;
	ob->stalled = 0;
	ob->refuses = false;
	DL_DELETE2(fs.stalled, ob, stalled_prev, stalled_next);
	any = fs.stalled != NULL;
}

/* Has a process that is not stopped kept it for too long? */
static void look_at_keeper(struct object *ob)
{
	uint32_t now_keeper = keeper(ob);
	uint64_t now = ipc_now();
	char path[512];

	if (now_keeper != ob->keeper)
		ob->kept_since = now;
	if (now_keeper != ob->keeper || keeper_stopped(ob))
		ob->stalled = now;
	ob->keeper = now_keeper;
	if (ob->refuses || now - ob->stalled < KEPT_NS)
		return;
	tree_path(ob->node, path, sizeof(path));
	log_line(LOG_ERR, "%s: process %u keeps the lock of engine file %llu", path, now_keeper,
		 (unsigned long long)ob->o.id);
	ob->refuses = true;
}

/* ---- deferred work ---- */

void object_first(struct object *ob, const struct deferred *what)
{
	struct deferred *d = must_alloc(sizeof(*d));

	*d = *what;
	d->next = NULL;
	LL_APPEND(ob->deferred, d);
}

void object_defer(struct object *ob, const struct deferred *what)
{
	object_first(ob, what);
	stalled_add(ob);
}

static void drop_deferred(struct object *ob)
{
	struct deferred *d;

	while ((d = ob->deferred)) {
		LL_DELETE(ob->deferred, d);
		free(d);
	}
}

/* The object is locked. Whoever locked it may only look: so what this changes is settled anyhow. */
static void do_deferred(struct object *ob)
{
	struct deferred *d;

	while ((d = ob->deferred)) {
		LL_DELETE(ob->deferred, d);
		if (!ob->o.damage)
			d->run(ob, d);
		free(d);
		ob->o.work = ob->o.freed = true;
		turn_look(ob);
	}
}

/* ---- the door ---- */

static int lock_within(struct object *ob, int64_t ns)
{
	int r = object_lock(ob, ns);

	if (r == -EBUSY)
		stalled_add(ob);
	if (r < 0 || !ob->deferred)
		return r;
	do_deferred(ob);
	if (!ob->o.damage)
		return 0;
	object_unlock(ob);
	return -EIO;
}

static int lock(struct object *ob)
{
	return lock_within(ob, ob->stalled ? 0 : LOCK_NS);
}

int object_enter(struct object *ob, struct request *rq)
{
	int r;

	if (!rq)
		return lock(ob);
	/* (A close is not refused, but done when it can be.) */
	if (ob->refuses && !request_is_close(rq->kind)) {
		r = lock(ob);
		return r == -EBUSY ? -EIO : r;
	}
	/* Nobody overtakes those who wait for it already. */
	r = ob->aside ? -EBUSY : lock(ob);
	if (r == -EBUSY)
		rq->aside.ob = ob;
	return r;
}

int object_look(struct object *ob, struct request *rq)
{
	int r = lock(ob);

	if (!rq)
		return r;
	if (r == 0 && ob->aside) { /* what came first is to be seen */
		object_unlock(ob);
		r = -EBUSY;
	} else if (r == -EBUSY && (rq->aside.unlocked || ob->refuses || keeper_stopped(ob))) {
		return LOOK_UNLOCKED;
	}
	if (r == -EBUSY) {
		rq->aside.ob = ob;
		rq->aside.looks = true;
	}
	return r;
}

void object_again(struct object *ob)
{
	stalled_add(ob);
}

void object_wait(struct object *ob, struct request *rq)
{
	stalled_add(ob);
	rq->aside.ob = ob;
	rq->aside.later = true;
}

/* ---- trying again ---- */

int stalled_try(struct object *ob)
{
	int r = lock_within(ob, 0);

	if (r == -EBUSY) {
		look_at_keeper(ob);
		return r;
	}
	stalled_remove(ob);
	if (r < 0)
		drop_deferred(ob);
	else
		ob->o.work = ob->o.freed = true;
	return r;
}

void stalled_forget(struct object *ob)
{
	stalled_remove(ob);
	drop_deferred(ob);
}
