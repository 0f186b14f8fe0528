/* SPDX-License-Identifier: MIT */
/*
 * Arrays: their bytes are the file STATE/objects/ID.data, read and written by position. The length
 * is the engine's `length`; memory is accounted for as the file grows and shrinks.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "object/number.h"
#include "file/statedir.h"
#include "object/text.h"
#include "object/type.h"
#include "state/array.h"
#include "state/fs.h"
#include "state/nodeid.h"
#include "state/object.h"
#include "state/target.h"
#include "state/tree.h"

#define A(ob) (&(ob)->o.h->b.array)

static int data_fd(struct object *ob)
{
	if (ob->data_fd < 0) {
		ob->data_fd = openat(fs.objects_fd, state_data(ob->node->id).s,
				     O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (ob->data_fd < 0)
			return -EIO;
	}
	return ob->data_fd;
}

static int64_t blocks(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : (int64_t)st.st_blocks * 512;
}

/* Growth is allocated at once: a missing page would mean SIGBUS for whoever maps it. */
static int grow(struct object *ob, int fd, uint64_t length)
{
	uint64_t old = A(ob)->length;
	int64_t before = blocks(fd);
	int64_t more = (int64_t)((length + 4095) / 4096 * 4096) - before;
	int r = more > 0 ? fs.env.account(&fs.env, more, false) : 0;

	if (r < 0)
		return r;
	r = file_back(&fs.env, fd, (off_t)old, (off_t)(length - old), false);
	if (r < 0 && ftruncate(fd, (off_t)old) < 0)
		r = -EIO;
	fs.env.account(&fs.env, blocks(fd) - before - (more > 0 ? more : 0), true);
	if (r == 0)
		ipc_setting64(&ob->o, &A(ob)->length, length);
	return r;
}

int array_resize(struct object *ob, uint64_t length)
{
	int fd = data_fd(ob);
	int64_t before;

	if (fd < 0)
		return fd;
	if (length > INT64_MAX / 2)
		return -EFBIG;
	if (length > A(ob)->length)
		return grow(ob, fd, length);
	before = blocks(fd);
	/* The length first: if we die here, the next change cuts off what lies behind it. */
	ipc_setting64(&ob->o, &A(ob)->length, length);
	if (ftruncate(fd, (off_t)length) < 0)
		return -errno;
	fs.env.account(&fs.env, blocks(fd) - before, true);
	return 0;
}

struct object *array_open(uint64_t ino, uint64_t fh, struct target *ret)
{
	struct object *ob = target_of(ino, ret) == 0 && node_is(ret->node, TYPE_MEMORY) &&
					    ret->sub == SUB_SELF ?
				    node_mapped(ret->node) :
				    NULL;

	if (!ob || !ob->adopted || ob->o.damage || !fh_handle(&ob->o, fh))
		return NULL;
	return ob;
}

bool array_has(struct object *ob, uint64_t off, size_t size)
{
	uint64_t length = A(ob)->length;

	return off <= length && size <= length - off;
}

int array_memory(struct object *ob)
{
	int fd = data_fd(ob);

	if (fd >= 0)
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -EIO : fd;
}

ssize_t array_read(struct object *ob, char *buf, size_t size, uint64_t off)
{
	uint64_t length = A(ob)->length;
	int fd = data_fd(ob);
	ssize_t n;

	if (fd < 0)
		return fd;
	if (off >= length)
		return 0;
	n = pread(fd, buf, size < length - off ? size : length - off, (off_t)off);
	return n < 0 ? -errno : n;
}

ssize_t array_write(struct object *ob, const char *buf, size_t size, uint64_t off)
{
	int fd = data_fd(ob), r;
	ssize_t n;

	if (fd < 0)
		return fd;
	if (off + size > A(ob)->length) {
		r = array_resize(ob, off + size);
		if (r < 0)
			return r;
	}
	n = pwrite(fd, buf, size, (off_t)off);
	return n < 0 ? -errno : n;
}

/* ---- the text view ---- */

void show_items(struct object *ob, FILE *f)
{
	uint32_t code = A(ob)->typecode;
	size_t size = number_size(code);
	char buf[4096], text[NUMBER_TEXT_MAX];
	uint64_t off = 0;
	ssize_t n;

	while (size && (n = array_read(ob, buf, sizeof(buf), off)) >= (ssize_t)size) {
		n -= n % (ssize_t)size;
		for (ssize_t i = 0; i < n; i += (ssize_t)size) {
			size_t len = number_print(code, buf + i, text);

			fwrite(text, 1, len, f);
			fputc('\n', f);
		}
		off += (uint64_t)n;
	}
}

int store_items(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	uint32_t code = A(ob)->typecode;
	size_t size = number_size(code);
	const char *blank = memchr(s, ' ', len);
	char item[16];
	uint64_t i;
	ssize_t n;
	int r;

	if (!size)
		return -EIO; /* an invalid type code: someone has scribbled in the file */
	if (!blank)
		return -EINVAL;
	r = number_count(s, (size_t)(blank - s), &i);
	if (r < 0)
		return r;
	len -= (size_t)(blank - s);
	s = blank;
	text_trim(&s, &len);
	if (i >= A(ob)->length / size)
		return -ERANGE;
	r = number_parse(code, s, len, item);
	if (r < 0)
		return r;
	n = array_write(ob, item, size, i * size);
	return n < 0 ? (int)n : 0;
}

void show_length(struct object *ob, FILE *f)
{
	size_t size = number_size(A(ob)->typecode);

	fprintf(f, "%llu\n", (unsigned long long)(size ? A(ob)->length / size : 0));
}

int store_length(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	size_t size = number_size(A(ob)->typecode);
	uint64_t n;
	int r = number_count(s, len, &n);

	if (r == 0 && n > INT64_MAX / 32)
		r = -ERANGE;
	return r < 0 ? r : array_resize(ob, n * size);
}
