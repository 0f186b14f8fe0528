/* SPDX-License-Identifier: MIT */
/*
 * libipcfs in the engine file itself: locking and more memory. See client_direct.c for the calls,
 * client_wait.c for waiting.
 *
 * An operation takes the object's lock, changes the object as the daemon would, grants waiters what
 * is theirs now (ipc_pump), wakes the direct ones and releases the lock. If a request of the
 * daemon's was granted, or a poller must be woken, the daemon is kicked: an ioctl that makes it
 * look. A death between the two does no harm: the kernel closes the handle, and the daemon looks
 * then.
 *
 * This process may not grow the file, since the daemon accounts for memory. It asks the daemon to
 * (GROW); if the daemon has no memory, the operation goes through the file and waits there.
 */
#include <linux/futex.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "client/client.h"
#include "client/client_session.h"
#include "object/damage.h"
#include "file/lock.h"
#include "object/poll.h"
#include "object/waiter.h"
#include "object/wake.h"

#define LONG_ORDER 2         /* memory for a long message: 16 KiB and more */
#define LONG_PAGES 384u      /* 1.5 MiB, in caches: until then a heap grows at once */
#define LOCK_NS    100000000 /* after so long it is asked what the lock's holder does */

/* ---- a change ---- */

static void kick(struct ipcfs_obj *o)
{
	int saved = errno;

	while (ioctl(o->fd, LIB_IOC_KICK) < 0 && errno == EINTR)
		;
	errno = saved;
}

/* Is there a waiter that only the daemon can wake? */
static bool for_daemon(struct ipc_obj *o)
{
	struct ipc_header *h = o->h;

	if (h->granted.count || much_free(h) || o->starved)
		return true;
	for (unsigned int i = 0; i < IPC_WAITQS; i++) {
		ref_t r = h->waitqs[i].head;
		struct ipc_waiter *w = r ? waiter_at(o, r) : NULL;

		if (w && !(w->flags & WAITER_DIRECT) &&
		    (w->state == WAITER_TURN || (w->flags & WAITER_MEMORY && o->freed)))
			return true;
	}
	return h->polls.count && ipc_poll_next(o, false);
}

/* There are waiters: grant them what is theirs now, and wake them. */
static void leave_to_others(struct ipcfs_obj *c, struct ipc_obj *o)
{
	bool tell = false, more = false;
	struct ipc_wakes wakes;

	do {
		wakes.n = 0;
		if (!o->damage) {
			ipc_pump(o);
			more = ipc_wake(o, &wakes);
			tell |= for_daemon(o);
		}
		if (o->damage) {
			__atomic_store_n(&c->damaged, true, __ATOMIC_RELAXED);
			damage_mark(o);
			tell = true;
		}
		o->work = o->freed = o->starved = false;
		obj_unlock(o);
		/* Only now: a woken waiter wants the lock, on one CPU at once. */
		ipc_wake_send(&wakes);
		tell |= more; /* if we do not get to the others, the daemon does */
	} while (more && obj_lock(o, LOCK_NS) == 0);
	if (tell)
		kick(c);
}

void session_leave(struct session *s)
{
	struct ipc_obj *o = s->o;

	s->hd = NULL;
	if (__builtin_expect(o->damage || session_anybody(o->h), 0)) {
		leave_to_others(s->client, o);
		return;
	}
	o->work = o->freed = o->starved = false;
	obj_unlock(o);
}

void session_end(struct session *s)
{
	if (s->hd)
		session_leave(s);
}

/* Give up when the time limit has passed, but not before there has been some patience with the holder. */
static int lock_by(struct ipc_obj *o, int64_t deadline)
{
	int64_t limit = deadline == IPC_NEVER ? -1 : deadline ? left_of(deadline) : LOCK_NS;
	int r = obj_lock(o, limit);
	int64_t began;

	if (r != -EBUSY)
		return r;
	began = (int64_t)ipc_now() - limit;
	do {
		limit = began + ipc_lock_patience(&o->h->m.lock) - (int64_t)ipc_now();
		if (limit <= 0)
			return -EBUSY;
		r = obj_lock(o, limit < LOCK_NS ? limit : LOCK_NS);
	} while (r == -EBUSY);
	return r;
}

