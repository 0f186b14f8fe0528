/* SPDX-License-Identifier: MIT */
/* Log lines: to stderr in the foreground, to syslog otherwise. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "base/log.h"

static bool to_syslog;

void log_init(bool use_syslog)
{
	to_syslog = use_syslog;
	if (use_syslog)
		openlog("ipcfs", LOG_PID, LOG_DAEMON);
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
