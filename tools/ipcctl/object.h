/* SPDX-License-Identifier: MIT */
/*
 * Objects and mounts by their ctl files: the type of a name, its ctl directory, and the contents of
 * `status`, `waiters` and `holders`.
 */
#ifndef IPCCTL_OBJECT_H
#define IPCCTL_OBJECT_H

#include "print/table.h"
#include "util.h"

#include "object/type.h"

const struct ipc_type *type_of(const char *name); /* by the suffix; NULL for other names */
char *type_suffixes(void);                        /* all of them, for messages */

/* `key: value` lines, as of a status file. */
struct facts {
	char *text; /* the lines, cut into the strings below */
	struct fact {
		const char *key, *value;
	} * list;
	size_t n;
};

void facts_parse(struct facts *f, char *text); /* takes TEXT */
int facts_read(int dirfd, const char *path, struct facts *ret);
const char *facts_get(const struct facts *f, const char *key); /* or NULL */
uint64_t facts_number(const struct facts *f, const char *key); /* or 0 */
void facts_free(struct facts *f);

enum target_kind {
	TARGET_OBJECT,
	TARGET_MOUNT, /* the root of a mount */
	TARGET_DIR,   /* a directory somewhere below it */
};

/* The meaning of a path on the command line. */
struct target {
	enum target_kind kind;
	const struct ipc_type *type; /* NULL: not an object */
	char *name;                  /* without time limit and trailing slashes */
	char *inside;                /* TARGET_DIR: its path inside the mount, "sub/dir" */
	int ctl;                     /* the ctl directory, of the object or of the mount's root */
};

#define TARGET_INIT       \
	{                 \
		.ctl = -1 \
	}

/* -ENOENT: no such object; -ENOTTY: it exists, but not on ipcfs. */
int target_open(const char *path, struct target *ret);
void target_close(struct target *t);
/* Says on standard error why target_open() failed. */
void target_complain(const char *path, int error);

/*
 * Is this key of its status a setting? By the mode of its file, so this program need not know every
 * setting. The status of a mount has `memory_limit` for what limits/memory sets.
 */
bool target_is_setting(const struct target *t, const char *key);
/* The settings alone, with their values; of a mount the files in .ctl/limits. */
int settings_read(const struct target *t, struct facts *ret);
/* "maxsize, framing, ...": the settings that an object has, for messages. */
char *settings_names(const struct facts *settings);

/* The columns of `waiters` and `holders`, in the files' order; USER is ours. */
enum {
	WHO_OBJECT,
	WHO_PID,
	WHO_START,
	WHO_UID,
	WHO_USER,
	WHO_OPERATION,
	WHO_SECONDS,
	WHO_COMMAND,
	WHO_REMARK,
	N_WHO,
};

extern const struct column who_columns[N_WHO];

/*
 * Adds the lines of the file WHICH ("waiters" or "holders") of T to TABLE, whose columns are
 * who_columns.
 */
int who_read(const struct target *t, const char *which, struct table *table);

#endif
