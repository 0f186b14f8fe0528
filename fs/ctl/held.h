/* SPDX-License-Identifier: MIT */
/* What is held: locks, permits and leases, copied from their objects, and by which handles. */
#ifndef IPCFS_HELD_H
#define IPCFS_HELD_H

#include "ctl/keepers.h"

struct held {
	size_t handle; /* of `keepers` */
	size_t object; /* of `paths` */
	uint32_t taker, uid, op;
	uint64_t since;
};

struct held_all {
	struct keepers keepers;
	struct held *held;
	char **paths; /* of the objects that were collected, as keepers.objects; NULL: not wanted */
	size_t n, n_paths;
};

bool held_any(const struct object *ob);
/* All handles of an object, which is locked, and what they hold. */
void held_collect(struct held_all *all, struct object *ob, const char *path);
void held_free(struct held_all *all);

#endif
