/* SPDX-License-Identifier: MIT */
/* Who polls an object: pollers.c. */
#ifndef IPCFS_POLLERS_H
#define IPCFS_POLLERS_H

#include <stdbool.h>
#include <stdint.h>

struct ipc_handle;
struct object;

/* An open file (by the kernel's name for it) polls the object; it was closed. */
void pollers_add(struct object *ob, uint64_t kh);
/* It polls while somebody keeps the object's lock. (The daemon alone writes the words of this.) */
void pollers_add_late(struct object *ob, struct ipc_handle *hd, uint64_t kh);
void pollers_remove(struct object *ob, uint64_t kh);
void pollers_forget(struct object *ob); /* all of them: the object goes */
void pollers_find(struct object *ob);   /* after a restart: what its file says */

/*
 * How long a poller that was notified has to take what only one can take, before the others are
 * told as well (at most twice as long). Tests change it.
 */
extern unsigned int poll_interval_ms;

/* With the object locked. */
void wake_pollers(struct object *ob);
void wake_late_pollers(struct object *ob);
void poll_rearm(struct object *ob); /* after a start */
/* Have it looked at, and settled, at this time (CLOCK_MONOTONIC ns) or earlier. */
void look_again_at(struct object *ob, int64_t when);
void pollers_expire(struct object *ob);   /* if its timer has gone off: do what is due */
void pollers_tell_all(struct object *ob); /* it is damaged */

#endif
