/* SPDX-License-Identifier: MIT */
/*
 * The progress line: jobs done, failed and in hand, messages that wait, jobs a second, time left.
 * On a terminal it is one line of standard error that changes; elsewhere it is printed once, at the
 * end.
 */
#ifndef IPCCTL_PROGRESS_H
#define IPCCTL_PROGRESS_H

#include "util.h"

struct progress {
	bool on, terminal;
	bool shown;    /* a line stands there that the next output has to remove */
	int64_t began; /* of the first job */
	int64_t due;   /* when to draw it again */
	uint64_t done, failed;
};

void progress_start(struct progress *p, bool on);
/* Draws it, unless it was drawn a moment ago. QUEUE: whose size says what waits. */
void progress_show(struct progress *p, unsigned int in_hand, const char *queue);
/* Before anything else is printed. */
void progress_hide(struct progress *p);
void progress_end(struct progress *p, const char *queue);

#endif
