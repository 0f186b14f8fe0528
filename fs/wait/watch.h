/* SPDX-License-Identifier: MIT */
/* Processes at whose end something is returned (ctl/scope): watch.c. */
#ifndef IPCFS_WATCH_H
#define IPCFS_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct ipc_handle;
struct object;

/*
 * Before process pid takes something that is returned when the process that opened the handle ends:
 * watch that one, with the object locked. If it has ended already, pid takes its place.
 */
void watch_opener(struct object *ob, struct ipc_handle *hd, uint32_t pid);
/*
 * It was taken: it is returned when one of these processes ends (ctl/scope). With the object
 * locked.
 */
void watch_holder(struct object *ob, uint32_t opener, uint32_t pid);

bool watch_process(uint32_t pid); /* false: it has ended already, or cannot be watched */
uint32_t watch_ended(void);       /* one that has; it is not watched any more. 0: none */
int watch_open(void);             /* a descriptor that becomes readable when one ends; -1 */
void watch_close(void);

/* ---- ended.c ---- */

/* After a restart: watch the same processes; some may have ended meanwhile. With the object locked. */
void watch_holds_again(struct object *ob);
/*
 * Handle those that have ended. The event thread would notice, too, but a request that was made
 * after such an end must not be handled before it.
 */
void watch_look(void);

#endif
