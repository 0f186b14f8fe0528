/* SPDX-License-Identifier: MIT */
/*
 * libipcfs: a caller that would block polls briefly first, before it joins the wait queue and
 * without the object's lock; and locks are taken by the fast word. Nothing here sleeps.
 */
#include <sched.h>

#include "client/client_session.h"
#include "object/count.h"
#include "object/fast.h"
#include "file/lock.h"
#include "object/stats.h"
#include "object/type.h"

#define ROUNDS       400 /* of looking out for what goes round: some 0.2 ms */
#define ROUNDS_YIELD 8   /* after which others get the CPU */

static bool is_ready(struct ipcfs_obj *c, void *unused)
{
	(void)unused;
	if (c->event && __atomic_load_n(c->event, __ATOMIC_RELAXED))
		return count_some(c->event);
	return ipc_word(c->map.h, c->type->ready) != 0;
}

static bool has_room(struct ipcfs_obj *c, void *unused)
{
	uint64_t most = ipc_word(c->map.h, c->type->most);

	(void)unused;
	return !most || ipc_word(c->map.h, c->type->ready) < most;
}

/* A caller that would block polls briefly first. true: it has polled. */
static bool look_first(struct ipcfs_obj *c, bool (*ready)(struct ipcfs_obj *c, void *unused),
		       int64_t deadline)
{
	if (!c->direct || !deadline || ready(c, NULL))
		return false;
	session_spin(c, ready, NULL, false);
	return true;
}

/* ---- locks and permits that change hands ---- */

/* A number that changes whenever a lock or permit changes hands. */
static uint64_t sight(const struct ipc_header *h)
{
	uint64_t n = __atomic_load_n(&h->m.lock, __ATOMIC_RELAXED);

	for (unsigned int i = 0; i < IPC_WAITQS; i++)
		n = n * 31 + __atomic_load_n(&h->waitqs[i].head, __ATOMIC_RELAXED);
	return n;
}

enum look { NOT_YET, NOW, NOT_SOON };

/*
 * Poll for it without joining the wait queue, if it will be free soon. If many threads do short
 * work with it and all of them join the queue, the queue never empties: each gets it only after a
 * wake-up. So a thread that sees it change hands stays out of the queue, and leaves the CPU to
 * those in it.
 */
static bool goes_round(struct ipcfs_obj *c, enum look (*look)(struct ipcfs_obj *c, uint64_t *sight))
{
	uint32_t patience = __atomic_load_n(&c->spin, __ATOMIC_RELAXED), idle = 0;
	bool spins = ipc_may_spin();
	uint64_t seen = 0;

	for (unsigned int i = 1; i < ROUNDS && idle < patience; i++) {
		uint64_t now = 0;
		enum look l = look(c, &now);

		if (l == NOW)
			session_spun(c, patience, true);
		if (l != NOT_YET)
			return l == NOW;
		idle = now == seen ? idle + 1 : 0;
		seen = now;
		if (!spins || i % ROUNDS_YIELD == 0)
			sched_yield();
		else
			session_pause();
	}
	session_spun(c, patience, false);
	return false;
}

/* Takes one at once if it can. */
static enum look permit(struct ipcfs_obj *c, uint64_t *ret_sight)
{
	uint64_t word = __atomic_load_n(c->permits, __ATOMIC_RELAXED);

	if (count_of(word) && count_take(c->permits))
		return NOW;
	*ret_sight = sight(c->map.h) + word;
	if (word == COUNT_OFF && ipc_word(c->map.h, c->type->ready))
		return NOT_SOON; /* there is one, but not by the word */
	return NOT_YET;
}

/* Takes the lock at once if it is free. */
static enum look fast_word(struct ipcfs_obj *c, uint64_t *ret_sight)
{
	uint64_t word = __atomic_load_n(&c->fast->fast, __ATOMIC_RELAXED);

	if (word == FAST_FREE && fast_take(c->fast, fast_holder(c->at.handle, c->at.gen)))
		return NOW;
	*ret_sight = sight(c->map.h) + word;
	if (word == FAST_OFF && __atomic_load_n(&c->fast->value, __ATOMIC_RELAXED))
		return NOT_SOON; /* free, but not by the word */
	return NOT_YET;
}

/* ---- looking before waiting ---- */

bool look_before_reading(struct ipcfs_obj *c, uint32_t op, int64_t deadline)
{
	if (op == OP_JOIN)
		return false;
	if (c->permits || !c->type->ready.at)
		return c->direct &&
		       is_permits(c->type); /* it has: direct_take(), direct_permit_soon() */
	return look_first(c, is_ready, deadline);
}

bool is_full(const struct ipcfs_obj *c)
{
	return c->type->most.at && !has_room((struct ipcfs_obj *)(uintptr_t)c, NULL);
}

bool look_before_putting(struct ipcfs_obj *c, int64_t deadline)
{
	return c->type->most.at && look_first(c, has_room, deadline);
}

/* ---- the fast word ---- */

/* It has the lock: one level more, or nothing at all, but not by the word. */
static bool is_mine(const struct ipcfs_obj *c, uint64_t me)
{
	return __atomic_load_n(&c->fast->fast, __ATOMIC_RELAXED) == me ||
	       __atomic_load_n(&c->fast->owner, __ATOMIC_RELAXED) == c->at.handle;
}

bool direct_take(struct ipcfs_obj *c, bool waits)
{
	uint64_t me = fast_holder(c->at.handle, c->at.gen);

	if (__builtin_expect(!fast_take(c->fast, me), 0) &&
	    (!waits || is_mine(c, me) || !goes_round(c, fast_word)))
		return false;
	/* The handle may have been closed, with the mount: then the word means nobody. */
	if (__builtin_expect(!direct_current(c), 0)) {
		fast_release(c->fast, me);
		return false;
	}
	__atomic_store_n(&c->fast->fast_tid, ipc_tid(), __ATOMIC_RELAXED);
	stat_fast(&c->fast->taken, 1);
	return true;
}

bool direct_permit_soon(struct ipcfs_obj *c)
{
	return goes_round(c, permit);
}

bool direct_release(struct ipcfs_obj *c)
{
	return fast_release(c->fast, fast_holder(c->at.handle, c->at.gen));
}
