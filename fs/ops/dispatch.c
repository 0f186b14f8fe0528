/* SPDX-License-Identifier: MIT */
/* Who handles which request, and what becomes of it. */
#include "ops/dispatch.h"

#include "ctl/refuse.h"
#include "device/transport.h"
#include "ops/dir.h"
#include "ops/io.h"
#include "wait/aside.h"
#include "wait/park.h"
#include "wait/poll.h"
#include "wait/turn.h"

/* It was opened, but the caller is gone. */
static void close_unwanted(struct request *rq)
{
	rq->fh = rq->reply.fh;
	if (rq->reply.kind == REPLY_CREATE)
		rq->ino = rq->reply.entry.ino;
	close_handle(rq);
}

static void tell(struct request *rq)
{
	const struct reply *r = &rq->reply;
	bool opens = !r->error && r->fh && (r->kind == REPLY_OPEN || r->kind == REPLY_CREATE);

	if (rq->settle_first)
		turn_end();
	if (rq->aside.told)
		reply_drop(rq->asker);
	else if (reply_send(rq->asker, r) == -ENOENT && opens)
		close_unwanted(rq);
}

static void wait(struct request *rq)
{
	bool for_a_lock = refuse_concerns(rq->ob, rq->call.waiter);

	park(rq);
	if (for_a_lock)
		refuse_look();
}

static void end(struct request *rq, enum outcome outcome)
{
	switch (outcome) {
	case DONE:
		tell(rq);
		break;
	case WAIT:
		if (rq->call.waiter)
			wait(rq);
		break;
	case STALLED:
		aside_limit(rq);
		reply_drop(rq->asker);
		break;
	}
}

static const struct handlers handlers = {
	.open = file_open,
	.release = file_release,
	.flush = file_flush,
	.read = file_read,
	.write = file_write,
	.allocate = file_allocate,
	.flock = file_flock,
	.ioctl = file_ioctl,
	.poll = file_poll,
	.seek = file_seek,
	.lookup = name_lookup,
	.get_attr = attr_get,
	.set_attr = attr_set,
	.read_link = name_readlink,
	.statfs = mount_statfs,
	.make_node = name_mknod,
	.make_folder = name_mkdir,
	.create = name_create,
	.unlink = name_unlink,
	.remove_folder = name_rmdir,
	.rename = name_rename,
	.open_folder = dir_open,
	.read_folder = dir_read,
	.end = end,
	.interrupted = park_interrupted,
};

bool dispatch(void *msg, size_t len, bool again, struct aside *as)
{
	return transport_take(msg, len, again, as, &handlers);
}
