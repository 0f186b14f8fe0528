/* SPDX-License-Identifier: MIT */
/* WRITE: messages and bytes for queues and pipes, commands for all others, memory for arrays. */

#include "state/alias.h"
#include "state/array.h"
#include "ctl/ctl.h"
#include "object/command.h"
#include "ops/io.h"
#include "state/memory.h"
#include "wait/nonblock.h"
#include "object/type.h"

/* Commands, one a line; a value's text is one command. All are understood before one is done. */
static int write_commands(struct object *ob, struct ipc_call *c, const char *buf, size_t size)
{
	const struct ipc_handle *hd = handle_at(&ob->o, c->handle);
	bool bytes = ipc_is_jobserver(&ob->o) && !(hd->flags & HANDLE_LIB);
	bool whole = ipc_is(&ob->o, TYPE_TEXT) || bytes;
	int r = 0;

	if (c->pos > size)		/* says the object's file, after a restart */
		return -EIO;
	for (int pass = 0; pass < 2; pass++) {
		size_t done = c->pos;		/* before a restart */

		do {
			const char *nl = whole ? NULL : memchr(buf + done, '\n', size - done);
			size_t n = nl ? (size_t)(nl - buf) + 1 - done : size - done;
			struct ipc_cmd cmd;

			cmd = (struct ipc_cmd){ .verb = CMD_ADD, .n = (int64_t)n };
			r = bytes ? 0 : ipc_command(ob->o.ops, buf + done, n, &cmd);
			if (r == 0 && pass) {
				c->pos = done;
				c->len = done + n;
				c->more = done + n < size;
				r = ipc_give(&ob->o, c, &cmd);
				c->done = 0;
				if (c->more)	/* who waits sees each of them: `set`, `clear` */
					ipc_pump(&ob->o);
			}
			if (r < 0)
				break;
			done += n;
		} while (done < size);
		if (pass)
			c->done = done;
		else if (r < 0)
			return r;
	}
	return c->done ? 0 : r;
}

static void reply_write(fuse_req_t req, struct object *ob, struct node *n, int r, size_t done)
{
	if (r == 0)
		touch(n, true);
	ipc_pump(&ob->o);
	object_unlock(ob);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_write(req, done);
	if (object_lock(ob) == 0)
		settle(ob);
}

/*
 * Bytes that an array has are written without its lock, for which a write might have to wait: the
 * kernel would hold the lock of the inode meanwhile, and names lead there (alias.c).
 */
static bool write_in_place(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
			   const struct fuse_file_info *fi)
{
	struct target t;
	struct object *ob = array_open(ino, fi->fh, &t);
	ssize_t n;

	if (!ob || fi->flags & O_APPEND || !array_has(ob, (uint64_t)off, size))
		return false;
	n = array_write(ob, buf, size, (uint64_t)off);
	if (n < 0) {
		fuse_reply_err(req, (int)-n);
		return true;
	}
	attr_recall(t.node);
	touch(t.node, true);
	fuse_reply_write(req, (size_t)n);
	return true;
}

/*
 * Room for an array. For anything else posix_fallocate(3) would read and write a byte here and
 * there, were it told EOPNOTSUPP.
 */
static int allocate(struct object *ob, int mode, off_t off, off_t len)
{
	uint64_t end = (uint64_t)off + (uint64_t)len;

	if (!ipc_is(&ob->o, TYPE_MEMORY))
		return -EINVAL;
	if (mode)
		return -EOPNOTSUPP;
	return end > ob->o.h->b.array.length ? array_resize(ob, end) : 0;
}

void ops_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
		   struct fuse_file_info *fi)
{
	struct target t;
	struct object *ob;
	struct ipc_handle *hd;
	int r = fi->fh & FH_PLAIN ? -EINVAL : enter(ino, fi->fh, &t, &ob, &hd);

	if (r == 0) {
		r = allocate(ob, mode, off, len);
		if (r == 0)
			touch(t.node, true);
		settle(ob);
	}
	fuse_reply_err(req, -r);
}

void ops_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
	       struct fuse_file_info *fi)
{
	struct target t;
	struct object *ob;
	struct ipc_handle *hd;
	struct ipc_call c;
	bool special;
	int r;

	if (fi->fh & FH_PLAIN) {
		ssize_t n = -ESTALE;

		ob = NULL;
		if (target_of(ino, &t) == 0)
			n = ctl_write(&t, buf, size, raw.unique, &ob);
		if (n < 0)
			fuse_reply_err(req, (int)-n);
		else
			fuse_reply_write(req, (size_t)n);
		if (ob && object_lock(ob) == 0)
			settle(ob);
		return;
	}
	if (write_in_place(req, ino, buf, size, off, fi) ||
	    !enter_to_wait(req, ino, fi->fh, &t, &ob, &hd))
		return;
	if (ipc_is(&ob->o, TYPE_MEMORY)) {
		ssize_t n = array_write(ob, buf, size, fi->flags & O_APPEND ?
					ob->o.h->b.array.length : (uint64_t)off);

		reply_write(req, ob, t.node, n < 0 ? (int)n : 0, n < 0 ? 0 : (size_t)n);
		return;
	}
	fill_call(&c, req, &ob->o, hd, fi->flags);
	c.op = OP_WRITE;
	lib_call(&c, hd, (uint64_t)off, &special);
	if (special && ipc_is_stream(ob->o.ops))
		size = 0;
	c.data = buf;
	c.len = size;
	c.end = hd->flags & HANDLE_POSITION ? (uint64_t)off + size : 0;
	if (done_before(ob, &c, &r)) {
		if (r == 0)
			c.done = (size_t)c.result;
	} else if (hd->kind != HANDLE_OBJECT) {
		r = -EBADF;
	} else if (ipc_is_stream(ob->o.ops)) {
		if (hd->line || !size || buf[size - 1] != '\n')
			fill_pid(&c, hd);
		r = nonblock_ended(ob, &c, 1, fi->flags, ipc_put(&ob->o, &c));
	} else {
		fill_pid(&c, hd);
		r = write_commands(ob, &c, buf, size);
	}
	if (r == IPC_WAIT && waiter_at(&ob->o, c.waiter)->flags & WAITER_MEMORY &&
	    !memory_may_come(waiter_at(&ob->o, c.waiter)->need)) {
		int64_t result;

		ipc_leave(&ob->o, c.waiter, -ENOSPC, &result);
		c.result = result;
		r = result < 0 ? (int)result : 0;
	}
	if (r == IPC_WAIT) {
		char *copy = malloc(size + 1);

		if (!copy)
			abort();	/* the next worker will find the waiter and get the data again */
		memcpy(copy, buf, size);
		c.data = NULL;
		c.len = size;
		park(req, ob, &c, copy);
		return;
	}
	reply_write(req, ob, t.node, r, ipc_is_stream(ob->o.ops) && r == 0 ? (size_t)c.result : c.done);
}
