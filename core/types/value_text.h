/* SPDX-License-Identifier: MIT */
/* What is written to a value, and what it makes of the text: pure functions of their arguments. */
#ifndef IPC_VALUE_TEXT_H
#define IPC_VALUE_TEXT_H

#include "object/engine.h"

/* "TEXT", "+=N", "-=N", "cas OLD NEW": `parse` in type.h. */
int value_parse(const char *s, size_t len, struct ipc_cmd *ret);
/* A text as this type (code; 0: none) prints it, into buf[IPC_VALUE_MAX]. 0 or -errno. */
int value_normal(uint32_t code, const char *text, size_t len, char *buf, size_t *ret_len);
/* What the command makes of the text `now`. 0; -EAGAIN: it is not cas's OLD; -errno. */
int value_made(uint32_t code, const struct ipc_cmd *cmd, const char *now, size_t len, char *buf,
	       size_t *ret_len);

#endif
