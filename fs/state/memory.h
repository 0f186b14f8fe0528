/* SPDX-License-Identifier: MIT */
/* The mount's memory, and who waits for it: memory.c. */
#ifndef IPCFS_MEMORY_H
#define IPCFS_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ipc_env;
struct object;

/* An engine file grows by so many bytes (negative: shrinks). For struct ipc_env. */
int memory_account(struct ipc_env *env, int64_t bytes, bool essential);
/* The file system has no room for so many bytes. true: it may have now. For struct ipc_env. */
bool memory_full(struct ipc_env *env, int64_t bytes, bool essential);
/* With the mount file open. */
void memory_begin(void);
void memory_end(void);
/* Somebody who uses this object waits for memory, and was just refused; or nobody does any more. */
void memory_hungry(struct object *ob, bool hungry);
/* Is less in use now? Then settle the hungry (fs.hungry), and ask again. */
bool memory_may_do(void);
void memory_tried(uint64_t took); /* that took so many ns */
void memory_limit_changed(void);
/*
 * Could those who read messages, or others who use the file system, make room for so many bytes?
 * false: waiting would be for ever.
 */
bool memory_may_come(size_t bytes);

/* ---- roomy.c ---- */

/* After a change, locked: what is free goes back, or will when nobody needs it for some time. */
void memory_trim(struct object *ob);
/* It is about to be unmapped. */
void memory_forget(struct object *ob);

#endif
