/* SPDX-License-Identifier: MIT */
/*
 * From what the kernel sends to the handler, and from what that says to what becomes of the
 * request. libfuse takes each message apart, and calls back; what it does not tell we read before.
 */
#include <linux/fuse.h>
#include <stdlib.h>

#include "ops/dir.h"
#include "ops/dispatch.h"
#include "ops/io.h"
#include "state/alias.h"
#include "wait/poll.h"
#include "wait/turn.h"
#include "wait/park.h"

/* The request in hand: one thread deals with them, one after the other. */
static struct request now;

/* ---- before the handler ---- */

static void read_header(const void *msg, size_t n, bool again, const struct aside *as)
{
	const struct fuse_in_header *h = msg;

	now = (struct request){
		.by = { .unique = unique_of(h->unique),
			.resent = again || unique_is_resent(h->unique),
			.tid = h->pid,
			.uid = h->uid,
			.gid = h->gid },
		.opcode = h->opcode,
		.ino = h->nodeid,
		.aside = *as,
	};
	if (h->opcode == FUSE_POLL && n >= sizeof(*h) + sizeof(struct fuse_poll_in))
		now.poll_kh = ((const struct fuse_poll_in *)(h + 1))->kh;
	if (h->opcode == FUSE_WRITE && n >= sizeof(*h) + sizeof(struct fuse_write_in))
		now.unprivileged = ((const struct fuse_write_in *)(h + 1))->write_flags &
				   FUSE_WRITE_KILL_SUIDGID;
	if (h->opcode == FUSE_READ && n >= sizeof(*h) + sizeof(struct fuse_read_in))
		now.by_cache =
			!(((const struct fuse_read_in *)(h + 1))->read_flags & FUSE_READ_LOCKOWNER);
}

static struct request *begin(fuse_req_t req, fuse_ino_t ino, const struct fuse_file_info *fi)
{
	now.req = req;
	now.ino = ino;
	if (fi) {
		now.fh = fi->fh;
		now.flags = fi->flags;
	}
	return &now;
}

static struct request *begin_name(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	now.name = name;
	now.mode = mode;
	return begin(req, parent, NULL);
}

/* One that may wait, and then be interrupted: before anything is locked (park.c). */
static struct request *begin_to_wait(fuse_req_t req, fuse_ino_t ino,
				     const struct fuse_file_info *fi)
{
	fuse_req_interrupt_func(req, parked_interrupted, NULL);
	return begin(req, ino, fi);
}

/* ---- behind it ---- */

/* It was opened, and nobody waits for it any more. */
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
		reply_drop(rq->req);
	else if (reply_send(rq->req, r) == -ENOENT && opens)
		close_unwanted(rq);
}

static void end(struct request *rq, enum outcome outcome)
{
	switch (outcome) {
	case DONE:
		tell(rq);
		break;
	case WAIT:
		if (rq->call.waiter)
			park(rq);
		break;
	case STALLED:
		reply_drop(rq->req);
		break;
	}
}

bool dispatch(void *msg, size_t len, bool again, struct aside *as)
{
	struct fuse_buf buf = { .mem = msg, .size = len };

	read_header(msg, len, again, as);
	fuse_session_process_buf(fs.se, &buf);
	*as = now.aside;
	return as->ob != NULL;
}

/* ---- open files ---- */

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct request *rq = begin(req, ino, fi);

	end(rq, file_open(rq));
}

static void on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct request *rq = begin(req, ino, fi);

	end(rq, file_release(rq));
}

static void on_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct request *rq = begin(req, ino, fi);

	end(rq, file_flush(rq));
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct request *rq = begin_to_wait(req, ino, fi);

	rq->size = size;
	rq->off = (uint64_t)off;
	end(rq, file_read(rq));
}

static void on_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	struct request *rq = begin_to_wait(req, ino, fi);

	rq->data = buf;
	rq->size = size;
	rq->off = (uint64_t)off;
	end(rq, file_write(rq));
}

static void on_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
			 struct fuse_file_info *fi)
{
	struct request *rq = begin(req, ino, fi);

	rq->how = mode;
	rq->off = (uint64_t)off;
	rq->len = (uint64_t)len;
	end(rq, file_allocate(rq));
}

static void on_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op)
{
	struct request *rq = begin_to_wait(req, ino, fi);

	rq->how = op;
	end(rq, file_flock(rq));
}

/* fcntl locks: refused, so that the kernel never keeps them locally, an inode each. */
static void on_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock)
{
	end(&now, done(begin(req, ino, fi), -EOPNOTSUPP));
}

static void on_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock,
		     int sleep)
{
	end(&now, done(begin(req, ino, fi), -EOPNOTSUPP));
}

static void on_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
		     struct fuse_file_info *fi, unsigned int flags, const void *in, size_t in_size,
		     size_t out_size)
{
	struct request *rq = begin(req, ino, fi);

	rq->cmd = cmd;
	rq->data = in;
	rq->size = in_size;
	end(rq, flags & FUSE_IOCTL_DIR ? done(rq, -ENOTTY) : file_ioctl(rq));
}

static void on_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
		    struct fuse_pollhandle *ph)
{
	struct request *rq = begin(req, ino, fi);

