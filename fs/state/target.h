/* SPDX-License-Identifier: MIT */
/* What a nodeid means, and the attributes of that: target.c, attr.c. */
#ifndef IPCFS_TARGET_H
#define IPCFS_TARGET_H

#include <stdint.h>
#include <sys/stat.h>

#include "format/format.h"

#define CTL_SIZE 4096 /* what a file of a .ctl says, as in sysfs; and NAME@SECONDS */

struct node;

/* What a nodeid means. */
struct target {
	struct node *node;
	unsigned int sub;
	int64_t timeout; /* ns, -1 none */
	ref_t alias;     /* 0: no alias */
	uint64_t nodeid;
	uint64_t base; /* the same without the alias */
};

/* The target of a nodeid: -ESTALE if there is none any more. */
int target_of(uint64_t nodeid, struct target *ret);
void target_attr(const struct target *t, struct stat *st);

#endif
