/* SPDX-License-Identifier: MIT */
/* Undo log, lists, heap. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file/heap.h"
#include "file/list.h"
#include "file/log.h"
#include "object/answer.h"
#include "test.h"

/* An object that no type looks into. */
static struct ipc_obj *plain(void)
{
	return obj_new(IPC_EVENT);
}

static ref_t must(struct ipc_obj *o, size_t size)
{
	ref_t r;

	while (!(r = heap_alloc(o, size))) {
		obj_rollback(o);
		CHECK_INT(heap_grow(o, true), 0);
	}
	commit(o);
	return r;
}

static void release(struct ipc_obj *o, ref_t r)
{
	heap_free(o, r);
	commit(o);
}

static uint64_t blocks(struct ipc_obj *o)
{
	uint64_t n;

	CHECK_INT(heap_check(o, &n), 0);
	return n;
}

TEST(undo_restores_in_reverse)
{
	struct ipc_obj *o = plain();
	uint64_t *w = (uint64_t *)&o->h->b;

	w[0] = 1;
	w[1] = 2;
	set64_at(o, &w[0], 10);
	set32_at(o, (uint32_t *)&w[0], 11);
	set64_at(o, &w[1], 20);
	for (int i = 0; i < 6; i++)
		set64_at(o, &w[2 + i], 5);
	set64_at(o, &w[0], 12);
	CHECK_INT(o->h->log_len, 10);
	obj_rollback(o);
	CHECK_INT(w[0], 1);
	CHECK_INT(w[1], 2);
	CHECK_INT(w[5], 0);
	CHECK_INT(o->h->log_len, 0);
	set64_at(o, &w[0], 3);
	commit(o);
	obj_rollback(o);
	CHECK_INT(w[0], 3);
	w[0] = w[1] = 0;
}

TEST(undo_full_damages)
{
	struct ipc_obj *o = plain();
	ref_t r = must(o, 4096);
	uint64_t *w = at(o, r, 4096);

	for (int i = 0; i <= IPC_LOG_MAX; i++)
		set64_at(o, &w[i], (uint64_t)i + 12345);
	CHECK(o->damage);
	CHECK(env.damage == o->damage);
	obj_unlock(o);
	CHECK_INT(obj_lock(o, -1), -EIO);
}

TEST(undo_by_the_next_holder)
{
	struct ipc_obj *o = plain(), *other = obj_again(o);

	set64(o, o->h->b.event.set, 1);
	obj_unlock(o); /* as one that dies within obj_unlock() */
	CHECK_INT(obj_lock(other, -1), 0);
	CHECK_INT(other->h->b.event.set, 0);
	CHECK(other->work);
	o->h->m.lock = (uint32_t)getppid(); /* somebody else, who lives */
	CHECK_INT(obj_lock(o, 1000000), -EBUSY);
	obj_unlock(other);
	CHECK_INT(obj_lock(o, -1), 0);
}

TEST(undo_log_out_of_range)
{
	struct ipc_obj *o = plain();

	o->h->log[0].where = o->map_len;
	o->h->log_len = 1;
	obj_unlock(o);
	CHECK_INT(obj_lock(o, -1), -EIO);
	CHECK(o->damage);
}

TEST(map_refuses)
{
	struct ipc_obj *o = plain(), bad;
	char name[24];
	int fd;

	snprintf(name, sizeof(name), "%llu", (unsigned long long)o->id);
	fd = openat(env.env.dirfd, name, O_RDWR | O_CLOEXEC);
	CHECK_INT(ipc_create(&env.env, env.env.dirfd, name, 9, ipc_type_of(IPC_EVENT), 1 << 20,
			     NULL),
		  -EEXIST);
	o->h->version++;
	CHECK_INT(ipc_map(&env.env, fd, &bad), -EPROTO);
	o->h->version--;
	o->h->fingerprint++;
	CHECK_INT(ipc_map(&env.env, fd, &bad), -EPROTO);
	o->h->fingerprint--;
	o->h->type = 99;
	CHECK_INT(ipc_map(&env.env, fd, &bad), -EIO);
	o->h->type = IPC_EVENT;
	o->h->reserve += 16;
	CHECK_INT(ipc_map(&env.env, fd, &bad), -EIO);
	o->h->reserve -= 16;
	o->h->pages += 1000; /* cut short */
	CHECK_INT(ipc_map(&env.env, fd, &bad), -EIO);
	o->h->pages -= 1000;
	o->h->magic++;
	CHECK_INT(ipc_map(&env.env, fd, &bad), -EIO);
	o->h->magic--;
	CHECK_INT(ipc_map(&env.env, fd, &bad), 0);
	obj_unmap(&bad);
	close(fd);
}

