/* SPDX-License-Identifier: MIT */
/*
 * POLL, and what a program that polls does besides: reads and writes with O_NONBLOCK.
 *
 * An object has one timer for all of them, and for what happens in it by itself. It is set to the
 * earliest of
 *	time limits of what got EAGAIN (handle.clock; a standing waiter's deadline)
 *	the next look at pollers that were notified of what is for one (core/object/poll.c)
 *	ipc_due()
 * and when it goes off the pollers are told. All that it goes by is in the object's file.
 */
#include <fcntl.h>
#include <poll.h>
#include <syslog.h>
#include <unistd.h>

#include "file/heap.h"
#include "file/list.h"
#include "object/type.h"
#include "object/waiter.h"
#include "state/nodeid.h"
#include "state/notify.h"
#include "wait/call.h"
#include "wait/damaged.h"
#include "object/poll.h"
#include "wait/door.h"
#include "wait/monitor.h"
#include "wait/nonblock.h"
#include "wait/poll.h"
#include "wait/turn.h"

unsigned int poll_interval_ms = 50;

static void timer_fired(struct timer *t);

void look_again_at(struct object *ob, int64_t when)
{
	ob->timer.fire = timer_fired;
	if (!ob->timer.heap_at || ob->timer.deadline > when)
		timer_set(&ob->timer, when);
}

static void wake(struct object *ob, bool all)
{
	struct ipc_obj *o = &ob->o;
	bool any = false;
	ref_t r;

	while (!o->damage && (r = ipc_poll_next(o, all))) {
		/*
		 * Before it is recorded: being told twice does no harm, and if we die in between
		 * the next worker tells it.
		 */
		notify_poll(handle_at(o, r)->poll_kh);
		ipc_poll_sent(o, r);
		any = true;
	}
	if (any && ipc_poll_pending(o))
		look_again_at(ob, (int64_t)ipc_now() + poll_interval_ms * 1000000ll);
}

void wake_pollers(struct object *ob)
{
	wake(ob, false);
}

/*
 * Those that polled while the object was stalled, under this worker or an earlier one: they are in
 * no list. Once notified they poll again.
 */
void wake_late_pollers(struct object *ob)
{
	struct ipc_obj *o = &ob->o;

	ob->late_polls = false;
	LIST_EACH(o, &o->h->handles, r) {
		struct ipc_handle *hd = handle_at(o, r);

		if (!hd->poll_late)
			continue;
		notify_poll(hd->poll_kh); /* first, as in wake() */
		if (hd->poll_events)
			ipc_poll_sent(o, r);
		ipc_handle_polled(o, hd);
	}
	if (ipc_poll_pending(o))
		look_again_at(ob, (int64_t)ipc_now() + poll_interval_ms * 1000000ll);
}

void poll_rearm(struct object *ob)
{
	int64_t now = (int64_t)ipc_now(), t = ipc_next_limit(&ob->o, now);

	if (ob->o.h->polls.count && ipc_poll_pending(&ob->o) &&
	    t > now + poll_interval_ms * 1000000ll)
		t = now + poll_interval_ms * 1000000ll;
	ob->timer.fire = timer_fired;
	timer_set(&ob->timer, t);
}

static void time_is_up(struct object *ob, const struct deferred *d)
{
	(void)d;
	ob->o.work = true; /* something may be due */
	ipc_expire(&ob->o, (int64_t)ipc_now());
	if (ipc_poll_overdue(&ob->o))
		wake(ob, true);
	poll_rearm(ob);
}

static void timer_fired(struct timer *t)
{
	struct object *ob = (struct object *)((char *)t - offsetof(struct object, timer));

	timer_remove(t);
	object_do(ob, &(struct deferred){ .run = time_is_up });
}

void nonblock_stand(struct object *ob, struct ipc_handle *hd, struct ipc_call *c, int flags)
{
	int64_t limit = ipc_deadline(hd, IPC_NEVER);

	if (!(flags & O_NONBLOCK) || hd->flags & HANDLE_LIB || hd->kind != HANDLE_OBJECT ||
	    !limit || !ipc_is(&ob->o, TYPE_STANDS))
		return;
	c->stand = true;
	c->deadline = limit;
}

int nonblock_ended(struct object *ob, struct ipc_call *c, unsigned int dir, int flags, int r)
{
	struct ipc_handle *hd = handle_at(&ob->o, c->handle);

	if (r == IPC_WAIT) {
		if (c->stand)
			look_again_at(ob, waiter_at(&ob->o, c->waiter)->deadline);
		return r;
	}
	if (ob->o.damage || hd->flags & HANDLE_LIB || c->stand)
		return r;
	r = ipc_clock(&ob->o, c, dir, flags & O_NONBLOCK ? ipc_deadline(hd, IPC_NEVER) : 0, r);
	if (hd->clock[dir])
		look_again_at(ob, hd->clock[dir]);
	return r;
}

static unsigned int poll_now(struct request *rq)
{
	struct object *ob = rq->ob;
	uint32_t events = rq->events;
	unsigned int ready;

	/* A direct client may have changed something that others poll for, too. */
	if (rq->asks && ob->direct && ob->o.h->polls.count)
		wake_pollers(ob);
	monitor_polled(ob, rq->hd, rq->asks ? rq->poll_kh : 0);
	ready = ipc_ready(&ob->o, rq->hd);
	events |= (events & POLLRDNORM ? POLLIN : 0) | (events & POLLWRNORM ? POLLOUT : 0);
	if (rq->asks)
		pollers_add(ob, rq->poll_kh);
	if (rq->asks && ipc_poll_asked(&ob->o, ref_of(&ob->o, rq->hd), rq->poll_kh, events, ready))
		wake_pollers(ob);
	object_unlock(ob);
	return ready;
}

/* The object is stalled: any operation would wait now. */
static unsigned int poll_stalled(struct request *rq)
{
	struct object *ob = rq->ob;

	if (rq->asks)
		pollers_add_late(ob, rq->hd, rq->poll_kh);
	return ob->refuses ? POLLERR : 0;
}

static unsigned int poll_object(struct request *rq)
{
	int r = enter_to_look(rq);

	if (r < 0)
		return POLLERR;
	return r == LOOK_UNLOCKED ? poll_stalled(rq) : poll_now(rq);
}

enum outcome file_poll(struct request *rq)
{
	unsigned int ready = rq->fh & FH_PLAIN ? POLLIN | POLLOUT : poll_object(rq);

	if (rq->aside.ob)
		return STALLED;
	return done_number(rq, REPLY_READY,
			   ready | (ready & POLLIN ? POLLRDNORM : 0) |
				   (ready & POLLOUT ? POLLWRNORM : 0));
}
