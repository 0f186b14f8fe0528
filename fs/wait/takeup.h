/* SPDX-License-Identifier: MIT */
/* After a start: the objects that are in use (takeup.c). */
#ifndef IPCFS_TAKEUP_H
#define IPCFS_TAKEUP_H

#include <stdint.h>

struct object;

void takeup_begin(void); /* which they are; before anything is done to one */
void takeup_some(void);  /* the first of them */
void takeup_rest(void);  /* all that are left */
void takeup_end(void);
/* It was mapped, and is of this mount: what is to be done when it is first locked. */
void takeup_object(struct object *ob);
/* A name is about to lead to it: who has it open for writing must be known (base_is_open()). */
void takeup_named(uint64_t base);
/* All requests that the kernel resends have arrived: a waiter without one is done. */
void takeup_told(void);

extern unsigned int takeup_at_once; /* how many are looked at before the first request; for tests */

#endif
