/* SPDX-License-Identifier: MIT */
/* Processes with whose end something returns (ctl/scope): watch.c. */
#ifndef IPCFS_WATCH_H
#define IPCFS_WATCH_H

#include <stdint.h>

struct ipc_handle;
struct object;

/*
 * Before somebody (pid) takes what returns when the process that opened the handle ends: watch that
 * one, with the object locked. If it has ended already, who takes stands for it from now on.
 */
void watch_opener(struct object *ob, struct ipc_handle *hd, uint32_t pid);
/*
 * It has been taken: it returns when one of these processes ends (ctl/scope). With the object
 * locked.
 */
void watch_holder(struct object *ob, uint32_t opener, uint32_t pid);

void watch_again(void); /* after a restart: the same as before, and what ended in between */
/*
 * Those that have ended. The event thread would find them too, but a request that was made after
 * such an end must not be dealt with before it.
 */
void watch_look(void);
int watch_open(void); /* a descriptor that is readable when one has ended; -1 */
void watch_close(void);

#endif
