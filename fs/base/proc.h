/* SPDX-License-Identifier: MIT */
/* What /proc says about a process or thread. Every answer may be outdated when it is used. */
#ifndef IPCFS_PROC_H
#define IPCFS_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint32_t proc_pid(uint32_t tid);   /* the process that a thread belongs to */
bool proc_killed(uint32_t tid);    /* it is ending because of a signal */
bool proc_dying(uint32_t tid);     /* it is gone, or will end as soon as it runs */
bool proc_memory(uint32_t tid);    /* it still has memory: its exit has only begun */
char proc_state(uint32_t tid);     /* R, S, T …; 0: gone */
int proc_cpu(uint32_t tid);        /* where it runs, or ran last */
uint64_t proc_start(uint32_t pid); /* start time in clock ticks; 0: gone */
uint32_t proc_uid(uint32_t pid);
void proc_command(uint32_t pid, char *buf, size_t size);
uint64_t proc_memory_total(void);
/*
 * The wait status of a pidfd's process once that is gone; -1: it is not, or the kernel does not
 * tell (Linux 6.15 does).
 */
int proc_end(int pidfd);
bool proc_ends_are_told(void);

#endif
