/* SPDX-License-Identifier: MIT */
/* Conditions, values and arrays whose lock is another object: see monitor.c. */
#ifndef IPCFS_MONITOR_H
#define IPCFS_MONITOR_H

#include <stdio.h>

#include "device/request.h"

struct object *lock_object(struct object *ob);
/* flock: *ret_fh is the handle of `lock` to be locked; 0: nothing is left to do. */
int monitor_flock(struct request *rq, struct object *lock, int how, uint64_t *ret_fh);
/* May the caller use that lock? */
bool monitor_may(const struct request *rq, const struct object *lock);
/* rq->hd is about to be closed: so is its companion. 0; -EBUSY: the request is put aside. */
int monitor_close(struct request *rq);
/*
 * A condition's read: set rq->call.pid and .lent, the caller's process and the handle by which it
 * holds the lock. They come from the request; what the condition's file says is not trusted here.
 */
int monitor_find(struct request *rq, struct object *lock);
void monitor_lend(struct object *ob, ref_t w, uint32_t tid);
/* c: the call as it would be made on the lock (except c->pid). */
int monitor_retake(struct object *ob, ref_t w, struct object **ret_lock, struct ipc_call *c);
/*
 * The same for a read that may not wait, whose waiter is queued without a request. 0: it has the
 * lock back, or needs none; -EAGAIN: the lock is held, and poll tells when it is free; -EBUSY as
 * for monitor_retake().
 */
int monitor_fetch(struct request *rq, struct object *lock);
/* The handle is polled. kh: the kernel wants to be notified; 0: it does not. */
void monitor_polled(struct object *ob, struct ipc_handle *hd, uint64_t kh);

void show_lock(struct object *ob, FILE *f);
int store_lock(struct object *ob, const char *s, size_t len, uint64_t unique);

#endif
