/* SPDX-License-Identifier: MIT */
/* The handlers of requests on names: lookup.c, change.c and list.c. */
#ifndef IPCFS_DIR_H
#define IPCFS_DIR_H

#include "device/request.h"

#define CTL_SUFFIX ".ctl"

enum outcome name_lookup(struct request *rq);
enum outcome attr_get(struct request *rq);
enum outcome attr_set(struct request *rq);
enum outcome name_readlink(struct request *rq);
enum outcome mount_statfs(struct request *rq);
enum outcome name_mknod(struct request *rq);
enum outcome name_mkdir(struct request *rq);
enum outcome name_create(struct request *rq);
enum outcome name_unlink(struct request *rq);
enum outcome name_rmdir(struct request *rq);
enum outcome name_rename(struct request *rq);
enum outcome dir_open(struct request *rq);
enum outcome dir_read(struct request *rq, bool plus);

/* ---- lookup.c ---- */

bool ends_in(const char *s, size_t len, const char *suffix);
int find_object(const struct target *dir, const char *name, size_t len, uint64_t *ret);
int resolve(const struct target *dir, const char *name, uint64_t *ret_base, int64_t *ret_timeout);
/* The error for removing or renaming it: a name that is only thought of, such as NAME@2, is EINVAL. */
int no_such_name(const struct target *dir, const char *name);
void fill_entry(struct entry *e, uint64_t nodeid, const struct target *t);
/* The reply is this entry; rq->t is what it leads to. opens: for writing, with the same request. */
int entry_of(struct request *rq, uint64_t base, int64_t timeout, bool opens);
int64_t time_of(const struct timespec *ts, bool now);

#endif
