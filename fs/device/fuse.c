/* SPDX-License-Identifier: MIT */
/*
 * The transport: FUSE, by libfuse. That decodes each message and calls back; here it becomes a
 * struct request, which goes to its handler. What libfuse does not pass on is read from the message
 * first. Replies: reply.c.
 */
#include <assert.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>

#include "device/transport.h"
#include "state/alias.h"
#include "state/fs.h"

/* The request in hand: one thread handles them, one after the other. */
static struct request now;
static const struct handlers *to; /* … by these */

/* ---- the message ---- */

static const enum request_kind kinds[] = {
	[FUSE_OPEN] = ASKS_OPEN,     [FUSE_READ] = ASKS_READ,       [FUSE_WRITE] = ASKS_WRITE,
	[FUSE_SETLK] = ASKS_FLOCK,   [FUSE_SETLKW] = ASKS_FLOCK,    [FUSE_IOCTL] = ASKS_IOCTL,
	[FUSE_CREATE] = ASKS_CREATE, [FUSE_SETATTR] = ASKS_ATTR,    [FUSE_FALLOCATE] = ASKS_SPACE,
	[FUSE_FLUSH] = ASKS_FLUSH,   [FUSE_RELEASE] = ASKS_RELEASE,
};

static enum request_kind kind_of(uint32_t opcode)
{
	return opcode < sizeof(kinds) / sizeof(kinds[0]) ? kinds[opcode] : ASKS_OTHER;
}

static void read_header(const void *msg, size_t n, bool again, const struct aside *as)
{
	const struct fuse_in_header *h = msg;

	now = (struct request){
		.by = { .unique = unique_of(h->unique),
			.resent = again || unique_is_resent(h->unique),
			.tid = h->pid,
			.uid = h->uid,
			.gid = h->gid },
		.kind = kind_of(h->opcode),
		.ino = h->nodeid,
		.aside = *as,
	};
	now.aside.number = h->unique;
	now.aside.kind = now.kind;
	if (h->opcode == FUSE_POLL && n >= sizeof(*h) + sizeof(struct fuse_poll_in))
		now.poll_kh = ((const struct fuse_poll_in *)(h + 1))->kh;
	if (h->opcode == FUSE_WRITE && n >= sizeof(*h) + sizeof(struct fuse_write_in))
		now.unprivileged = ((const struct fuse_write_in *)(h + 1))->write_flags &
				   FUSE_WRITE_KILL_SUIDGID;
	if (h->opcode == FUSE_READ && n >= sizeof(*h) + sizeof(struct fuse_read_in))
		now.by_cache =
			!(((const struct fuse_read_in *)(h + 1))->read_flags & FUSE_READ_LOCKOWNER);
}

bool transport_take(void *msg, size_t len, bool again, struct aside *as,
		    const struct handlers *handlers)
{
	struct fuse_buf buf = { .mem = msg, .size = len };

	to = handlers;
	read_header(msg, len, again, as);
	fuse_session_process_buf(fs.se, &buf);
	*as = now.aside;
	return as->ob != NULL;
}

static struct asker *asker_of(fuse_req_t req)
{
	return (struct asker *)req;
}

/* ---- the beginning of a callback ---- */

static struct request *begin(fuse_req_t req, fuse_ino_t ino, const struct fuse_file_info *fi)
{
	now.asker = asker_of(req);
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

static void on_interrupt(fuse_req_t req, void *data)
{
	(void)data;
	to->interrupted(asker_of(req));
}

/* A request that may wait, and then be interrupted: before anything is locked (park.c). */
static struct request *begin_to_wait(fuse_req_t req, fuse_ino_t ino,
				     const struct fuse_file_info *fi)
{
	fuse_req_interrupt_func(req, on_interrupt, NULL);
	return begin(req, ino, fi);
}

/* A request that is always refused. */
static void refuse(struct request *rq, int error)
{
	to->end(rq, done(rq, error));
}

/* ---- open files ---- */

#define FILE_CALLBACK(fn, handler)                                                \
	static void fn(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi) \
	{                                                                         \
		struct request *rq = begin(req, ino, fi);                         \
                                                                                  \
		to->end(rq, to->handler(rq));                                     \
	}

FILE_CALLBACK(on_open, open)
FILE_CALLBACK(on_release, release)
FILE_CALLBACK(on_flush, flush)
FILE_CALLBACK(on_getattr, get_attr)
FILE_CALLBACK(on_opendir, open_folder)

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct request *rq = begin_to_wait(req, ino, fi);

	rq->size = size;
	rq->off = (uint64_t)off;
	to->end(rq, to->read(rq));
}

static void on_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	struct request *rq = begin_to_wait(req, ino, fi);

	rq->data = buf;
	rq->size = size;
	rq->off = (uint64_t)off;
	to->end(rq, to->write(rq));
}

static void on_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
			 struct fuse_file_info *fi)
{
	struct request *rq = begin(req, ino, fi);

	rq->how = mode;
	rq->off = (uint64_t)off;
	rq->len = (uint64_t)len;
	to->end(rq, to->allocate(rq));
}

static void on_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op)
{
	struct request *rq = begin_to_wait(req, ino, fi);

	rq->how = op;
	to->end(rq, to->flock(rq));
}

/* fcntl locks: refused, or the kernel would keep them locally, for each inode by itself. */
static void on_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *l)
{
	refuse(begin(req, ino, fi), -EOPNOTSUPP);
}

static void on_setlk(fuse_req_t req, fuse_ino_t i, struct fuse_file_info *f, struct flock *l, int s)
{
	refuse(begin(req, i, f), -EOPNOTSUPP);
}

