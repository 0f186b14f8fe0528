/* SPDX-License-Identifier: MIT */
/*
 * How long an object lives (struct object: what the daemon knows of a mapped engine file).
 *
 * Nobody frees an object, or a node, but the end of a turn. So whoever has got a pointer to one may
 * use it for the rest of the turn, whatever he calls meanwhile.
 *
 * (A handler that has done all that it does may end the turn before it replies, so that what a call
 * removes is gone when the call returns.)
 *
 * What outlasts a turn either needs the object, and is counted by object_needed(): a handle, a
 * parked request, a request that is put aside, one that waits in another object (pins). Or something
 * is to happen in it by itself (ipc_due()), as long as it has a name. Or it only
 * lists the object (fs.lru, fs.hungry, fs.look, fs.stalled), and the object leaves the
 * list when it is freed.
 */
#include <stdlib.h>
#include <utlist.h>

#include "names/names.h"
#include "state/object.h"
#include "wait/turn.h"

#define ADDRESSES_MOST (1ull << 46) /* bytes of address space that mappings take: half of all */

unsigned int turn_mapped_most = 4096;
unsigned int turn_idle_most = 64;

static bool is_open(const struct object *ob)
{
	return ob->away ? ob->open : !ob->o.damage && ob->o.h->handles.count;
}

static bool object_needed(const struct object *ob)
{
	return ob->parked || ob->telling || ob->aside || ob->stalled || ob->pins || ob->o.locked ||
	       is_open(ob);
}

/* Something is to happen in it, which those who come by its name will see. */
static bool is_due(const struct object *ob)
{
	return node_has_name(ob->node) &&
	       (ob->away ? ob->due : ipc_due((struct ipc_obj *)&ob->o) != IPC_NEVER);
}

/* It is needed, but not before the next request or event that is about it. */
static bool may_go_away(const struct object *ob)
{
	return !ob->look && !ob->o.locked && !ob->telling && !ob->aside && !ob->stalled &&
	       !ob->deferred && !ob->o.damage;
}

bool object_is_garbage(const struct object *ob)
{
	return !node_has_name(ob->node) && !object_needed(ob);
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
	bool active = is_open(ob) || is_due(ob);

	/* At once: the next worker removes what has no name and is not in use. */
	if (node_block(n)->active != active)
		names_active(&fs.mount, n->ref, active);
	object_idle(ob, !object_needed(ob) && !is_due(ob) && !ob->o.damage);
	if (object_is_garbage(ob))
		turn_look(ob);
}

/* Not as long as requests may come again: what they came to is in the object. */
static bool lay_to_rest(struct object *ob)
{
	return !fs.catching_up && !object_needed(ob) && !is_due(ob) && !ob->look && object_rest(ob);
}

/* Of those who are not in use the last few keep their memory: they are likely to be used again. */
void turn_rest(void)
{
	unsigned int n = fs.catching_up ? 0 : fs.idle_count;

	while (n-- > turn_idle_most && fs.idle) {
		struct object *ob = fs.idle;

		if (!lay_to_rest(ob) && ob->idle)
			object_idle(ob, !object_needed(ob) && !is_due(ob));
	}
}

void turn_trim(void)
{
	struct object *ob, *next;
	unsigned int tries = 64;

	DL_FOREACH_SAFE2(fs.lru, ob, next, lru_next) {
		if ((fs.mapped <= turn_mapped_most && fs.mapped_bytes <= ADDRESSES_MOST) ||
		    !tries--)
			return;
		if (!object_needed(ob) && !is_due(ob) &&
		    !ob->look) { /* (or it is to be looked at first) */
			if (!lay_to_rest(ob))
				object_unmap(ob);
			continue;
		}
		if (may_go_away(ob)) {
			object_away(ob);
			continue;
		}
		DL_DELETE2(fs.lru, ob, lru_prev, lru_next);
		DL_APPEND2(fs.lru, ob, lru_prev, lru_next);
	}
}

void turn_each_active(void (*fn)(struct object *ob, void *arg), void *arg)
{
	uint32_t count;
	uint64_t *ids = tree_listed(node_in_use, &count);

	for (uint32_t i = 0; i < count; i++) {
		struct node *n = tree_by_id(ids[i]);
		struct object *ob = NULL;
		int e;

		turn_trim();
		if (n && node_in_use(node_block(n)))
			ob = object_of(n, &e);
		if (ob)
			fn(ob, arg);
	}
	free(ids);
}
