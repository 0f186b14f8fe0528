/* SPDX-License-Identifier: MIT */
/* Who waits, and who holds: the files `waiters` and `holders`. */
#ifndef IPCFS_WHO_H
#define IPCFS_WHO_H

#include <stdint.h>
#include <stdio.h>

struct ipc_waiter;
struct object;

void show_waiters(struct object *ob, FILE *f);
/* Collects them, with the object locked; show_holders_found() shows them when it no longer is. */
void show_holders(struct object *ob, FILE *f);
void show_holders_found(FILE *f);
void show_mount_waiters(FILE *f);
void show_mount_holders(FILE *f);
uint32_t who_pid(const struct ipc_waiter *w);
const char *who_op(uint32_t op);

#endif
