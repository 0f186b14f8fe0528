/* SPDX-License-Identifier: MIT */
/* Completion records: results of requests, for a daemon to which they are resent. */
#ifndef IPC_COMPLETION_H
#define IPC_COMPLETION_H

#include "object/engine.h"

/* Record the call's result, for a daemon that must answer it again after a restart. */
void call_record(struct ipc_obj *o, struct ipc_call *c, int64_t result, bool partial);
/* The requests of an earlier mount are never resent, but their numbers may be reused. Commits. */
void ipc_completions_forget(struct ipc_obj *o);
/*
 * A restarted daemon has mapped the object; call this before any operation. One record would do
 * while the daemon runs, because it replies before it changes the object again. After a restart,
 * others may be served before that request is resent, so its record is put aside here. Committed.
 */
void ipc_restarted(struct ipc_obj *o);
/* The result that a resent request had before the restart. false: none is known. */
bool ipc_completion_find(struct ipc_obj *o, uint64_t unique, ref_t handle, int64_t *ret_result,
			 bool *ret_partial);

#endif
