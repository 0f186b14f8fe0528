/* SPDX-License-Identifier: MIT */
/* The other requests on open files: locks, ioctls, seeks. */
#include <poll.h>

#include "ops/direct.h"
#include "wait/held.h"
#include "ops/io.h"
#include "client/lib.h"
#include "wait/monitor.h"
#include "object/type.h"

/* ---- locks ---- */

void ops_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op)
{
	struct target t;
	struct object *ob, *lock;
	struct ipc_handle *hd;
	struct ipc_call c;
	uint32_t opener;
	uint64_t fh;
	int r;

	if (fi->fh & FH_PLAIN || !fi->fh) {	/* 0: a directory */
		fuse_reply_err(req, EOPNOTSUPP);
		return;
	}
	if (!enter_to_wait(req, ino, fi->fh, &t, &ob, &hd))
		return;
	fill_call(&c, req, &ob->o, hd, op & LOCK_NB ? O_NONBLOCK : fi->flags & ~O_NONBLOCK);
	c.op = OP_FLOCK;
	fill_pid(&c, hd);
	lock = lock_object(ob);
	if (lock && hd->kind == HANDLE_OBJECT && (op & ~LOCK_NB) != LOCK_UN && !monitor_may(req, lock)) {
		object_unlock(ob);
		fuse_reply_err(req, EACCES);
		return;
	}
	if (lock && hd->kind == HANDLE_OBJECT) {
		c.pid = proc_pid(c.tid);	/* the other object's file has to know it truly */
		r = monitor_flock(ob, hd, lock, op & ~LOCK_NB, &c, &fh);
		settle(ob);
		if (r == 0 && fh)
			r = object_enter(lock);
		if (r < 0 || !fh) {
			fuse_reply_err(req, -r);
			return;
		}
		ob = lock;
		c.handle = (ref_t)fh;
	}
	hd = handle_at(&ob->o, c.handle);
	watch_opener(ob, hd, c.pid);
	opener = hd->opener;
	if (hd->kind != HANDLE_OBJECT)
		r = -EOPNOTSUPP;
	else if (!done_before(ob, &c, &r))
		r = ipc_flock(&ob->o, &c, op & ~LOCK_NB);
	if (r == IPC_WAIT) {
		park(req, ob, &c, NULL);
		return;
	}
	ipc_pump(&ob->o);
	object_unlock(ob);
	fuse_reply_err(req, -r);
	if (r == 0)
		watch_holder(ob, opener, c.pid);
	if (object_lock(ob) == 0)
		settle(ob);
}

/* fcntl locks: refused, so that the kernel never keeps them locally, an inode each. */
void ops_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock)
{
	fuse_reply_err(req, EOPNOTSUPP);
}

void ops_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock,
	       int sleep)
{
	fuse_reply_err(req, EOPNOTSUPP);
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

/*
 * Words that the daemon alone writes: set at once, whoever has the object's lock. What got EAGAIN
 * under the old limit begins anew.
 */
static int ioctl_limit(uint64_t ino, uint64_t fh, unsigned int cmd, int64_t v)
{
	struct target t;
	struct object *ob;
	struct ipc_handle *hd;
	int r = enter_unlocked(ino, fh, &t, &ob, &hd);

	if (r < 0)
		return no_handle(r);
	if (v < -1)
		return -EINVAL;
	__atomic_store_n(cmd == IPCFS_IOC_TIMEOUT ? &hd->timeout : &hd->deadline, v,
			 __ATOMIC_RELAXED);
	__atomic_store_n(&hd->clock[0], 0, __ATOMIC_RELAXED);
	__atomic_store_n(&hd->clock[1], 0, __ATOMIC_RELAXED);
	return 0;
}

static int ioctl_next(uint64_t ino, uint64_t fh, int64_t *ret)
{
	struct target t;
	struct object *ob;
	struct ipc_handle *hd;
	int r = enter_to_look(ino, fh, &t, &ob, &hd);
	bool plain;

	if (r < 0)
		return no_handle(r);
	plain = hd->flags & HANDLE_LOOK;
	*ret = -1;		/* stalled: a read would wait */
	if (r == 0 && !plain)
		*ret = ipc_next_length(&ob->o, hd);
	if (r == 0)
		settle(ob);
	return plain ? -ENOTTY : 0;	/* as of any plain file */
}

static int ioctl_direct(fuse_req_t req, uint64_t ino, uint64_t fh, unsigned int cmd, const void *in,
			size_t in_size, struct lib_attach *out, size_t *ret_size)
{
	struct target t;
	struct object *ob;
	struct ipc_handle *hd;
	int r;

	if (cmd == LIB_IOC_KICK) {	/* if it is stalled now, it is looked at later */
		r = enter_unlocked(ino, fh, &t, &ob, &hd);
		if (r < 0 || object_lock(ob) == -EBUSY)
			return no_handle(r);
		object_unlock(ob);
	}
	r = enter(ino, fh, &t, &ob, &hd);
	if (r < 0)
		return no_handle(r);
	r = direct_ioctl(ob, hd, req, cmd, in, in_size, out, ret_size);
	commit(&ob->o);
	settle(ob);
	return r;
}

void ops_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
	       struct fuse_file_info *fi, unsigned int flags, const void *in_buf, size_t in_size,
	       size_t out_size)
{
	union { struct lib_attach attach; int64_t v; } out;
	size_t n_out = 0;
	int r;

	if (flags & FUSE_IOCTL_DIR || fi->fh & FH_PLAIN || _IOC_TYPE(cmd) != 'i') {
		fuse_reply_err(req, ENOTTY);
		return;
	}
	if (cmd == IPCFS_IOC_TIMEOUT || cmd == IPCFS_IOC_DEADLINE) {
		r = ioctl_limit(ino, fi->fh, cmd, number_in(in_buf, in_size));
	} else if (cmd == IPCFS_IOC_NEXT) {
		r = ioctl_next(ino, fi->fh, &out.v);
		n_out = sizeof(out.v);
	} else if (cmd == LIB_IOC_CLOSE) {
		r = close_early(ino, fi->fh, number_in(in_buf, in_size));
	} else if (cmd == LIB_IOC_SYNC) {
		r = 0;
	} else {
		r = ioctl_direct(req, ino, fi->fh, cmd, in_buf, in_size, &out.attach, &n_out);
	}
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_ioctl(req, 0, n_out ? &out : NULL, n_out);
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
	t.timeout = -1;		/* NAME@SECONDS may show another size */
	target_attr(&t, &st);
	end = st.st_size + node_is(t.node, TYPE_TEXT);	/* a value is read with a newline */
	if (off < 0 || off >= end)
		return -ENXIO;
	*ret = whence == SEEK_HOLE ? end : off;
	return 0;
}

void ops_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	int r = seek_extent(ino, off, whence, &off);

	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_lseek(req, off);
}
