/* SPDX-License-Identifier: MIT */
/* What the commands share that act on an object: time limits, opening, exit statuses. */
#ifndef IPCCTL_VERB_H
#define IPCCTL_VERB_H

#include <stdint.h>

#include "borrow.h"
#include "ipcctl.h"
#include "ipcfs.h"

#define WAIT_OPTIONS                                             \
	{ 't', "timeout", "SECONDS", "wait at most this long" }, \
	{                                                        \
		'n', "nonblock", NULL, "do not wait at all"      \
	}

/* Handles WAIT_OPTIONS; *limit_ns begins as FOR_EVER. */
void wait_option(const struct command *cmd, int code, int64_t *limit_ns);

/* A deadline for a time limit, and what is left of it as a time limit; 0 and FOR_EVER stay. */
int64_t limit_end(int64_t limit_ns);
int64_t limit_left(int64_t end);

/* Opens an object for libipcfs, and tells the guard how long that may take; negative errno. */
int verb_open(const char *path, int oflags, int64_t limit_ns, ipcfs_obj **ret);
/* Opens an object as a file whose operations have this time limit; negative errno. */
int verb_open_file(const char *path, int oflags, int64_t limit_ns);
/* Says what went wrong, if it did, and returns the exit status. */
int verb_status(const char *path, int error);

/* Writes TEXT and a newline to a file in one write. */
int write_text(const char *path, const char *text);

#endif
