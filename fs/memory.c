/* SPDX-License-Identifier: MIT */
/*
 * The mount's memory: what the engine files take, counted in the mount file in steps of heap
 * growth, and those who wait for some of it.
 *
 * An object is hungry while the first in one of its lines waits for memory (WAITER_MEMORY). The
 * hungry ones stand in a list, the longest waiting first, and are tried again, all in that order,
 * when less is in use than when they were last refused. What they take and give back while they
 * try is no news: so a round in which nobody succeeds is followed by none.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <utlist.h>

#include "memory.h"
#include "type.h"

static uint64_t refused_at;		/* bytes in use when the hungry were last refused */
static bool forced;			/* try in any case: the limit has changed */

/* What all other objects have free goes back. */
static void reclaim(void)
{
	static bool busy;		/* locking one may check it, and that may ask for memory */
	struct object *ob;

	if (busy)
		return;
	busy = true;
	DL_FOREACH2(fs.lru, ob, lru_next) {
		if (ob->o.damage || ob->o.locked || !ob->o.h->free_top || object_try(ob) < 0)
			continue;
		heap_trim(&ob->o, true);
		object_unlock(ob);
	}
	busy = false;
}

int memory_account(struct ipc_env *env, int64_t bytes, bool essential)
{
	struct ipc_mount *b = mount_body();
	uint64_t limit = b->memory_limit;

	(void)env;
	/* Who waits must be able to: some more than the limit for waiters and handles. */
	if (essential)
		limit += limit / 4 + (1 << 20);
	if (bytes > 0 && b->memory + (uint64_t)bytes > limit) {
		reclaim();
		if (b->memory + (uint64_t)bytes > limit)
			return -ENOSPC;
	}
	/* A damaged file may give back more than it ever took. */
	if (bytes < 0 && b->memory < (uint64_t)-bytes)
		bytes = -(int64_t)b->memory;
	/* One aligned word, written by this worker alone: it needs no undo record. */
	__atomic_store_n(&b->memory, b->memory + (uint64_t)bytes, __ATOMIC_RELAXED);
	return 0;
}

/* Direct clients tell of what comes free while anybody waits for it. */
static void wanted(bool yes)
{
	struct object *ob;

	DL_FOREACH2(fs.lru, ob, lru_next)
		if (!ob->o.damage)
			__atomic_store_n(&ob->o.h->wanted, yes, __ATOMIC_RELAXED);
}

void memory_hungry(struct object *ob, bool hungry)
{
	if (hungry) {
		uint64_t now = mount_body()->memory;

		if (!fs.hungry || now > refused_at)
			refused_at = now;
	}
	if (ob->hungry == hungry)
		return;
	ob->hungry = hungry;
	if (!hungry) {
		DL_DELETE2(fs.hungry, ob, hungry_prev, hungry_next);
		if (!fs.hungry)
			wanted(false);
		return;
	}
	if (!fs.hungry)
		wanted(true);
	DL_APPEND2(fs.hungry, ob, hungry_prev, hungry_next);
}

/* All of them once, in their order. */
static void try_all(void)
{
	struct object *ob;
	unsigned int n = 0;

	DL_FOREACH2(fs.hungry, ob, hungry_next)
		n++;
	while (n-- && (ob = fs.hungry)) {
		DL_DELETE2(fs.hungry, ob, hungry_prev, hungry_next);	/* others may come and go meanwhile */
		DL_APPEND2(fs.hungry, ob, hungry_prev, hungry_next);
		if (object_lock(ob) < 0)	/* it is tried when it can be locked again (held.c) */
			continue;
		ob->o.freed = true;
		settle(ob);
	}
}

void memory_feed(void)
{
	while (fs.hungry && (forced || mount_body()->memory < refused_at)) {
		forced = false;
		refused_at = mount_body()->memory;
		try_all();
	}
}

void memory_limit_changed(void)
{
	forced = true;
}

/* Bytes that an object's messages may take: all but the few pages of its handles and waiters. */
static uint64_t can_go(const struct node *n)
{
	uint64_t held = 0, few = 17 * (uint64_t)IPC_PAGE;
	struct stat st;
	char name[24];

	if (n->type != IPC_QUEUE && n->type != IPC_PIPE && n->type != IPC_TWOWAY)
		return 0;
	if (n->ob) {
		held = n->ob->o.damage ? 0 : heap_held(&n->ob->o);
	} else {
		snprintf(name, sizeof(name), "%llu", (unsigned long long)n->id);
		if (fstatat(fs.objects_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			held = (uint64_t)st.st_blocks * 512;
	}
	return held > few ? held - few : 0;
}

bool memory_may_come(size_t bytes)
{
	struct ipc_mount *b = mount_body();
	uint64_t least = b->memory;
	/* A heap grows in steps of 64 KiB. */
	uint64_t need = bytes + 65536;

	for (const struct node *n = fs.by_id; n && least + need > b->memory_limit; n = n->by_id.next) {
		uint64_t go = can_go(n);

		least -= go < least ? go : least;
	}
	return least + need <= b->memory_limit;
}
