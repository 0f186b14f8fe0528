/* SPDX-License-Identifier: MIT */
/*
 * The pages of an engine file: below heap.c.
 *
 * A buddy system: page blocks of 2^order pages, aligned to their size, with a free list for each
 * order; a freed one merges with its buddy.
 *
 * The file grows only in heap_grow(), never within a change: heap_alloc() fails and says what it
 * wanted, the caller rolls back, grows and begins again. Growth is by fallocate(2), because a page
 * that a full tmpfs cannot give would be a SIGBUS at the first touch.
 *
 * Memory goes back a largest page block at a time: heap_trim() makes holes of free ones and
 * chains them in `holes`; heap_grow() fills holes before it lengthens the heap.
 */
#define _GNU_SOURCE
#include "file/heap.h"
#include "file/log.h"
#include "file/pages.h"
#include "file/statedir.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * What a file may keep, and from when on it gives back: free pages, and blocks of the largest
 * order …
 */
#define KEEP_PAGES  448u
#define KEEP_BLOCKS 16u
#define MOST_PAGES  896u
#define MOST_BLOCKS 24u /* … which alone can go: there may be many smaller ones */

static void set_links(struct ipc_obj *o, struct ipc_page_state *s, uint32_t next, uint32_t prev)
{
	struct ipc_page_state n = { .l = { .next = next, .prev = prev } };

	set64(o, s->l.word, n.l.word);
}

/* The free blocks of the largest order are counted: see heap_trim(). */
static void count(struct ipc_obj *o, const uint32_t *head, uint32_t n)
{
	if (head == &o->h->free[TOP])
		set32(o, o->h->free_top, o->h->free_top + n);
	if (o->h->free_top < o->h->free_least)
		__atomic_store_n(&o->h->free_least, o->h->free_top, __ATOMIC_RELAXED);
}

void pages_push(struct ipc_obj *o, uint32_t *head, uint32_t page)
{
	count(o, head, 1);
	set_links(o, state(o, page), *head, 0);
	if (*head) {
		struct ipc_page_state *s = state(o, *head - 1);

		set_links(o, s, s->l.next, page + 1);
	}
	set32(o, *head, page + 1);
}

void pages_remove(struct ipc_obj *o, uint32_t *head, uint32_t page)
{
	struct ipc_page_state *s = state(o, page), *t;

	/* Else who takes the first of a bent list would meet it again, for ever. */
	if ((s->l.prev ? state(o, s->l.prev - 1)->l.next : *head) != page + 1 ||
	    (s->l.next && state(o, s->l.next - 1)->l.prev != page + 1)) {
		obj_damage(o, "a page list's back link is wrong");
		return;
	}
	count(o, head, -1u);
	if (s->l.next) {
		t = state(o, s->l.next - 1);
		set_links(o, t, t->l.next, s->l.prev);
	}
	if (s->l.prev) {
		t = state(o, s->l.prev - 1);
		set_links(o, t, s->l.next, t->l.prev);
	} else {
		set32(o, *head, s->l.next);
	}
}

/* The smallest order of at least this of which there is one; IPC_ORDERS. */
static unsigned int order_free(const struct ipc_obj *o, unsigned int order)
{
	while (order < IPC_ORDERS && !o->h->free[order])
		order++;
	return order;
}

bool heap_has_room(const struct ipc_obj *o, uint64_t bytes)
{
	/* (The blocks have headers, and the last one is not full.) */
	return (uint64_t)__atomic_load_n(&o->h->free_top, __ATOMIC_RELAXED) * TOP_PAGES *
		       IPC_PAGE >=
	       bytes + 2 * TOP_PAGES * IPC_PAGE;
}

bool pages_alloc(struct ipc_obj *o, unsigned int order, uint32_t *ret_page)
{
	struct ipc_header *h = o->h;
	unsigned int k = order_free(o, order);
	uint32_t page;

	if (k == IPC_ORDERS)
		return false;
	page = __atomic_load_n(&h->free[k], __ATOMIC_RELAXED) - 1;
	if (state(o, page)->u.kind != PAGE_FREE || state(o, page)->u.size != k) {
		obj_damage(o, "a list of free pages contains one in use");
		return false;
	}
	pages_remove(o, &h->free[k], page);
	while (k-- > order) { /* split: the upper halves stay free */
		uint32_t upper = page + (1u << k);

		set_use(o, state(o, upper), PAGE_FREE, k, 0, 0, 0);
		pages_push(o, &h->free[k], upper);
	}
	set32(o, h->pages_used, h->pages_used + (1u << order));
	*ret_page = page;
	return true;
}

