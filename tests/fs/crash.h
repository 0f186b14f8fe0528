/* SPDX-License-Identifier: MIT */
/*
 * Death at every instant. A scenario is set up, something is asked, and the worker dies before the
 * n-th store into an engine file or system call of dealing with it; another one takes over and
 * gets what was not answered once more. For every n, the answers and what is there afterwards must
 * be what they are without a death. In a second round the worker that takes over dies as well,
 * somewhere in what it does to recover.
 */
#ifndef TEST_CRASH_H
#define TEST_CRASH_H

#include "calls.h"

struct crash {
	void (*setup)(void);
	void (*ask)(void);
	void (*verify)(void); /* with a worker that lives */
	bool untold;          /* on a kernel that does not tell how processes ended */
};

void crash_everywhere(const struct crash *c);
/* The same on a kernel that sends nothing again. */
void crash_old_kernel(const struct crash *c);

/* What the scenarios of one file share. */
extern struct file f1, f2, f3, f4;
extern rq r1, r2, r3, r4;

/* Take all that a queue holds: its lines. */
const char *drain(const char *queue);

#define CRASH(id)                                                                              \
	static void setup_##id(void);                                                          \
	static void ask_##id(void);                                                            \
	static void verify_##id(void);                                                         \
	TEST(crash_##id)                                                                       \
	{                                                                                      \
		crash_everywhere(&(struct crash){ setup_##id, ask_##id, verify_##id, false }); \
	}

#define CRASH_UNTOLD(id)                                                                      \
	static void setup_##id(void);                                                         \
	static void ask_##id(void);                                                           \
	static void verify_##id(void);                                                        \
	TEST(crash_##id)                                                                      \
	{                                                                                     \
		crash_everywhere(&(struct crash){ setup_##id, ask_##id, verify_##id, true }); \
	}

/* Of a scenario in which nobody waits: on an old kernel those who do are sent away. */
#define CRASH_OLD(id)                                                                          \
	TEST(crash_old_##id)                                                                   \
	{                                                                                      \
		crash_old_kernel(&(struct crash){ setup_##id, ask_##id, verify_##id, false }); \
	}

#endif
