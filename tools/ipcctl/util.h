/* SPDX-License-Identifier: MIT */
/*
 * What every command of ipcctl needs: cleanup attributes, a byte buffer, reading whole files, and
 * text for people.
 *
 * Functions return 0 or more, or a negative errno; only the commands print. The exception is
 * memory: if there is none, the program says so and exits.
 */
#ifndef IPCCTL_UTIL_H
#define IPCCTL_UTIL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "object/number.h"

#define CLEANUP(f)    __attribute__((cleanup(f)))
#define PRINTF(f, a)  __attribute__((format(printf, f, a)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define NSEC_PER_SEC  INT64_C(1000000000)

/* Followed by a NUL that is not counted, as soon as anything was added. */
struct buf {
	char *data;
	size_t len;
	size_t size;
};

void buf_add(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *s);
void buf_free(struct buf *b);
/* Returns the bytes as a string, and leaves the buffer empty. */
char *buf_steal(struct buf *b);

static inline void close_fd(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void free_string(char **s)
{
	free(*s);
}

void out_of_memory(void) __attribute__((noreturn)); /* says so and exits */
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
char *str(const char *fmt, ...) PRINTF(1, 2); /* asprintf that never fails */

bool ends_with(const char *s, const char *suffix);
const char *base_name(const char *path); /* after the last slash */

/*
 * Reads a whole file, with O_NONBLOCK so that this cannot wait for another process. More than LIMIT
 * bytes is -EFBIG.
 */
int read_file_at(int dirfd, const char *path, int extra_flags, size_t limit, struct buf *ret);

/* "2.5" to nanoseconds; only digits. The engine's own parsers, for whole strings. */
static inline int parse_seconds(const char *s, int64_t *ret_ns)
{
	return number_seconds(s, strlen(s), ret_ns);
}

static inline int parse_u64(const char *s, uint64_t *ret)
{
	return number_count(s, strlen(s), ret);
}

bool is_number(const char *s); /* by the grammar of JSON */

int64_t now_ns(void); /* CLOCK_MONOTONIC */

char *format_bytes(uint64_t n); /* "1.5 MiB" */

/*
 * Bytes of unknown origin for a terminal: what is not printable in this locale becomes \xNN, so
 * that no name or command line can move the cursor or break a line. RAW: spaces and backslashes as
 * well, for scripts that split at blanks.
 */
char *printable(const char *s, bool raw);
size_t display_width(const char *s); /* of a printable() string */

/* "ipcctl: WHAT: reason" to standard error; WHAT made printable. */
void complain(const char *what, const char *fmt, ...) PRINTF(2, 3);

#endif