/* Give a page block back, merging it with its buddies. */
static void pages_release(struct ipc_obj *o, uint32_t page, unsigned int order)
{
	struct ipc_header *h = o->h;

	while (order < TOP) {
		uint32_t buddy = page ^ (1u << order);
		struct ipc_page_state *s;

		if (buddy + (1u << order) > h->pages)
			break;
		s = state(o, buddy);
		if (s->u.kind != PAGE_FREE || s->u.size != order)
			break;
		pages_remove(o, &h->free[order], buddy);
		set_use(o, state(o, buddy > page ? buddy : page), PAGE_INSIDE, 0, 0, 0, 0);
		page &= ~(1u << order);
		order++;
	}
	set_use(o, state(o, page), PAGE_FREE, order, 0, 0, 0);
	pages_push(o, &h->free[order], page);
}

void pages_free(struct ipc_obj *o, uint32_t page, unsigned int order)
{
	set32(o, o->h->pages_used, o->h->pages_used - (1u << order));
	pages_release(o, page, order);
}

/* ---- growing and shrinking ---- */

int pages_file(struct ipc_obj *o)
{
	struct state_name name;

	if (o->fd >= 0)
		return o->fd;
	name = state_engine(o->id);
	return openat(o->env->dirfd, o->type == IPC_MOUNT ? "../" STATE_MOUNT : name.s,
		      O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); /* (somebody's lease) */
}

void pages_file_close(struct ipc_obj *o, int fd)
{
	if (fd >= 0 && fd != o->fd)
		close(fd);
}

int pages_account(struct ipc_obj *o, int64_t bytes, bool essential)
{
	return o->env->account ? o->env->account(o->env, bytes, essential) : 0;
}

/* How many pages a file of `page` heap pages grows by next. */
static uint32_t growth(const struct ipc_obj *o, uint32_t page)
{
	uint32_t n = 1u << o->grow_order, end = (page + n - 1) / n * n + n;

	/* Small objects stay small; names and aliases have some room in advance, for a full disk. */
	if (end <= IPC_FIRST && o->type != IPC_MOUNT)
		return end - page;
	if (page < TOP_PAGES)
		return TOP_PAGES - page;
	n = (page / 8 + TOP_PAGES - 1) & ~(TOP_PAGES - 1);
	return n > IPC_SEGMENT ? IPC_SEGMENT : n;
}

/* New pages at the end: tables where segments begin, and free blocks as large as they fit. */
static void pages_add(struct ipc_obj *o, uint32_t page, uint32_t end)
{
	while (page < end) {
		uint32_t most = page < IPC_FIRST && end > IPC_FIRST ? IPC_FIRST : end;
		unsigned int order = TOP;

		if (is_table(page)) {
			/* (It was cut off once, and the file not, by who died: heap_shrink().) */
			memset(o->base + o->heap_off + (uint64_t)page * IPC_PAGE, 0, IPC_PAGE);
			set_use(o, state(o, page++), PAGE_TABLE, 0, 0, 0, 0);
			continue;
		}
		while (page % (1u << order) || page + (1u << order) > most)
			order--;
		pages_release(o, page, order);
		page += 1u << order;
	}
}

void heap_begin(struct ipc_obj *o, uint32_t pages)
{
	set32(o, o->h->pages, pages);
	set32(o, o->h->pages_held, pages);
	pages_add(o, 0, pages);
	commit(o);
}

/* Have memory for n pages, and account it. */
static int pages_back(struct ipc_obj *o, uint32_t page, uint32_t n, bool essential)
{
	int64_t bytes = (int64_t)n * IPC_PAGE;
	int r = pages_account(o, bytes, essential), fd;

	if (r < 0)
		return r;
	fd = pages_file(o);
	r = fd < 0 ? -errno :
		     file_back(o->env, fd, (off_t)(o->heap_off + (uint64_t)page * IPC_PAGE), bytes,
			       essential);
	pages_file_close(o, fd);
	if (r < 0)
		pages_account(o, -bytes, true);
	return r;
}

