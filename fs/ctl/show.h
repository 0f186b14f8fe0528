/* SPDX-License-Identifier: MIT */
/* The longer texts of .ctl files: ctl_show.c. */
#ifndef IPCFS_SHOW_H
#define IPCFS_SHOW_H

#include <stdint.h>
#include <stdio.h>

struct ctl_file;
struct object;

/* Who keeps the object's lock, and for how long already: "pid 12 (command) for 3.4 s". */
void show_stalled(struct object *ob, FILE *f);
void show_type(struct object *ob, FILE *f);
void show_status(struct object *ob, const struct ctl_file *table, FILE *f);
void show_look(struct object *ob, FILE *f);  /* what an object that is only looked at shows */
void show_stats(struct object *ob, FILE *f); /* ctl_stats.c */
void show_leased(struct object *ob, FILE *f);
void show_dead(struct object *ob, FILE *f);
void show_list(struct object *ob, FILE *f); /* ctl_list.c */
void show_mount_status(FILE *f);
/* Objects that somebody has open, locked one after the other; those that are stalled, unlocked. */
void show_each(void (*fn)(struct object *ob, const char *path, void *arg), void *arg);

#endif
