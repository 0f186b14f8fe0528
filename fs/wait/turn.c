/* SPDX-License-Identifier: MIT */
/* A turn: the dealing with one request or one event, under the daemon lock. */
#include <stdlib.h>
#include <utlist.h>

#include "state/memory.h"
#include "state/object.h"
#include "state/tree.h"
#include "wait/damaged.h"
#include "wait/turn.h"

static void look_at(struct object *ob)
{
	if (!object_back(ob) && !ob->o.damage)
		abort(); /* out of memory: base/alloc.h */
	if (ob->o.damage)
		damage_tell(ob);
	else if (!object_is_garbage(ob))
		settle(ob);
	if (object_is_garbage(ob))
		object_remove(ob);
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
			/* A SIGBUS handler may add to the list from here on. */
			__atomic_signal_fence(__ATOMIC_SEQ_CST);
			look_at(ob);
		}
		feed();
	} while (fs.look);
	turn_rest();
	turn_trim();
	tree_trim();
}
