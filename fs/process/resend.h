/* SPDX-License-Identifier: MIT */
/* What comes again when a worker follows a dead one: resend.c. All of it with fs.lock. */
#ifndef IPCFS_RESEND_H
#define IPCFS_RESEND_H

#include <linux/fuse.h>
#include <stdbool.h>

struct worker_shared;

void resend_begin(struct worker_shared *sh);
/* Have what the dead worker had read and not answered sent again; once the first message is answered. */
void resend_ask(void);
/* This one has come. */
void resend_came(const struct fuse_in_header *h);
/* No worker had it before, for all that can be said. */
bool resend_is_new(const struct fuse_in_header *h);

#endif
