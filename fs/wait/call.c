/* SPDX-License-Identifier: MIT */
/* From a request to the engine's call: whose handle, who asks, and how long it may wait. */

#include <fcntl.h>
#include <sys/stat.h>

#include "base/proc.h"
#include "client/lib.h"
#include "object/engine.h"
#include "state/blank.h"
#include "state/nodeid.h"
#include "wait/call.h"
#include "wait/door.h"

static int find(uint64_t ino, struct target *t, struct object **ret_ob)
{
	int r;

	/* The node of an open file remains, unless the object is damaged and was removed. */
	if (target_of(ino, t) < 0)
		return -EIO;
	if (t->node->type != IPC_DIR && node_is_blank(t->node)) /* nobody has it open */
		return -EBADF;
	*ret_ob = object_of(t->node, &r);
	return *ret_ob ? 0 : r;
}

static int find_handle(struct object *ob, uint64_t fh, struct ipc_handle **ret_hd)
{
	*ret_hd = fh & FH_PLAIN ? NULL : fh_handle(&ob->o, fh);
	return *ret_hd ? 0 : ob->o.damage ? -EIO : -EBADF;
}

static int enter_by(struct request *rq, int (*lock)(struct object *ob, struct request *rq))
{
	int r = find(rq->ino, &rq->t, &rq->ob), locked;

	rq->hd = NULL;
	if (r < 0)
		return r;
	locked = lock(rq->ob, rq);
	if (locked < 0)
		return locked;
	r = find_handle(rq->ob, rq->fh, &rq->hd);
	if (r < 0)
		object_unlock(rq->ob);
	return r < 0 ? r : locked;
}

int enter(struct request *rq)
{
	return enter_by(rq, object_enter);
}

int enter_to_look(struct request *rq)
{
	return enter_by(rq, object_look);
}

int file_handle(uint64_t ino, uint64_t fh, struct target *t, struct object **ret_ob,
		struct ipc_handle **ret_hd)
{
	int r = find(ino, t, ret_ob);

	if (r == 0 && (*ret_ob)->o.damage)
		r = -EIO;
	return r < 0 ? r : find_handle(*ret_ob, fh, ret_hd);
}

int enter_unlocked(struct request *rq)
{
	return file_handle(rq->ino, rq->fh, &rq->t, &rq->ob, &rq->hd);
}

void fill_call(struct ipc_call *c, const struct request *rq, int flags)
{
	*c = (struct ipc_call){
		.handle = ref_of(&rq->ob->o, rq->hd),
		.tid = rq->by.tid,
		.uid = rq->by.uid,
		.unique = rq->by.unique,
		.limit = mount_body()->message_limit,
		.deadline = ipc_deadline(rq->hd, flags & O_NONBLOCK ? 0 : IPC_NEVER),
	};
}

/* Holds, leases and unfinished lines record the process that made them. */
void fill_pid(struct ipc_call *c, struct ipc_handle *hd)
{
	if (hd->tid != c->tid || !hd->pid)
		ipc_handle_used(hd, c->tid, proc_pid(c->tid));
	c->pid = hd->pid;
}

/* libipcfs passes this call's own time limit, and a flag, in the offset. */
uint64_t lib_call(struct ipc_call *c, const struct ipc_handle *hd, uint64_t off, bool *ret_special)
{
	int64_t timeout;

	*ret_special = false;
	if (!(hd->flags & HANDLE_LIB))
		return off;
	timeout = lib_timeout(off);
	*ret_special = off & LIB_SPECIAL;
	c->keeps = off & LIB_KEEP;
	if (timeout == 0)
		c->deadline = 0;
	else if (timeout > 0 && (int64_t)ipc_now() + timeout < c->deadline)
		c->deadline = (int64_t)ipc_now() + timeout;
	return off & LIB_OFFSET;
}

static int64_t now_coarse(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* As on every file system, where the kernel does it; here it leaves it to us. */
static void drop_privileges(struct node *n)
{
	struct ipc_node *b = node_block(n);
	uint32_t mode = b->mode & ~(uint32_t)S_ISUID;

	if (mode & S_IXGRP)
		mode &= ~(uint32_t)S_ISGID;
	if (mode != b->mode)
		names_chmod(&fs.mount, n->ref, mode, b->uid, b->gid);
}

void touch(const struct request *rq, struct node *n, bool written)
{
	struct ipc_node *b = node_block(n);

	if (written && rq->unprivileged)
		drop_privileges(n);
	*(written ? &b->mtime : &b->atime) = now_coarse();
	if (written)
		b->ctime = b->mtime;
}
