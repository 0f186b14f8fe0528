/* SPDX-License-Identifier: MIT */
/* What is written to an object as text, which its type parses (`parse` in type.h). */
#ifndef IPC_COMMAND_H
#define IPC_COMMAND_H

#include "object/engine.h"
#include "object/text.h"

/* One command to an object of this type. -EINVAL, -ERANGE. */
int ipc_command(const struct ipc_type *t, const char *s, size_t len, struct ipc_cmd *ret);

/* For types: a number, or nothing at all, which is 1. */
int command_count(const char *s, size_t len, enum ipc_verb verb, struct ipc_cmd *ret);

#endif
