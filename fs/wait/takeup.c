/* SPDX-License-Identifier: MIT */
/*
 * After a start: the objects that are in use, as the last worker left them.
 *
 * In each there may be something to do that no request asks for: somebody can be granted something,
 * has waited for too long, polls, or holds what a process had that has ended. So each is locked once.
 * The first few are before the first request is handled. The others are when they are first needed,
 * or between the requests, a few at a time: so a start takes no longer the more objects are open.
 *
 * fs.unseen says how many are left.
 */
#include <stdlib.h>

#include "base/timer.h"
#include "file/list.h"
#include "object/waiter.h"
#include "state/object.h"
#include "state/target.h"
#include "wait/pollers.h"
#include "wait/ask.h"
#include "wait/door.h"
#include "wait/park.h"
#include "wait/nonblock.h"
#include "wait/takeup.h"
#include "wait/turn.h"
#include "wait/watch.h"

#define AT_A_TIME 16u
#define OTHERS    4 /* how many times as long others have their turn in between */

unsigned int takeup_at_once = 256;

static uint64_t *ids;
static uint32_t count;
static struct timer again;

/* ---- one of them, when it is first locked ---- */

/*
 * Everything that the kernel resends has arrived, so a waiter without a request was answered before
 * the last worker died, or its caller is gone. Others may still have its handle, and then no
 * RELEASE comes.
 */
static void end_told(struct object *ob, const struct deferred *d);

/* Something else is to be done in it first. */
static bool is_early(const struct object *ob)
{
	const struct deferred *d = ob->deferred;

	while (d && d->run == end_told)
		d = d->next;
	return d != NULL;
}

static void end_told(struct object *ob, const struct deferred *d)
{
	struct ipc_obj *o = &ob->o;
	int64_t result;

	/* Last of all: the request of one may have been put aside, and forsaken meanwhile (aside.c). */
	if (is_early(ob)) {
		object_defer(ob, d);
		return;
	}
	LIST_EACH(o, &o->h->granted, r)
		if (waiter_is_request(waiter_at(o, r)) && !park_has(ob, r))
			ipc_finish_told(o, r);
	for (unsigned int i = 0; i < IPC_WAITQS; i++)
		LIST_EACH(o, &o->h->waitqs[i], r)
			if (waiter_is_request(waiter_at(o, r)) && !park_has(ob, r))
				ipc_leave(o, r, -EINTR, &result);
}

static void begin_again(struct object *ob, const struct deferred *d)
{
	(void)d;
	ob->o.work = true;
	poll_rearm(ob);
	watch_holds_again(ob);
	if (!fs.catching_up)
		end_told(ob, &(struct deferred){ .run = end_told });
}

void takeup_object(struct object *ob)
{
	pollers_find(ob);
	if (fs.unseen || ob->unseen)
		object_first(ob, &(struct deferred){ .run = begin_again });
}

/* ---- all of them ---- */

static void look(struct object *ob, const struct deferred *d)
{
	(void)ob;
	(void)d;
}

static void take_up(uint64_t id)
{
	struct node *n = tree_by_id(id);
	struct object *ob;
	int e;

	if (!n || !node_in_use(node_block(n)))
		return;
	turn_trim();
	ob = object_of(n, &e);
	if (!ob)
		return;
	ob->unseen = !ob->adopted; /* it may be stalled */
	object_do(ob, &(struct deferred){ .run = look });
}

static void take_up_some(uint32_t most)
{
	for (; most && fs.unseen; most--) {
		take_up(ids[count - fs.unseen]);
		fs.unseen--;
	}
	if (!fs.unseen)
		takeup_end();
}

static void go_on(struct timer *t)
{
	int64_t begin = (int64_t)ipc_now(), now;

	timer_remove(t);
	take_up_some(AT_A_TIME);
	now = (int64_t)ipc_now();
	if (fs.unseen)
		timer_set(t, now + OTHERS * (now - begin));
}

void takeup_begin(void)
{
	ids = tree_listed(node_in_use, &count);
	fs.unseen = count;
}

void takeup_some(void)
{
	take_up_some(takeup_at_once);
	again.fire = go_on;
	if (fs.unseen)
		timer_set(&again, (int64_t)ipc_now());
}

void takeup_rest(void)
{
	take_up_some(fs.unseen);
}

void takeup_end(void)
{
	timer_remove(&again);
	free(ids);
	ids = NULL;
	count = fs.unseen = 0;
}

void takeup_named(uint64_t base)
{
	struct target t;
	int e;

	if (fs.unseen && target_of(base, &t) == 0 && !t.node->ob && node_in_use(node_block(t.node)))
		object_of(t.node, &e);
}

/* ---- those who were told ---- */

static bool somebody_waits(const struct object *ob)
{
	uint32_t n;

	if (ob->away)
		return ob->waits;
	n = ob->o.h->granted.count;
	for (unsigned int i = 0; i < IPC_WAITQS; i++)
		n |= ob->o.h->waitqs[i].count;
	return n;
}

/* (Of those that were not seen yet begin_again() does it.) */
void takeup_told(void)
{
	struct node *n, *tmp;

	HASH_ITER(by_id, fs.by_id, n, tmp) {
		turn_trim();
		if (n->ob && !n->ob->o.damage && somebody_waits(n->ob))
			object_do(n->ob, &(struct deferred){ .run = end_told });
	}
}
