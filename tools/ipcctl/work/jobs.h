/* SPDX-License-Identifier: MIT */
/*
 * What is known of a queue's messages as jobs, as rows of a table: by the queue itself (ctl/list,
 * leased, dead), and of those that are gone by the results directory of `ipcctl work`.
 */
#ifndef IPCCTL_JOBS_H
#define IPCCTL_JOBS_H

#include "print/table.h"
#include "util.h"

enum {
	JOB_ID,
	JOB_STATE,
	JOB_ATTEMPT,
	JOB_AGE,
	JOB_PID,
	JOB_SECONDS,
	JOB_EXIT,
	JOB_MESSAGE,
	N_JOB
};

extern const struct column jobs_columns[N_JOB];

struct job_place {
	uint64_t id;
	size_t row;
};

struct jobs {
	int ctl;    /* the queue's ctl directory; not owned */
	char **ids; /* only these; none: all */
	size_t n_ids;
	struct table table;
	struct job_place *places; /* of the rows, by ID */
	size_t n_places;
};

void jobs_add_id(struct jobs *j, char *id); /* takes it */
void jobs_free(struct jobs *j);

/* Reads what the queue knows, in place of what the table had; 0 or a negative errno. */
int jobs_read(struct jobs *j);
/* Adds what the directory has: of those that are dead letters, or not in the queue. */
int jobs_read_results(struct jobs *j, const char *dir);

/* The cells of one; NULL: there is none. */
char **jobs_row(const struct jobs *j, const char *id);
bool jobs_in_state(const struct jobs *j, const char *id, const char *state);

#endif
