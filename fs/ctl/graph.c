/* SPDX-License-Identifier: MIT */
/* See graph.h. First what the objects say, each locked for a moment; then what /proc says. */
#include "ctl/graph.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "ctl/show.h"
#include "ctl/who.h"
#include "file/list.h"
#include "object/type.h"
#include "object/waiter.h"
#include "state/object.h"
#include "wait/door.h"

static enum graph_kind kind_of(const struct ipc_obj *o, const struct ipc_waiter *w,
			       unsigned int waitq)
{
	if (o->ops->unhold && waitq == o->ops->lock_waitq)
		return WAIT_HELD;
	if (w->op == OP_WRITE && !(w->flags & WAITER_MEMORY))
		return WAIT_ROOM;
	if (w->op == OP_JOIN)
		return WAIT_JOIN;
	return ipc_is(o, TYPE_INDEX) ? WAIT_PARTIES : WAIT_OTHER;
}

static void add_waits(struct graph *g, struct object *ob, unsigned int waitq)
{
	struct ipc_obj *o = &ob->o;

	LIST_EACH(o, &o->h->waitqs[waitq], r) {
		const struct ipc_waiter *w = waiter_at(o, r);

		if (w->flags & (WAITER_PARKED | WAITER_STANDS)) /* nobody sleeps there */
			continue;
		MORE(g->waits, g->n_waits);
		g->waits[g->n_waits - 1] = (struct graph_wait){
			.object = g->n_objects - 1,
			.handle = keepers_handle(&g->held.keepers, w->handle),
			.ob = ob,
			.waiter = r,
			.pid = who_pid(w),
			.tid = w->tid,
			.op = w->op,
			.flags = w->flags,
			.since = w->since,
			.deadline = w->deadline,
			.kind = kind_of(o, w, waitq),
		};
	}
}

static uint64_t count_held(struct ipc_obj *o)
{
	uint64_t n = 0;

	LIST_EACH(o, &o->h->holds, r)
		n += AT(o, ipc_hold, r)->count;
	return n;
}

static void add_stalled(struct graph *g, struct object *ob, const char *path)
{
	MORE(g->stalled, g->n_stalled);
	g->stalled[g->n_stalled - 1] =
		(struct graph_stalled){ strdup(path), keeper_pid(ob), ob->kept_since };
}

static bool any_waits(const struct ipc_obj *o)
{
	for (unsigned int i = 0; i < IPC_WAITQS; i++)
		if (o->h->waitqs[i].count)
			return true;
	return false;
}

static void collect(struct object *ob, const char *path, void *arg)
{
	struct ipc_obj *o = &ob->o;
	struct graph *g = arg;
	struct graph_object *go;

	if (!o->locked) {
		add_stalled(g, ob, path);
		return;
	}
	if (!held_any(ob) && !any_waits(o))
		return;
	MORE(g->objects, g->n_objects);
	go = &g->objects[g->n_objects - 1];
	*go = (struct graph_object){ .type = o->ops->name, .first_held = g->held.n };
	held_collect(&g->held, ob, path);
	go->n_held = g->held.n - go->first_held;
	if (o->ops->unhold) {
		go->any = !ipc_is(o, TYPE_LOCK | TYPE_INNER_LOCK);
		go->taken = !o->h->b.sem.value;
		go->counted = !go->any || (o->h->b.sem.bound && count_held(o) >= o->h->b.sem.bound);
	}
	if (ipc_is(o, TYPE_INDEX)) {
		go->arrived = o->h->b.barrier.arrived;
		go->parties = o->h->b.barrier.parties;
	}
	for (unsigned int i = 0; i < IPC_WAITQS; i++)
		add_waits(g, ob, i);
}

static void look_at_objects(struct graph *g)
{
	*g = (struct graph){ 0 };
	keepers_begin(&g->held.keepers);
	show_each(collect, g);
}

static void look_at_processes(struct graph *g)
{
	keepers_look(&g->held.keepers);
	g->kept = must_alloc((g->held.n + 1) * sizeof(*g->kept));
	for (size_t i = 0; i < g->held.n; i++)
		keepers_find(&g->held.keepers, g->held.held[i].handle, g->held.held[i].taker,
			     &g->kept[i]);
	for (size_t i = 0; i < g->n_waits; i++)
		graph_add_parents(g, g->waits[i].pid);
	for (size_t i = 0; i < g->held.n; i++)
		for (size_t k = 0; k < g->kept[i].n; k++)
			graph_add_below(g, g->kept[i].pids[k]);
}

void graph_make(struct graph *g)
{
	look_at_objects(g);
	look_at_processes(g);
	graph_make_knots(g, false);
	graph_make_hope(g);
}

/* Where nobody waits for what others hold, nothing has to be known of processes. */
bool graph_make_strict(struct graph *g)
{
	bool any = false;

	look_at_objects(g);
	for (size_t i = 0; i < g->n_waits; i++)
		any |= g->waits[i].kind == WAIT_HELD;
	if (!any)
		return false;
	look_at_processes(g);
	graph_make_knots(g, true);
	return true;
}

void graph_free(struct graph *g)
{
	for (size_t i = 0; i < g->held.n && g->kept; i++)
		free(g->kept[i].pids);
	for (size_t i = 0; i < g->n_parents; i++)
		free(g->parents[i].others);
	for (size_t i = 0; i < g->n_stalled; i++)
		free(g->stalled[i].path);
	free(g->kept);
	free(g->objects);
	free(g->waits);
	free(g->parents);
	free(g->stalled);
	free(g->of_wait);
	free(g->of_giver);
	held_free(&g->held);
	knots_free(&g->knots);
	knots_free(&g->hope);
}