static int grow(struct ipc_obj *o, bool essential)
{
	struct ipc_header *h = o->h;
	uint32_t hole = __atomic_load_n(&h->holes, __ATOMIC_RELAXED);
	uint32_t page = hole ? hole - 1 : __atomic_load_n(&h->pages, __ATOMIC_RELAXED), n;
	int r;

	if (!obj_has_pages(o, page)) /* the file would grow by whatever is said there */
		obj_damage(o, "heap larger than the file");
	if (o->damage)
		return -EIO;
	if (!o->env || o->env->dirfd == -1)
		return -ENOMEM;
	n = hole ? TOP_PAGES : growth(o, page);
	if (page + n > o->max_pages && n > TOP_PAGES)
		n = TOP_PAGES;
	if (page + n > o->max_pages)
		return -ENOSPC;
	r = pages_back(o, page, n, essential);
	if (r == -ENOSPC && n > TOP_PAGES) { /* near the limit by small steps */
		n = TOP_PAGES;
		r = pages_back(o, page, n, essential);
	}
	if (r < 0)
		return r;
	if (page + n > o->pages)
		o->pages = page + n;
	o->stores += stores_for(n);
	set32(o, h->pages_held, h->pages_held + n);
	if (hole) {
		pages_remove(o, &h->holes, page);
		pages_release(o, page, TOP);
	} else {
		set32(o, h->pages, page + n);
		pages_add(o, page, page + n);
	}
	commit(o);
	return 0;
}

int heap_grow(struct ipc_obj *o, bool essential)
{
	int r = grow(o, essential);

	if (r < 0 && essential)
		o->starved = true;
	return r;
}

bool heap_much_free(const struct ipc_obj *o)
{
	return o->h->free_top >= MOST_BLOCKS && o->h->pages_held - o->h->pages_used >= MOST_PAGES;
}

/* Down to so many free pages, and free blocks of the largest order. */
static void give_back(struct ipc_obj *o, uint32_t pages, uint32_t blocks)
{
	struct ipc_header *h = o->h;
	int fd = -1;

	while (h->free[TOP] && h->free_top > blocks && h->pages_held - h->pages_used > pages &&
	       !o->damage) {
		uint32_t page = __atomic_load_n(&h->free[TOP], __ATOMIC_RELAXED) - 1;

		if (fd < 0)
			fd = pages_file(o);
		if (fd < 0)
			return;
		pages_remove(o, &h->free[TOP], page);
		set_use(o, state(o, page), PAGE_HOLE, TOP, 0, 0, 0);
		pages_push(o, &h->holes, page);
		set32(o, h->pages_held, h->pages_held - TOP_PAGES);
		if (o->damage)
			break;
		commit(o);
		fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  (off_t)(o->heap_off + (uint64_t)page * IPC_PAGE), TOP_PAGES * IPC_PAGE);
		pages_account(o, -(int64_t)TOP_PAGES * IPC_PAGE, true);
	}
	pages_file_close(o, fd);
}

static bool can_give_back(const struct ipc_obj *o)
{
	return !o->damage && o->env && o->env->dirfd != -1;
}

void heap_trim(struct ipc_obj *o, bool hard)
{
	if (!can_give_back(o))
		return;
	if (hard)
		give_back(o, 0, 0);
	else if (heap_much_free(o))
		give_back(o, KEEP_PAGES, KEEP_BLOCKS);
}

void heap_idle_begin(struct ipc_obj *o)
{
	__atomic_store_n(&o->h->free_least, o->h->free_top, __ATOMIC_RELAXED);
}

void heap_trim_idle(struct ipc_obj *o)
{
	uint32_t now = o->h->free_top, idle = o->h->free_least;

	if (idle > now)
		idle = now;
	if (can_give_back(o) && heap_much_free(o) && idle > KEEP_BLOCKS)
		give_back(o, KEEP_PAGES, now - idle + KEEP_BLOCKS);
	heap_idle_begin(o);
}
