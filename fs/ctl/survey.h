/* SPDX-License-Identifier: MIT */
/*
 * .ctl/stats and .ctl/metrics: numbers of every object of the mount, however many there are. The text is
 * made piece by piece, as it is read, so no other request waits for more than some hundred objects.
 *
 * Looking waits for nobody: of an object whose lock is kept only that is said. None is mapped for it.
 */
#ifndef IPCFS_SURVEY_H
#define IPCFS_SURVEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "object/stats.h"

struct survey;

/* What is known of an object. */
struct surveyed {
	char *path; /* in the mount */
	const struct ipc_type *type;
	bool stalled; /* and so nothing else is known */
	uint64_t size, waiters, holders;
	struct ipc_counts counts;
};

/* What a survey is written as. */
struct survey_form {
	void (*begin)(FILE *f);
	void (*object)(FILE *f, const struct surveyed *s); /* as soon as it has been looked at */
	/* Of all again, once for each part; false: there is no part of this number. */
	bool (*part)(FILE *f, unsigned int part);
	void (*again)(FILE *f, unsigned int part, const struct surveyed *s);
	void (*end)(FILE *f);
};

extern const struct survey_form survey_rows, survey_metrics;

struct survey *survey_new(const struct survey_form *form);
void survey_free(struct survey *s);
/* Have at least `want` bytes of the text, or all; no more than a little further. -ENOMEM. */
int survey_text(struct survey *s, size_t want, char **ret_text, size_t *ret_len);

/* All of it at once, to be freed. -ENOMEM. */
int survey_all(const struct survey_form *form, char **ret_text, size_t *ret_len);

#endif
