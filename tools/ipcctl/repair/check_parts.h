/* SPDX-License-Identifier: MIT */
/* What the parts of check_state() share. Functions that return int: 0 or -errno. */
#ifndef IPCCTL_CHECK_PARTS_H
#define IPCCTL_CHECK_PARTS_H

#include "file/statedir.h"
#include "names/names.h"
#include "object/engine.h"
#include "repair/check_state.h"

struct item { /* a node of the namespace */
	uint64_t id, parent, cookie, size;
	uint32_t type, mode, uid, gid, flags;
	int64_t atime, mtime, ctime;
	ref_t ref;
	char *name;
	bool added;             /* check_names.c: the new namespace has it */
	struct ipc_stats stats; /* of a blank object: what has happened to it */
};

struct state {
	int dir, objects; /* the directory is locked while we look */
	bool repair;
	struct item *items; /* by id */
	size_t n;
	uint64_t memory_limit;
	struct ipc_env env;
	struct check_result *result;
};

/* ---- check_files.c ---- */
int item_order(const void *a, const void *b); /* by id */
/* private: changes to the mapping are not written to the file. Locked, unless it is damaged. */
int state_map(struct state *s, int dir, const char *name, bool private, struct ipc_obj *ret);
void state_unmap(struct ipc_obj *o);
const char *state_error(int r);
struct item *state_find(struct state *s, uint64_t id); /* or NULL */
void state_say(struct state *s, const struct item *it, const char *what);
/* The ids that have an engine file, in order. */
size_t state_files(struct state *s, uint64_t **ret);
/* It gets STATE_DAMAGED behind its name. */
int state_put_aside(struct state *s, struct state_name name);

/* ---- check_names.c ---- */
/*
 * And collect them. A damaged namespace is made anew from what can be read of it, if it is to be
 * repaired.
 */
int check_names(struct state *s, const char *dir);
/* It was repaired, and its size is not known any more. */
void check_resized(struct state *s, const struct item *it);

/* ---- read_names.c ---- */
/* Collect the nodes. thorough: the file is damaged, so by every way there is. */
void state_read_names(struct state *s, struct ipc_obj *m, bool thorough);

/* ---- check_object.c ---- */
void check_object(struct state *s, const struct item *it);

#endif