TEST(list_order)
{
	struct ipc_obj *o = plain();
	struct ipc_list *l = &o->h->holds;
	ref_t a = must(o, 32), b = must(o, 32), c = must(o, 32);
	unsigned int n = 0;

	list_push(o, l, a);
	list_push(o, l, b);
	list_push_head(o, l, c);
	commit(o);
	CHECK(l->head == c && l->tail == b);
	CHECK_INT(l->count, 3);
	LIST_EACH(o, l, r) { /* whoever is visited may go */
		list_remove(o, l, r);
		commit(o);
		n++;
	}
	CHECK_INT(n, 3);
	CHECK(!l->head && !l->tail && !l->count);
	release(o, a);
	release(o, b);
	release(o, c);
}

TEST(heap_every_size)
{
	struct ipc_obj *o = plain();
	ref_t r[80];
	size_t size[80];
	int n = 0;

	for (size_t s = 1; s <= 65536; s += 1 + s / 8) {
		r[n] = must(o, s);
		CHECK(heap_size(o, r[n]) >= s);
		CHECK(s < 33 || heap_size(o, r[n]) < 2 * s);
		memset(at(o, r[n], s), n, s);
		size[n++] = s;
		CHECK_INT(blocks(o), n);
	}
	for (int i = 0; i < n; i++)
		for (size_t k = 0; k < size[i]; k++)
			CHECK(((unsigned char *)at(o, r[i], size[i]))[k] == i);
	for (int i = 0; i < n; i++)
		release(o, r[i * 37 % n]);
	CHECK_INT(blocks(o), 0);
}

TEST(heap_rollback_keeps_the_free_chain)
{
	struct ipc_obj *o = plain();
	ref_t r[4], again;

	for (int i = 0; i < 4; i++)
		r[i] = must(o, 1000); /* a page of them */
	for (int i = 1; i < 4; i++)
		release(o, r[i]);
	/* A change that takes two, fills them, and is rolled back. */
	for (int i = 0; i < 2; i++)
		memset(at(o, heap_alloc(o, 1000), 1000), 0, 1000);
	obj_rollback(o);
	CHECK_INT(blocks(o), 1);
	for (int i = 1; i < 4; i++) {
		again = must(o, 1000);
		CHECK(again == r[1] || again == r[2] || again == r[3]);
	}
	for (int i = 0; i < 4; i++)
		release(o, r[i]);
	CHECK_INT(blocks(o), 0);
}

TEST(heap_random)
{
	enum { N = 300 };
	struct ipc_obj *o = plain();
	ref_t r[N] = { 0 };
	uint32_t seed = 4711;
	int64_t base = env.used;

	for (int i = 0; i < 20000; i++) {
		uint32_t k;

		seed = seed * 1103515245 + 12345;
		k = seed >> 16 & 0x7fff;
		if (r[k % N]) {
			release(o, r[k % N]);
			r[k % N] = 0;
		} else {
			r[k % N] = must(o, k % 7 ? k % 2048 + 1 : k % 40000 + 1);
			*(uint32_t *)at(o, r[k % N], 4) = k;
		}
		if (i % 500 == 0)
			blocks(o);
		if (i % 5000 == 0)
			heap_trim(o, true);
	}
	for (int i = 0; i < N; i++)
		if (r[i])
			release(o, r[i]);
	CHECK_INT(blocks(o), 0);
	heap_trim(o, true);
	CHECK_INT(blocks(o), 0);
	/* Each class may keep an empty page, and a page keeps its largest block. */
	CHECK(env.used - base < 14 * 16 * 4096);
}

TEST(heap_memory_is_counted)
{
	struct ipc_obj *o = plain();
	ref_t r[20];
	struct stat st;
	uint32_t pages;
	char name[24];

	for (int i = 0; i < 20; i++)
		r[i] = must(o, 65536);
	CHECK_INT(env.used, heap_held(o));
	snprintf(name, sizeof(name), "%llu", (unsigned long long)o->id);
	CHECK_INT(fstatat(env.env.dirfd, name, &st, 0), 0);
	CHECK(st.st_blocks * 512 <= env.used);
	for (int i = 0; i < 20; i++)
		release(o, r[i]);
	heap_trim(o, true);
	CHECK_INT(env.used, heap_held(o));
	CHECK_INT(fstatat(env.env.dirfd, name, &st, 0), 0);
	CHECK(st.st_blocks * 512 <= env.used);
	/* The header, and for each segment the block that its table is part of. */
	CHECK(env.used <= (1 + 16 * (1 + o->h->pages / IPC_SEGMENT)) * (int64_t)IPC_PAGE);
	/* Holes are filled before the heap gets longer. */
	pages = o->h->pages;
	r[0] = must(o, 65536);
	memset(at(o, r[0], 65536), 1, 65536);
	CHECK_INT(env.used, heap_held(o));
	CHECK_INT(o->h->pages, pages);
	release(o, r[0]);
}

