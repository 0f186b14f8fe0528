/* SPDX-License-Identifier: MIT */
/*
 * The fast word: a lock (lock, rlock; the lock of cond, value and array) that a direct client takes
 * and gives back with one instruction each, without the object's own lock.
 *
 *	               obj_unlock, when nobody waits, polls or holds
 *	     FAST_OFF ------------------------------------------------> FAST_FREE
 *	        ^ ^                                                       |   ^
 *	        | `------------------- obj_lock --------------------------'   |
 *	        |                                                    fast_take|fast_release
 *	     hold made                                                        v
 *	        |                obj_lock                                     |
 *	   held | FAST_FROZEN <-------------------------------------------- held
 *
 * While the word is not FAST_OFF, it is authoritative, and the rest of the object says "free".
 * Whoever takes the object's lock, for whatever reason, first turns the word into ordinary state
 * (fast_entered): a hold of the handle, as if it had been taken under the lock. So nothing else
 * needs to know about the word, and what a dead client held returns with its handle as usual. The
 * hold's block was set aside before the word came into use (sem.spare), as there may be no memory
 * later.
 *
 * The word names the holder by handle and generation, so a handle that has been closed since no
 * longer counts.
 */
#ifndef IPC_FAST_H
#define IPC_FAST_H

#include "file/obj.h"

#define FAST_OFF    0u
#define FAST_FREE   1u
#define FAST_FROZEN 0x80000000u /* held, and being turned into a hold; no handle is so large */

static inline uint64_t fast_holder(ref_t handle, uint32_t gen)
{
	return (uint64_t)gen << 32 | handle;
}

static inline bool fast_take(struct ipc_sem *s, uint64_t me)
{
	uint64_t word = FAST_FREE;

	return __atomic_compare_exchange_n(&s->fast, &word, me, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

static inline bool fast_release(struct ipc_sem *s, uint64_t me)
{
	return __atomic_compare_exchange_n(&s->fast, &me, FAST_FREE, false, __ATOMIC_RELEASE,
					   __ATOMIC_RELAXED);
}

static inline bool fast_held(const struct ipc_sem *s)
{
	return __atomic_load_n(&s->fast, __ATOMIC_RELAXED) > FAST_FREE;
}

/* A direct client has come: use the word from now on, if the object has such a lock. Commits. */
void fast_attached(struct ipc_obj *o);
/* Nobody has it open: stop using the word. */
void fast_rest(struct ipc_obj *o);
/* `entered` and `leaving` (struct ipc_type) of types with such a lock. */
void fast_entered(struct ipc_obj *o);
void fast_leaving(struct ipc_obj *o);

#endif
