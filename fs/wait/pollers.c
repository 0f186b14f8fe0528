/* SPDX-License-Identifier: MIT */
/*
 * Who polls an object, and what is done by its timer.
 *
 * An object has one timer for all who do not wait, and for what happens in it by itself. It is set to the
 * earliest of
 *	time limits of what got EAGAIN (handle.clock; a standing waiter's deadline)
 *	the next look at pollers that were notified of what is for one (core/object/poll.c)
 *	ipc_due()
 * When it goes off the object is dirty, and when it is settled the pollers are told. All that the timer
 * goes by is in the object's file.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "file/list.h"
#include "object/poll.h"
#include "state/notify.h"
#include "state/object.h"
#include "wait/nonblock.h"
#include "wait/pollers.h"
#include "wait/turn.h"

/* ---- who polls ---- */

struct poller {
	uint64_t kh; /* the kernel's name for an open file that was polled */
	UT_hash_handle hh;
};

void pollers_add(struct object *ob, uint64_t kh)
{
	struct poller *p;

	HASH_FIND(hh, ob->pollers, &kh, sizeof(kh), p);
	if (p)
		return;
	p = must_alloc(sizeof(*p));
	p->kh = kh;
	HASH_ADD(hh, ob->pollers, kh, sizeof(p->kh), p);
}

static void drop(struct object *ob, struct poller *p)
{
	HASH_DEL(ob->pollers, p);
	free(p);
}

void pollers_add_late(struct object *ob, struct ipc_handle *hd, uint64_t kh)
{
	pollers_add(ob, kh);
	ipc_handle_poll(hd, kh);
	ob->late_polls = true;
}

void pollers_remove(struct object *ob, uint64_t kh)
{
	struct poller *p;

	HASH_FIND(hh, ob->pollers, &kh, sizeof(kh), p);
	if (p)
		drop(ob, p);
}

void pollers_forget(struct object *ob)
{
	while (ob->pollers)
		drop(ob, ob->pollers);
}

void pollers_find(struct object *ob)
{
	struct ipc_obj *o = &ob->o;

	LIST_EACH(o, &o->h->polls, r)
		pollers_add(ob, handle_at(o, r - 1)->poll_kh);
}

void pollers_tell_all(struct object *ob)
{
	for (struct poller *p = ob->pollers; p; p = p->hh.next)
		notify_poll(p->kh);
}

/* ---- telling them ---- */

unsigned int poll_interval_ms = 50;

static void timer_fired(struct timer *t)
{
	struct object *ob = (struct object *)((char *)t - offsetof(struct object, timer));

	timer_remove(t);
	ob->expired = true;
	turn_look(ob);
}

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

void pollers_expire(struct object *ob)
{
	if (!ob->expired)
		return;
	ob->expired = false;
	ob->o.work = true; /* something may be due */
	ipc_expire(&ob->o, (int64_t)ipc_now());
	if (ipc_poll_overdue(&ob->o))
		wake(ob, true);
	poll_rearm(ob);
}
