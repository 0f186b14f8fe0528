/* SPDX-License-Identifier: MIT */
/*
 * Requests that come again: after a restart (the kernel resends to the next worker what was not
 * answered), or because they were put aside (aside.c). Nothing of one may be done twice.
 *
 * A request that waits is found by its waiter. One that was completed at once is recorded with the
 * change itself: in the object (its header, and ipc_restarted()), in the handle that was opened,
 * or, for names, in the mount file. An object has one completion record, for its last request, so
 * no other change is recorded there before the reply is sent (turn.c).
 */
#include "device/request.h"
#include "file/list.h"
#include "object/completion.h"
#include "object/waiter.h"

bool again_call(struct request *rq, int *ret)
{
	struct ipc_call *c = &rq->call;
	struct ipc_obj *o = &rq->ob->o;
	bool partial;
	ref_t w;

	if (!rq->by.resent)
		return false;
	w = ipc_find_waiter(o, c->unique);
	if (w) {
		c->waiter = w;
		c->done = waiter_at(o, w)->arg;
		*ret = IPC_WAIT;
		return true;
	}
	if (!ipc_completion_find(o, c->unique, c->handle, &c->result, &partial))
		return false;
	if (partial) {
		c->done = (uint32_t)c->result;
		if (c->op == OP_WRITE)
			c->pos = (uint64_t)c->result >> 32;
		return false;
	}
	*ret = -error_of(c->result);
	return true;
}

bool again_completed(const struct request *rq, ref_t handle, int64_t *ret)
{
	bool partial;

	return rq->by.resent &&
	       ipc_completion_find(&rq->ob->o, rq->by.unique, handle, ret, &partial);
}

ref_t opened_by(struct object *ob, uint64_t unique)
{
	LIST_EACH(&ob->o, &ob->o.h->handles, r)
		if (AT(&ob->o, ipc_handle, r)->open_unique == unique)
			return r;
	return 0;
}

ref_t again_opened(const struct request *rq, struct object *ob)
{
	return rq->by.resent ? opened_by(ob, rq->by.unique) : 0;
}

bool again_named(const struct request *rq, struct node **ret)
{
	uint64_t id;

	if (!rq->by.resent || !names_done(&fs.mount, rq->by.unique, &id))
		return false;
	*ret = tree_by_id(id);
	return true;
}
