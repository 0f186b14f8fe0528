/* SPDX-License-Identifier: MIT */
/*
 * What the tables of .ctl files are made of: one table for each type, and one for the mount's own.
 *
 * A row's number is part of its inode number, which the kernel keeps over a restart and an upgrade.
 * So a number belongs to its row for ever, and that of a row that is gone is not used again
 * (tests/fs/test_ctl.c has them all). Numbers need to differ within one table only; those of
 * CTL_COMMON and CTL_TAKE are in every table. The order of the rows is that of the listing.
 */
#ifndef IPCFS_CTL_ROWS_H
#define IPCFS_CTL_ROWS_H

#include <inttypes.h>

#include "ctl/ctl.h"
#include "ctl/show.h"
#include "ctl/who.h"
#include "state/object.h"

#define B(ob) ((ob)->o.h->b)

#define FACT(i, n, fn)                                                                \
	{                                                                             \
		.id = i, .name = n, .access = CTL_FACT, .in_status = true, .show = fn \
	}
/* Also shown without the lock: made of words, or of what needs none. */
#define SEEN(i, n, fn)                                                               \
	{                                                                            \
		.id = i, .name = n, .access = CTL_FACT, .unlocked = true, .show = fn \
	}
/* The same; and what it takes long to find out is looked for without the lock. */
#define SOUGHT(i, n, fn)                                                              \
	{                                                                             \
		.id = i, .name = n, .access = CTL_FACT, .unlocked = true, .show = fn, \
		.show_found = fn##_found                                              \
	}
/* Made of other rows. */
#define ROWS(i, n, fn)                                                                   \
	{                                                                                \
		.id = i, .name = n, .access = CTL_FACT, .unlocked = true, .show_all = fn \
	}
#define LIST(i, n, fn)                                             \
	{                                                          \
		.id = i, .name = n, .access = CTL_FACT, .show = fn \
	}
#define SETTING(i, n, fn, st)                                                             \
	{                                                                                 \
		.id = i, .name = n, .access = CTL_SETTING, .in_status = true, .show = fn, \
		.store = st                                                               \
	}
#define COMMAND(i, n, st)                                              \
	{                                                              \
		.id = i, .name = n, .access = CTL_COMMAND, .store = st \
	}
#define TAKES(i, n, k)                                                              \
	{                                                                           \
		.id = i, .name = n, .access = CTL_FACT, .kind = k, .unlisted = true \
	}
#define PUTS(i, n, k)                                                               \
	{                                                                           \
		.id = i, .name = n, .access = CTL_PUTS, .kind = k, .unlisted = true \
	}
#define LINK(i, n)                                                       \
	{                                                                \
		.id = i, .name = n, .access = CTL_LINK, .unlisted = true \
	}

/* Every table of a type begins with CTL_COMMON and ends with CTL_END. */
#define CTL_COMMON                                                                         \
	FACT(0, "type", show_type), ROWS(1, "status", show_status),                        \
		SEEN(2, "waiters", show_waiters), SOUGHT(3, "holders", show_holders),      \
		{ .id = 4, .name = "cancel", .access = CTL_OWNER, .store = store_cancel }, \
		LINK(5, "shm"), LIST(90, "stats", show_stats)
#define CTL_TAKE SETTING(53, "take", show_take, store_take)
#define CTL_END              \
	{                    \
		.name = NULL \
	}

#define SHOW_NUMBER(name, field)                                    \
	static void show_##name(struct object *ob, FILE *f)         \
	{                                                           \
		fprintf(f, "%" PRIu64 "\n", (uint64_t)B(ob).field); \
	}

/* ctl_store.c */
int ctl_store_number(struct object *ob, uint64_t *field, const char *s, size_t len);
int ctl_store_flag(struct object *ob, uint32_t *field, const char *s, size_t len);
int ctl_word(const char *s, size_t len, const char *const *words, unsigned int n); /* -EINVAL */
void show_take(struct object *ob, FILE *f);
int store_take(struct object *ob, const char *s, size_t len, uint64_t unique);
int store_cancel(struct object *ob, const char *s, size_t len, uint64_t unique);

extern const struct ctl_file ctl_queue[], ctl_pipe[], ctl_event[], ctl_sem[], ctl_lock[],
	ctl_cond[], ctl_barrier[], ctl_value[], ctl_array[], ctl_mount[];

#endif
