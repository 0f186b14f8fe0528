/* SPDX-License-Identifier: MIT */
/* The command line: options.c. */
#ifndef IPCFS_PROCESS_OPTIONS_H
#define IPCFS_PROCESS_OPTIONS_H

struct fuse_args;
struct options;
struct worker_shared;

enum { OPTIONS_FINE = -1 };

/*
 * OPTIONS_FINE: *ret is what is asked for, and args are what libfuse is to know. Otherwise there is
 * nothing more to do: the exit status. resumed: what was asked of the supervisor before this one; NULL.
 */
int options_parse(struct fuse_args *args, const struct worker_shared *resumed, struct options *ret);
void options_free(struct options *o);

#endif
