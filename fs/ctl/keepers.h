/* SPDX-License-Identifier: MIT */
/*
 * Which processes keep a handle open: whoever took a lock may have ended long ago, while a shell that
 * opened it for him still has the descriptor.
 *
 * Handles are collected with their objects locked, one object after the other. Then, with nothing
 * locked, /proc says who has which open file (base/census.h). It does not say which of an inode's open
 * files is which handle; but who opened a handle, and when, does: keepers_find().
 */
#ifndef IPCFS_KEEPERS_H
#define IPCFS_KEEPERS_H

#include "base/census.h"
#include "object/engine.h"

struct object;

/* A handle, as it was in its object. */
struct kept_handle {
	ref_t ref;
	uint32_t object; /* which of `objects` */
	uint64_t id;     /* the node that was opened */
	uint64_t nodeid; /* as which inode; 0: any of that node (a condition's, for its lock) */
	uint32_t mode;   /* of open(2): O_ACCMODE */
	uint32_t opener; /* 0: not known */
	uint32_t kind, flags; /* the handle\'s own */
	uint64_t since;
};

/* Descriptors that are one open file: files[first], … */
struct kept_group {
	uint32_t first, n;
	uint32_t claims; /* by how many handles whose openers have it */
};

struct kept_object {
	size_t first, n;              /* handles */
	size_t first_group, n_groups; /* of what they may be */
	bool grouped;
};

struct keepers {
	struct census census;
	bool blind; /* the mount is nowhere to be found: nothing can be told */
	bool all;   /* the census is of all processes */
	struct kept_handle *handles;
	size_t n_handles;
	struct kept_object *objects;
	size_t n_objects;
	struct kept_group *groups;
	size_t n_groups;
};

struct kept {
	uint32_t *pids; /* the first one is to be named if only one is */
	size_t n;
	bool exact; /* one open file is meant */
	bool sure;  /* nobody else can have it */
};

void keepers_begin(struct keepers *k);
/* The handles of an object, which is locked. */
void keepers_collect(struct keepers *k, struct object *ob);
/* The number of a handle of the object that was collected last. */
size_t keepers_handle(const struct keepers *k, ref_t handle);
/* Has the process, which took something through the handle then, it still open? Looks at it alone. */
bool keepers_has(struct keepers *k, size_t handle, uint32_t pid, uint64_t when);
void keepers_look(struct keepers *k); /* at all processes */
/* Those who have the handle open: ret->pids is to be freed. Needs keepers_look(). */
void keepers_find(struct keepers *k, size_t handle, uint32_t taker, struct kept *ret);
void keepers_free(struct keepers *k);

#endif
