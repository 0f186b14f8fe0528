// SPDX-License-Identifier: MIT
#include "frames.h"

#include <string.h>

#include "guard.h"

int frame_parse(const char *name, enum frame *ret)
{
	static const char *const names[] = { "line", "null", "netstring", "record" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(name, names[i])) {
			*ret = i;
			return 0;
		}
	}
	return -EINVAL;
}

static int read_until(FILE *in, int end, struct buf *ret)
{
	size_t before = ret->len;
	int c;

	while ((c = getc_unlocked(in)) != EOF && c != end) {
		char byte = c;

		buf_add(ret, &byte, 1);
	}
	if (ferror(in))
		return -errno;
	return c == end || ret->len > before;
}

static int read_all(FILE *in, struct buf *ret)
{
	char chunk[65536];
	size_t n;

	if (feof(in))
		return 0;
	while ((n = fread(chunk, 1, sizeof(chunk), in)))
		buf_add(ret, chunk, n);
	return ferror(in) ? -errno : 1;
}

static int read_netstring(FILE *in, struct buf *ret)
{
	struct buf digits CLEANUP(buf_free) = { .data = NULL };
	uint64_t len;
	int r = read_until(in, ':', &digits);

	if (r <= 0)
		return r;
	if (parse_u64(digits.data, &len) < 0)
		return -EBADMSG;
	while (len) {
		char chunk[65536];
		size_t n = fread(chunk, 1, len < sizeof(chunk) ? len : sizeof(chunk), in);

		if (!n)
			return ferror(in) ? -errno : -EBADMSG;
		buf_add(ret, chunk, n);
		len -= n;
	}
	return getc_unlocked(in) == ',' ? 1 : -EBADMSG;
}

int frame_read(FILE *in, enum frame how, struct buf *ret)
{
	int r;

	ret->len = 0;
	buf_add(ret, "", 0); /* also an empty one has bytes to point to */
	guard_wait(-1);
	if (how == FRAME_RECORD)
		r = read_all(in, ret);
	else if (how == FRAME_NETSTRING)
		r = read_netstring(in, ret);
	else
		r = read_until(in, how == FRAME_LINE ? '\n' : '\0', ret);
	guard_progress();
	return r;
}

void frame_write(FILE *out, enum frame how, const void *data, size_t len)
{
	if (how == FRAME_NETSTRING)
		fprintf(out, "%zu:", len);
	fwrite(data, 1, len, out);
	if (how != FRAME_RECORD)
		putc(how == FRAME_LINE ? '\n' : how == FRAME_NULL ? '\0' : ',', out);
}
