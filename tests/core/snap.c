/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "file/log.h"
#include "file/slab.h"
#include "snap.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Not locked: the mutex is part of the picture. */
void snap_take(struct snap *n, const struct ipc_obj *o)
{
	n->obj = *o;
	n->used = env.used;
	n->len = o->heap_off + (size_t)o->h->pages * IPC_PAGE;
	n->bytes = malloc(n->len);
	memcpy(n->bytes, o->base, n->len);
}

/* ipc_rest() may have cut it. */
static void lengthen(const struct snap *n)
{
	struct stat st;
	char name[24];
	int fd;

	snprintf(name, sizeof(name), "%llu", (unsigned long long)n->obj.id);
	if (fstatat(env.env.dirfd, name, &st, 0) < 0 || (size_t)st.st_size >= n->len)
		return;
	fd = openat(env.env.dirfd, name, O_RDWR | O_CLOEXEC);
	CHECK_INT(ftruncate(fd, (off_t)n->len), 0);
	close(fd);
}

void snap_restore(const struct snap *n, struct ipc_obj *o)
{
	lengthen(n);
	*o = n->obj;
	env.used = n->used;
	memcpy(o->base, n->bytes, n->len);
}

static ref_t word_at(const char *base, ref_t r)
{
	ref_t v;

	memcpy(&v, base + (size_t)r * IPC_UNIT, sizeof(v));
	return v;
}

/* A page of small blocks: the chain of the free ones, and the bytes of those in use. */
static bool same_slab(const char *was, const char *is, size_t off, const struct ipc_page_state *s,
		      size_t size)
{
	bool is_free[IPC_PAGE / 32] = { false };
	ref_t base = (ref_t)(off / IPC_UNIT), r = s->u.first ? base + s->u.first - 1 : 0;

	for (; r; r = word_at(was, r)) {
		if (word_at(was, r) != word_at(is, r))
			return false;
		is_free[(r - base) * IPC_UNIT / size] = true;
	}
	for (unsigned int i = 0; i < s->u.carved; i++)
		if (!is_free[i] && memcmp(was + off + i * size, is + off + i * size, size))
			return false;
	return true;
}

/* The header, but for the lock, the log, and the slots that are free. */
static bool same_header(const char *was, const char *is)
{
	const size_t lock = offsetof(struct ipc_header, m), body = offsetof(struct ipc_header, b);
	const struct ipc_header *h = (const void *)is;

	if (h->log_len || memcmp(was, is, lock) || memcmp(was + body, is + body, BLOCKS_OFF - body))
		return false;
	for (unsigned int k = 0; k < IPC_SLOTS; k++)
		if (h->slots_used >> k & 1 && memcmp(was + BLOCKS_OFF + slot[k].at,
						     is + BLOCKS_OFF + slot[k].at, slot[k].size))
			return false;
	return true;
}

static const struct ipc_page_state *state_in(const char *was, uint32_t page)
{
	const struct ipc_header *h = (const void *)was;

	if (page < IPC_FIRST)
		return &h->first[page];
	return (const struct ipc_page_state *)(const void *)(was + IPC_PAGE +
							     (size_t)table_of(page) * IPC_PAGE) +
	       page % IPC_SEGMENT;
}

bool snap_same(const struct snap *n, struct ipc_obj *o)
{
	const char *was = n->bytes, *is = o->base;

	if (!same_header(was, is))
		return false;
	for (uint32_t page = 0; page < o->h->pages; page++) {
		size_t off = o->heap_off + (size_t)page * IPC_PAGE;
		const struct ipc_page_state *s = state_in(was, page);

		switch (s->u.kind) {
		case PAGE_SLAB:
			if (!same_slab(was, is, off, s, heap_size(o, (ref_t)(off / IPC_UNIT))))
				return false;
			break;
		case PAGE_BLOCK:
			if (memcmp(was + off, is + off, (size_t)IPC_PAGE << s->u.size))
				return false;
			break;
		case PAGE_TABLE:
			if (memcmp(was + off, is + off, IPC_PAGE))
				return false;
		}
	}
	return true;
}

void snap_free(struct snap *n)
{
	free(n->bytes);
}

void churn(struct ipc_obj *o)
{
	ref_t r[5];

	for (size_t size = 32; size <= 2048; size += 16) {
		for (int i = 0; i < 5; i++) {
			while (!(r[i] = heap_alloc(o, size)))
				if (heap_grow(o, true) < 0)
					return;
			memset(at(o, r[i], size), 0xa5, size);
			commit(o);
		}
		for (int i = 0; i < 5; i++) {
			heap_free(o, r[i * 3 % 5]);
			commit(o);
		}
	}
}

void settle(struct ipc_obj *o)
{
	ipc_pump(o);
	if (o->type == IPC_QUEUE || o->type == IPC_PIPE)
		put_turns(o);
}

void ops_register(const char *prefix, void (*run)(const void *arg), unsigned int without)
{
	for (const struct op *const *t = op_tables; *t; t++)
		for (const struct op *op = *t; op->name; op++) {
			struct test *test;
			char *name;

			if (op->flags & without)
				continue;
			test = calloc(1, sizeof(*test));
			if (!test || asprintf(&name, "%s: %s", prefix, op->name) < 0)
				abort();
			*test = (struct test){ .name = name, .run = run, .arg = op };
			test_add(test);
		}
}
