/* SPDX-License-Identifier: MIT */
/* What is known of waits, holds and children as knots: who of them is stuck (base/knots.h). */
#include <fcntl.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "ctl/graph.h"
#include "object/engine.h"

static uint32_t threads_of(const struct graph *g, uint32_t pid)
{
	const struct census_process *p = census_find(&g->held.keepers.census, pid);

	return p ? p->threads : 1;
}

static uint32_t process(const struct graph *g, struct knots *k, uint32_t pid)
{
	return knots_process(k, pid, threads_of(g, pid));
}

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

static void add_parents(struct graph *g, struct knots *k)
{
	for (size_t i = 0; i < g->n_parents; i++) {
		const struct graph_parent *p = &g->parents[i];
		uint32_t thing = knots_thing(k, false);

		knots_giver(k, p->sure);
		for (size_t c = 0; c < p->n; c++)
			knots_member(k, process(g, k, p->others[c]));
		knots_wait(k, process(g, k, p->pid), thing, p->threads, false);
	}
}

void graph_make_knots(struct graph *g, bool strict)
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
	add_parents(g, k);
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
	if (h->mode == O_WRONLY)
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

void graph_make_hope(struct graph *g)
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
	add_parents(g, k);
	knots_solve(k, true);
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
			bool there = graph_is_parent(g, pid);

			for (size_t j = 0; j < g->n_waits && !there; j++)
				there = g->waits[j].pid == pid && g->waits[j].object == w->object;
			if (!there)
				return false;
		}
	return true;
}
