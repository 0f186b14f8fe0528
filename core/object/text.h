/* SPDX-License-Identifier: MIT */
/* Parsing text other than numbers (number.h): pure functions of their arguments. */
#ifndef IPC_TEXT_H
#define IPC_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "64M", "1G", "4096", "25%" (of `whole`) */
int text_size(const char *s, uint64_t whole, uint64_t *ret);
/* A time limit, in nanoseconds: seconds, or "inf" (INT64_MAX). -EINVAL. */
int text_limit(const char *s, size_t len, int64_t *ret);
/* Take blanks and newlines off both ends. */
void text_trim(const char **s, size_t *len);
/* The length of its first word, up to a blank or tab. */
size_t text_word(const char *s, size_t len);
bool text_is(const char *s, size_t len, const char *word);

#endif
