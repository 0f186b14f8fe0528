/* SPDX-License-Identifier: MIT */
#ifndef IPCFS_LOGIND_H
#define IPCFS_LOGIND_H

#include <stdbool.h>
#include <sys/types.h>

/* Does what this user has in /dev/shm go at the last logout? root: where "/" is, for tests; "". */
bool logind_removes(const char *root, uid_t uid, const char *user);

#endif
