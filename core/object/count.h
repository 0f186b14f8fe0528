/* SPDX-License-Identifier: MIT */
/*
 * The fast count: the number of free permits of a semaphore, or whether an event is set, in a word
 * that direct clients change with one instruction, without the object's lock.
 *
 *	            obj_unlock, when nobody waits, polls or holds
 *	  COUNT_OFF --------------------------------------------> COUNT_ON, count, room --.
 *	     ^ ^ |                                                     |           ^      |
 *	     | | | obj_unlock, when somebody polls                     |           `------'
 *	     | | `------> COUNT_SHOWN, count (events)                  |
 *	     | `------------------'                                    |
 *	     |         obj_lock                                        |
 *	   count noted <------------------- COUNT_FROZEN, count <------'
 *	                                                        obj_lock
 *
 * While the word is COUNT_ON, it is authoritative and the object's own field is stale. Whoever
 * takes the object's lock, for whatever reason, first brings the field up to date (count_entered),
 * so nothing else needs to know about the word. Each step can be repeated: a process that dies
 * halfway leaves the count in the word. A permit taken in this way belongs to nobody: without
 * `undo` it stays taken.
 *
 * The word also has the room left below the bound, so giving needs only one comparison.
 */
#ifndef IPC_COUNT_H
#define IPC_COUNT_H

#include "object/engine.h"

#define COUNT_OFF    0ull
#define COUNT_FROZEN (1ull << 62)
#define COUNT_SHOWN  (1ull << 63) /* to be looked at, not to be changed */
#define COUNT_ON     (COUNT_SHOWN | COUNT_FROZEN)
#define COUNT_MOST   0x7fffffffull /* of permits; as the room: without a bound */
#define COUNT_ROOM   31            /* where that is */

static inline uint64_t count_of(uint64_t word)
{
	return word & COUNT_MOST;
}

static inline uint64_t count_room(uint64_t word)
{
	return word >> COUNT_ROOM & COUNT_MOST;
}

/* Take one. false: not in this way. */
static inline bool count_take(uint64_t *p)
{
	uint64_t word = __atomic_load_n(p, __ATOMIC_RELAXED), then;

	do {
		if (word < COUNT_ON || !count_of(word))
			return false;
		then = word - 1;
		if (count_room(word) != COUNT_MOST)
			then += 1ull << COUNT_ROOM;
	} while (!__atomic_compare_exchange_n(p, &word, then, false, __ATOMIC_ACQUIRE,
					      __ATOMIC_RELAXED));
	return true;
}

/* Give some. false: not in this way. */
static inline bool count_give(uint64_t *p, uint32_t n)
{
	uint64_t word = __atomic_load_n(p, __ATOMIC_RELAXED), then;

	do {
		uint64_t room = count_room(word);

		if (word < COUNT_ON || n > room || n > COUNT_MOST - count_of(word))
			return false;
		then = word + n;
		if (room != COUNT_MOST)
			then -= (uint64_t)n << COUNT_ROOM;
	} while (!__atomic_compare_exchange_n(p, &word, then, false, __ATOMIC_RELEASE,
					      __ATOMIC_RELAXED));
	return true;
}

/* An event: set it (1) or clear it (0). false: not in this way. */
static inline bool count_set(uint64_t *p, uint64_t n)
{
	uint64_t word = __atomic_load_n(p, __ATOMIC_ACQUIRE);

	while (word >= COUNT_ON && count_of(word) != n)
		if (__atomic_compare_exchange_n(p, &word, (word & ~COUNT_MOST) | n, false,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return true;
	return word >= COUNT_ON;
}

/* Is it more than 0, according to the word? */
static inline bool count_some(const uint64_t *p)
{
	uint64_t word = __atomic_load_n(p, __ATOMIC_ACQUIRE);

	return word & COUNT_SHOWN && count_of(word);
}

/* The current count, read without the lock. value: the object's own field. */
static inline uint64_t count_now(const uint64_t *p, const uint64_t *value)
{
	uint64_t word = __atomic_load_n(p, __ATOMIC_ACQUIRE);

	return word ? count_of(word) : __atomic_load_n(value, __ATOMIC_RELAXED);
}

/* After obj_lock(): *value is up to date again. */
void count_entered(struct ipc_obj *o, uint64_t *p, uint64_t *value);
/*
 * Before obj_unlock(), if others may change it from now on (or, shown, only read it). bound: its
 * maximum; 0: none.
 */
void count_leaving(struct ipc_obj *o, uint64_t *p, uint64_t value, uint64_t bound, bool shown);
/* Does anybody wait, or want to be told of a change? */
bool count_wanted(const struct ipc_header *h);
/* Nobody can change it without the lock from now on. Returns its value. */
uint64_t count_freeze(uint64_t *p);

#endif
