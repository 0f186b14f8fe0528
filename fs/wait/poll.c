/* SPDX-License-Identifier: MIT */
/* POLL, and what a program that polls does besides: reads and writes with O_NONBLOCK. */
#include <fcntl.h>
#include <poll.h>

#include "object/type.h"
#include "object/waiter.h"
#include "state/nodeid.h"
#include "wait/call.h"
#include "object/poll.h"
#include "wait/door.h"
#include "wait/monitor.h"
#include "wait/nonblock.h"
#include "wait/pollers.h"
#include "wait/poll.h"

void nonblock_stand(struct object *ob, struct ipc_handle *hd, struct ipc_call *c, int flags)
{
	int64_t limit = ipc_deadline(hd, IPC_NEVER);

	if (!(flags & O_NONBLOCK) || hd->flags & HANDLE_LIB || hd->kind != HANDLE_OBJECT ||
	    !limit || !ipc_is(&ob->o, TYPE_STANDS))
		return;
	c->stand = true;
	c->deadline = limit;
}

int nonblock_ended(struct object *ob, struct ipc_call *c, unsigned int dir, int flags, int r)
{
	struct ipc_handle *hd = handle_at(&ob->o, c->handle);

	if (r == IPC_WAIT) {
		if (c->stand)
			look_again_at(ob, waiter_at(&ob->o, c->waiter)->deadline);
		return r;
	}
	if (ob->o.damage || hd->flags & HANDLE_LIB || c->stand)
		return r;
	r = ipc_clock(&ob->o, c, dir, flags & O_NONBLOCK ? ipc_deadline(hd, IPC_NEVER) : 0, r);
	if (hd->clock[dir])
		look_again_at(ob, hd->clock[dir]);
	return r;
}

static unsigned int poll_now(struct request *rq)
{
	struct object *ob = rq->ob;
	uint32_t events = rq->events;
	unsigned int ready;

	/* A direct client may have changed something that others poll for, too. */
	if (rq->asks && ob->direct && ob->o.h->polls.count)
		wake_pollers(ob);
	monitor_polled(ob, rq->hd, rq->asks ? rq->poll_kh : 0);
	ready = ipc_ready(&ob->o, rq->hd);
	events |= (events & POLLRDNORM ? POLLIN : 0) | (events & POLLWRNORM ? POLLOUT : 0);
	if (rq->asks)
		pollers_add(ob, rq->poll_kh);
	if (rq->asks && ipc_poll_asked(&ob->o, ref_of(&ob->o, rq->hd), rq->poll_kh, events, ready))
		wake_pollers(ob);
	object_unlock(ob);
	return ready;
}

/* The object is stalled: any operation would wait now. */
static unsigned int poll_stalled(struct request *rq)
{
	struct object *ob = rq->ob;

	if (rq->asks)
		pollers_add_late(ob, rq->hd, rq->poll_kh);
	return ob->refuses ? POLLERR : 0;
}

static unsigned int poll_object(struct request *rq)
{
	int r = enter_to_look(rq);

	if (r < 0)
		return POLLERR;
	return r == LOOK_UNLOCKED ? poll_stalled(rq) : poll_now(rq);
}

enum outcome file_poll(struct request *rq)
{
	unsigned int ready = rq->fh & FH_PLAIN ? POLLIN | POLLOUT : poll_object(rq);

	if (rq->aside.ob)
		return STALLED;
	return done_number(rq, REPLY_READY,
			   ready | (ready & POLLIN ? POLLRDNORM : 0) |
				   (ready & POLLOUT ? POLLWRNORM : 0));
}