int session_lock(struct session *s, int64_t deadline)
{
	struct ipcfs_obj *c = s->client;
	int r = lock_by(s->o, deadline);

	s->hd = NULL;
	if (r == -EBUSY)
		return deadline ? -ETIMEDOUT : -EAGAIN;
	if (r < 0) {
		__atomic_store_n(&c->damaged, true, __ATOMIC_RELAXED);
		return r;
	}
	s->hd = ipc_handle(s->o, c->at.handle, c->at.gen);
	if (s->hd)
		return IPC_DONE;
	obj_unlock(s->o); /* the mount it belonged to is gone: the file says how */
	return IPC_ELSEWHERE;
}

int session_begin(struct ipcfs_obj *c, struct session *s, int64_t deadline)
{
	s->hd = NULL;
	if (!c->direct)
		return IPC_ELSEWHERE;
	if (__atomic_load_n(&c->damaged, __ATOMIC_RELAXED))
		return -EIO;
	s->client = c;
	s->o = &c->map;
	s->spun = s->asked = s->looked = false;
	return session_lock(s, deadline);
}

/* No memory: a caller in the wait queue leaves it, and waits as a writer of the file, at its end. */
static int not_grown(struct session *s)
{
	struct ipc_call *c = &s->c;
	int64_t ret;

	if (!c->waiter || session_lock(s, IPC_NEVER) != IPC_DONE)
		return IPC_ELSEWHERE;
	if (waiter_at(s->o, c->waiter)->state == WAITER_GRANTED) /* sent away */
		return IPC_DONE;
	ipc_leave(s->o, c->waiter, -ENOSPC, &ret);
	c->waiter = 0;
	session_leave(s);
	return IPC_ELSEWHERE;
}

static bool has_block(struct ipcfs_obj *c, void *order)
{
	for (int64_t k = *(int64_t *)order; k < IPC_ORDERS; k++)
		if (__atomic_load_n(&c->map.h->free[k], __ATOMIC_RELAXED))
			return true;
	return false;
}

/*
 * A long message finds no memory. Whoever takes some may be about to give one back, which has been
 * used and is in a cache: that is much less work than new memory is, and keeps the queue short. (But not
 * so short that writer and reader take turns at each message: on a busy machine a turn is long.)
 */
static bool given_back(struct session *s, int64_t order)
{
	if (order < LONG_ORDER || s->looked ||
	    __atomic_load_n(&s->o->h->pages_held, __ATOMIC_RELAXED) < LONG_PAGES)
		return false;
	s->looked = true;
	return session_spin(s->client, has_block, &order, false);
}

/* All pages of what is new at once, which costs less than a page fault for each. */
static void touch(struct ipc_obj *o, uint32_t from)
{
	uint32_t end = __atomic_load_n(&o->h->pages, __ATOMIC_RELAXED);

	if (end > from && end - from <= IPC_SEGMENT && end <= o->max_pages)
		madvise(o->base + o->heap_off + (size_t)from * IPC_PAGE,
			(size_t)(end - from) * IPC_PAGE, MADV_POPULATE_WRITE);
}

static int ask_to_grow(struct session *s, int64_t order)
{
	uint32_t pages = __atomic_load_n(&s->o->h->pages, __ATOMIC_RELAXED);

	while (ioctl(s->client->fd, LIB_IOC_GROW, &order) < 0)
		if (errno != EINTR)
			return -errno;
	if (order >= LONG_ORDER)
		touch(s->o, pages);
	return 0;
}

/*
 * ipc_call.grow: ask the daemon to grow the file, without the lock meanwhile. -EAGAIN, -ETIMEDOUT:
 * another process keeps the lock.
 */
static int grow(struct ipc_call *c)
{
	struct session *s = (struct session *)((char *)c - offsetof(struct session, c));
	int64_t order = s->o->grow_order;
	int r;

	session_leave(s);
	if (!given_back(s, order) && ask_to_grow(s, order) < 0)
		return not_grown(s);
	/* A caller in the wait queue has to leave it. */
	r = session_lock(s, c->waiter ? IPC_NEVER : c->deadline);
	if (r != IPC_DONE || c->op == OP_WRITE || !session_elsewhere(s))
		return r;
	session_leave(s);
	return IPC_ELSEWHERE;
}

void session_call(struct session *s, uint32_t op, int64_t deadline)
{
	const struct lib_attach *at = &s->client->at;

	s->c = (struct ipc_call){
		.handle = at->handle,
		.op = op,
		.tid = ipc_tid(),
		.pid = at->pid,
		.uid = at->uid,
		.deadline = ipc_deadline(s->hd, deadline),
		.limit = at->message_limit,
		.at_once = true,
		.grow = grow,
	};
}
