/* SPDX-License-Identifier: MIT */
/* The ioctls that ipcctl uses, from the library's header where that is there. */
#ifndef IPCCTL_IOCTLS_H
#define IPCCTL_IOCTLS_H

#include <stdint.h>
#include <sys/ioctl.h>

#if __has_include("ipcfs.h")
#include "ipcfs.h"
#endif

#ifndef IPCFS_IOC_TIMEOUT
#define IPCFS_IOC_TIMEOUT _IOW('i', 1, int64_t) /* ns for each operation, -1 for ever */
#endif

#endif
