/* SPDX-License-Identifier: MIT */
/* What an object shows a handle that only looks. */
#ifndef IPC_LOOK_H
#define IPC_LOOK_H

#include "object/engine.h"

/* Where text goes. */
struct ipc_sink {
	void (*put)(struct ipc_sink *to, const char *text, size_t len);
};

/* Show the object's messages, its text, or a number. */
void ipc_look(struct ipc_obj *o, struct ipc_sink *to);
/* The length of what a read through this handle would return now; -1: it would wait. */
int64_t ipc_next_length(struct ipc_obj *o, struct ipc_handle *hd);

/* ---- for types ---- */

/* A bound on the bytes of its messages: all the memory that they could be in. */
uint64_t look_most(const struct ipc_obj *o);
/*
 * Show a message from `skip` on, and reduce *left by its length. If it is longer than that, the
 * object is damaged.
 */
void look_message(struct ipc_obj *o, ref_t msg, size_t skip, uint64_t *left, struct ipc_sink *to);
void look_messages(struct ipc_obj *o, struct ipc_mq *q, bool newline, struct ipc_sink *to);

#endif
