/* SPDX-License-Identifier: MIT */
/*
 * A restart on a kernel without FUSE_NOTIFY_RESEND (before Linux 6.9).
 *
 * The kernel does not say which requests the dead worker had read and not answered, but there are
 * only two kinds. Those that wait have a waiter, which records the request's `unique`: they fail
 * with ECONNABORTED as if interrupted (nothing was taken; a condition's or barrier's waiter keeps
 * its place for the next read), so that nobody hangs. And the one that the worker was handling is
 * still in the memory where the kernel wrote it: it is handled again (resend.c), as if the kernel
 * had resent it.
 *
 * Replying to a request that the kernel no longer knows gives ENOENT, and does no harm.
 */
#include "device/reply.h"
#include "file/list.h"
#include "object/answer.h"
#include "object/lend.h"
#include "object/type.h"
#include "object/waiter.h"
#include "ops/abandon.h"
#include "state/fs.h"
#include "state/object.h"
#include "state/tree.h"
#include "wait/ask.h"
#include "wait/turn.h"

static bool found; /* the request that the last worker was handling is one of those that wait */

/* It has its answer: that is what it gets. */
static void end_granted(struct ipc_obj *o, ref_t r)
{
	struct ipc_waiter *w = waiter_at(o, r);
	char *buf = reply_buffer();
	size_t size;

	if (ipc_is(o, TYPE_MONITOR) && w->flags & WAITER_LENT) {
		reply_to(w->unique, ECONNABORTED, NULL, 0);
		ipc_cond_park(o, r);
		return;
	}
	if (w->result < 0 || w->op == OP_FLOCK || w->op == OP_FLOCK_SHARED || w->op == OP_WRITE) {
		reply_result_to(w->unique, w->result, w->op == OP_WRITE);
	} else {
		size = w->need < MAX_IO ? w->need : MAX_IO;
		reply_to(w->unique, 0, buf, answer_copy(o, &w->got, 0, buf, size));
	}
	ipc_finish_told(o, r);
}

static void end_waiting(struct ipc_obj *o, ref_t r)
{
	uint64_t unique = waiter_at(o, r)->unique;
	uint32_t op = waiter_at(o, r)->op;
	int64_t result;

	if (!ipc_leave(o, r, -EINTR, &result))
		return;
	reply_result_to(unique, result == -EINTR ? -ECONNABORTED : result, op == OP_WRITE);
}

/*
 * A put that ended in its turn, or a wait that an INTERRUPT ended, leaves its wait queue before it
 * is answered, and was not the request that the worker was handling: its result is in the
 * completion record. (A read with a record was answered, or is the request that is handled again.)
 */
static void end_completed(struct ipc_obj *o)
{
	if (o->h->unique_handle && !o->h->unique_partial)
		reply_result_to(o->h->unique, o->h->result, o->h->result > 0);
}

static void abandon_list(struct ipc_obj *o, struct ipc_list *list, uint64_t unique,
			 void (*end)(struct ipc_obj *o, ref_t r))
{
	LIST_EACH(o, list, r) {
		if (!waiter_is_request(waiter_at(o, r)))
			continue;
		found |= waiter_at(o, r)->unique == unique;
		end(o, r);
	}
}

static void abandon_in(struct object *ob, const struct deferred *d)
{
	struct ipc_obj *o = &ob->o;

	if (o->h->unique != d->unique) /* first: those who leave now are recorded there, too */
		end_completed(o);
	abandon_list(o, &o->h->granted, d->unique, end_granted);
	for (unsigned int i = 0; i < IPC_WAITQS; i++)
		abandon_list(o, &o->h->waitqs[i], d->unique, end_waiting);
}

static void abandon_one(struct object *ob, void *arg)
{
	const uint64_t *unique = arg;

	object_do(ob, &(struct deferred){ .run = abandon_in, .unique = *unique });
	if (!ob->deferred || found)
		return;
	/* It may wait for this one, or have been done. It must not be done twice. */
	reply_to(*unique, ECONNABORTED, NULL, 0);
	found = true;
}

bool abandon_waiters(uint64_t unique)
{
	found = false;
	turn_each_active(abandon_one, &unique);
	return found;
}
