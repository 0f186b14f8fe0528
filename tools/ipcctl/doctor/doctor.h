/* SPDX-License-Identifier: MIT */
/* The checks of ipcctl doctor; each adds its findings to the table. */
#ifndef IPCCTL_DOCTOR_H
#define IPCCTL_DOCTOR_H

#include "print/table.h"
#include "util.h"

enum verdict { VERDICT_OK, VERDICT_WARN, VERDICT_FAIL };

/* FOUND and CURE are taken; CURE may be NULL. */
void finding(struct table *t, enum verdict verdict, const char *check, char *found, char *cure);

void doctor_kernel(struct table *t);  /* kernel, RESEND, streams, request timeouts */
void doctor_fuse(struct table *t);    /* /dev/fuse, fusermount3, fuse.conf, libfuse */
void doctor_machine(struct table *t); /* shared memory, logout, limits */
void doctor_sync(struct table *t);    /* futexes, memfds, pidfds, /proc */
/* Can objects live in this directory? */
void check_allocation(struct table *t, const char *dir);
/* PATH: one mount point; NULL: every mount. */
void doctor_mounts(struct table *t, const char *path);

#endif