static void on_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
		     struct fuse_file_info *fi, unsigned int flags, const void *in, size_t in_size,
		     size_t out_size)
{
	struct request *rq = begin(req, ino, fi);

	rq->cmd = cmd;
	rq->data = in;
	rq->size = in_size;
	to->end(rq, flags & FUSE_IOCTL_DIR ? done(rq, -ENOTTY) : to->ioctl(rq));
}

static void on_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
		    struct fuse_pollhandle *ph)
{
	struct request *rq = begin(req, ino, fi);

	rq->events = fi->poll_events;
	rq->asks = ph != NULL;
	if (ph)
		fuse_pollhandle_destroy(ph); /* its kh is all that we need: see notify_poll() */
	to->end(rq, to->poll(rq));
}

static void on_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
		     struct fuse_file_info *fi)
{
	struct request *rq = begin(req, ino, fi);

	rq->off = (uint64_t)off;
	rq->how = whence;
	to->end(rq, to->seek(rq));
}

/*
 * With ENOSYS the kernel would copy st_size bytes by itself, which may be fewer or more than there
 * are.
 */
static void on_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t off_in,
			       struct fuse_file_info *fi_in, fuse_ino_t out, off_t off_out,
			       struct fuse_file_info *fi_out, size_t len, int flags)
{
	refuse(begin(req, in, fi_in), -EINVAL);
}

/* ---- names ---- */

#define NAME_CALLBACK(fn, handler)                                          \
	static void fn(fuse_req_t req, fuse_ino_t parent, const char *name) \
	{                                                                   \
		struct request *rq = begin_name(req, parent, name, 0);      \
                                                                            \
		to->end(rq, to->handler(rq));                               \
	}

NAME_CALLBACK(on_lookup, lookup)
NAME_CALLBACK(on_unlink, unlink)
NAME_CALLBACK(on_rmdir, remove_folder)

static void on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	nodeid_forget(ino, n);
	reply_drop(asker_of(req));
}

static void on_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		nodeid_forget(forgets[i].ino, forgets[i].nlookup);
	reply_drop(asker_of(req));
}

static_assert(SET_MODE == FUSE_SET_ATTR_MODE && SET_UID == FUSE_SET_ATTR_UID &&
		      SET_GID == FUSE_SET_ATTR_GID && SET_SIZE == FUSE_SET_ATTR_SIZE &&
		      SET_ATIME == FUSE_SET_ATTR_ATIME && SET_MTIME == FUSE_SET_ATTR_MTIME &&
		      SET_ATIME_NOW == FUSE_SET_ATTR_ATIME_NOW &&
		      SET_MTIME_NOW == FUSE_SET_ATTR_MTIME_NOW,
	      "request.h");

static void on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		       struct fuse_file_info *fi)
{
	struct request *rq = begin(req, ino, fi);

	rq->attr = attr;
	rq->cmd = (unsigned int)to_set;
	rq->open = fi != NULL;
	to->end(rq, to->set_attr(rq));
}

static void on_readlink(fuse_req_t req, fuse_ino_t ino)
{
	to->end(&now, to->read_link(begin(req, ino, NULL)));
}

static void on_statfs(fuse_req_t req, fuse_ino_t ino)
{
	to->end(&now, to->statfs(begin(req, ino, NULL)));
}

static void on_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct request *rq = begin_name(req, parent, name, mode);

	to->end(rq, to->make_node(rq));
}

static void on_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct request *rq = begin_name(req, parent, name, mode);

	to->end(rq, to->make_folder(rq));
}

static void on_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	struct request *rq = begin_name(req, parent, name, mode);

	rq->flags = fi->flags;
	to->end(rq, to->create(rq));
}

static void on_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_dir,
		      const char *new_name, unsigned int flags)
{
	struct request *rq = begin_name(req, parent, name, 0);

	rq->new_dir = new_dir;
	rq->new_name = new_name;
	rq->cmd = flags;
	to->end(rq, to->rename(rq));
}

static void on_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
	refuse(begin_name(req, parent, name, 0), -EPERM);
}

static void on_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	refuse(begin_name(req, parent, name, 0), -EPERM);
}

static void read_folder(struct request *rq, size_t size, off_t off, bool plus)
{
	rq->size = size;
	rq->off = (uint64_t)off;
	to->end(rq, to->read_folder(rq, plus));
}

static void on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	read_folder(begin(req, ino, fi), size, off, false);
}

static void on_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			   struct fuse_file_info *fi)
{
	read_folder(begin(req, ino, fi), size, off, true);
}

/* ---- the table, and what is agreed with the kernel at the start ---- */

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
	conn->want |= conn->capable &
		      (FUSE_CAP_FLOCK_LOCKS | FUSE_CAP_POSIX_LOCKS | FUSE_CAP_ATOMIC_O_TRUNC |
		       FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_PARALLEL_DIROPS |
		       FUSE_CAP_ASYNC_DIO);
	/* Otherwise nobody would clear setuid and setgid bits at chown(2) and truncate(2). */
	conn->want &= ~(unsigned int)FUSE_CAP_HANDLE_KILLPRIV;
	/* Splicing costs more than it saves for small messages. */
	conn->want &= ~(unsigned int)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
				      FUSE_CAP_SPLICE_MOVE | FUSE_CAP_AUTO_INVAL_DATA);
	conn->max_write = MAX_IO;
	/* RELEASEs are background requests: one that queues behind others would come too late. */
	conn->max_background = 65535;
	conn->congestion_threshold = 65535;
}

const struct fuse_lowlevel_ops fuse_ops = {
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
