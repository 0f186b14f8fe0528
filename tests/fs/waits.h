/* SPDX-License-Identifier: MIT */
/*
 * Every request that can wait: how it comes to wait, and what ends its wait. Tests go through all
 * of them and do the same to each: interrupt it, kill the worker under it, and so on.
 */
#ifndef TEST_WAITS_H
#define TEST_WAITS_H

#include "calls.h"

struct wait {
	const char *name;
	const char *path; /* the file that is opened for it */
	int flags;
	void (*setup)(void); /* makes the objects; wait_other is open then */
	rq (*ask)(const struct file *f);
	void (*grant)(void); /* makes one wait possible */
	const char *answer;  /* what the granted one is told */
};

extern const struct wait waits[];
extern const unsigned int n_waits;

/* A daemon in which this can wait, and two files that are open for it. */
void wait_begin(const struct wait *w, struct file f[2]);

#define EACH_WAIT(w) for (const struct wait *w = waits; w < waits + n_waits; w++)

/* A failure says in which one it was. */
#define IN_WAIT(w, got, want)                                                                     \
	do {                                                                                      \
		const char *told_ = (got);                                                        \
		if (strcmp(told_, (want)))                                                        \
			test_fail(__FILE__, __LINE__, "%s: \"%s\", not \"%s\"", (w)->name, told_, \
				  (want));                                                        \
	} while (0)

#endif
