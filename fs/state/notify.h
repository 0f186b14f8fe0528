/* SPDX-License-Identifier: MIT */
/* Messages to the kernel that libfuse does not send, or sends differently. */
#ifndef IPCFS_NOTIFY_H
#define IPCFS_NOTIFY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Notifications. */
void notify_poll(uint64_t kh);     /* whoever polled should ask again */
void notify_attr(uint64_t nodeid); /* the kernel's copy of the attributes is stale */
/* So is the name's entry. A process of its own says so: its pid, to be waited for; -1. */
pid_t notify_name_apart(uint64_t parent, const char *name, size_t len);
void notify_resend(void); /* resend what was not answered */

/*
 * A message. unique: the request that it answers, and code 0 or -errno; or 0, and code says what it
 * is. (What the kernel does not know any more is no harm.)
 */
void kernel_send(uint64_t unique, int code, const void *data, size_t len, const char *tail,
		 size_t tail_len);

#endif
