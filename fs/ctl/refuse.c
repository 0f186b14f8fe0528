/* SPDX-License-Identifier: MIT */
/*
 * See refuse.h. A cycle is closed by a request that waits, as a rule, so each of those is looked at; the
 * last one that began to wait is refused.
 *
 * But it can be closed by other means: a process begins to wait for a child that waits for a lock
 * already, one that shared a descriptor ends, a direct client waits without a request. So as long as
 * there are waits, or direct clients, all is looked at again: soon after a new one, then ever less
 * often, at the least once a second.
 *
 * A look costs some milliseconds, as all of /proc has to be read. Where many wait for the same locks,
 * that would be all that the daemon does: it takes a tenth of its time at most.
 */
#include "ctl/refuse.h"

#include <string.h>

#include "base/timer.h"
#include "ctl/graph.h"
#include "file/list.h"
#include "object/type.h"
#include "object/waiter.h"
#include "state/fs.h"
#include "state/object.h"
#include "state/tree.h"
#include "wait/ask.h"

#define SOON_NS    5000000
#define SELDOM_NS  1000000000
#define SHARE      10 /* a look is followed by so many times its duration without one */
#define TAKES_BACK (WAITER_RELOCK | WAITER_RETAKE | WAITER_LENT)

static struct timer again;
static int64_t pause_ns; /* until the next look, if nothing new happens */
static int64_t free_at;  /* not before then */

bool refuse_concerns(struct object *ob, ref_t waiter)
{
	const struct ipc_type *ops = ob->o.ops;

	return fs.opt.refuse_deadlocks && ops->unhold &&
	       waiter_at(&ob->o, waiter)->waitq == ops->lock_waitq;
}

/* If it is still there, and this one. */
static void refuse_it(struct object *ob, const struct deferred *d)
{
	struct ipc_obj *o = &ob->o;

	LIST_EACH(o, &o->h->waitqs[o->ops->lock_waitq], r) {
		const struct ipc_waiter *w = waiter_at(o, r);

		if (r == d->waiter && w->tid == d->pid && w->since == d->unique)
			ipc_refuse(o, r);
	}
}

static void refuse(const struct graph_wait *w)
{
	/* If it cannot be locked now, the next look has it again. */
	object_try(w->ob, &(struct deferred){ .run = refuse_it,
					      .waiter = w->waiter,
					      .pid = w->tid,
					      .unique = w->since });
}

/*
 * Between the looks at two objects a direct client may have got its lock and begun to wait for another, so
 * that there never was a cycle. It is there only if the next look has it, too. (Requests wait until the
 * look is over.)
 */
static bool is_certain(const struct graph *g, const struct knot_step *steps, size_t n,
		       const struct graph_wait *last)
{
	static struct suspect {
		ref_t waiter;
		uint32_t tid;
		uint64_t since;
	} suspect;
	bool direct = false, again_seen = suspect.waiter == last->waiter &&
					  suspect.tid == last->tid && suspect.since == last->since;

	for (size_t i = 0; i < n; i++) {
		uint32_t wait = g->of_wait[steps[i].wait];

		direct |= wait && g->waits[wait - 1].flags & WAITER_DIRECT;
	}
	suspect = (struct suspect){ last->waiter, last->tid, last->since };
	return !direct || again_seen;
}

/*
 * The last one that began to wait. A condition's reader cannot be told: it returns with its lock, or
 * not at all.
 */
static void refuse_one(void *arg, const struct knot_step *steps, size_t n)
{
	const struct graph *g = arg;
	const struct graph_wait *last = NULL;

	for (size_t i = 0; i < n; i++) {
		uint32_t wait = g->of_wait[steps[i].wait];
		const struct graph_wait *w = wait ? &g->waits[wait - 1] : NULL;

		if (w && !(w->flags & TAKES_BACK) && (!last || w->since > last->since))
			last = w;
	}
	if (last && is_certain(g, steps, n, last))
		refuse(last);
}

static bool anybody_direct(void)
{
	struct node *n, *tmp;

	HASH_ITER(by_id, fs.by_id, n, tmp)
		if (n->ob && n->ob->direct)
			return true;
	return false;
}

static void next_look(struct timer *t);

static void look_at(int64_t when)
{
	again.fire = next_look;
	timer_set(&again, when > free_at ? when : free_at);
}

static void look(void)
{
	int64_t start = (int64_t)ipc_now(), end;
	struct graph g;
	bool needed = graph_make_strict(&g);

	knots_each_cycle(&g.knots, refuse_one, &g);
	graph_free(&g);
	end = (int64_t)ipc_now();
	free_at = end + SHARE * (end - start);
	if (needed || anybody_direct())
		look_at(end + pause_ns);
	else
		timer_remove(&again);
}

static void next_look(struct timer *t)
{
	(void)t;
	pause_ns = pause_ns * 4 < SELDOM_NS ? pause_ns * 4 : SELDOM_NS;
	look();
}

void refuse_look(void)
{
	pause_ns = SOON_NS;
	if ((int64_t)ipc_now() >= free_at)
		look();
	else
		look_at(free_at);
}

void refuse_later(void)
{
	if (!fs.opt.refuse_deadlocks)
		return;
	pause_ns = SOON_NS;
	look_at((int64_t)ipc_now() + pause_ns);
}
