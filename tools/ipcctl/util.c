// SPDX-License-Identifier: MIT
#include "util.h"

#include "guard.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <wchar.h>
#include <wctype.h>

void out_of_memory(void)
{
	fputs("ipcctl: out of memory\n", stderr);
	exit(EXIT_FAILURE);
}

void *xrealloc(void *p, size_t size)
{
	p = realloc(p, size ? size : 1);
	if (!p)
		out_of_memory();
	return p;
}

char *xstrdup(const char *s)
{
	size_t size = strlen(s) + 1;

	return memcpy(xrealloc(NULL, size), s, size);
}

static char *vstr(const char *fmt, va_list ap)
{
	char *s;

	if (vasprintf(&s, fmt, ap) < 0)
		out_of_memory();
	return s;
}

char *str(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = vstr(fmt, ap);
	va_end(ap);
	return s;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
	if (len >= b->size - b->len || !b->data) {
		b->size = (b->len + len + 1) * 2;
		b->data = xrealloc(b->data, b->size);
	}
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void buf_puts(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ .data = NULL };
}

char *buf_steal(struct buf *b)
{
	char *s;

	buf_add(b, "", 0);
	s = b->data;
	*b = (struct buf){ .data = NULL };
	return s;
}

bool ends_with(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && !strcmp(s + n - m, suffix);
}

const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int read_file_at(int dirfd, const char *path, int extra_flags, size_t limit, struct buf *ret)
{
	const int flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | extra_flags;
	int fd CLEANUP(close_fd) = openat(dirfd, path, flags);
	struct buf b CLEANUP(buf_free) = { .data = NULL };
	char chunk[16384];

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));

		guard_progress();
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		if ((size_t)n > limit - b.len)
			return -EFBIG;
		buf_add(&b, chunk, n);
	}
	buf_add(&b, "", 0);
	*ret = b;
	b = (struct buf){ .data = NULL };
	return 0;
}

bool is_number(const char *s)
{
	if (*s == '-')
		s++;
	if (!isdigit((unsigned char)*s) || (*s == '0' && isdigit((unsigned char)s[1])))
		return false;
	s += strspn(s, "0123456789");
	if (*s == '.') {
		size_t n = strspn(++s, "0123456789");

		if (!n)
			return false;
		s += n;
	}
	if (*s == 'e' || *s == 'E') {
		size_t n;

		s++;
		if (*s == '+' || *s == '-')
			s++;
		n = strspn(s, "0123456789");
		if (!n)
			return false;
		s += n;
	}
	return !*s;
}

int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

char *format_bytes(uint64_t n)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double d = n;
	size_t u = 0;

	/* 1023.95 would print as 1024.0 of the smaller unit. */
	while (d >= 1023.95 && u + 1 < ARRAY_SIZE(units)) {
		d /= 1024;
		u++;
	}
	if (u == 0 || d == (double)(uint64_t)d)
		return str("%.0f %s", d, units[u]);
	return str("%.1f %s", d, units[u]);
}

char *printable(const char *s, bool raw)
{
	struct buf b CLEANUP(buf_free) = { .data = NULL };
	size_t left = strlen(s);
	mbstate_t state;

	memset(&state, 0, sizeof(state));
	while (left) {
		wchar_t wc;
		size_t n = mbrtowc(&wc, s, left, &state);
		bool keep = n <= left && iswprint(wc) && !(raw && (iswspace(wc) || wc == L'\\'));

		if (n > left) { /* no character here: one byte of none */
			memset(&state, 0, sizeof(state));
			n = 1;
		}
		if (keep) {
			buf_add(&b, s, n);
		} else {
			for (size_t i = 0; i < n; i++) {
				char hex[5];

				snprintf(hex, sizeof(hex), "\\x%02x", (unsigned char)s[i]);
				buf_puts(&b, hex);
			}
		}
		s += n;
		left -= n;
	}
	return buf_steal(&b);
}

size_t display_width(const char *s)
{
	size_t width = 0, left = strlen(s);
	mbstate_t state;

	memset(&state, 0, sizeof(state));
	while (left) {
		wchar_t wc;
		size_t n = mbrtowc(&wc, s, left, &state);
		int w = n <= left ? wcwidth(wc) : 1;

		if (n > left || n == 0)
			n = 1;
		width += w > 0 ? w : 0;
		s += n;
		left -= n;
	}
	return width;
}

void complain(const char *what, const char *fmt, ...)
{
	char *name CLEANUP(free_string) = printable(what, false);
	char *text CLEANUP(free_string) = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = vstr(fmt, ap);
	va_end(ap);
	fflush(stdout);
	fprintf(stderr, "ipcctl: %s: %s\n", name, text);
}
