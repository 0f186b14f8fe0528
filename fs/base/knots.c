/* SPDX-License-Identifier: MIT */
/*
 * See knots.h. All who wait are taken to be stuck first, and set free when something of what they wait
 * for can act, until nothing changes: what is left cannot go on. Each of those waits for a giver whose
 * members are stuck as well, so that they wait for each other in circles, or behind such a circle.
 */
#include "base/knots.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* ---- making it ---- */

static uint32_t *slot(struct knots *k, uint32_t pid)
{
	size_t i = (pid * 2654435761u) & (k->n_by_pid - 1);

	while (k->by_pid[i] && k->processes[k->by_pid[i] - 1].pid != pid)
		i = (i + 1) & (k->n_by_pid - 1);
	return &k->by_pid[i];
}

static void grow(struct knots *k)
{
	free(k->by_pid);
	k->n_by_pid = k->n_by_pid ? k->n_by_pid * 2 : 64;
	k->by_pid = must_alloc(k->n_by_pid * sizeof(*k->by_pid));
	for (uint32_t i = 0; i < k->n_processes; i++)
		*slot(k, k->processes[i].pid) = i + 1;
}

uint32_t knots_process(struct knots *k, uint32_t pid, uint32_t threads)
{
	uint32_t *at;

	if (k->n_processes * 2 >= k->n_by_pid)
		grow(k);
	at = slot(k, pid);
	if (!*at) {
		MORE(k->processes, k->n_processes);
		k->processes[k->n_processes - 1] =
			(struct knot_process){ .pid = pid, .threads = threads };
		*at = (uint32_t)k->n_processes;
	}
	return *at - 1;
}

uint32_t knots_thing(struct knots *k, bool any)
{
	MORE(k->things, k->n_things);
	k->things[k->n_things - 1] =
		(struct knot_thing){ .any = any, .first_giver = (uint32_t)k->n_givers };
	return (uint32_t)k->n_things - 1;
}

uint32_t knots_giver(struct knots *k, bool sure)
{
	MORE(k->givers, k->n_givers);
	k->givers[k->n_givers - 1] =
		(struct knot_giver){ .sure = sure, .first = (uint32_t)k->n_members };
	k->things[k->n_things - 1].n_givers++;
	return (uint32_t)k->n_givers - 1;
}

void knots_member(struct knots *k, uint32_t process)
{
	MORE(k->members, k->n_members);
	k->members[k->n_members - 1] = process;
	k->givers[k->n_givers - 1].n++;
}

uint32_t knots_wait(struct knots *k, uint32_t process, uint32_t thing, uint32_t threads, bool ends)
{
	struct knot_process *p = &k->processes[process];

	MORE(k->waits, k->n_waits);
	k->waits[k->n_waits - 1] = (struct knot_wait){
		.process = process,
		.thing = thing,
		.threads = threads,
		.next = p->first_wait,
		.ends = ends,
	};
	p->first_wait = (uint32_t)k->n_waits;
	return (uint32_t)k->n_waits - 1;
}

void knots_free(struct knots *k)
{
	free(k->processes);
	free(k->waits);
	free(k->things);
	free(k->givers);
	free(k->members);
	free(k->by_pid);
	*k = (struct knots){ 0 };
}

/* ---- who is stuck ---- */

static void look_at_giver(struct knots *k, struct knot_giver *g)
{
	g->stuck = g->sure && g->n;
	for (uint32_t i = 0; i < g->n && g->stuck; i++)
		g->stuck = !k->processes[k->members[g->first + i]].alive;
}

static void look_at_thing(const struct knots *k, struct knot_thing *t)
{
	uint32_t stuck = 0;

	for (uint32_t i = 0; i < t->n_givers; i++)
		stuck += k->givers[t->first_giver + i].stuck;
	t->stuck = t->hopeless || (stuck && (!t->any || stuck == t->n_givers));
}

/* true: somebody was set free. */
static bool set_free(struct knots *k, bool strict)
{
	bool changed = false;

	for (size_t i = 0; i < k->n_givers; i++)
		look_at_giver(k, &k->givers[i]);
	for (size_t i = 0; i < k->n_things; i++)
		look_at_thing(k, &k->things[i]);
	for (size_t i = 0; i < k->n_processes; i++)
		k->processes[i].stuck_threads = 0;
	for (size_t i = 0; i < k->n_waits; i++) {
		const struct knot_wait *w = &k->waits[i];

		if (k->things[w->thing].stuck && !(strict && w->ends))
			k->processes[w->process].stuck_threads += w->threads;
	}
	for (size_t i = 0; i < k->n_processes; i++) {
		struct knot_process *p = &k->processes[i];
		uint32_t needed = strict && p->threads > 1 ? p->threads : 1;

		if (p->alive || p->stuck_threads >= needed)
			continue;
		p->alive = changed = true;
	}
	return changed;
}

