/* SPDX-License-Identifier: MIT */
/* Warnings after a mount, in the log: warn.c. */
#ifndef IPCFS_WARN_H
#define IPCFS_WARN_H

void warn_hidden(const char *mountpoint); /* before it is mounted */
void warn_timeouts(void);
void warn_logout(void);

#endif
