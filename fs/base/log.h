/* SPDX-License-Identifier: MIT */
/* One line to the log: stderr of a daemon in the foreground, syslog otherwise. Any thread. */
#ifndef IPCFS_LOG_H
#define IPCFS_LOG_H

#include <stdbool.h>
#include <syslog.h>

void log_init(bool syslog);
void log_line(int priority, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
