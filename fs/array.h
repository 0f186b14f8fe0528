/* SPDX-License-Identifier: MIT */
/* Arrays' bytes; all with the object locked. 0 or more, or -errno. */
#ifndef IPCFS_FS_ARRAY_H
#define IPCFS_FS_ARRAY_H

#include <stdio.h>

#include "fs.h"

int array_resize(struct object *ob, uint64_t length);
ssize_t array_read(struct object *ob, char *buf, size_t size, uint64_t off);
ssize_t array_write(struct object *ob, const char *buf, size_t size, uint64_t off);

/* .ctl/items and .ctl/length */
void show_items(struct object *ob, FILE *f);
int store_items(struct object *ob, const char *s, size_t len, uint64_t unique);
void show_length(struct object *ob, FILE *f);
int store_length(struct object *ob, const char *s, size_t len, uint64_t unique);

#endif
