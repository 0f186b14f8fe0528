/* SPDX-License-Identifier: MIT */
/*
 * Completion records: the result of a request, for the next daemon, to which the kernel may resend
 * it. The header has room for the last request, and for the last one before each of the last few
 * restarts.
 */
#include <string.h>

#include "file/log.h"
#include "object/completion.h"
#include "object/waiter.h"
#include "object/wake.h"

void call_record(struct ipc_obj *o, struct ipc_call *c, int64_t result, bool partial)
{
	struct ipc_header *h = o->h;

	c->result = result;
	if (!c->unique)
		return;
	if (c->waiter) {
		set64(o, waiter_at(o, c->waiter)->arg, result);
		return;
	}
	set64(o, h->unique, c->unique);
	set64(o, h->result, result);
	set32(o, h->unique_handle, c->handle);
	set32(o, h->unique_partial, partial);
}

static void completion_set(struct ipc_obj *o, struct ipc_completion *to,
			   const struct ipc_completion *from)
{
	set64(o, to->unique, from->unique);
	set64(o, to->result, from->result);
	set32(o, to->handle, from->handle);
	set32(o, to->partial, from->partial);
}

static struct ipc_completion completion_last(const struct ipc_header *h)
{
	return (struct ipc_completion){ h->unique, h->result, h->unique_handle, h->unique_partial };
}

void ipc_restarted(struct ipc_obj *o)
{
	struct ipc_completion last = completion_last(o->h);

	ipc_wake_again(o);
	if (!last.unique || !memcmp(&last, &o->h->completions[0], sizeof(last)))
		return;
	/* A partial record is replaced when its request completes. */
	if (last.unique != o->h->completions[0].unique)
		for (unsigned int i = IPC_COMPLETIONS - 1; i; i--)
			completion_set(o, &o->h->completions[i], &o->h->completions[i - 1]);
	completion_set(o, &o->h->completions[0], &last);
	commit(o);
}

bool ipc_completion_find(struct ipc_obj *o, uint64_t unique, ref_t handle, int64_t *ret_result,
			 bool *ret_partial)
{
	struct ipc_completion n = completion_last(o->h);

	for (unsigned int i = 0; n.unique != unique || n.handle != handle; i++) {
		if (i == IPC_COMPLETIONS)
			return false;
		n = o->h->completions[i];
	}
	*ret_result = n.result;
	*ret_partial = n.partial;
	return unique != 0;
}

void ipc_completions_forget(struct ipc_obj *o)
{
	static const struct ipc_completion none;

	set64(o, o->h->unique, 0);
	for (unsigned int i = 0; i < IPC_COMPLETIONS; i++)
		completion_set(o, &o->h->completions[i], &none);
	commit(o);
}