/* What was needed between two looks stays; what nobody needed goes. */
TEST(heap_gives_back_what_is_idle)
{
	struct ipc_obj *o = plain();
	uint64_t held;
	ref_t r[100];

	for (int i = 0; i < 100; i++)
		r[i] = must(o, 65536);
	held = heap_held(o);
	heap_idle_begin(o);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 100; i++)
			release(o, r[i]);
		CHECK(heap_much_free(o));
		heap_trim_idle(o);
		CHECK_INT(heap_held(o), held);
		for (int i = 0; i < 100; i++)
			r[i] = must(o, 65536);
	}
	for (int i = 0; i < 100; i++)
		release(o, r[i]);
	heap_trim_idle(o);
	for (int i = 0; i < 50; i++)
		r[i] = must(o, 65536);
	for (int i = 0; i < 50; i++)
		release(o, r[i]);
	heap_trim_idle(o);
	CHECK(heap_held(o) >= 50 * 65536 && heap_held(o) < held - 30 * 65536);
	heap_trim_idle(o);
	CHECK(heap_held(o) < 30 * 65536);
	CHECK_INT(env.used, heap_held(o));
}

TEST(heap_refused)
{
	struct ipc_obj *o = plain();
	uint32_t pages;

	must(o, 32);
	heap_fill(o);
	pages = o->h->pages;
	env.limit = env.used;
	CHECK_INT(heap_grow(o, false), -ENOSPC);
	CHECK_INT(o->h->pages, pages);
	CHECK_INT(env.used, env.limit);
	CHECK_INT(heap_grow(o, true), 0);
	heap_unfill(o);
	env.limit = 0;
	o->env = NULL;
	CHECK_INT(heap_grow(o, true), -ENOMEM);
	o->env = &env.env;
	release(o, (ref_t)(o->heap_off / IPC_UNIT));
}

TEST(heap_is_full)
{
	struct ipc_obj *o = obj_new_reserve(IPC_EVENT, 1 << 20);
	int r, n = 0;

	while ((r = heap_grow(o, true)) == 0)
		CHECK(n++ < 1000);
	CHECK_INT(r, -ENOSPC);
	CHECK_INT(o->h->pages, 256);
	CHECK_INT(env.used, heap_held(o));
	blocks(o);
}

TEST(heap_double_free_damages)
{
	struct ipc_obj *o = plain();
	ref_t r = must(o, 65536);

	release(o, r);
	heap_free(o, r);
	CHECK(o->damage);
}

/* Whatever a file holds, checking and using it ends, and touches nothing outside of it. */
TEST(check_survives_nonsense)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o), lease = h_new(o, HANDLE_LEASE, R, 0);
	uint32_t seed = 99;
	char *good, text[100];
	struct ipc_check k;
	struct ipc_call c;
	size_t len;

	for (int i = 0; i < 20; i++)
		put(o, h, "some message\n");
	get(o, h);
	get(o, lease);
	get(o, lease);
	len = o->heap_off + o->h->pages * (size_t)IPC_PAGE;
	good = malloc(len);
	memcpy(good, o->base, len);
	for (int i = 0; i < 3000; i++) {
		for (int n = 0; n < 3; n++) {
			size_t at;

			seed = seed * 1103515245 + 12345;
			at = (seed >> 8) % 3 ? o->heap_off + (seed >> 8) % 8192 :
					       200 + (seed >> 8) % 8192;
			memcpy(o->base + at / 4 * 4,
			       (uint32_t[]){ seed >> 4 & 1 ? seed : seed >> 24 }, 4);
		}
		o->h->log_len = 0;
		ipc_check(o, &k);
		if (!o->damage)
			ipc_pump(o);
		c = call_new(lease, OP_LEASE);
		c.deadline = 0;
		if (!o->damage && ipc_read(o, &c) == 0)
			answer_copy(o, &c.got, 0, text, sizeof(text));
		if (!o->damage)
			put(o, h, "another\n");
		if (!o->damage)
			ipc_close(o, h);
		o->damage = NULL;
		memcpy(o->base, good, len);
	}
	free(good);
}
