/* SPDX-License-Identifier: MIT */
/* From a request to its object, its handle and the engine's call: call.c. */
#ifndef IPCFS_CALL_H
#define IPCFS_CALL_H

#include "device/request.h"

/* For ask.c: find a request's target, object and handle, and lock the object. 0 or -errno */
int enter(struct request *rq);
/* The same for a request that only looks: object_look(). */
int enter_to_look(struct request *rq);
/* The same without the lock, for those words of a handle that only the daemon writes. */
int enter_unlocked(struct request *rq);
int file_handle(uint64_t ino, uint64_t fh, struct target *t, struct object **ret_ob,
		struct ipc_handle **ret_hd);
/* A call by this handle; flags: O_NONBLOCK. */
void fill_call(struct ipc_call *c, const struct request *rq, int flags);
/* Holds, leases and unfinished lines record the process that made them. */
void fill_pid(struct ipc_call *c, struct ipc_handle *hd);
uint64_t lib_call(struct ipc_call *c, const struct ipc_handle *hd, uint64_t off, bool *ret_special);
void touch(const struct request *rq, struct node *n, bool written);

#endif
