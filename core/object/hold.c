/* SPDX-License-Identifier: MIT */
/*
 * Holds: things taken that must be given back. Each belongs to the handle and the process that took
 * it, and ends with its handle or with a process (ctl/scope).
 */
#include "file/heap.h"
#include "file/list.h"
#include "file/log.h"
#include "object/hold.h"
#include "object/type.h"

static int hold_new(struct ipc_obj *o, ref_t handle, uint32_t tid, uint32_t pid, uint32_t uid,
		    uint32_t op, uint32_t count)
{
	struct ipc_handle *hd = handle_at(o, handle);
	ref_t r;

	LIST_EACH(o, &o->h->holds, k) {
		struct ipc_hold *hold = AT(o, ipc_hold, k);

		if (!hd->holds)
			break;
		if (hold->handle == handle && hold->op == op && hold->pid == pid) {
			set32(o, hold->count, hold->count + count);
			return 0;
		}
	}
	r = heap_alloc(o, sizeof(struct ipc_hold));
	if (!r)
		return -ENOMEM;
	*AT(o, ipc_hold, r) = (struct ipc_hold){
		.handle = handle,
		.op = op,
		.count = count,
		.tid = tid,
		.pid = pid,
		.uid = uid,
		.since = ipc_now(),
	};
	list_push(o, &o->h->holds, r);
	set32(o, hd->holds, hd->holds + 1);
	return 0;
}

int hold_add(struct ipc_obj *o, const struct ipc_call *c, uint32_t op, uint32_t count)
{
	return hold_new(o, c->handle, c->tid, c->pid, c->uid, op, count);
}

int hold_add_for(struct ipc_obj *o, const struct ipc_waiter *w, uint32_t op, uint32_t count)
{
	return hold_new(o, w->handle, w->tid, w->pid, w->uid, op, count);
}

struct ipc_hold *hold_find(struct ipc_obj *o, ref_t handle, uint32_t op)
{
	if (handle && !handle_at(o, handle)->holds)
		return NULL;
	LIST_EACH(o, &o->h->holds, r) {
		struct ipc_hold *hold = AT(o, ipc_hold, r);

		if ((!handle || hold->handle == handle) && (op == OP_NONE || hold->op == op))
			return hold;
	}
	return NULL;
}

void hold_drop(struct ipc_obj *o, struct ipc_hold *hold)
{
	struct ipc_handle *hd = handle_at(o, hold->handle);
	ref_t r = ref_of(o, hold);

	list_remove(o, &o->h->holds, r);
	set32(o, hd->holds, hd->holds - 1);
	heap_free(o, r);
}

struct ipc_hold *hold_of_process(struct ipc_obj *o, uint32_t pid, uint32_t op)
{
	LIST_EACH(o, &o->h->holds, r) {
		struct ipc_hold *hold = AT(o, ipc_hold, r);

		if (hold->pid == pid && hold->op == op)
			return hold;
	}
	return NULL;
}

uint32_t hold_reduce(struct ipc_obj *o, struct ipc_hold *hold, uint32_t n)
{
	uint32_t k = hold->count < n ? hold->count : n;

	if (hold->count > k)
		set32(o, hold->count, hold->count - k);
	else
		hold_drop(o, hold);
	return k;
}

uint32_t ipc_hold_process(struct ipc_obj *o, const struct ipc_hold *hold)
{
	switch (ipc_scope(o)) {
	case SCOPE_PROCESS:
		return hold->pid;
	case SCOPE_OPENER:
		return handle_at(o, hold->handle)->opener;
	default:
		return 0;
	}
}

void ipc_adopt(struct ipc_obj *o, ref_t handle, uint32_t pid)
{
	set32(o, handle_at(o, handle)->opener, pid);
	commit(o);
}

void ipc_process_ended(struct ipc_obj *o, uint32_t pid)
{
	LIST_EACH(o, &o->h->holds, r) {
		struct ipc_hold *hold = AT(o, ipc_hold, r);

		if (ipc_hold_process(o, hold) != pid)
			continue;
		o->ops->unhold(o, hold);
		hold_drop(o, hold);
		commit(o);
		o->work = true;
	}
}
