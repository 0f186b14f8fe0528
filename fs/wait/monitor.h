/* SPDX-License-Identifier: MIT */
/* Conditions, values and arrays whose lock is another object: see monitor.c. */
#ifndef IPCFS_MONITOR_H
#define IPCFS_MONITOR_H

#include <stdio.h>

#include "device/request.h"

struct object *lock_object(struct object *ob);
/*
 * flock, in two changes. Of rq->ob: what the other object is asked then, in rq->opening, rq->companion and
 * rq->lock. That is NULL if nothing is left to do.
 */
int monitor_flock(struct request *rq, struct object *lock, int how);
/* Of the lock, now rq->ob: rq->call is by its handle rq->companion. 0: an unlock, and there is none. */
int monitor_companion(struct request *rq, int how);
/* May the caller use that lock? */
bool monitor_may(const struct request *rq, const struct object *lock);
/* rq->hd is to be closed: first its companion is. 0; -EBUSY: the request is put aside. */
int monitor_close(struct request *rq);
/*
 * A condition's read: set rq->call.pid and .lent, the caller's process and the handle by which it
 * holds the lock. They come from the request; what the condition's file says is not trusted here.
 */
int monitor_find(struct request *rq, struct object *lock);
void monitor_lend(struct object *ob, ref_t w, uint32_t tid);
/*
 * A condition's reader has its result: take the lock back, which is locked. c: the call as it would be made
 * on it (except c->pid). 0: it has it (or never had it, or its handle there was closed), and can be answered;
 * IPC_WAIT: c waits for it. Any other error is its answer.
 */
int monitor_retake(struct object *lock, struct ipc_call *c, const struct ipc_lent *lent);
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
