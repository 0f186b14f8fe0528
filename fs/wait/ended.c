/* SPDX-License-Identifier: MIT */
/* Processes that have ended: what they held (ctl/scope) is returned, whoever has their descriptors. */
#include "file/list.h"
#include "object/hold.h"
#include "object/type.h"
#include "state/fs.h"
#include "state/object.h"
#include "state/tree.h"
#include "wait/ask.h"
#include "wait/turn.h"
#include "wait/watch.h"

/* One that is not mapped: when it was last seen. */
static bool may_hold(const struct object *ob)
{
	return !ob->away || ob->holding;
}

static void end_process(struct object *ob, const struct deferred *d)
{
	ipc_process_ended(&ob->o, d->pid);
}

static void process_ended(uint32_t pid)
{
	const struct deferred ended = { .run = end_process, .pid = pid };
	struct node *n, *tmp;

	HASH_ITER(by_id, fs.by_id, n, tmp) {
		turn_trim();
		if (n->ob && n->ob->o.ops->unhold && may_hold(n->ob))
			object_do(n->ob, &ended);
	}
}

void watch_look(void)
{
	uint32_t pid;

	while ((pid = watch_ended()))
		process_ended(pid);
}

/* Of the object's holds, the first process that has ended already; 0. The others are watched. */
static uint32_t watch_holds(struct object *ob)
{
	LIST_EACH(&ob->o, &ob->o.h->holds, r) {
		uint32_t pid = ipc_hold_process(&ob->o, AT(&ob->o, ipc_hold, r));

		if (pid && !watch_process(pid))
			return pid;
	}
	return 0;
}

void watch_holds_again(struct object *ob)
{
	uint32_t pid;

	if (!ob->o.ops->unhold || ipc_scope(&ob->o) == SCOPE_HANDLE)
		return;
	while (!ob->o.damage && (pid = watch_holds(ob)))
		ipc_process_ended(&ob->o, pid);
}
