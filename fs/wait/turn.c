/* SPDX-License-Identifier: MIT */
/*
 * A turn: the dealing with one request or one event, under the daemon lock. And how long an object
 * (struct object: what the daemon knows of a mapped engine file) lives.
 *
 * Nobody frees an object, or a node, but the end of a turn. So whoever has got a pointer to one may
 * use it for the rest of the turn, whatever he calls meanwhile.
 *
 * (A handler that has done all that it does may end the turn before it replies, so that what a call
 * removes is gone when the call returns.)
 *
 * What outlasts a turn either needs the object, and is counted by object_needed(): a handle, a
 * parked request, a request that is put aside, one that waits in another object (pins). Or it only
 * lists the object (fs.lru, fs.hungry, fs.look, fs.stalled), and the object leaves the
 * list when it is freed.
 */
#include <utlist.h>

#include "state/blank.h"
#include "state/memory.h"
#include "state/store.h"
#include "wait/damaged.h"
#include "wait/door.h"
#include "wait/turn.h"

unsigned int turn_mapped_most = 8192;
unsigned int turn_idle_most = 64;

static bool object_needed(const struct object *ob)
{
	return ob->parked || ob->aside || ob->stalled || ob->pins || ob->o.locked ||
	       (!ob->o.damage && ob->o.h->handles.count);
}

static bool has_name(const struct node *n)
{
	return n->parent || n == fs.root;
}

void turn_look(struct object *ob)
{
	if (ob->look)
		return;
	ob->look = true;
	LL_PREPEND2(fs.look, ob, look_next);
}

void object_used(struct object *ob)
{
	struct node *n = ob->node;
	bool active = !ob->o.damage && ob->o.h->handles.count;

	/* At once: the next worker removes what has no name and is not in use. */
	if (node_block(n)->active != active)
		names_active(&fs.mount, n->ref, active);
	object_idle(ob, !object_needed(ob) && !ob->o.damage);
	if (!has_name(n) && !object_needed(ob))
		turn_look(ob);
}

static void look_at(struct object *ob)
{
	struct node *n = ob->node;

	if (ob->o.damage)
		damage_tell(ob);
	else if (has_name(n) || object_needed(ob))
		settle(ob);
	if (!has_name(n) && !object_needed(ob)) {
		object_remove(ob);
	}
}

/* Not as long as requests may come again: what they came to is in the object. */
static bool lay_to_rest(struct object *ob)
{
	return !fs.catching_up && !object_needed(ob) && !ob->look && object_rest(ob);
}

/* Of those who are not in use the last few keep their memory: they are likely to be used again. */
static void rest_idle(void)
{
	unsigned int n = fs.catching_up ? 0 : fs.idle_count;

	while (n-- > turn_idle_most && fs.idle) {
		struct object *ob = fs.idle;

		if (!lay_to_rest(ob) && ob->idle)
			object_idle(ob, !object_needed(ob));
	}
}

void turn_trim(void)
{
	struct object *ob, *next;
	unsigned int tries = 64;

	DL_FOREACH_SAFE2(fs.lru, ob, next, lru_next) {
		if (fs.mapped <= turn_mapped_most || !tries--)
			return;
		if (!object_needed(ob) && !ob->look) { /* (or it is to be looked at first) */
			if (!lay_to_rest(ob))
				object_unmap(ob);
			continue;
		}
		DL_DELETE2(fs.lru, ob, lru_prev, lru_next);
		DL_APPEND2(fs.lru, ob, lru_prev, lru_next);
	}
}

/* All who wait for memory, once, in their order. */
static void try_all(void)
{
	struct object *ob;
	unsigned int n = 0;

	DL_FOREACH2(fs.hungry, ob, hungry_next)
		n++;
	while (n-- && (ob = fs.hungry)) {
		DL_DELETE2(fs.hungry, ob, hungry_prev,
			   hungry_next); /* others may come and go meanwhile */
		DL_APPEND2(fs.hungry, ob, hungry_prev, hungry_next);
		ob->o.freed = true;
		settle(ob); /* if it cannot be locked, later (door.c) */
	}
}

static void feed(void)
{
	uint64_t start = 0;

	while (memory_may_do()) {
		start = start ? start : ipc_now();
		try_all();
	}
	memory_tried(start ? ipc_now() - start : 0);
}

void turn_end(void)
{
	struct object *ob;

	do {
		while ((ob = fs.look)) {
			LL_DELETE2(fs.look, ob, look_next);
			ob->look = false;
			/* A SIGBUS puts objects into the list, and what follows can meet one. */
			__atomic_signal_fence(__ATOMIC_SEQ_CST);
			look_at(ob);
		}
		feed();
	} while (fs.look);
	rest_idle();
	turn_trim();
}
