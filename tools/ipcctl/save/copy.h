/* SPDX-License-Identifier: MIT */
/* One object to a file and back; doc/save.md describes the file. All return 0 or a negative errno. */
#ifndef IPCCTL_COPY_H
#define IPCCTL_COPY_H

#include <stdio.h>

#include "util.h"

#define SAVE_FIRST_LINE "ipcfs object 1\n"
#define SAVE_DIR        ".ipcfs-directory" /* no object has such a name: it has no suffix */
#define SAVE_MARK       "ipcfs-save"
#define SAVE_MARK_LINE  "ipcfs save 1\n"
#define SAVE_TREE       "tree"

/* Writes the object to OUT; its owner and mode are in there, too. */
int save_object(const char *path, FILE *out);
/* Writes the owner and mode of a directory. */
int save_directory(int fd, FILE *out);

/*
 * Makes the object PATH from IN under another name, which becomes PATH only when it is whole.
 * -EEXIST: there is one, and not `force`. *ret_lock: the name of the lock that it uses, for
 * load_lock() when all objects are there; NULL if its own.
 */
int load_object(const char *path, FILE *in, bool force, char **ret_lock);
/* Removes what a load that was killed has left in this folder of the mount. */
void load_sweep(const char *folder);
int load_lock(const char *path, const char *lock);
/* Gives the directory PATH its owner and mode. */
int load_directory(const char *path, FILE *in);

#endif
