/* SPDX-License-Identifier: MIT */
/*
 * Leaving an object that was changed, while it is still locked: who is granted what, and who is to be
 * told. Telling them is for the end of the turn: settle.c.
 */
#include <utlist.h>

#include "file/heap.h"
#include "file/list.h"
#include "object/lend.h"
#include "object/type.h"
#include "object/waiter.h"
#include "object/wake.h"
#include "state/fs.h"
#include "state/memory.h"
#include "state/object.h"
#include "wait/door.h"
#include "wait/leave.h"
#include "wait/parked.h"
#include "wait/pollers.h"
#include "wait/turn.h"
#include "wait/watch.h"

void leave_pump(struct object *ob)
{
	struct ipc_obj *o = &ob->o;

	pollers_expire(ob);
	if (o->work || o->freed) {
		o->starved = false;
		ipc_pump(o);
	}
	o->freed = false;
}

/*
 * It has its answer. A condition's reader takes back the lock that it gave up first (settle.c). Of others
 * watch the process at whose end what it took is returned.
 */
static void tell_granted(struct object *ob, struct parked *p)
{
	const struct ipc_waiter *w = waiter_at(&ob->o, p->waiter);
	struct ipc_lent lent;

	p->retakes = ipc_is(&ob->o, TYPE_MONITOR) && ipc_cond_lent(&ob->o, p->waiter, &lent);
	if (!p->retakes && w->result >= 0)
		watch_holder(ob, handle_at(&ob->o, w->handle)->opener, w->pid);
	parked_tell(p);
}

/* It waited for this lock on behalf of a condition, and has it back: now the condition answers. */
static void back_to_condition(struct object *lock, struct parked *p)
{
	struct object *cond = p->cond;
	struct ipc_call none = { 0 };

	ipc_finish(&lock->o, p->waiter, &none);
	parked_move(p, cond, p->cond_waiter);
	p->cond = NULL;
	cond->pins--;
	parked_tell(p);
	turn_look(cond);
}

/* Those that were granted and whose requests are here (after a restart they may still arrive). */
static void list_granted(struct object *ob)
{
	struct ipc_obj *o = &ob->o;

	LIST_EACH(o, &o->h->granted, r) {
		struct parked *p = parked_find(ob, r);

		if (!p || p->telling)
			continue;
		if (p->cond)
			back_to_condition(ob, p);
		else
			tell_granted(ob, p);
	}
}

struct parked *leave_turn(struct object *ob)
{
	ref_t w = ipc_turn(&ob->o);

	return w ? parked_find(ob, w) : NULL;
}

/* Is any of those who are told to be finished then? (Who retakes a lock may have to wait for it.) */
static bool will_finish(const struct object *ob)
{
	const struct parked *p;

	DL_FOREACH(ob->telling, p)
		if (!p->ended && !p->retakes)
			return true;
	return false;
}

/*
 * Grant what can be granted. true: it must be locked again, to finish those who are told, or for a
 * writer's turn.
 */
static bool grant(struct object *ob)
{
	struct ipc_obj *o = &ob->o;

	do {
		leave_pump(ob);
		if (o->h->granted.count && !o->damage)
			list_granted(ob);
	} while (o->work && !o->damage); /* (a process had ended that was granted something) */
	ob->turn = !o->damage && leave_turn(ob);
	return ob->turn || (!o->damage && will_finish(ob));
}

static bool waits_for_memory(struct ipc_obj *o)
{
	for (unsigned int i = 0; i < IPC_WAITQS; i++) {
		ref_t w = o->h->waitqs[i].head;

		if (w && waiter_at(o, w)->flags & WAITER_MEMORY)
			return true;
	}
	return false;
}

/* When nobody is to be told anything. */
static void end_round(struct object *ob)
{
	struct ipc_obj *o = &ob->o;
	int64_t due = ipc_due(o);

	if (o->damage)
		return;
	if (due != IPC_NEVER)
		look_again_at(ob, due);
	if (ob->late_polls)
		wake_late_pollers(ob);
	if (o->h->polls.count)
		wake_pollers(ob);
	memory_trim(ob);
	memory_hungry(ob, waits_for_memory(o) || o->starved);
}

/* Unlock, and wake direct clients: those that were granted, and a putter whose turn it is. */
static void unlock_and_wake(struct object *ob)
{
	/*
	 * No more of them than there can be: a hostile client may keep marking them as not woken.
	 */
	uint32_t most = ob->o.locked ? list_most(&ob->o, &ob->o.h->woken) + 2 * IPC_WAKES : 0;
	struct ipc_wakes wakes;
	uint32_t n = 0;
	bool more;

	wakes.n = 0; /* the rest need not be cleared */
	do {
		more = ob->o.locked && !ob->o.damage && ipc_wake(&ob->o, &wakes);
		object_unlock(ob);
		ipc_wake_send(&wakes);
		n += wakes.n;
	} while (more && n < most && object_enter(ob, NULL) == 0);
}

bool leave_round(struct object *ob)
{
	bool again = grant(ob);

	if (!again)
		end_round(ob);
	unlock_and_wake(ob);
	return !ob->o.damage && (again || ob->telling);
}

void object_leave(struct object *ob)
{
	if (leave_round(ob))
		turn_look(ob);
	object_used(ob);
}
