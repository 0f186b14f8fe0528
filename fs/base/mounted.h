/* SPDX-License-Identifier: MIT */
#ifndef IPCFS_MOUNTED_H
#define IPCFS_MOUNTED_H

#include <stdbool.h>
#include <sys/types.h>

/* Is what is mounted there an ipcfs of this user? And its st_dev. */
bool mount_is_ours(const char *mountpoint, dev_t *ret_dev);

#endif
