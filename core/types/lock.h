/* SPDX-License-Identifier: MIT */
/* What lock and rlock share: see type.h. */
#ifndef IPC_TYPES_LOCK_H
#define IPC_TYPES_LOCK_H

#include "object/engine.h"

struct ipc_counts; /* stats.h */
struct ipc_facts;  /* facts.h */

int lock_parse(const char *s, size_t len, struct ipc_cmd *ret);
uint64_t lock_size(struct ipc_obj *o);
void lock_counts(const struct ipc_obj *o, struct ipc_counts *c);
int lock_words(const struct ipc_facts *f, char *ret, size_t size);

#endif
