/* SPDX-License-Identifier: MIT */
/*
 * Waiters that leave without what they waited for: interrupted, timed out or cancelled. A type may
 * decide that the waiter stays after all (struct ipc_type, left), as conditions and barriers do.
 */
#include "file/list.h"
#include "file/log.h"
#include "object/completion.h"
#include "object/parked.h"
#include "object/stats.h"
#include "object/type.h"
#include "object/waiter.h"

bool ipc_leave(struct ipc_obj *o, ref_t r, int why, int64_t *ret)
{
	struct ipc_waiter *w = waiter_at(o, r);
	enum ipc_left left = o->ops->left ? o->ops->left(o, w, why) : LEFT_GOES;
	struct ipc_call c = { .unique = w->unique, .handle = w->handle };

	o->work = true;
	if (left == LEFT_WAITS) {
		set64(o, w->deadline, IPC_NEVER);
		commit(o);
		return false;
	}
	/* Bytes that are already in stay in: a short count. */
	*ret = w->op == OP_WRITE && w->arg ? (int64_t)w->arg : why;
	stats_ended(o, why);
	call_record(o, &c, *ret, false);
	if (left == LEFT_PARKED)
		waiter_park(o, r);
	else
		waiter_done(o, r);
	commit(o);
	return true;
}

/* End its wait by granting it this error, which its caller is then told. Committed. */
static void send_away(struct ipc_obj *o, ref_t r, int why)
{
	struct ipc_waiter *w = waiter_at(o, r);
	struct ipc_answer none = { 0 };

	o->work = true;
	set64(o, w->deadline, IPC_NEVER);
	if (o->ops->left && o->ops->left(o, w, why) != LEFT_GOES) {
		commit(o);
	} else if (w->flags & WAITER_PARKED) {
		waiter_done(o, r);
		commit(o);
	} else { /* as above, a short count */
		waiter_grant(o, r, w->op == OP_WRITE && w->arg ? (int64_t)w->arg : why, &none);
	}
}

void ipc_refuse(struct ipc_obj *o, ref_t r)
{
	const struct ipc_waiter *w = waiter_at(o, r);

	if (w->state == WAITER_WAITING || w->state == WAITER_TURN) /* else it has its answer */
		send_away(o, r, -EDEADLK);
}

void ipc_expire(struct ipc_obj *o, int64_t now)
{
	for (unsigned int i = IPC_WAITQS; i-- > 0;)
		LIST_EACH(o, &o->h->waitqs[i], r)
			if (waiter_at(o, r)->flags & WAITER_STANDS &&
			    waiter_at(o, r)->deadline <= now)
				send_away(o, r, -ETIMEDOUT);
}

static int cancel(struct ipc_obj *o, uint32_t pid, bool direct)
{
	int n = 0;

	/*
	 * Backwards, because a condition's waiter moves to a later queue and must not be met twice.
	 */
	for (unsigned int i = IPC_WAITQS; i-- > 0;)
		LIST_EACH(o, &o->h->waitqs[i], r) {
			struct ipc_waiter *w = waiter_at(o, r);

			if (pid && w->pid != pid && w->tid != pid)
				continue;
			if (direct && !(w->flags & WAITER_DIRECT))
				continue;
			n++;
			send_away(o, r, -ECANCELED);
		}
	o->work = true;
	return n;
}

int ipc_cancel(struct ipc_obj *o, uint32_t pid)
{
	return cancel(o, pid, false);
}

void ipc_cancel_direct(struct ipc_obj *o)
{
	cancel(o, 0, true);
	/* Grants a condition's waiter if its lock is free; others learn that the mount is gone. */
	ipc_pump(o);
}
