/* SPDX-License-Identifier: MIT */
/* The handlers of FUSE requests. io.c: on open files; names.c: on names. */
#ifndef IPCFS_IO_H
#define IPCFS_IO_H

#include "fs.h"
#include "ipcfs.h"

void ops_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ops_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ops_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ops_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void ops_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
	       struct fuse_file_info *fi);
void ops_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op);
void ops_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock);
void ops_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock,
	       int sleep);
void ops_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
	       struct fuse_file_info *fi, unsigned int flags, const void *in_buf, size_t in_size,
	       size_t out_size);
void ops_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
	      struct fuse_pollhandle *ph);

/* A new handle of the target. Its fh and FOPEN_* flags. */
int open_object(fuse_req_t req, const struct target *t, int flags, uint64_t *ret_fh,
		uint32_t *ret_flags);
void close_handle(uint64_t ino, uint64_t fh);
/* The process has taken something that returns when it ends (scope `process`). */
void watch_holder(struct object *ob, uint32_t pid);

#endif
