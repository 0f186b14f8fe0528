/* SPDX-License-Identifier: MIT */
/*
 * .ctl/deadlocks: processes that wait for each other in a circle, each for what the next one holds or
 * for its end; and those who wait for what nobody is there to do.
 */
#include <string.h>

#include "base/proc.h"
#include "ctl/graph.h"
#include "object/engine.h"

void show_escaped(FILE *f, const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == '\\' || *s == 127)
			fprintf(f, "\\%03o", (unsigned char)*s);
		else
			fputc(*s, f);
}

static void show_who(FILE *f, uint32_t pid)
{
	char command[100];

	proc_command(pid, command, sizeof(command));
	fprintf(f, "%u (%s)", pid, command);
}

struct to {
	struct graph *g;
	FILE *f;
};

static const char *reads(const struct graph *g, uint32_t process)
{
	for (size_t i = 0; i < g->n_parents; i++)
		if (g->parents[i].pid == g->knots.processes[process].pid)
			return g->parents[i].reads ? "the output of" : "its child";
	return "";
}

static void show_cycle(void *arg, const struct knot_step *steps, size_t n)
{
	const struct to *to = arg;
	const struct graph *g = to->g;
	FILE *f = to->f;

	for (size_t i = 0; i < n; i++) {
		uint32_t wait = g->of_wait[steps[i].wait],
			 pid = g->knots.processes[steps[i].to].pid;
		const struct graph_wait *w = wait ? &g->waits[wait - 1] : NULL;

		fputs(i ? ", " : "", f);
		show_who(f, g->knots.processes[steps[i].from].pid);
		if (!w) {
			fprintf(f, " waits for %s %u", reads(g, steps[i].from), pid);
			continue;
		}
		fputs(" waits for ", f);
		show_escaped(f, g->held.paths[w->object]);
		if (w->deadline != IPC_NEVER)
			fprintf(f, " (for %.3f s more)",
				(double)(w->deadline - (int64_t)ipc_now()) / 1e9);
		fprintf(f, " held by %u", pid);
	}
	fputc('\n', f);
}

/* Behind "PATH ". */
void show_why_nobody(FILE *f, const struct graph *g, const struct graph_wait *w)
{
	const struct graph_object *o = &g->objects[w->object];

	if (w->kind == WAIT_HELD) {
		fputs("was taken for good, and nobody holds it", f);
		return;
	}
	if (w->kind == WAIT_PARTIES && !o->parties)
		fputs("has no parties yet", f);
	else if (w->kind == WAIT_PARTIES)
		fprintf(f, "cannot fill (%llu of %llu have come)", (unsigned long long)o->arrived,
			(unsigned long long)o->parties);
	else
		fputs(w->kind == WAIT_ROOM ? "is full" : "is not finished", f);
	if (!graph_all_wait_there(g, w))
		fputs(", and all others who have it open wait, too", f);
	else if (w->kind == WAIT_PARTIES)
		fputs(", and nobody else has it open", f);
	else
		fputs(", and nobody has it open to read", f);
}

static void show_nobody(FILE *f, const struct graph *g, const struct graph_wait *w)
{
	show_who(f, w->pid);
	fputs(" waits for nobody: ", f);
	show_escaped(f, g->held.paths[w->object]);
	fputc(' ', f);
	show_why_nobody(f, g, w);
	fputc('\n', f);
}

void show_deadlocks(FILE *f)
{
	struct graph g;

	graph_make(&g);
	knots_each_cycle(&g.knots, show_cycle, &(struct to){ &g, f });
	for (size_t i = 0; i < g.n_waits; i++)
		if (graph_waits_for_nobody(&g, &g.waits[i]))
			show_nobody(f, &g, &g.waits[i]);
	graph_free(&g);
}
