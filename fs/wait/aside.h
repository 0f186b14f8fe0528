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

/* Keep a request that is put aside. */
void aside_keep(const void *msg, size_t len, const struct aside *as);
/* Handle one that was. true: it is put aside again. */
typedef bool (*aside_handler)(void *msg, size_t len, struct aside *as);
void aside_retry(aside_handler again); /* try all stalled objects */
/* An INTERRUPT: if it is for a kept request, that is answered (true). */
bool aside_interrupted(uint64_t unique);
bool aside_has(uint64_t unique); /* is it kept? */
void aside_end_all(int error);

/* ---- aside_limit.c ---- */

struct aside_limit {
	int64_t deadline; /* CLOCK_MONOTONIC ns, IPC_NEVER */
	int error;        /* what it gets then */
	int64_t least;    /* the caller's own time limits do not end it earlier */
};

/* How long this request may wait for the object's lock. looks: it is read-only. */
void aside_limit(const struct object *ob, const void *msg, size_t len, bool looks,
		 struct aside_limit *ret);

#endif
