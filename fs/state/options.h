/* SPDX-License-Identifier: MIT */
/* What the command line asks for. */
#ifndef IPCFS_OPTIONS_H
#define IPCFS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct options {
	char *mountpoint;
	char *state; /* state directory */
	char *memory, *objects, *message, *framing, *take, *deadlock;
	uint64_t memory_limit, object_limit, message_limit;
	uint32_t new_framing, new_take;
	bool refuse_deadlocks; /* deadlock=error */
	int debug, foreground;
	int no_resend; /* tests: as on a kernel without FUSE_NOTIFY_RESEND */
	int no_ends;   /* tests: as on one without PIDFD_INFO_EXIT */
};

#endif
