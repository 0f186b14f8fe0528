/* SPDX-License-Identifier: MIT */
/* Deadlines: a heap of timers over one timerfd. Under the daemon lock; nothing here fails. */
#ifndef IPCFS_TIMER_H
#define IPCFS_TIMER_H

#include <stdint.h>

/* Something to be done once, at a given time. */
struct timer {
	int64_t deadline;              /* CLOCK_MONOTONIC ns */
	uint32_t heap_at;              /* place in the heap of deadlines, + 1; 0: it is not set */
	void (*fire)(struct timer *t); /* removes it or sets it anew */
};

extern int timer_fd; /* a timerfd of CLOCK_MONOTONIC, for whoever waits; its owner opens it */

void timer_set(struct timer *t, int64_t deadline); /* IPC_NEVER: not */
void timer_remove(struct timer *t);
void timers_expire(void); /* event thread: deadlines that have passed */
void timers_free(void);

#endif
