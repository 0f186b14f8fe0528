/* SPDX-License-Identifier: MIT */
/* Text in: pure functions, that look at nothing but their arguments. */
#ifndef IPCFS_TEXT_H
#define IPCFS_TEXT_H

#include "object/engine.h"

/* "64M", "1G", "4096", "25%" (of `whole`) */
int text_size(const char *s, uint64_t whole, uint64_t *ret);
/* What follows the @ of NAME@SECONDS, in nanoseconds: seconds, or "inf" (INT64_MAX). -EINVAL. */
int text_limit(const char *s, size_t len, int64_t *ret);
/* Take blanks and newlines off both ends. */
void text_trim(const char **s, size_t *len);
/* One command to an object of this type. -EINVAL, -ERANGE. */
int text_command(uint32_t type, const char *s, size_t len, struct ipc_cmd *ret);

#endif
