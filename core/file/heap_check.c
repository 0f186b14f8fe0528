/* SPDX-License-Identifier: MIT */
/*
 * Is a heap sound? Every page belongs to exactly one block; every list holds what it should; the
 * counts are right. Trusts nothing that it reads.
 */
#include "file/heap.h"
#include "file/pages.h"
#include "file/slab.h"

static int check_list(struct ipc_obj *o, uint32_t head, unsigned int kind, unsigned int size,
		      uint32_t *left)
{
	uint32_t prev = 0;

	for (uint32_t p = head; p;) {
		struct ipc_page_state *s;

		if ((*left)-- == 0)
			return -EIO;
		s = state(o, p - 1);
		if (s->u.kind != kind || s->u.size != size || s->l.prev != prev)
			return -EIO;
		prev = p;
		p = s->l.next;
	}
	return 0;
}

/* Are the free blocks of a slab page all in its chain, and nothing else? */
static bool check_chain(struct ipc_obj *o, uint32_t page, const struct ipc_page_state *s)
{
	unsigned int size = class_size[s->u.size], n = 0, unit;

	for (uint32_t first = s->u.first; first; n++) {
		ref_t next;

		unit = first - 1;
		if (unit >= IPC_PAGE / IPC_UNIT || unit * IPC_UNIT % size ||
		    unit * IPC_UNIT / size >= s->u.carved || n >= s->u.carved)
			return false;
		next = *(ref_t *)(o->base + ((uint64_t)page_ref(o, page) + unit) * IPC_UNIT);
		first = next ? next - page_ref(o, page) + 1 : 0;
	}
	return n + s->u.used == s->u.carved;
}

/* What the pages are found to be. */
struct tally {
	uint32_t used, held; /* pages */
	uint32_t listed;     /* pages and page blocks that must be in a list */
	uint64_t blocks;     /* in use */
};

/* A page block that begins here: how many pages it has; 0: it is none. */
static unsigned int count_block(const struct ipc_page_state *s, uint32_t page, uint32_t pages,
				struct tally *t)
{
	unsigned int n = s->u.size < IPC_ORDERS ? 1u << s->u.size : 0;

	if (!n || page % n || page + n > pages || (s->u.kind == PAGE_HOLE && n != TOP_PAGES))
		return 0;
	if (s->u.kind == PAGE_BLOCK) {
		t->used += n;
		t->blocks++;
	} else {
		t->listed++;
	}
	if (s->u.kind != PAGE_HOLE)
		t->held += n;
	return n;
}

static unsigned int count_slab(struct ipc_obj *o, const struct ipc_page_state *s, uint32_t page,
			       struct tally *t)
{
	if (s->u.size >= IPC_CLASSES || s->u.used > s->u.carved ||
	    s->u.carved > per_page[s->u.size] || !check_chain(o, page, s))
		return 0;
	t->used++;
	t->held++;
	t->blocks += s->u.used;
	t->listed += s->u.used < per_page[s->u.size];
	return 1;
}

/* What begins at this page: how many pages it has; 0: it is damaged. */
static unsigned int count_page(struct ipc_obj *o, uint32_t page, uint32_t pages, struct tally *t)
{
	struct ipc_page_state now = state_now(o, page);

	switch (now.u.kind) {
	case PAGE_FREE:
	case PAGE_HOLE:
	case PAGE_BLOCK:
		return count_block(&now, page, pages, t);
	case PAGE_SLAB:
		return count_slab(o, &now, page, t);
	case PAGE_TABLE:
		t->held++;
		return is_table(page);
	default:
		return 0;
	}
}

/* Exactly `left` pages and page blocks are in the lists, each in its own. */
static bool check_lists(struct ipc_obj *o, uint32_t left)
{
	const struct ipc_header *h = o->h;

	for (unsigned int k = 0; k < IPC_ORDERS; k++) {
		uint32_t before = left;

		if (check_list(o, h->free[k], PAGE_FREE, k, &left) < 0 ||
		    (k == TOP && before - left != h->free_top))
			return false;
	}
	if (check_list(o, h->holes, PAGE_HOLE, TOP, &left) < 0)
		return false;
	for (unsigned int c = 0; c < IPC_CLASSES; c++)
		if (check_list(o, h->partial[c], PAGE_SLAB, c, &left) < 0)
			return false;
	return !left;
}

int heap_check(struct ipc_obj *o, uint64_t *ret_blocks)
{
	const struct ipc_header *h = o->h;
	uint32_t pages = __atomic_load_n(&h->pages, __ATOMIC_RELAXED);
	struct tally t = { .blocks = (uint64_t)__builtin_popcountll(h->slots_used) };
	unsigned int n;

	*ret_blocks = 0;
	if (!obj_has_pages(o, pages) || h->slots_used >> IPC_SLOTS)
		return -EIO;
	for (uint32_t page = 0; page < pages; page += n) {
		n = count_page(o, page, pages, &t);
		if (!n)
			return -EIO;
	}
	*ret_blocks = t.blocks;
	if (t.used != h->pages_used || t.held != h->pages_held)
		return -EIO;
	return check_lists(o, t.listed) ? 0 : -EIO;
}
