/* SPDX-License-Identifier: MIT */
/* Who wrote the lines that are unfinished: unfinished.c. */
#ifndef IPCFS_UNFINISHED_H
#define IPCFS_UNFINISHED_H

#include <stdbool.h>
#include <stdint.h>

/* A process writes by this handle of this object, and what it writes ends in mid-line. */
void unfinished_by(uint64_t id, uint64_t fh, uint32_t pid);
/* The one that did so last, and is `pid`: did a signal end it? */
bool unfinished_killed(uint64_t id, uint64_t fh, uint32_t pid);
void unfinished_closed(uint64_t id, uint64_t fh);

/*
 * What outlasts a worker: both ends of a socket. The first supervisor makes it, and hands it over.
 */
extern int unfinished_fds[2];
int unfinished_init(void);
void unfinished_load(void); /* a worker: what the last one knew */
void unfinished_unload(void);

#endif
