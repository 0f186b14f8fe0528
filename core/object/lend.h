/* SPDX-License-Identifier: MIT */
/* A condition whose lock is another object: the steps are in lend.c. */
#ifndef IPC_LEND_H
#define IPC_LEND_H

#include "object/engine.h"

/* The object whose lock it uses instead of its own; 0: its own, or it has none. */
uint64_t ipc_lock_id(const struct ipc_obj *o);
/* -EBUSY: somebody holds or waits for the one that it has now. Committed. */
int ipc_set_lock_id(struct ipc_obj *o, uint64_t id);
/* What this process has the lock with, as whoever opened or took it. false: it has not. */
bool ipc_lent_find(struct ipc_obj *lock, uint32_t pid, struct ipc_lent *ret);
/*
 * What the handle holds is given up for this process, if it may be its: again, no harm. Committed.
 */
void ipc_lend(struct ipc_obj *lock, const struct ipc_lent *l, uint32_t pid);
/*
 * Take it back for c (tid, pid, uid, unique, deadline): 0 (or it has it back already), IPC_WAIT
 * with c->waiter in the lock, -EBADF its handle is closed, or lent nothing for that process.
 */
int ipc_lent_retake(struct ipc_obj *lock, struct ipc_call *c, const struct ipc_lent *l);
/* What this waiter of a condition says that it lent. false: nothing. */
bool ipc_cond_lent(struct ipc_obj *cond, ref_t w, struct ipc_lent *ret);
/*
 * -EINTR while a granted one retook its lock: it is queued again, with its notify. Committed.
 */
void ipc_cond_park(struct ipc_obj *cond, ref_t w);
/* One that stands, and is granted: has somebody the lock that it lent? Committed. */
void ipc_cond_busy(struct ipc_obj *cond, struct ipc_waiter *w, bool busy);

#endif
