/* SPDX-License-Identifier: MIT */
/* Log lines: to stderr in the foreground, to syslog else. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <fuse_log.h>
#include <syslog.h>

#include "base/log.h"

static bool to_syslog;

static void fuse_log_line(enum fuse_log_level level, const char *fmt, va_list ap)
{
	char line[1024];

	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = 0;
	if (*line)
		log_line(level < FUSE_LOG_DEBUG ? (int)level : LOG_DEBUG, "%s", line);
}

void log_init(bool use_syslog)
{
	to_syslog = use_syslog;
	if (use_syslog)
		openlog("ipcfs", LOG_PID, LOG_DAEMON);
	fuse_set_log_func(fuse_log_line);
}

void log_line(int priority, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (to_syslog)
		syslog(priority, "%s", line);
	else
		fprintf(stderr, "ipcfs: %s\n", line);
}
