/* SPDX-License-Identifier: MIT */
/* An object's file as it was, to begin again from. */
#ifndef SNAP_H
#define SNAP_H

#include "ops.h"

struct snap {
	struct ipc_obj obj;
	int64_t used;
	size_t len;
	char *bytes;
};

void snap_take(struct snap *n, const struct ipc_obj *o);
void snap_restore(const struct snap *n, struct ipc_obj *o);
void snap_free(struct snap *n);
/* Is all as it was, but for the lock and what is in free memory? */
bool snap_same(const struct snap *n, struct ipc_obj *o);

/* Allocate and free, so that what comes takes used blocks from chains. */
void churn(struct ipc_obj *o);
/* What follows every operation: pump, and the putters whose turn it is. */
void settle(struct ipc_obj *o);

/* Register a test for each operation of the tables: run() gets it as arg. */
void ops_register(const char *prefix, void (*run)(const void *arg), unsigned int without);

#endif
