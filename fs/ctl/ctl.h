/* SPDX-License-Identifier: MIT */
/*
 * NAME.ctl/ and the mount's own .ctl/: small text files, one for each fact.
 *
 * A plain ctl file shows its text as of when it was opened (a snapshot, kept with the open file);
 * what is written to it is a command. Files that wait or take (`kind` is not HANDLE_OBJECT) are
 * handles of the object that read in another way; ctl.c has nothing to do with them.
 */
#ifndef IPCFS_CTL_H
#define IPCFS_CTL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include "state/nodeid.h"

struct node;
struct object;
struct request;
struct survey_form;
struct target;

enum ctl_access {
	CTL_FACT,    /* readable by whoever may read the object */
	CTL_SETTING, /* the same, and its owner's to write */
	CTL_DATA,    /* as the object itself */
	CTL_PUTS,    /* as the object itself, to be written only */
	CTL_COMMAND, /* to be written by whoever may read the object */
	CTL_OWNER,   /* to be written by its owner */
	CTL_PRIVATE, /* readable by the owner of the mount, since it concerns all objects */
	CTL_LINK,    /* a symbolic link */
	CTL_DIRECTORY,
};

struct ctl_file {
	uint16_t id;      /* part of its inode number: rows.h */
	const char *name; /* NULL: the end of a table */
	uint8_t access;
	uint8_t kind;   /* enum ipc_handle_kind; HANDLE_OBJECT: plain */
	bool limit;     /* of the mount: in .ctl/limits */
	bool unlisted;  /* waits, takes or leads elsewhere */
	bool in_status; /* one word or number: can be shown without the lock */
	bool unlocked;  /* `show` knows what to do without the lock */
	void (*show)(struct object *ob, FILE *f);
	void (*show_found)(FILE *f); /* the rest, when the object is no longer locked */
	/* instead, if it is made of other rows of its table */
	void (*show_all)(struct object *ob, const struct ctl_file *table, FILE *f);
	/* One line of text, with the object locked. 0 or -errno */
	int (*store)(struct object *ob, const char *s, size_t len, uint64_t unique);
	/* of the mount's own files: without an object */
	void (*show_mount)(FILE *f);
	int (*store_mount)(const char *s, size_t len);
	const struct survey_form *survey; /* of all objects: made as it is read */
};

/*
 * The size of control files, as in sysfs: the true size is not known before they are read, and
 * programs think that a regular file of size 0 is empty.
 */

/* The files of a node, up to a row without a name; NULL: it has none. */
const struct ctl_file *ctl_table(const struct node *n);

static inline unsigned int ctl_sub(const struct ctl_file *c)
{
	return SUB_CTL_FILE + c->id;
}

/* The file of this name in the .ctl of a node (limits: in .ctl/limits); NULL. */
const struct ctl_file *ctl_lookup(const struct target *dir, const char *name, size_t len);
const struct ctl_file *ctl_of(const struct target *t); /* NULL: the directory itself */
bool ctl_is_dir(const struct target *t);
bool ctl_exists(const struct target *t); /* its node has a file of this kind */
void ctl_attr(const struct target *t, struct stat *st);
/* The listed file behind this one (a sub; 0: the first) of the directory; NULL: no more. */
const struct ctl_file *ctl_next(const struct target *dir, unsigned int after);
/* The text of a plain file (rq->t), to be freed; or of what a handle that only looks is shown. */
int ctl_snapshot(struct request *rq, char **ret_text, size_t *ret_len);
int ctl_write(struct request *rq); /* replies how many bytes were used (whole lines); or -errno */
int ctl_readlink(const struct target *t, char *buf, size_t size);

#endif
