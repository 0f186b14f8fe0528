/* SPDX-License-Identifier: MIT */
/* The table of requests, and what is agreed with the kernel at the start. */
#include "ctl/ctl.h"
#include "ops/dir.h"
#include "ops/io.h"

/* ENOSYS would make the kernel copy st_size bytes by itself: less or more than there is. */
static void ops_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t off_in,
				struct fuse_file_info *fi_in, fuse_ino_t out, off_t off_out,
				struct fuse_file_info *fi_out, size_t len, int flags)
{
	fuse_reply_err(req, EINVAL);
}

static void ops_init(void *userdata, struct fuse_conn_info *conn)
{
	conn->want |= conn->capable & (FUSE_CAP_FLOCK_LOCKS | FUSE_CAP_POSIX_LOCKS |
				       FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_READDIRPLUS |
				       FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_PARALLEL_DIROPS |
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
	.init = ops_init,
	.lookup = ops_lookup, .forget = ops_forget, .forget_multi = ops_forget_multi,
	.getattr = ops_getattr, .setattr = ops_setattr, .readlink = ops_readlink,
	.mknod = ops_mknod, .mkdir = ops_mkdir, .unlink = ops_unlink, .rmdir = ops_rmdir,
	.symlink = ops_symlink, .rename = ops_rename, .link = ops_link,
	.opendir = ops_opendir, .readdir = ops_readdir, .readdirplus = ops_readdirplus,
	.statfs = ops_statfs, .create = ops_create,
	.open = ops_open, .read = ops_read, .write = ops_write, .flush = ops_flush,
	.release = ops_release, .flock = ops_flock, .getlk = ops_getlk, .setlk = ops_setlk,
	.ioctl = ops_ioctl, .poll = ops_poll, .copy_file_range = ops_copy_file_range,
	.fallocate = ops_fallocate,
	.lseek = ops_lseek,
};
