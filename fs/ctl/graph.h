/* SPDX-License-Identifier: MIT */
/*
 * Who waits for what, and who could end that: all of the mount at one moment.
 *
 * Objects are looked at one after the other, and processes after them, so what is seen may never have
 * been so at once. But who is stuck stays so: a cycle that was there the whole time is found.
 */
#ifndef IPCFS_GRAPH_H
#define IPCFS_GRAPH_H

#include <stdio.h>

#include "base/knots.h"
#include "ctl/held.h"

/* What would end a wait. */
enum graph_kind {
	WAIT_HELD,    /* what others hold comes back */
	WAIT_ROOM,    /* somebody reads */
	WAIT_JOIN,    /* somebody finishes what is unfinished */
	WAIT_PARTIES, /* others come to the barrier */
	WAIT_OTHER,   /* anything, by anybody */
};

struct graph_wait {
	size_t object, handle; /* of held.paths, held.keepers */
	struct object *ob;     /* for the rest of the turn, as .waiter */
	ref_t waiter;
	uint32_t pid, tid, op, flags;
	uint64_t since;
	int64_t deadline;
	enum graph_kind kind;
	uint32_t thing; /* of `hope` */
};

struct graph_object {
	const char *type;
	size_t first_held, n_held;
	bool any;     /* whichever is given back will do: permits */
	bool taken;   /* there is none left */
	bool counted; /* all that there are, are held */
	uint64_t arrived, parties;
};

/*
 * A process that waits for the end of a child, or of one of several; or that reads a pipe, and waits for
 * those who can write to it, as the shell of x=$(...) does.
 */
struct graph_parent {
	uint32_t pid, threads;
	bool reads;       /* a pipe */
	bool sure;        /* those are all */
	uint32_t *others; /* the children, or those who can write */
	size_t n;
};

struct graph_stalled {
	char *path;
	uint32_t pid;
	uint64_t since;
};

struct graph {
	struct held_all held;
	struct kept *kept; /* by what is held */
	struct graph_object *objects;
	struct graph_wait *waits;
	struct graph_parent *parents;
	struct graph_stalled *stalled;
	size_t n_objects, n_waits, n_parents, n_stalled;
	struct knots knots; /* of what is held, and of children */
	struct knots hope;  /* of all waits but WAIT_OTHER */
	uint32_t *of_wait;  /* by a wait of `knots`: which of `waits` + 1, 0: for a child */
	uint32_t *of_giver; /* by a giver of `knots`: which of held.held + 1 */
	size_t n_of_wait, n_of_giver;
};

void graph_make(struct graph *g);
/*
 * The same for `knots` alone, and only as far as it is sure: with every thread, and all permits that
 * there are. false: nobody waits for what others hold.
 */
bool graph_make_strict(struct graph *g);
void graph_free(struct graph *g);
bool graph_waits_for_nobody(const struct graph *g, const struct graph_wait *w);
/* Does everybody who has the object open wait for it? (Otherwise some wait for something else.) */
bool graph_all_wait_there(const struct graph *g, const struct graph_wait *w);

/* ---- parts of it ---- */

bool graph_is_parent(const struct graph *g, uint32_t pid);
/* Those who wait for the end of this process, and so on. */
void graph_add_parents(struct graph *g, uint32_t pid);
/* Those for whose end it waits itself, and so on. */
void graph_add_below(struct graph *g, uint32_t pid);
void graph_make_knots(struct graph *g, bool strict);
void graph_make_hope(struct graph *g);

/* ---- files ---- */

void show_deadlocks(FILE *f); /* deadlocks.c */
void show_graph(FILE *f);     /* graph_rows.c */
void show_why_nobody(FILE *f, const struct graph *g, const struct graph_wait *w);
void show_escaped(FILE *f, const char *s); /* what would end a line or field is \ooo */

#endif
