/* SPDX-License-Identifier: MIT */
/*
 * Who can never go on: processes that wait for what others of them would have to give.
 *
 *	a process	has waits, each of which is for
 *	a thing		(an object; the end of a child), which is there when its givers have given:
 *			all of them, or any of them
 *	a giver		(a handle that holds; a child) gives when any of its members acts
 *
 * So a giver is stuck when all of its members are, a thing when one of its givers is (or, if any
 * would do, all are), and a process when what it waits for is. Nobody is stuck but who has to be: who
 * does not wait is not, nor is a giver whose members are not all known.
 *
 * Nothing here knows what it is about: the daemon uses it for its own mount, ipcctl for several at once.
 */
#ifndef IPCFS_KNOTS_H
#define IPCFS_KNOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct knot_process {
	uint32_t pid, threads;
	uint32_t first_wait; /* + 1: of its waits, through `next` */
	uint32_t stuck_threads;
	bool alive;
	bool told;                        /* it is in a cycle that was told */
	uint32_t walk, by_wait, by_giver; /* the walk that came here, and how */
};

struct knot_wait {
	uint32_t process, thing;
	uint32_t threads; /* that wait so */
	uint32_t next;    /* + 1 */
	bool ends;        /* by itself: a time limit */
};

struct knot_thing {
	bool any, stuck;
	bool hopeless;                  /* it never comes, whoever gives */
	uint32_t first_giver, n_givers; /* adjacent */
	uint32_t walk;
};

struct knot_giver {
	bool sure, stuck;  /* sure: all who can give are members */
	uint32_t first, n; /* members[], adjacent; the first is the one to be named */
};

struct knots {
	struct knot_process *processes;
	struct knot_wait *waits;
	struct knot_thing *things;
	struct knot_giver *givers;
	uint32_t *members; /* processes */
	size_t n_processes, n_waits, n_things, n_givers, n_members;
	uint32_t *by_pid; /* a hash of processes, + 1 */
	size_t n_by_pid;
	uint32_t walks;
};

/* The way to the next process. */
struct knot_step {
	uint32_t from, wait, giver, to;
};

uint32_t knots_process(struct knots *k, uint32_t pid, uint32_t threads); /* made at first */
uint32_t knots_thing(struct knots *k, bool any);
/* Of the thing that was made last. */
uint32_t knots_giver(struct knots *k, bool sure);
/* Of the giver that was made last. */
void knots_member(struct knots *k, uint32_t process);
uint32_t knots_wait(struct knots *k, uint32_t process, uint32_t thing, uint32_t threads, bool ends);
/*
 * Find who is stuck. strict: only if no thread of a process can run, and no wait ends by itself.
 * Otherwise a process waits if one of its threads does.
 */
void knots_solve(struct knots *k, bool strict);
bool knots_stuck(const struct knots *k, uint32_t process);
/* Each cycle by one of its processes, in the order of their pids, as long as there are any. */
void knots_each_cycle(struct knots *k,
		      void (*fn)(void *arg, const struct knot_step *steps, size_t n), void *arg);
void knots_free(struct knots *k);

#endif
