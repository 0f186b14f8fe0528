/* SPDX-License-Identifier: MIT */
/* Changes of objects that requests ask for: the seam to another engine (doc/architecture.md). */
#include "wait/ask.h"

#include "wait/call.h"
#include "wait/door.h"
#include "wait/turn.h"

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
