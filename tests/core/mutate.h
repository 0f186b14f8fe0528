/* SPDX-License-Identifier: MIT */
/* What mutate.c does to a state whose words were changed: see there. */
#ifndef MUTATE_H
#define MUTATE_H

#include "test.h"

struct mutate_op {
	const char *name;
	void (*run)(unsigned int i);
};

#define MUTATE_OP(f)       \
	{                  \
#f, op_##f \
	}

/* mutate_names.c: ends with a name of NULL. */
extern const struct mutate_op mutate_names_ops[];
/* Some nodes of every kind; up to n of them. How many. */
unsigned int mutate_names_fill(struct ipc_obj *m, ref_t *ret, unsigned int n);

#endif
