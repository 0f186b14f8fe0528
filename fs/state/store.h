/* SPDX-License-Identifier: MIT */
/* The files of the state directory, which state.c opens: store.c. */
#ifndef IPCFS_STORE_H
#define IPCFS_STORE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "state/object.h"
#include "state/target.h"

/* What the folders above state/ are told, and asked: ops/observer.c. */
struct state_observer {
	bool (*ctl_exists)(const struct target *t); /* its node has a .ctl file of this number */
	void (*ctl_attr)(const struct target *t, struct stat *st);
	void (*damaged)(struct ipc_env *env, struct ipc_obj *o, const char *why);
	void (*restarted)(struct object *ob); /* first used by a worker that follows another */
	void (*goes)(struct object *ob);      /* it is about to be unmapped */
};

/*
 * Map the mount file, in the worker. check: all of it, which takes time for each name: when a mount
 * begins, and when the last worker failed by itself. If it is refused, a sentence in *ret_why.
 */
int store_load(const struct state_observer *above, bool check, const char **ret_why);
void store_unload(void);
void store_bus_error(int sig, siginfo_t *si, void *context);
void store_remove(struct node *n); /* a node without a name, that is not mapped: with its files */
uint64_t store_recount(void);
void store_chmod(struct node *n); /* the engine file's mode follows the object's, if it is shared */
/* Somebody will open the engine file directly. -ENOSPC: it has none yet. */
int store_share(struct node *n);
/* After a start: remove what no name leads to and nobody has open. */
void store_sweep(void);

#endif
