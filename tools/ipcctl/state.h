/* SPDX-License-Identifier: MIT */
#ifndef IPCCTL_STATE_H
#define IPCCTL_STATE_H

#include <sys/stat.h>

#include "object.h"

/*
 * The size column in words: "3 messages", "2 of 4 free", "held". FACTS is the object's status,
 * which is empty if it could not be read; NULL: the object is damaged.
 */
char *state_text(int dirfd, const char *name, const struct ipc_type *type, const struct stat *st,
		 const struct facts *facts);

#endif
