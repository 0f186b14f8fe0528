/* SPDX-License-Identifier: MIT */
/*
 * .ctl/graph: who waits for what, for programs (ipcctl why, deadlocks and graph read it). A row has
 * fields between tabs; the first one says what the others are:
 *
 *	process	pid, parent, start time, uid, state, threads, command
 *	object	path, type, "any" or "all": does it take any of its holders to give back, or all
 *	hold	path, operation, seconds, pid that took it, "sure" or "unsure", who has it open: pids
 *	wait	pid, tid, path, operation, seconds, seconds left, "held" "room" "join" "parties" or
 *		"other", why nobody is there to end it
 *	child	pid, threads, pids of the children for one of which it waits, "sure"
 *	reads	the same of a process that reads a pipe: pids of those who can write to it, "sure" or
 *		"unsure"
 *	stalled	path, pid that keeps its lock, seconds
 *
 * The holds and waits of an object come behind it. "-" is for none, and for not known.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/proc.h"
#include "ctl/graph.h"
#include "ctl/who.h"
#include "object/engine.h"

static double seconds_since(uint64_t when)
{
	return (double)(ipc_now() - when) / 1e9;
}

static void show_pids(FILE *f, const uint32_t *pids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fprintf(f, "%s%u", i ? "," : "", pids[i]);
	fputs(n ? "" : "-", f);
}

static void show_path(FILE *f, const struct graph *g, const char *kind, size_t object)
{
	fprintf(f, "%s", kind);
	show_escaped(f, g->held.paths[object]);
}

static void show_hold(FILE *f, const struct graph *g, size_t i)
{
	const struct held *h = &g->held.held[i];
	const struct kept *kept = &g->kept[i];
	bool blind = g->held.keepers.blind;

	show_path(f, g, "hold\t", h->object);
	fprintf(f, "\t%s\t%.3f\t%u\t%s\t", who_op(h->op), seconds_since(h->since), h->taker,
		kept->sure || blind ? "sure" : "unsure");
	show_pids(f, blind ? &h->taker : kept->pids, blind ? 1 : kept->n);
	fputc('\n', f);
}

static const char *const kinds[] = {
	[WAIT_HELD] = "held",       [WAIT_ROOM] = "room",   [WAIT_JOIN] = "join",
	[WAIT_PARTIES] = "parties", [WAIT_OTHER] = "other",
};

static void show_wait(FILE *f, const struct graph *g, const struct graph_wait *w)
{
	fprintf(f, "wait\t%u\t%u\t", w->pid, w->tid);
	show_path(f, g, "", w->object);
	fprintf(f, "\t%s\t%.3f\t", who_op(w->op), seconds_since(w->since));
	if (w->deadline == IPC_NEVER)
		fputc('-', f);
	else
		fprintf(f, "%.3f", (double)(w->deadline - (int64_t)ipc_now()) / 1e9);
	fprintf(f, "\t%s\t", kinds[w->kind]);
	if (graph_waits_for_nobody(g, w))
		show_why_nobody(f, g, w);
	else
		fputc('-', f);
	fputc('\n', f);
}

static void show_object(FILE *f, const struct graph *g, size_t i)
{
	const struct graph_object *o = &g->objects[i];

	show_path(f, g, "object\t", i);
	fprintf(f, "\t%s\t%s\n", o->type, o->any ? "any" : "all");
	for (size_t h = o->first_held; h < o->first_held + o->n_held; h++)
		show_hold(f, g, h);
}

static void show_process(FILE *f, const struct census_process *p)
{
	char command[200];

	proc_command(p->pid, command, sizeof(command));
	fprintf(f, "process\t%u\t%u\t%" PRIu64 "\t%u\t%c\t%u\t%s\n", p->pid, p->parent,
		proc_start(p->pid), p->uid, p->state, p->threads, command);
}

/* All that the rows speak of. */
static void show_processes(FILE *f, struct graph *g)
{
	const struct census *c = &g->held.keepers.census;
	struct knots *all = &g->knots;

	for (size_t i = 0; i < g->n_waits; i++)
		knots_process(all, g->waits[i].pid, 1);
	for (size_t i = 0; i < g->n_stalled; i++)
		knots_process(all, g->stalled[i].pid, 1);
	for (size_t i = 0; i < g->held.n; i++)
		if (census_find_since(c, g->held.held[i].taker, g->held.held[i].since))
			knots_process(all, g->held.held[i].taker, 1);
	for (size_t i = 0; i < all->n_processes; i++) {
		const struct census_process *p = census_find(c, all->processes[i].pid);

		if (p)
			show_process(f, p);
	}
}

void show_graph(FILE *f)
{
	struct graph g;
	size_t w = 0;

	graph_make(&g);
	show_processes(f, &g);
	for (size_t i = 0; i < g.n_objects; i++) {
		show_object(f, &g, i);
		for (; w < g.n_waits && g.waits[w].object == i; w++)
			show_wait(f, &g, &g.waits[w]);
	}
	for (size_t i = 0; i < g.n_parents; i++) {
		fprintf(f, "%s\t%u\t%u\t", g.parents[i].reads ? "reads" : "child", g.parents[i].pid,
			g.parents[i].threads);
		show_pids(f, g.parents[i].others, g.parents[i].n);
		fprintf(f, "\t%s", g.parents[i].sure ? "sure" : "unsure");
		fputc('\n', f);
	}
	for (size_t i = 0; i < g.n_stalled; i++) {
		fputs("stalled\t", f);
		show_escaped(f, g.stalled[i].path);
		fprintf(f, "\t%u\t%.3f\n", g.stalled[i].pid, seconds_since(g.stalled[i].since));
	}
	graph_free(&g);
}
