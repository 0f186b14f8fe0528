/* SPDX-License-Identifier: MIT */
/* Changes of objects are asked for here: the seam to another engine (doc/architecture.md). */
#include "wait/ask.h"

#include "wait/call.h"
#include "wait/leave.h"

int object_change(struct object *ob, struct request *rq, int (*change)(struct request *rq))
{
	int r = object_enter(ob, rq);

	if (r < 0)
		return r;
	rq->ob = ob;
	r = change(rq);
	if (r != IPC_WAIT)
		object_leave(ob);
	return r;
}

int handle_change(struct request *rq, int (*change)(struct request *rq))
{
	int r = enter(rq);

	if (r < 0)
		return r;
	r = change(rq);
	if (r != IPC_WAIT)
		object_leave(rq->ob);
	return r;
}

int lock_change(struct object *lock, struct request *rq, int (*change)(struct request *rq))
{
	int r = object_enter(lock, rq);

	if (r < 0)
		return r;
	rq->lock = lock;
	r = change(rq);
	object_leave(lock);
	return r;
}

int object_try(struct object *ob, const struct deferred *what)
{
	int r = object_enter(ob, NULL);

	if (r < 0)
		return r;
	what->run(ob, what);
	object_leave(ob);
	return 0;
}

void object_do(struct object *ob, const struct deferred *what)
{
	if (object_try(ob, what) == -EBUSY)
		object_defer(ob, what);
}
