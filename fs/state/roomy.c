/* SPDX-License-Identifier: MIT */
/*
 * Free memory of objects, and when it goes back.
 *
 * What a queue has used stays with it while it is busy: to give pages back and to ask for others costs
 * more than all else that a message costs. It is busy while two have it open, or a direct client, which
 * may be many threads: what one has left free another may use the next moment. Of such an object goes
 * what nobody needed for a second; of all others, at once, what is more than a little. (If the mount is
 * short of memory, all that is free goes at once, from every object: memory.c.)
 */
#include <utlist.h>

#include "file/heap.h"
#include "object/type.h"
#include "state/memory.h"
#include "state/object.h"
#include "state/fs.h"

#define LOOK_NS 1000000000

static struct timer look;
static struct object *roomy; /* busy objects with much free memory */

static void look_at_all(struct timer *t);

static bool is_busy(struct object *ob)
{
	const struct ipc_list *l = &ob->o.h->handles;

	return l->count > 1 || (l->count && handle_at(&ob->o, l->head)->flags & HANDLE_DIRECT);
}

static void look_later(void)
{
	if (roomy && !look.heap_at) {
		look.fire = look_at_all;
		timer_set(&look, (int64_t)ipc_now() + LOOK_NS);
	}
}

/* Direct clients need not tell the daemon of what they leave free: it will look. */
static void set_roomy(struct object *ob, bool yes)
{
	ob->roomy = yes;
	if (!ob->away)
		__atomic_store_n(&ob->o.h->roomy, yes, __ATOMIC_RELAXED);
}

static void join(struct object *ob)
{
	if (ob->roomy)
		return;
	set_roomy(ob, true);
	heap_idle_begin(&ob->o);
	DL_APPEND2(roomy, ob, roomy_prev, roomy_next);
	look_later();
}

static void leave(struct object *ob)
{
	if (!ob->roomy)
		return;
	set_roomy(ob, false);
	DL_DELETE2(roomy, ob, roomy_prev, roomy_next);
	if (!roomy)
		timer_remove(&look);
}

static void look_at_all(struct timer *t)
{
	struct object *ob, *next;

	timer_remove(t);
	DL_FOREACH_SAFE2(roomy, ob, next, roomy_next) {
		if (!ob->o.damage && object_lock(ob, 0) == 0) {
			heap_trim_idle(&ob->o);
			if (!heap_much_free(&ob->o))
				leave(ob);
			object_unlock(ob);
		}
		if (ob->o.damage)
			leave(ob);
	}
	look_later();
}

void memory_trim(struct object *ob)
{
	if (fs.hungry)
		heap_trim(&ob->o, true);
	else if (!heap_much_free(&ob->o))
		return;
	else if (is_busy(ob))
		join(ob);
	else
		heap_trim(&ob->o, false);
}

void memory_forget(struct object *ob)
{
	memory_hungry(ob, false);
	leave(ob);
}
