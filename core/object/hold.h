/* SPDX-License-Identifier: MIT */
/* Holds: things taken that must be given back. */
#ifndef IPC_HOLD_H
#define IPC_HOLD_H

#include "object/engine.h"

/* The caller takes `count` more. -ENOMEM. */
int hold_add(struct ipc_obj *o, const struct ipc_call *c, uint32_t op, uint32_t count);
/* The same for a waiter that is granted. */
int hold_add_for(struct ipc_obj *o, const struct ipc_waiter *w, uint32_t op, uint32_t count);
/* The handle's hold by this operation (OP_NONE: any), or NULL. */
struct ipc_hold *hold_find(struct ipc_obj *o, ref_t handle, uint32_t op);
void hold_drop(struct ipc_obj *o, struct ipc_hold *hold);
/* The same for a process, whichever handle it used. */
struct ipc_hold *hold_of_process(struct ipc_obj *o, uint32_t pid, uint32_t op);
/* Give back `n` of it, or all if there are fewer; returns how many. */
uint32_t hold_reduce(struct ipc_obj *o, struct ipc_hold *hold, uint32_t n);
/* The process whose end returns the hold (ctl/scope); 0: none, it ends with its handle. */
uint32_t ipc_hold_process(struct ipc_obj *o, const struct ipc_hold *hold);
/* The process that opened the handle has ended: this one counts as its opener now. Committed. */
void ipc_adopt(struct ipc_obj *o, ref_t handle, uint32_t pid);
/* A process has ended: return the holds that it ends. */
void ipc_process_ended(struct ipc_obj *o, uint32_t pid);

#endif
