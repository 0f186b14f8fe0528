/* SPDX-License-Identifier: MIT */
/*
 * Arrays' bytes. 0 or more, or -errno. With the object locked, but for reading, and for writing to
 * bytes that are there.
 */
#ifndef IPCFS_FS_ARRAY_H
#define IPCFS_FS_ARRAY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct object;
struct target;

/* The array that is open here, not locked; NULL: there is none, or it was not looked at yet. */
struct object *array_open(uint64_t ino, uint64_t fh, struct target *ret);
bool array_has(struct object *ob, uint64_t off, size_t size);
int array_resize(struct object *ob, uint64_t length);
ssize_t array_read(struct object *ob, char *buf, size_t size, uint64_t off);
int array_memory(struct object *ob); /* a descriptor of its memory, to be closed */
ssize_t array_write(struct object *ob, const char *buf, size_t size, uint64_t off);

/* .ctl/items and .ctl/length */
void show_items(struct object *ob, FILE *f);
int store_items(struct object *ob, const char *s, size_t len, uint64_t unique);
void show_length(struct object *ob, FILE *f);
int store_length(struct object *ob, const char *s, size_t len, uint64_t unique);

#endif
