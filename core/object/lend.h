/* SPDX-License-Identifier: MIT */
/* A condition whose lock is another object: the steps are in lend.c. */
#ifndef IPC_LEND_H
#define IPC_LEND_H

#include "object/engine.h"

/* The object whose lock it uses instead of its own; 0: its own, or it has none. */
uint64_t ipc_lock_id(const struct ipc_obj *o);
/* -EBUSY: somebody holds, or waits for, its present lock. Committed. */
int ipc_set_lock_id(struct ipc_obj *o, uint64_t id);
/* The handle with which this process has the lock, having opened or taken it. false: it has not. */
bool ipc_lent_find(struct ipc_obj *lock, uint32_t pid, struct ipc_lent *ret);
/*
 * Give up what the handle holds, for this process, if it may be this process's. Repeating it does
 * no harm. Committed.
 */
void ipc_lend(struct ipc_obj *lock, const struct ipc_lent *l, uint32_t pid);
/*
 * Take it back for c (tid, pid, uid, unique, deadline). 0: it has it (perhaps already); IPC_WAIT:
 * c->waiter is queued for the lock; -EBADF: the handle is closed, or lent nothing for that process.
 */
int ipc_lent_retake(struct ipc_obj *lock, struct ipc_call *c, const struct ipc_lent *l);
/* What this waiter of a condition claims to have lent. false: nothing. */
bool ipc_cond_lent(struct ipc_obj *cond, ref_t w, struct ipc_lent *ret);
/* A signal came while a granted one retook its lock: queue it again, with its notify. Committed. */
void ipc_cond_park(struct ipc_obj *cond, ref_t w);
/* Whether somebody has the lock that a standing, granted waiter lent. Committed. */
void ipc_cond_busy(struct ipc_obj *cond, struct ipc_waiter *w, bool busy);

#endif
