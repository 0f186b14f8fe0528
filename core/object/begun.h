/* SPDX-License-Identifier: MIT */
/* Messages whose bytes a direct client reads or writes in place: begun.c. */
#ifndef IPC_BEGUN_H
#define IPC_BEGUN_H

#include "object/engine.h"

/* The caller reads or writes the bytes of this answer's message. 0: o->grow_order is set. */
ref_t begun_new(struct ipc_obj *o, const struct ipc_call *c, const struct ipc_answer *got);
/* The message that was written (c->begun, c->len) is the caller's, and begun no more. */
ref_t begun_message(struct ipc_obj *o, struct ipc_call *c);
/* Its owner is done with it (FUTEX_TAKEN), or with a number that it was given. Commits. */
void begun_free(struct ipc_obj *o, ref_t begun);

/* Its bytes; NULL: they are not in one piece. ret_len: how many. */
char *ipc_begun_bytes(struct ipc_obj *o, ref_t begun, size_t *ret_len);
/* Copy them. */
size_t ipc_begun_copy(struct ipc_obj *o, ref_t begun, char *buf, size_t size);
/* It was read, or will not be put: gone. Committed. */
void ipc_begun_end(struct ipc_obj *o, ref_t begun);
/* The same from this moment on, without the lock: whoever has it next frees the message. */
void ipc_begun_done(struct ipc_obj *o, ref_t begun);
/* It goes back, as one that was read in part. Committed. */
void ipc_begun_back(struct ipc_obj *o, ref_t begun);

/* Its owner has taken it (ipc_take_given), and the waiter is nobody's. */
bool ipc_is_taken(const struct ipc_waiter *w);
/* Free those waiters, if they are many among the woken ones. Committed. */
void ipc_reap(struct ipc_obj *o);

#endif
