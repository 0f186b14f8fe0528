/* SPDX-License-Identifier: MIT */
/* The lock within sem, lock, rlock, cond, value and array. */
#ifndef IPC_SEM_H
#define IPC_SEM_H

#include "object/engine.h"
#include "object/facts.h"

struct ipc_counts; /* stats.h */

int sem_flock(struct ipc_obj *o, struct ipc_sem *s, unsigned int waitq, struct ipc_handle *hd,
	      struct ipc_call *c, int how);
void sem_pump(struct ipc_obj *o, struct ipc_sem *s, unsigned int waitq);
void sem_unhold(struct ipc_obj *o, struct ipc_sem *s, struct ipc_hold *hold);
void sem_init_lock(struct ipc_sem *s); /* free, held by one at a time, returned at close */
int lock_parse(const char *s, size_t len, struct ipc_cmd *ret);
int lock_words(const struct ipc_facts *f, char *ret, size_t size);
/* `counts` of a lock; of a type that has one besides. */
void lock_counts(const struct ipc_obj *o, struct ipc_counts *c);
void lock_counts_inner(const struct ipc_obj *o, struct ipc_counts *c);
uint32_t sem_scope(const struct ipc_obj *o);
int sem_check(struct ipc_obj *o, struct ipc_sem *s, struct ipc_check *k);
/* Restore the holds of a WAITER_RETAKE that is being granted. -ENOMEM. */
int sem_retake(struct ipc_obj *o, const struct ipc_waiter *w);

#endif
