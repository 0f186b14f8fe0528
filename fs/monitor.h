/* SPDX-License-Identifier: MIT */
/* Conditions, values and arrays whose lock is another object: see monitor.c. */
#ifndef IPCFS_MONITOR_H
#define IPCFS_MONITOR_H

#include <stdio.h>

#include "fs.h"

struct object *lock_object(struct object *ob);
uint64_t monitor_lock_id(struct object *ob);
/* flock: *ret_fh is the handle of `lock` that is to be locked; 0: nothing is left to do. */
int monitor_flock(struct object *ob, struct ipc_handle *hd, struct object *lock, int how,
		  uint64_t *ret_fh);
void monitor_closed(uint64_t lock_id, uint64_t fh);
/* A condition's read: c->lent is what its process holds of the lock. */
int monitor_find(struct object *lock, struct ipc_call *c);
void monitor_lend(struct object *ob, ref_t w);
bool monitor_retake(struct object *ob, ref_t w, struct object **ret_lock, struct ipc_call *ret);

void show_lock(struct object *ob, FILE *f);
int store_lock(struct object *ob, const char *s, size_t len, uint64_t unique);

#endif
