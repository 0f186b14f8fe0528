/* SPDX-License-Identifier: MIT */
/*
 * The handlers of FUSE requests: on open files in open.c, read.c, write.c and io.c, on names in
 * lookup.c, change.c and list.c; and what they share.
 */
#ifndef IPCFS_IO_H
#define IPCFS_IO_H

#include "state/fs.h"
#include "client/ipcfs.h"

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
void ops_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
		   struct fuse_file_info *fi);
void ops_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
	      struct fuse_pollhandle *ph);

void ops_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi);

/* ---- call.c ---- */

/* The object and handle of a request; the object is locked. 0 or -errno */
int enter(uint64_t ino, uint64_t fh, struct target *t, struct object **ret_ob,
	  struct ipc_handle **ret_hd);
/* The same for one that only looks. HELD_STALLED: it is not locked, see held_look(). */
int enter_to_look(uint64_t ino, uint64_t fh, struct target *t, struct object **ret_ob,
		  struct ipc_handle **ret_hd);
/* The same without the lock, for words of the handle that this daemon alone writes. */
int enter_unlocked(uint64_t ino, uint64_t fh, struct target *t, struct object **ret_ob,
		   struct ipc_handle **ret_hd);
/* The same for one that may have to wait, and then can be interrupted. false: it is answered. */
bool enter_to_wait(fuse_req_t req, uint64_t ino, uint64_t fh, struct target *t,
		   struct object **ret_ob, struct ipc_handle **ret_hd);
void fill_call(struct ipc_call *c, fuse_req_t req, struct ipc_obj *o, struct ipc_handle *hd,
	       int flags);
/* Who makes a hold, a lease or an unfinished line is to be known as a process. */
void fill_pid(struct ipc_call *c, struct ipc_handle *hd);
uint64_t lib_call(struct ipc_call *c, const struct ipc_handle *hd, uint64_t off, bool *ret_special);
void touch(struct node *n, bool written);
bool done_before(struct object *ob, struct ipc_call *c, int *ret);

/* ---- plain.c ---- */

#define FH_PLAIN	(1ull << 63)

uint64_t plain_next(void);		/* an fh */
int plain_open(const struct target *t, uint64_t fh);
void plain_close(uint64_t fh);
void plain_read(fuse_req_t req, uint64_t ino, uint64_t fh, size_t size, off_t off);

/* ---- mapped.c ---- */

/*
 * A READ for the page cache, of what has no bytes to give it. otherwise: the error for who has not
 * mapped the file; 0: the end.
 */
void mapped_read(fuse_req_t req, const struct target *t, size_t size, off_t off, int otherwise);

/* ---- open.c, worker.c ---- */

/* A new handle of the target. Its fh and FOPEN_* flags. */
int open_object(fuse_req_t req, const struct target *t, int flags, uint64_t *ret_fh,
		uint32_t *ret_flags);
void close_handle(uint64_t ino, uint64_t fh);
/* The handle that the OPEN of this number made, if its caller is dead: no RELEASE will come. */
void close_unfetched(uint64_t unique);
/*
 * A close of libipcfs's, before the kernel tells of it. Not `whole`: what it holds returns, but the
 * handle stays, for others have its descriptor.
 */
int close_early(uint64_t ino, uint64_t fh, bool whole);
/*
 * Before somebody (pid) takes what returns when the process that opened the handle ends: watch that
 * one, with the object locked. If it has ended already, who takes stands for it from now on.
 */
void watch_opener(struct object *ob, struct ipc_handle *hd, uint32_t pid);
/* It has been taken: it returns when one of these processes ends (ctl/scope). */
void watch_holder(struct object *ob, uint32_t opener, uint32_t pid);

#endif
