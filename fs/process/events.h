/* SPDX-License-Identifier: MIT */
/* The event thread: deadlines, signals, the end of processes. events.c */
#ifndef IPCFS_EVENTS_H
#define IPCFS_EVENTS_H

#include <stdbool.h>

/* Its descriptors, and the signals that are for it. 0 or -errno, as below. */
int events_open(void);
int events_start(void); /* the calling thread is the loop thread */
void events_stop(void);
void events_close(void);
bool events_stopping(void); /* SIGTERM has come. From every thread. */

#endif
