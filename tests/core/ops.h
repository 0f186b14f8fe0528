/* SPDX-License-Identifier: MIT */
/*
 * The table of operations that crash.c cuts off after every store, and fail.c at every refusal of
 * memory. To add one: a setup(), a run() and a line in the table of its type (ops_TYPE.c); a new
 * table goes into op_tables[] (ops.c).
 *
 * setup() makes the state before; run() does the operation for handle h[0], as the daemon does it:
 * with `unique`, and so that it can be called again after a crash, when it goes on where the dead
 * one left off (answered() tells). It also runs with unique 0, as a direct client's call.
 */
#ifndef OPS_H
#define OPS_H

#include "test.h"

struct scene {
	struct ipc_obj *o;
	ref_t h[8], w[8];
	char *text; /* for whatever run() is to write */
};

struct op {
	const char *name;
	uint32_t type;
	void (*setup)(struct scene *s);
	void (*run)(struct scene *s, uint64_t unique);
	unsigned int flags;
};

#define STEPS  1u  /* several changes: what lies between them may be seen */
#define DAEMON 2u  /* no client does this: leave out the death of one */
#define CLIENT 4u  /* no request does this, so it does not come again */
#define MEMORY 8u  /* only who may grow the file brings it to this end */
#define GRANTS 16u /* what lies between may be granted, and so is counted */

extern const struct op *const op_tables[]; /* ends with NULL; each table with a name of NULL */

#define UNIQUE 77u /* the request that run() stands for */

/*
 * A request came, perhaps for the second time. True: it has been answered, or waits. False: do it;
 * c->done and c->waiter say where it stands.
 */
bool answered(struct ipc_obj *o, struct ipc_call *c);
/* The same for what is written to .ctl files. */
bool ctl_answered(struct ipc_obj *o, uint64_t unique);
void run_put(struct scene *s, uint64_t unique, const char *text);
void run_read(struct scene *s, uint64_t unique, uint32_t op, size_t max);
void run_give(struct scene *s, uint64_t unique, enum ipc_verb verb, int64_t n);
void run_flock(struct scene *s, uint64_t unique, int how);
void run_finish(struct scene *s, ref_t w, size_t max);
void run_leave(struct scene *s, ref_t w, uint64_t unique, int why);
void run_open(struct scene *s, uint64_t unique);
void run_close(struct scene *s, ref_t h);
void run_give_back(struct scene *s, ref_t h);

#endif
