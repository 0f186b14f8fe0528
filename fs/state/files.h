/* SPDX-License-Identifier: MIT */
/* The files of single objects, in the folder of engine files: files.c. */
#ifndef IPCFS_FILES_H
#define IPCFS_FILES_H

#include <stdbool.h>
#include <stdint.h>

struct ipc_obj;
struct ipc_type;

/* Remove them; they no longer count as the mount's memory. t NULL: a directory, which has none. */
void files_remove(uint64_t id, const struct ipc_type *t);
void files_remove_engine(uint64_t id);
void files_remove_data(uint64_t id);
/* For the handler of SIGBUS: is this page in that mapping? */
bool files_contain(const struct ipc_obj *o, uintptr_t page);
bool files_zero_page(const struct ipc_obj *o, uintptr_t page); /* there are zeros in its place */

#endif
