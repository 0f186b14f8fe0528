/* SPDX-License-Identifier: MIT */
/* The other requests on open files: locks, ioctls, seeks. */
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>

#include "object/look.h"
#include "wait/ask.h"
#include "base/proc.h"
#include "client/lib.h"
#include "object/type.h"
#include "ops/direct.h"
#include "ops/io.h"
#include "state/nodeid.h"
#include "wait/call.h"
#include "wait/door.h"
#include "wait/monitor.h"
#include "wait/turn.h"
#include "wait/watch.h"

/* ---- locks ---- */

static int take_lock(struct request *rq)
{
	struct object *ob = rq->ob;
	struct ipc_call *c = &rq->call;
	int r;

	watch_opener(ob, rq->hd, c->pid);
	if (rq->hd->kind != HANDLE_OBJECT)
		r = -EOPNOTSUPP;
	else if (!again_call(rq, &r))
		r = ipc_flock(&ob->o, c, rq->how & ~LOCK_NB);
	if (r == IPC_DONE)
		watch_holder(ob, rq->hd->opener, c->pid);
	return r;
}

/* Lock what the object's ctl/lock names, through a handle there: take_other(). */
static int find_other(struct request *rq, struct object *lock)
{
	int how = rq->how & ~LOCK_NB;

	if (how != LOCK_UN && !monitor_may(rq, lock))
		return -EACCES;
	rq->call.pid = proc_pid(rq->by.tid); /* the other object's file must have the true one */
	return monitor_flock(rq, lock, how);
}

static int lock_object_or_other(struct request *rq)
{
	struct object *lock = rq->hd->kind == HANDLE_OBJECT ? lock_object(rq->ob) : NULL;

	fill_call(&rq->call, rq, rq->how & LOCK_NB ? O_NONBLOCK : rq->flags & ~O_NONBLOCK);
	rq->call.op = OP_FLOCK;
	fill_pid(&rq->call, rq->hd);
	return lock ? find_other(rq, lock) : take_lock(rq);
}

static int take_other(struct request *rq)
{
	int r = monitor_companion(rq, rq->how & ~LOCK_NB);

	if (r < 0 || !rq->companion)
		return r;
	rq->hd = handle_at(&rq->ob->o, rq->call.handle);
	return take_lock(rq);
}

enum outcome file_flock(struct request *rq)
{
	struct ipc_handle *hd;
	int r;

	if (rq->fh & FH_PLAIN || !rq->fh) /* 0: a directory */
		return done(rq, -EOPNOTSUPP);
	r = handle_change(rq, lock_object_or_other);
	if (r == 0 && rq->lock) {
		hd = rq->hd;
		r = object_change(rq->lock, rq, take_other);
		ipc_handle_companion(hd, rq->companion);
	}
	return done(rq, r);
}

/* ---- ioctl ---- */

static int64_t number_in(const void *in, size_t in_size)
{
	int64_t v = 0;

	if (in_size >= sizeof(v))
		memcpy(&v, in, sizeof(v));
	return v;
}

static int no_handle(int r)
{
	return r == 0 || r == -EIO || r == -EBUSY ? r : -ENOTTY;
}

/* Set at once, without the object's lock. */
static int ioctl_limit(struct request *rq, int64_t v)
{
	int r = enter_unlocked(rq);

	if (r < 0)
		return no_handle(r);
	if (v < -1)
		return -EINVAL;
	ipc_handle_limit(rq->hd, rq->cmd == IPCFS_IOC_DEADLINE, v);
	return 0;
}

static int ioctl_next(struct request *rq)
{
	int64_t n = -1; /* stalled: a read would wait */
	int r = enter_to_look(rq);
	bool plain;

	if (r < 0)
		return no_handle(r);
	plain = rq->hd->flags & HANDLE_LOOK;
	if (r == 0 && !plain)
		n = ipc_next_length(&rq->ob->o, rq->hd);
	if (r == 0)
		object_unlock(rq->ob);
	memcpy(reply_buffer(), &n, sizeof(n));
	rq->reply.len = sizeof(n);
	return plain ? -ENOTTY : 0; /* as of any plain file */
}

static void granted_elsewhere(struct object *ob, const struct deferred *d)
{
	(void)d;
	ob->o.work = ob->o.freed = true;
}

/* A direct client has granted something to a request: settle it. */
static int kick(struct request *rq)
{
	int r = enter_unlocked(rq);

	if (r == 0)
		object_do(rq->ob, &(struct deferred){ .run = granted_elsewhere });
	return no_handle(r);
}

static int do_direct(struct request *rq)
{
	return direct_ioctl(rq, reply_buffer(), &rq->reply.len);
}

static int ioctl_direct(struct request *rq)
{
	int r;

	if (rq->cmd == LIB_IOC_KICK)
		return kick(rq);
	r = handle_change(rq, do_direct);
	return rq->hd ? r : no_handle(r);
}

enum outcome file_ioctl(struct request *rq)
{
	int r;

	if (rq->fh & FH_PLAIN || _IOC_TYPE(rq->cmd) != 'i')
		return done(rq, -ENOTTY);
	rq->reply.kind = REPLY_IOCTL;
	rq->reply.data = reply_buffer();
	if (rq->cmd == IPCFS_IOC_TIMEOUT || rq->cmd == IPCFS_IOC_DEADLINE)
		r = ioctl_limit(rq, number_in(rq->data, rq->size));
	else if (rq->cmd == IPCFS_IOC_NEXT)
		r = ioctl_next(rq);
	else if (rq->cmd == LIB_IOC_CLOSE)
		r = close_early(rq, number_in(rq->data, rq->size));
	else if (rq->cmd == LIB_IOC_SYNC)
		r = 0;
	else
		r = ioctl_direct(rq);
	return done(rq, r);
}

/* ---- lseek ---- */

/*
 * SEEK_DATA and SEEK_HOLE; the kernel does the others itself. Arrays and values are one extent of
 * data; nothing else has a place for every byte: without this handler the kernel would take the
 * size, which is a state, for the end of the data (and grep the rest for a hole).
 */
static int seek_extent(uint64_t ino, off_t off, int whence, off_t *ret)
{
	struct target t;
	struct stat st;
	off_t end;
	int r = target_of(ino, &t);

	if (r < 0)
		return r;
	if (t.sub != SUB_SELF || !node_is(t.node, TYPE_MEMORY | TYPE_TEXT))
		return -EINVAL;
	t.timeout = -1; /* NAME@SECONDS may show another size */
	target_attr(&t, &st);
	end = st.st_size + node_is(t.node, TYPE_TEXT); /* a value is read with a newline */
	if (off < 0 || off >= end)
		return -ENXIO;
	*ret = whence == SEEK_HOLE ? end : off;
	return 0;
}

enum outcome file_seek(struct request *rq)
{
	off_t off;
	int r = seek_extent(rq->ino, (off_t)rq->off, rq->how, &off);

	return r < 0 ? done(rq, r) : done_number(rq, REPLY_PLACE, (uint64_t)off);
}
