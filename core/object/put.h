/* SPDX-License-Identifier: MIT */
/* What queues and pipes share: a write() that does not fit waits. */
#ifndef IPC_PUT_H
#define IPC_PUT_H

#include "object/engine.h"

/*
 * The writer cannot continue: enter (or re-enter) the wait queue until `need` bytes fit, or return
 * a short count. memory: the heap is full. Committed.
 */
int put_wait(struct ipc_obj *o, struct ipc_call *c, unsigned int waitq, uint32_t need, bool memory);
/* All that can go in has: leave the wait queue and record the result. Committed. */
int put_end(struct ipc_obj *o, struct ipc_call *c, int error);
/* After heap_alloc() failed in a put: IPC_AGAIN, or what to return. */
int put_grow(struct ipc_obj *o, struct ipc_call *c, unsigned int waitq, uint32_t need);
/* Give the first putter its turn, if what it waits for has come. */
void put_pump(struct ipc_obj *o, unsigned int waitq,
	      bool (*fits)(struct ipc_obj *o, unsigned int waitq, uint64_t need));

#endif
