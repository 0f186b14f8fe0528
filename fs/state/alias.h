/* SPDX-License-Identifier: MIT */
/* Inode numbers for one open file each: alias.c. */
#ifndef IPCFS_ALIAS_H
#define IPCFS_ALIAS_H

#include <stdbool.h>
#include <stdint.h>

#include "format/format.h"

#define PLUS_TIMEOUT 0.01 /* s: attributes handed out by READDIRPLUS */

struct caller;
struct node;
struct target;

void alias_load(void);
void alias_unload(void);
ref_t alias_ref(uint64_t nodeid); /* its block; 0: there is none any more */

/*
 * The nodeid to be told to the thread that looks up `base` with this time limit. opens: it opens it
 * for writing in the same request. 0 or -errno
 */
int nodeid_for(const struct caller *by, uint64_t base, int64_t timeout, bool opens, uint64_t *ret);
void nodeid_forget(uint64_t nodeid, uint64_t lookups);

/* Does this open file need an inode that no name leads to? */
bool writes_may_wait(const struct target *t, int oflags);
/* May the thread open this inode? 0; -ESTALE: it is to look it up again; -errno. */
int alias_enter(const struct caller *by, const struct target *t, bool write);
void alias_opened(const struct caller *by, const struct target *t, uint64_t fh, bool write);
void alias_closed(uint64_t nodeid, uint64_t fh);

/* ---- habit.c ---- */
/* A lookup: is the inode likely to be opened for writing? */
bool habit_looked(uint64_t base, uint32_t tid);
void habit_opened(uint64_t base, uint32_t tid, bool write);

/* ---- expire.c ---- */
/* Handles on inodes that are no aliases; others are not counted. */
void writer_add(uint64_t nodeid);
void writer_leave(uint64_t nodeid);
void writers_unload(void);
bool base_is_open(uint64_t base);
bool base_leads_nowhere(uint64_t base); /* no name is to lead to it */

/*
 * The base is going to be opened for writing. true: no name leads to it any more; false: not yet,
 * try again. Until name_expired(), names lead to aliases.
 */
bool name_expire(const struct target *t);
void name_expired(uint64_t base);
bool name_expires(uint64_t base);
bool names_expiring(void);       /* there are some of which the kernel has not been told yet */
void names_expire_no_more(void); /* the mount ends */

/* ---- lent.c ---- */
bool attr_lend(const struct target *t); /* this answer to a LOOKUP: they may be valid for a tick */
void attr_listed(struct node *n); /* this answer to a READDIRPLUS: they are valid for longer */
void attr_recall(struct node *n); /* the object changes */
void attr_recall_ctl(const struct node *n); /* its mode, owner or times do */
void alias_recall(const struct target *t);  /* the alias is opened */

#endif
