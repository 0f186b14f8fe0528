/* SPDX-License-Identifier: MIT */
/* See graph.h. First what the objects say, each locked for a moment; then what /proc says. */
#include "ctl/graph.h"

#include <fcntl.h>
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

/* ---- objects ---- */

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

/* ---- processes ---- */

static uint32_t threads_of(const struct graph *g, uint32_t pid)
{
	const struct census_process *p = census_find(&g->held.keepers.census, pid);

	return p ? p->threads : 1;
}

static uint32_t process(const struct graph *g, struct knots *k, uint32_t pid)
{
	return knots_process(k, pid, threads_of(g, pid));
}

static bool is_parent(const struct graph *g, uint32_t pid)
{
	for (size_t i = 0; i < g->n_parents; i++)
		if (g->parents[i].pid == pid)
			return true;
	return false;
}

static bool waits(const struct graph *g, uint32_t pid)
{
	for (size_t i = 0; i < g->n_waits; i++)
		if (g->waits[i].pid == pid)
			return true;
	return is_parent(g, pid);
}

/* One that waits itself comes first: it is the one to be named. */
static void add_children(struct graph *g, struct graph_parent *parent, uint32_t child)
{
	const struct census *c = &g->held.keepers.census;

	for (size_t i = 0; i < c->n_processes; i++) {
		const struct census_process *p = &c->processes[i];

		if (p->parent != parent->pid || strchr("ZX", p->state) ||
		    (child && p->pid != child))
			continue;
		MORE(parent->children, parent->n);
		parent->children[parent->n - 1] = p->pid;
		if (parent->n > 1 && !waits(g, parent->children[0]) && waits(g, p->pid)) {
			parent->children[parent->n - 1] = parent->children[0];
			parent->children[0] = p->pid;
		}
	}
}

/* Those who wait for the end of one who waits, and so on. */
static void add_parents(struct graph *g, uint32_t pid)
{
	const struct census *c = &g->held.keepers.census;
	const struct census_process *p = census_find(c, pid);

	while (p && p->parent && !is_parent(g, p->parent)) {
		struct graph_parent parent = { .pid = p->parent };
		uint32_t child;

		parent.threads = census_waits_for_child(p->parent, &child);
		if (!parent.threads)
			return;
		add_children(g, &parent, child);
		MORE(g->parents, g->n_parents);
		g->parents[g->n_parents - 1] = parent;
		p = census_find(c, p->parent);
	}
}

/* What a holder itself waits for the end of, and so on. */
static void add_below(struct graph *g, uint32_t pid)
{
	struct graph_parent parent = { .pid = pid };
	uint32_t child;

	if (is_parent(g, pid))
		return;
	parent.threads = census_waits_for_child(pid, &child);
	if (!parent.threads)
		return;
	add_children(g, &parent, child);
	MORE(g->parents, g->n_parents);
	g->parents[g->n_parents - 1] = parent;
	for (size_t i = 0; i < parent.n; i++)
		add_below(g, parent.children[i]);
}

/* ---- the knots ---- */

static void note(uint32_t **array, size_t *n, size_t at, uint32_t what)
{
	while (*n <= at) {
		MORE(*array, *n);
		(*array)[*n - 1] = 0;
	}
	(*array)[at] = what;
}

static void add_giver(struct graph *g, struct knots *k, size_t held)
{
	const struct kept *kept = &g->kept[held];
	uint32_t giver = knots_giver(k, g->held.keepers.blind ? k != &g->hope : kept->sure);

	if (k == &g->knots)
		note(&g->of_giver, &g->n_of_giver, giver, (uint32_t)held + 1);
	for (size_t i = 0; i < kept->n; i++)
		knots_member(k, process(g, k, kept->pids[i]));
	if (g->held.keepers.blind) /* whoever took it is as good a guess as any */
		knots_member(k, process(g, k, g->held.held[held].taker));
}

/* A thing for each object that is held: their numbers are the same. */
static void add_held(struct graph *g, struct knots *k, bool strict)
{
	for (size_t i = 0; i < g->n_objects; i++) {
		const struct graph_object *o = &g->objects[i];
		uint32_t thing = knots_thing(k, o->any);

		for (size_t h = o->first_held; h < o->first_held + o->n_held; h++)
			add_giver(g, k, h);
		if (strict && !o->counted) /* somebody may have others */
			knots_giver(k, false);
		k->things[thing].hopeless = k == &g->hope && !o->any && !o->n_held && o->taken;
	}
}

static void add_child_waits(struct graph *g, struct knots *k)
{
	for (size_t i = 0; i < g->n_parents; i++) {
		const struct graph_parent *p = &g->parents[i];
		uint32_t thing = knots_thing(k, false);

		knots_giver(k, true);
		for (size_t c = 0; c < p->n; c++)
			knots_member(k, process(g, k, p->children[c]));
		knots_wait(k, process(g, k, p->pid), thing, p->threads, false);
	}
}

