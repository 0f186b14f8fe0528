/* SPDX-License-Identifier: MIT */
/*
 * Who waits for what, on all mounts together: the rows of each mount's .ctl/graph (ipcfs(5)), and what
 * follows from them (base/knots.h).
 */
#ifndef IPCCTL_NET_H
#define IPCCTL_NET_H

#include "base/knots.h"
#include "mounts.h"

struct net_process {
	const char *command; /* NULL: it was not there */
	char state;
};

struct net_object {
	char *path;
	const char *type;
	size_t first_hold, n_holds, first_wait, n_waits;
};

struct net_hold {
	size_t object;
	const char *operation, *seconds;
	uint32_t taker;
	uint32_t giver; /* of `knots`: whose members have it open */
	bool sure;      /* and nobody else can have */
};

struct net_wait {
	size_t object;
	uint32_t process;
	const char *operation, *seconds, *left, *kind, *nobody; /* the last two: NULL for "-" */
};

/* A process that waits for the end of one of its children, or for those who write to a pipe. */
struct net_parent {
	uint32_t process, thing;
	bool reads;
};

struct net_stalled {
	char *path;
	uint32_t process;
	const char *seconds;
};

struct net {
	struct knots knots;
	struct net_process *processes; /* as those of `knots` */
	struct net_object *objects;
	struct net_hold *holds;
	struct net_wait *waits;
	struct net_parent *parents;
	struct net_stalled *stalled;
	size_t n_objects, n_holds, n_waits, n_parents, n_stalled;
	size_t *of_wait;  /* by a wait of `knots`: which of `waits` + 1; 0: for a child */
	size_t *of_giver; /* by a giver of `knots`: which of `holds` + 1; 0: children */
	char **texts;
	size_t n_texts;
};

/*
 * Reads all of these, and finds out who is stuck. One that cannot be read is left out, and a message says
 * so: an error if it is this mount point (NULL: any of them), or if none can be read.
 */
int net_read(struct net *n, const struct mounts *mounts, const char *needed);
/* The same for the mount points on a command line; none: all that there are. */
int net_read_arguments(struct net *n, char **names, size_t n_names);
void net_free(struct net *n);

const struct net_process *net_process(const struct net *n, uint32_t process);
uint32_t net_pid(const struct net *n, uint32_t process);
int64_t net_find(const struct net *n, uint32_t pid);                        /* a process; -1 */
const struct net_object *net_object(const struct net *n, const char *path); /* NULL */
const struct net_parent *net_parent(const struct net *n, uint32_t process); /* NULL */

/* "12 (sh x.sh)", printable; to be freed. */
char *net_name(const struct net *n, uint32_t process);
/* The lines of all cycles, and of those who wait for nobody; how many of each. */
void net_show_deadlocks(struct net *n, size_t *ret_cycles, size_t *ret_nobody);

#endif
