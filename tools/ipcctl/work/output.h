/* SPDX-License-Identifier: MIT */
/*
 * What jobs print: kept in a file for each job until it has ended, so that lines of two jobs never
 * mix; and the results directory, where it stays.
 */
#ifndef IPCCTL_OUTPUT_H
#define IPCCTL_OUTPUT_H

#include "work/job.h"

/* Opens j->out and j->err. 0 or a negative errno. */
int output_open(struct job *j, const struct job_options *o);
/* Copies them to the standard output and error; 0 or a negative errno. */
int output_print(struct job *j, const struct job_options *o);
/* RESULTS/ID/status: how it ended. */
int output_status(const struct job *j, const struct job_options *o);

#endif
