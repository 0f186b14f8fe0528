/* SPDX-License-Identifier: MIT */
/*
 * The loop of `ipcctl work`: leases messages while it has room for more jobs, and settles each
 * lease when its job has ended. One thread; it waits in one poll(2) for the queue, its children,
 * signals and time.
 */
#ifndef IPCCTL_LOOP_H
#define IPCCTL_LOOP_H

#include "work/job.h"

struct work_options {
	struct job_options job;
	unsigned int jobs; /* at the same time */
	bool until_closed; /* end when the queue is closed and nobody has any of it left */
	bool until_empty;  /* end when nothing waits and nothing of ours is in hand */
	bool progress;
};

/* The exit status. */
int work(const struct work_options *o);

#endif
