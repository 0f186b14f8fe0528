/* SPDX-License-Identifier: MIT */
/* The handlers of requests on names: lookup.c, change.c, list.c; the table is in dir.c. */
#ifndef IPCFS_DIR_H
#define IPCFS_DIR_H

#include "state/fs.h"

#define CTL_SUFFIX ".ctl"

bool ends_in(const char *s, size_t len, const char *suffix);
void ops_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void ops_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n);
void ops_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
int find_object(const struct target *dir, const char *name, size_t len, uint64_t *ret);
int resolve(const struct target *dir, const char *name, uint64_t *ret_base, int64_t *ret_timeout);
/* The error for removing or renaming it: a name that is only thought of, such as NAME@2, is EINVAL. */
int no_such_name(const struct target *dir, const char *name);
void fill_entry(struct fuse_entry_param *e, uint64_t nodeid, const struct target *t);
int entry_of(uint64_t base, int64_t timeout, pid_t tid, bool opens, struct fuse_entry_param *e);
void ops_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ops_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
			struct fuse_file_info *fi);
void ops_readlink(fuse_req_t req, fuse_ino_t ino);
void ops_statfs(fuse_req_t req, fuse_ino_t ino);
int64_t time_of(const struct timespec *ts, bool now);
void ops_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void ops_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void ops_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		       struct fuse_file_info *fi);
void ops_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void ops_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void ops_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
		       const char *newname, unsigned int flags);
void ops_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name);
void ops_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname);
void ops_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			struct fuse_file_info *fi);
void ops_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			    struct fuse_file_info *fi);
void ops_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

#endif
