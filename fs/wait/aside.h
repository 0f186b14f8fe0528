/* SPDX-License-Identifier: MIT */
/* Requests that are put aside while their object is stalled: aside.c. */
#ifndef IPCFS_ASIDE_H
#define IPCFS_ASIDE_H

#include "device/request.h"
#include "wait/door.h"

/*
 * The process that sent a FLUSH, and whether a signal is ending it: as it was when the request
 * came, since it may be gone by the time the request is handled.
 */
void aside_closer(struct request *rq, uint32_t *ret_pid, bool *ret_killed);

/* ---- for the loop thread ---- */

/* Keep a request that is put aside, as it came. */
void aside_keep(const void *msg, size_t len, const struct aside *as);
/* Handle one that was. true: it is put aside again. */
typedef bool (*aside_handler)(void *msg, size_t len, struct aside *as);
void aside_retry(aside_handler again); /* try all stalled objects */
/* An INTERRUPT: if it is for a kept request, that is answered (true). */
bool aside_interrupted(uint64_t unique);
bool aside_has(uint64_t unique); /* is it kept? */
void aside_end_all(int error);

/* ---- aside_limit.c ---- */

/*
 * The request is put aside: until when it may wait for the lock, and what it gets then. Decided once,
 * when it first waits for that.
 */
void aside_limit(struct request *rq);

#endif
