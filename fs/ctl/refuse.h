/* SPDX-License-Identifier: MIT */
/*
 * Mount option deadlock=error: who would wait for a lock for ever gets EDEADLK. Without it all of this
 * does nothing.
 */
#ifndef IPCFS_REFUSE_H
#define IPCFS_REFUSE_H

#include <stdbool.h>

#include "object/engine.h"

struct object;

/* Is it a wait for what others hold? With the object locked. */
bool refuse_concerns(struct object *ob, ref_t waiter);
/* Such a wait has begun: end those that are part of a cycle. */
void refuse_look(void);
/* Some may begin, or be made hopeless, without a request: look after a while. */
void refuse_later(void);

#endif
