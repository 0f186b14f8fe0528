/* SPDX-License-Identifier: MIT */
/* The other requests on open files: locks, ioctls, seeks. */
#include <poll.h>

#include "direct.h"
#include "io.h"
#include "monitor.h"
#include "type.h"

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
		r = monitor_flock(ob, hd, lock, op & ~LOCK_NB, &fh);
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

/* The length of what the next read would give; -1: it would wait. */
static int64_t next_length(struct object *ob, struct ipc_handle *hd)
{
	struct ipc_obj *o = &ob->o;
	unsigned int ready = ipc_poll(o, ref_of(o, hd));

	ipc_next_rest(o, hd);
	if (answer_left(&hd->hand))
		return (int64_t)answer_left(&hd->hand);
	if (!(ready & POLLIN))
		return -1;
	if (hd->kind == HANDLE_OBJECT && is_stream_type(o->type)) {
		struct ipc_mq *q = ipc_reads_from(o, hd);
		uint32_t framing = ipc_framing(o, hd);

		if (!q->count)
			return 0;
		if (framing == FRAMING_BYTES)
			return (int64_t)q->bytes;
		return msg_at(o, q->head)->len - q->skip + (framing == FRAMING_LINE);
	}
	return (int64_t)(o->ops->next ? o->ops->next(o, hd) : 2);
}

/* What got EAGAIN under the old limit begins anew. */
static void limit_changed(struct ipc_obj *o, struct ipc_handle *hd, int64_t *limit, int64_t v)
{
	set64_at(o, (uint64_t *)limit, (uint64_t)v);
	set64(o, hd->clock[0], 0);
	set64(o, hd->clock[1], 0);
}

void ops_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
	       struct fuse_file_info *fi, unsigned int flags, const void *in_buf, size_t in_size,
	       size_t out_size)
{
	struct target t;
	struct object *ob;
	struct ipc_handle *hd;
	struct lib_attach out;
	size_t n_out = 0;
	int64_t v = 0;
	int r = 0;

	if (flags & FUSE_IOCTL_DIR || fi->fh & FH_PLAIN || _IOC_TYPE(cmd) != 'i') {
		fuse_reply_err(req, ENOTTY);
		return;
	}
	if (in_size >= sizeof(v))
		memcpy(&v, in_buf, sizeof(v));
	if (cmd == LIB_IOC_SYNC || cmd == LIB_IOC_CLOSE) {
		r = cmd == LIB_IOC_SYNC ? 0 : close_early(ino, fi->fh, v);
		if (r < 0)
			fuse_reply_err(req, -r);
		else
			fuse_reply_ioctl(req, 0, NULL, 0);
		return;
	}
	r = enter(ino, fi->fh, &t, &ob, &hd);
	if (r < 0) {
		fuse_reply_err(req, r == -EIO ? EIO : ENOTTY);
		return;
	}
	switch (cmd) {
	case IPCFS_IOC_TIMEOUT:
		if (v < -1)
			r = -EINVAL;
		else
			limit_changed(&ob->o, hd, &hd->timeout, v);
		break;
	case IPCFS_IOC_DEADLINE:
		if (v < -1)
			r = -EINVAL;
		else
			limit_changed(&ob->o, hd, &hd->deadline, v);
		break;
	case IPCFS_IOC_NEXT:
		if (hd->flags & HANDLE_LOOK)	/* as any plain file */
			r = -ENOTTY;
		else
			v = next_length(ob, hd);
		break;
	default:
		r = direct_ioctl(ob, hd, req, cmd, in_buf, in_size, &out, &n_out);
	}
	commit(&ob->o);
	settle(ob);
	if (r < 0)
		fuse_reply_err(req, -r);
	else if (n_out)
		fuse_reply_ioctl(req, 0, &out, n_out);
	else if (cmd == IPCFS_IOC_NEXT)
		fuse_reply_ioctl(req, 0, &v, sizeof(v));
	else
		fuse_reply_ioctl(req, 0, NULL, 0);
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
	if (t.sub != SUB_SELF || (t.node->type != IPC_ARRAY && t.node->type != IPC_VALUE))
		return -EINVAL;
	t.timeout = -1;		/* NAME@SECONDS may show another size */
	target_attr(&t, &st);
	end = st.st_size + (t.node->type == IPC_VALUE);	/* a value is read with a newline */
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
