/* SPDX-License-Identifier: MIT */
/*
 * crew.h - many threads that wait for one thing, and how to know that all of them do.
 *
 * Each thread says that it is about to wait; then the kernel says that it sleeps; and where the
 * peer can tell how many wait (an object's status, a file of the empty FUSE file system) it is
 * asked too. Only the last is a proof for a peer that takes locks of its own on the way.
 */
#ifndef CREW_H
#define CREW_H

#include "bench.h"

struct wait_type {
	const char *name;
	void (*make)(int n); /* may be NULL */
	void (*open)(int i); /* one for each thread, one after the other; may be NULL */
	void (*wait)(int i);
	void (*wake)(void);    /* let all (semaphore: one) go */
	void (*reset)(void);   /* all have gone; may be NULL */
	long (*waiting)(void); /* how many wait; NULL: it cannot tell */
	void (*drop)(void);    /* may be NULL */
};

extern const struct wait_type wait_types[];

const struct wait_type *wait_type(const char *name);

/* Start n threads with small stacks; each calls body(i). */
void crew_start(int n, void (*body)(int i));
/* A thread calls this right before it waits. */
void crew_about_to_wait(int i);
/* Until each of the threads has said so `times` times, and all of them sleep. */
void crew_all_wait(const struct wait_type *t, uint32_t times);
/* Until thread i has said it, and sleeps. */
void crew_one_waits(int i, uint32_t times);

#endif
