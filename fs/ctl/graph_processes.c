/* SPDX-License-Identifier: MIT */
/* Which processes wait for others, as the graph needs to know: for the end of a child, or for a pipe. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "ctl/graph.h"

bool graph_is_parent(const struct graph *g, uint32_t pid)
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
	return graph_is_parent(g, pid);
}

/* One that waits itself comes first: it is the one to be named. */
static void add_other(const struct graph *g, struct graph_parent *parent, uint32_t pid)
{
	MORE(parent->others, parent->n);
	parent->others[parent->n - 1] = pid;
	if (parent->n > 1 && !waits(g, parent->others[0]) && waits(g, pid)) {
		parent->others[parent->n - 1] = parent->others[0];
		parent->others[0] = pid;
	}
}

static void add_children(const struct graph *g, struct graph_parent *parent, uint32_t child)
{
	const struct census *c = &g->held.keepers.census;

	for (size_t i = 0; i < c->n_processes; i++) {
		const struct census_process *p = &c->processes[i];

		if (p->parent == parent->pid && !strchr("ZX", p->state) &&
		    (!child || p->pid == child))
			add_other(g, parent, p->pid);
	}
}

static bool is_below(const struct census *c, const struct census_process *p, uint32_t above)
{
	for (int depth = 0; p && depth < 1000; depth++) {
		if (p->pid == above)
			return true;
		p = census_find(c, p->parent);
	}
	return false;
}

/*
 * Those who can write to the pipe that it reads. If what its children, or its siblings in a pipeline,
 * have open may not be seen, these may not be all.
 */
static void add_writers(const struct graph *g, struct graph_parent *parent, uint64_t pipe)
{
	const struct census *c = &g->held.keepers.census;
	const struct census_process *reader = census_find(c, parent->pid);

	for (size_t i = 0; i < c->n_processes; i++) {
		const struct census_process *p = &c->processes[i];

		if (p->closed && reader && is_below(c, p, reader->parent))
			parent->sure = false;
		if (!p->closed && p->pid != parent->pid && census_writes_pipe(p->pid, pipe))
			add_other(g, parent, p->pid);
	}
}

/* Whom it waits for; false: for no process. */
static bool add_parent(struct graph *g, uint32_t pid)
{
	struct graph_parent parent = { .pid = pid, .sure = true };
	uint32_t child;
	uint64_t pipe;

	if (!census_first_look(&g->held.keepers.census, pid)) /* a costly one */
		return false;
	if ((parent.threads = census_waits_for_child(pid, &child))) {
		add_children(g, &parent, child);
	} else if (census_reads_pipe(pid, &pipe)) {
		parent.threads = 1;
		parent.reads = true;
		add_writers(g, &parent, pipe);
	} else {
		return false;
	}
	MORE(g->parents, g->n_parents);
	g->parents[g->n_parents - 1] = parent;
	return true;
}

/* Those for whom the last parent waits may wait themselves. */
static void add_others(struct graph *g)
{
	const uint32_t *others = g->parents[g->n_parents - 1].others;
	size_t n = g->parents[g->n_parents - 1].n; /* (the array of parents may move) */

	for (size_t i = 0; i < n; i++)
		graph_add_below(g, others[i]);
}

void graph_add_below(struct graph *g, uint32_t pid)
{
	if (!graph_is_parent(g, pid) && add_parent(g, pid))
		add_others(g);
}

void graph_add_parents(struct graph *g, uint32_t pid)
{
	const struct census *c = &g->held.keepers.census;
	const struct census_process *p = census_find(c, pid);

	while (p && p->parent && !graph_is_parent(g, p->parent) && add_parent(g, p->parent)) {
		uint32_t above = p->parent;

		add_others(g);
		p = census_find(c, above);
	}
}