void knots_solve(struct knots *k, bool strict)
{
	for (size_t i = 0; i < k->n_processes; i++)
		k->processes[i].alive = !k->processes[i].first_wait;
	while (set_free(k, strict))
		;
}

bool knots_stuck(const struct knots *k, uint32_t process)
{
	return !k->processes[process].alive;
}

/* ---- cycles ---- */

struct walk {
	uint32_t *queue, *order;
	struct knot_step *steps;
	size_t n_steps;
};

/* The way that led from `start` to a step to it. */
static void take_way(struct knots *k, struct walk *walk, uint32_t start, struct knot_step last)
{
	size_t n = 1;

	for (uint32_t p = last.from; p != start; n++)
		p = k->waits[k->processes[p].by_wait].process;
	walk->n_steps = n;
	walk->steps[--n] = last;
	for (uint32_t p = last.from; n; p = walk->steps[n].from) {
		uint32_t wait = k->processes[p].by_wait;

		walk->steps[--n] = (struct knot_step){ k->waits[wait].process, wait,
						       k->processes[p].by_giver, p };
	}
}

/* What process `p` waits for leads to these; true: back to `start`. */
static bool follow(struct knots *k, struct walk *walk, uint32_t start, uint32_t p, size_t *n)
{
	for (uint32_t w = k->processes[p].first_wait; w; w = k->waits[w - 1].next) {
		struct knot_thing *t = &k->things[k->waits[w - 1].thing];

		if (!t->stuck || t->walk == k->walks)
			continue;
		t->walk = k->walks;
		for (uint32_t g = t->first_giver; g < t->first_giver + t->n_givers; g++) {
			uint32_t to = k->givers[g].stuck ? k->members[k->givers[g].first] : p;

			if (!k->givers[g].stuck)
				continue;
			if (to == start) {
				take_way(k, walk, start, (struct knot_step){ p, w - 1, g, to });
				return true;
			}
			if (k->processes[to].walk == k->walks)
				continue;
			k->processes[to].walk = k->walks;
			k->processes[to].by_wait = w - 1;
			k->processes[to].by_giver = g;
			walk->queue[(*n)++] = to;
		}
	}
	return false;
}

/* Breadth first, so the way is a shortest one. */
static bool find_cycle(struct knots *k, struct walk *walk, uint32_t start)
{
	size_t n = 0, done = 0;

	k->walks++;
	walk->queue[n++] = start;
	k->processes[start].walk = k->walks;
	while (done < n)
		if (follow(k, walk, start, walk->queue[done++], &n))
			return true;
	return false;
}

static const struct knot_process *sorted;

static int by_pid(const void *a, const void *b)
{
	const struct knot_process *x = &sorted[*(const uint32_t *)a];
	const struct knot_process *y = &sorted[*(const uint32_t *)b];

	return (x->pid > y->pid) - (x->pid < y->pid);
}

void knots_each_cycle(struct knots *k,
		      void (*fn)(void *arg, const struct knot_step *steps, size_t n), void *arg)
{
	size_t n = k->n_processes, n_stuck = 0;
	struct walk walk = {
		.queue = must_alloc((n + 1) * sizeof(*walk.queue)),
		.order = must_alloc((n + 1) * sizeof(*walk.order)),
		.steps = must_alloc((n + 1) * sizeof(*walk.steps)),
	};

	for (uint32_t i = 0; i < n; i++) {
		k->processes[i].told = false;
		if (knots_stuck(k, i))
			walk.order[n_stuck++] = i;
	}
	sorted = k->processes;
	qsort(walk.order, n_stuck, sizeof(*walk.order), by_pid);
	for (size_t i = 0; i < n_stuck; i++) {
		if (k->processes[walk.order[i]].told || !find_cycle(k, &walk, walk.order[i]))
			continue;
		for (size_t j = 0; j < walk.n_steps; j++)
			k->processes[walk.steps[j].from].told = true;
		fn(arg, walk.steps, walk.n_steps);
	}
	free(walk.queue);
	free(walk.order);
	free(walk.steps);
}