static void make_knots(struct graph *g, bool strict)
{
	struct knots *k = &g->knots;

	add_held(g, k, strict);
	for (size_t i = 0; i < g->n_waits; i++) {
		const struct graph_wait *w = &g->waits[i];

		if (w->kind == WAIT_HELD)
			note(&g->of_wait, &g->n_of_wait,
			     knots_wait(k, process(g, k, w->pid), (uint32_t)w->object, 1,
					w->deadline != IPC_NEVER),
			     (uint32_t)i + 1);
	}
	add_child_waits(g, k);
	note(&g->of_wait, &g->n_of_wait, k->n_waits, 0);
	note(&g->of_giver, &g->n_of_giver, k->n_givers, 0);
	knots_solve(k, strict);
}

/* Can one who has the object open in this way do what the wait is for? */
static bool can_help(const struct kept_handle *h, const struct graph_wait *w,
		     const struct kept_handle *waiter)
{
	const uint32_t ends = HANDLE_END_A | HANDLE_END_B;

	if (w->kind == WAIT_PARTIES)
		return h->kind == HANDLE_OBJECT;
	if (h->kind == HANDLE_JOIN || h->kind == HANDLE_CHANGED || h->flags & HANDLE_LOOK)
		return false;
	if (h->kind == HANDLE_OBJECT && h->mode == O_WRONLY)
		return false;
	return !(h->flags & ends) || (h->flags & ends) != (waiter->flags & ends);
}

/* Those who wait in one queue of an object wait for the same. */
static bool as_before(const struct graph *g, const struct graph_wait *w)
{
	const struct kept_handle *handles = g->held.keepers.handles;
	const struct graph_wait *last = w - 1;

	return w > g->waits && last->object == w->object && last->kind == w->kind &&
	       handles[last->handle].flags == handles[w->handle].flags;
}

static void add_helpers(struct graph *g, struct graph_wait *w)
{
	struct keepers *keepers = &g->held.keepers;
	const struct kept_object *o = &keepers->objects[w->object];
	struct knots *k = &g->hope;
	bool sure = true;

	w->thing = knots_thing(k, true);
	for (size_t i = o->first; i < o->first + o->n; i++) {
		struct kept kept;

		if (!can_help(&keepers->handles[i], w, &keepers->handles[w->handle]))
			continue;
		keepers_find(keepers, i, 0, &kept);
		sure &= kept.sure;
		if (kept.n)
			knots_giver(k, true);
		for (size_t j = 0; j < kept.n; j++)
			knots_member(k, process(g, k, kept.pids[j]));
		free(kept.pids);
	}
	k->things[w->thing].hopeless = sure && !k->things[w->thing].n_givers;
	if (!sure)
		knots_giver(k, false);
}

static void make_hope(struct graph *g)
{
	struct knots *k = &g->hope;

	add_held(g, k, true);
	for (size_t i = 0; i < g->n_waits; i++) {
		struct graph_wait *w = &g->waits[i];

		w->thing = (uint32_t)w->object;
		if (w->kind == WAIT_OTHER)
			continue;
		if (w->kind != WAIT_HELD && as_before(g, w))
			w->thing = w[-1].thing;
		else if (w->kind != WAIT_HELD)
			add_helpers(g, w);
		knots_wait(k, process(g, k, w->pid), w->thing, 1, w->deadline != IPC_NEVER);
	}
	add_child_waits(g, k);
	knots_solve(k, true);
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
		add_parents(g, g->waits[i].pid);
}

void graph_make(struct graph *g, bool below)
{
	look_at_objects(g);
	look_at_processes(g);
	for (size_t i = 0; i < g->held.n && below; i++)
		for (size_t k = 0; k < g->kept[i].n; k++)
			add_below(g, g->kept[i].pids[k]);
	make_knots(g, false);
	make_hope(g);
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
	make_knots(g, true);
	return true;
}

bool graph_waits_for_nobody(const struct graph *g, const struct graph_wait *w)
{
	const struct knot_thing *t = &g->hope.things[w->thing];

	if (w->kind == WAIT_OTHER || w->deadline != IPC_NEVER)
		return false;
	return w->kind == WAIT_HELD ? t->hopeless : t->stuck;
}

bool graph_all_wait_there(const struct graph *g, const struct graph_wait *w)
{
	const struct knot_thing *t = &g->hope.things[w->thing];
	const struct knot_giver *gs = g->hope.givers + t->first_giver;

	for (uint32_t i = 0; i < t->n_givers; i++)
		for (uint32_t m = 0; m < gs[i].n; m++) {
			uint32_t pid = g->hope.processes[g->hope.members[gs[i].first + m]].pid;
			bool there = is_parent(g, pid);

			for (size_t j = 0; j < g->n_waits && !there; j++)
				there = g->waits[j].pid == pid && g->waits[j].object == w->object;
			if (!there)
				return false;
		}
	return true;
}

void graph_free(struct graph *g)
{
	for (size_t i = 0; i < g->held.n && g->kept; i++)
		free(g->kept[i].pids);
	for (size_t i = 0; i < g->n_parents; i++)
		free(g->parents[i].children);
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
