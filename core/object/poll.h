/* SPDX-License-Identifier: MIT */
/* Who polls an object, and who is notified when: poll.c says how. All calls commit. */
#ifndef IPC_POLL_H
#define IPC_POLL_H

#include "object/engine.h"

/* What poll(2) is told when it asks; true: others may have to be notified now. */
bool ipc_poll_asked(struct ipc_obj *o, ref_t handle, uint64_t kh, uint32_t events,
		    unsigned int ready);
void ipc_poll_gone(struct ipc_obj *o, ref_t handle);
/* The handle did something in this direction (0 read, 1 write). again: it was told EAGAIN. */
void ipc_poll_acted(struct ipc_obj *o, ref_t handle, unsigned int dir, bool again);
/* The handle whose poller to notify next; 0: none. all: tell everybody to whom it is news. */
ref_t ipc_poll_next(struct ipc_obj *o, bool all);
void ipc_poll_sent(struct ipc_obj *o, ref_t handle);
/* Has a poller been notified of something that only one can use, without having taken it yet? */
bool ipc_poll_pending(struct ipc_obj *o);
/* Call it at intervals while so. true: a poller did nothing for a whole interval. */
bool ipc_poll_overdue(struct ipc_obj *o);

#endif
