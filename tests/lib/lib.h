/* SPDX-License-Identifier: MIT */
/* What the tests of libipcfs stand on: lib.c. */
#ifndef TEST_LIB_H
#define TEST_LIB_H

#include <sys/types.h>

#include "ipcfs.h"
#include "runner.h"

int client(int argc, char **argv);

const char *path_of(const char *name);
ipcfs_obj *make(const char *type);          /* a new object */
ipcfs_obj *again(ipcfs_obj *o, int oflags); /* another handle of it */
void name_of(ipcfs_obj *o, char *path, size_t size);
void setting(ipcfs_obj *o, const char *file, const char *value);
void write_text(ipcfs_obj *o, const char *text); /* by a file handle */
double seconds(void);
void await_value(ipcfs_obj *o, int64_t n);
void await_waiters(ipcfs_obj *o, int n);
pid_t in_child(void (*f)(ipcfs_obj *o), ipcfs_obj *o);
void ends_well(pid_t pid);

#define SECOND 1000000000ll
#define AMPLE  ((int64_t)patience(20) * SECOND) /* for what must come */

#endif