	rq->events = fi->poll_events;
	rq->asks = ph != NULL;
	if (ph)
		fuse_pollhandle_destroy(ph); /* its kh is all that we need: see notify_poll() */
	end(rq, file_poll(rq));
}

static void on_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
		     struct fuse_file_info *fi)
{
	struct request *rq = begin(req, ino, fi);

	rq->off = (uint64_t)off;
	rq->how = whence;
	end(rq, file_seek(rq));
}

/* ENOSYS would make the kernel copy st_size bytes by itself: less or more than there is. */
static void on_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t off_in,
			       struct fuse_file_info *fi_in, fuse_ino_t out, off_t off_out,
			       struct fuse_file_info *fi_out, size_t len, int flags)
{
	end(&now, done(begin(req, in, fi_in), -EINVAL));
}

/* ---- names ---- */

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct request *rq = begin_name(req, parent, name, 0);

	end(rq, name_lookup(rq));
}

static void on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	nodeid_forget(ino, n);
	reply_drop(req);
}

static void on_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		nodeid_forget(forgets[i].ino, forgets[i].nlookup);
	reply_drop(req);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct request *rq = begin(req, ino, fi);

	end(rq, attr_get(rq));
}

static void on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		       struct fuse_file_info *fi)
{
	struct request *rq = begin(req, ino, fi);

	rq->attr = attr;
	rq->cmd = (unsigned int)to_set;
	rq->open = fi != NULL;
	end(rq, attr_set(rq));
}

static void on_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct request *rq = begin(req, ino, NULL);

	end(rq, name_readlink(rq));
}

static void on_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct request *rq = begin(req, ino, NULL);

	end(rq, mount_statfs(rq));
}

static void on_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct request *rq = begin_name(req, parent, name, mode);

	end(rq, name_mknod(rq));
}

static void on_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct request *rq = begin_name(req, parent, name, mode);

	end(rq, name_mkdir(rq));
}

static void on_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	struct request *rq = begin_name(req, parent, name, mode);

	rq->flags = fi->flags;
	end(rq, name_create(rq));
}

static void on_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct request *rq = begin_name(req, parent, name, 0);

	end(rq, name_unlink(rq));
}

static void on_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct request *rq = begin_name(req, parent, name, 0);

	end(rq, name_rmdir(rq));
}

static void on_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_dir,
		      const char *new_name, unsigned int flags)
{
	struct request *rq = begin_name(req, parent, name, 0);

	rq->new_dir = new_dir;
	rq->new_name = new_name;
	rq->cmd = flags;
	end(rq, name_rename(rq));
}

static void on_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
	end(&now, done(begin_name(req, parent, name, 0), -EPERM));
}

static void on_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	end(&now, done(begin_name(req, parent, name, 0), -EPERM));
}

static void on_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct request *rq = begin(req, ino, fi);

	end(rq, dir_open(rq));
}

static void on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	struct request *rq = begin(req, ino, fi);

	rq->size = size;
	rq->off = (uint64_t)off;
	end(rq, dir_read(rq, false));
}

static void on_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			   struct fuse_file_info *fi)
{
	struct request *rq = begin(req, ino, fi);

	rq->size = size;
	rq->off = (uint64_t)off;
	end(rq, dir_read(rq, true));
}

/* ---- the table, and what is agreed with the kernel at the start ---- */

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
	conn->want |= conn->capable &
		      (FUSE_CAP_FLOCK_LOCKS | FUSE_CAP_POSIX_LOCKS | FUSE_CAP_ATOMIC_O_TRUNC |
		       FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_PARALLEL_DIROPS |
		       FUSE_CAP_ASYNC_DIO);
	/* Otherwise nobody takes setuid and setgid bits off at chown(2) and truncate(2). */
	conn->want &= ~(unsigned int)FUSE_CAP_HANDLE_KILLPRIV;
	/* Splicing costs more than it saves for small messages. */
	conn->want &= ~(unsigned int)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
				      FUSE_CAP_SPLICE_MOVE | FUSE_CAP_AUTO_INVAL_DATA);
	conn->max_write = MAX_IO;
	/* RELEASEs are background requests: one that waits behind others would come too late. */
	conn->max_background = 65535;
	conn->congestion_threshold = 65535;
}

const struct fuse_lowlevel_ops fs_ops = {
	.init = on_init,
	.lookup = on_lookup,
	.forget = on_forget,
	.forget_multi = on_forget_multi,
	.getattr = on_getattr,
	.setattr = on_setattr,
	.readlink = on_readlink,
	.mknod = on_mknod,
	.mkdir = on_mkdir,
	.unlink = on_unlink,
	.rmdir = on_rmdir,
	.symlink = on_symlink,
	.rename = on_rename,
	.link = on_link,
	.opendir = on_opendir,
	.readdir = on_readdir,
	.readdirplus = on_readdirplus,
	.statfs = on_statfs,
	.create = on_create,
	.open = on_open,
	.read = on_read,
	.write = on_write,
	.flush = on_flush,
	.release = on_release,
	.flock = on_flock,
	.getlk = on_getlk,
	.setlk = on_setlk,
	.ioctl = on_ioctl,
	.poll = on_poll,
	.copy_file_range = on_copy_file_range,
	.fallocate = on_fallocate,
	.lseek = on_lseek,
};
