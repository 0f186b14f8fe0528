/* SPDX-License-Identifier: MIT */
/*
 * Permits: struct ipc_sem as a semaphore and a lock have it, and cond, value, array and rlock as their
 * lock. It is always the beginning of the body, header.b.sem.
 *
 * `value` counts the free permits. A taker that must give its permit back when it goes (flock always
 * does; read does with `undo`) has a hold (struct ipc_hold). A permit taken without a hold stays
 * taken.
 *
 *	lock:	free (value 1) -- EX --> held (value 0, one hold)
 *		free           -- SH --> shared (value 0, shared = n, n holds by OP_FLOCK_SHARED)
 *
 * All waiters, exclusive and shared, reads and flocks, share one wait queue (lock_waitq of the type)
 * in order of arrival.
 */
#ifndef IPC_PERMIT_H
#define IPC_PERMIT_H

#include "object/engine.h"

struct ipc_counts; /* stats.h */

/* ---- for the tables of types: see type.h ---- */

void permit_init_lock(struct ipc_header *h,
		      const struct ipc_defaults *d); /* one, returned at close */
int permit_read(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c);
uint64_t permit_next(struct ipc_obj *o, struct ipc_handle *hd);
int permit_flock(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c, int how);
void permit_pump(struct ipc_obj *o);
unsigned int permit_poll(struct ipc_obj *o, struct ipc_handle *hd);
uint64_t permit_units(struct ipc_obj *o, struct ipc_handle *hd, bool out, uint64_t *ret);
void permit_unhold(struct ipc_obj *o, struct ipc_hold *hold);
void permit_regret(struct ipc_obj *o, struct ipc_waiter *w);
uint32_t permit_scope(const struct ipc_obj *o);
int permit_check_lock(struct ipc_obj *o, struct ipc_check *k);

/* ---- parts of them ---- */

/* Is what is taken by reading returned at the latest when its handle closes? */
bool permit_has_undo(const struct ipc_obj *o);
/* Permits come back. Any above the bound are dropped: somebody already gave them by other means. */
void permit_put_back(struct ipc_obj *o, uint64_t n);
/* Restore the holds of a WAITER_RETAKE that is being granted. -ENOMEM. */
int permit_retake(struct ipc_obj *o, const struct ipc_waiter *w);
/* `counts` of a type that has a lock besides. */
void permit_counts_inner(const struct ipc_obj *o, struct ipc_counts *c);
/* What is true of permits and locks alike. expected: shared holders. *ret_held: how many are held. */
int permit_check(struct ipc_obj *o, struct ipc_check *k, uint64_t expected, uint64_t *ret_held);

#endif
