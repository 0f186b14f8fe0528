/* SPDX-License-Identifier: MIT */
/*
 * The file of one saved object: records of any bytes behind a line that says what they are. doc/save.md
 * is the description.
 *
 *	message 17 0 1764093600000000000 5
 *	hello
 *
 * The last number is the length of the bytes, which a newline follows.
 */
#ifndef IPCCTL_RECORD_H
#define IPCCTL_RECORD_H

#include <stdio.h>

#include "util.h"

#define RECORD_NUMBERS 4

struct record {
	char kind[16];
	uint64_t number[RECORD_NUMBERS];
	size_t n_numbers;
	struct buf bytes;
};

/* The line before LEN bytes; NUMBERS may be NULL. The caller writes the bytes and record_end(). */
void record_begin(FILE *out, const char *kind, const uint64_t *numbers, size_t n_numbers,
		  size_t len);
void record_end(FILE *out);
/* A whole record without numbers. */
void record_text(FILE *out, const char *kind, const char *text);
/* A whole record of one number. */
void record_number(FILE *out, const char *kind, uint64_t n);

/* 1; 0 at the end of the file; -EBADMSG: it is damaged. The bytes of large ones are all read. */
int record_read(FILE *in, struct record *ret);
static inline void record_free(struct record *r)
{
	buf_free(&r->bytes);
}
/* The bytes as a number. */
int record_value(const struct record *r, uint64_t *ret);

#endif
