/* SPDX-License-Identifier: MIT */
/* Completion records: what requests came to, for a daemon to which they are resent. */
#ifndef IPC_COMPLETION_H
#define IPC_COMPLETION_H

#include "object/engine.h"

/* Record the call's result, for a daemon that must answer it again after a restart. */
void call_record(struct ipc_obj *o, struct ipc_call *c, int64_t result, bool partial);
/* The requests of an earlier mount are never resent, but their numbers may be reused. Commits. */
void ipc_completions_forget(struct ipc_obj *o);
/*
 * A restarted daemon maps the object: call this before any operation. The header has room for one
 * completion record, because the daemon replies before it changes the object again; but after a
 * restart others may be served before that request is resent, so its record is kept. Committed.
 */
void ipc_restarted(struct ipc_obj *o);
/* The result, before the restart, of a request that is resent. false: none is known. */
bool ipc_completion_find(struct ipc_obj *o, uint64_t unique, ref_t handle, int64_t *ret_result,
			 bool *ret_partial);

#endif
