/* SPDX-License-Identifier: MIT */
/*
 * The requests that wait, each beside its waiter.
 *
 * A parked request and the engine's waiter are two halves of one thing, found from each other by the
 * waiter's reference. Exactly one place answers: whoever takes the entry out.
 */
#include <stdlib.h>
#include <utlist.h>

#include "state/object.h"
#include "wait/parked.h"
#include "wait/turn.h"

struct parked *parked_all;

void parked_add(struct parked *p)
{
	HASH_ADD(hh, p->ob->parked, waiter, sizeof(p->waiter), p);
	HASH_ADD(by_asker, parked_all, asker, sizeof(p->asker), p);
}

struct parked *parked_by(struct asker *a)
{
	struct parked *p;

	HASH_FIND(by_asker, parked_all, &a, sizeof(a), p);
	return p;
}

struct parked *parked_find(struct object *ob, ref_t waiter)
{
	struct parked *p;

	HASH_FIND(hh, ob->parked, &waiter, sizeof(waiter), p);
	return p;
}

void parked_tell(struct parked *p)
{
	p->telling = true;
	DL_APPEND(p->ob->telling, p);
}

void parked_keep(struct parked *p)
{
	p->telling = p->retakes = false;
	DL_DELETE(p->ob->telling, p);
}

void parked_end(struct parked *p, int64_t result)
{
	HASH_DEL(p->ob->parked, p);
	timer_remove(&p->timer);
	p->ended = true;
	p->result = result;
}

void parked_move(struct parked *p, struct object *ob, ref_t waiter)
{
	HASH_DEL(p->ob->parked, p);
	timer_remove(&p->timer);
	p->ob = ob;
	p->waiter = waiter;
	HASH_ADD(hh, ob->parked, waiter, sizeof(p->waiter), p);
}

struct asker *parked_take_out(struct parked *p)
{
	if (p->cond) {
		p->cond->pins--;
		object_used(p->cond);
	}
	HASH_DELETE(by_asker, parked_all, p);
	if (!p->ended)
		HASH_DEL(p->ob->parked, p);
	if (p->telling)
		DL_DELETE(p->ob->telling, p);
	timer_remove(&p->timer);
	free(p->data);
	p->data = NULL;
	return p->asker;
}
