/* SPDX-License-Identifier: MIT */
/*
 * Waking direct clients. Wake-ups are collected under the lock, before obj_unlock(), and sent after
 * it: a woken waiter wants the lock at once.
 */
#ifndef IPC_WAKE_H
#define IPC_WAKE_H

#include "object/engine.h"

#define IPC_WAKES 128
struct ipc_wakes {
	uint32_t *futex[IPC_WAKES];
	unsigned int n;
};

/*
 * The granted direct waiters that still sleep, and the putters whose turn it is. true: there are
 * more; lock and call again.
 */
bool ipc_wake(struct ipc_obj *o, struct ipc_wakes *ret);
void ipc_wake_send(const struct ipc_wakes *wakes);
/*
 * It goes while its owner may sleep: nobody may still sleep here when a later waiter takes its
 * place.
 */
void ipc_wake_gone(struct ipc_waiter *w);
/*
 * Somebody died who may have collected wake-ups without sending them; the next ipc_wake() collects
 * them again.
 */
void ipc_wake_again(struct ipc_obj *o);

#endif
