/* SPDX-License-Identifier: MIT */
/*
 * .ctl/deadlocks: processes that wait for each other in a circle, each for what the next one holds.
 */
#include <stdlib.h>
#include <string.h>

#include "base/proc.h"
#include "ctl/show.h"
#include "ctl/who.h"
#include "file/list.h"
#include "object/type.h"
#include "object/waiter.h"
#include "state/object.h"

#define EDGES_MOST 4096

struct edge { /* process `from` waits for what `to` holds */
	uint32_t from, to;
	uint32_t seen;   /* the walk that came here last, … */
	uint32_t before; /* … and by which edge; EDGES_MOST: it is the first */
	char *path;
};

struct edges {
	struct edge *e;
	size_t n;
};

static void each_edges(struct object *ob, const char *path, void *arg)
{
	struct ipc_obj *o = &ob->o;
	struct edges *all = arg;

	if (!o->locked) /* nobody can tell */
		return;
	LIST_EACH(o, &o->h->waitqs[o->ops->lock_waitq], r)
		LIST_EACH(o, &o->h->holds, k) {
			if (all->n == EDGES_MOST)
				return;
			all->e[all->n++] = (struct edge){
				.from = who_pid(waiter_at(o, r)),
				.to = AT(o, ipc_hold, k)->pid,
				.path = strdup(path),
			};
		}
}

static int by_from(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	return (x->from > y->from) - (x->from < y->from);
}

/* The first of the edges from `pid`, which are adjacent. */
static size_t first_from(const struct edges *all, uint32_t pid)
{
	size_t low = 0, high = all->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (all->e[mid].from < pid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The path that led to edge `last`, from its start. */
static void show_way(const struct edges *all, uint32_t last, FILE *f)
{
	const struct edge *e = &all->e[last];
	char command[100];

	if (e->before != EDGES_MOST) {
		show_way(all, e->before, f);
		fputs(", ", f);
	}
	proc_command(e->from, command, sizeof(command));
	fprintf(f, "%u (%s) waits for %s held by %u", e->from, command, e->path, e->to);
}

/*
 * Breadth-first search from `start`; a path back to `start` is a cycle. Each cycle is reported
 * once, by its smallest pid.
 */
static void find_cycle(struct edges *all, uint32_t start, uint32_t walk, uint32_t *queue, FILE *f)
{
	uint32_t at = start, before = EDGES_MOST;
	size_t done = 0, n = 0;

	for (;;) {
		for (size_t i = first_from(all, at); i < all->n && all->e[i].from == at; i++) {
			struct edge *e = &all->e[i];

			if (e->seen == walk || e->to < start)
				continue;
			e->seen = walk;
			e->before = before;
			if (e->to == start) {
				show_way(all, (uint32_t)i, f);
				fputc('\n', f);
				return;
			}
			queue[n++] = (uint32_t)i;
		}
		if (done == n)
			return;
		before = queue[done++];
		at = all->e[before].to;
	}
}

void show_deadlocks(FILE *f)
{
	struct edges all = { calloc(EDGES_MOST, sizeof(struct edge)), 0 };
	uint32_t *queue = calloc(EDGES_MOST, sizeof(*queue)), walk = 0;

	if (all.e && queue) {
		show_each(each_edges, &all);
		qsort(all.e, all.n, sizeof(*all.e), by_from);
		for (size_t i = 0; i < all.n; i++)
			if (!i || all.e[i].from != all.e[i - 1].from)
				find_cycle(&all, all.e[i].from, ++walk, queue, f);
	}
	for (size_t i = 0; i < all.n; i++)
		free(all.e[i].path);
	free(all.e);
	free(queue);
}
