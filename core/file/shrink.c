/* SPDX-License-Identifier: MIT */
/*
 * An engine file gets shorter. heap_trim() makes holes, for who goes on using it; this one cuts off
 * what is free at the end, down to the header alone, when nobody has it open.
 *
 * Each step is a change of its own: the last page block of the heap, if it is free, is no page of it
 * any more. The file is cut at the end. Who dies in between leaves it longer than its heap, which is
 * no harm: the heap grows into that again.
 */
#define _GNU_SOURCE
#include "file/heap.h"
#include "file/log.h"
#include "file/pages.h"

#include <unistd.h>

static const char unknown[] = "a page of an unknown kind";

/* Each class keeps an empty page for its next block. */
void heap_tidy(struct ipc_obj *o)
{
	for (unsigned int cls = 0; cls < IPC_CLASSES; cls++) {
		uint32_t most = o->h->pages_used;

		for (uint32_t p = o->h->partial[cls], next; p && most-- && !o->damage; p = next) {
			struct ipc_page_state *s = state(o, p - 1);

			next = s->l.next;
			if (s->u.kind != PAGE_SLAB || s->u.used)
				continue;
			pages_remove(o, &o->h->partial[cls], p - 1);
			pages_free(o, p - 1, 0);
			commit(o);
		}
	}
}

/* Pages of the block that begins there; 0: none does. */
static uint32_t block_pages(struct ipc_page_state s)
{
	switch (s.u.kind) {
	case PAGE_SLAB:
	case PAGE_TABLE:
		return 1;
	case PAGE_FREE:
	case PAGE_HOLE:
	case PAGE_BLOCK:
		return s.u.size < IPC_ORDERS ? 1u << s.u.size : 0;
	default:
		return 0;
	}
}

/* The last block of the heap begins at this page. false: it is in use. */
static bool cut(struct ipc_obj *o, uint32_t page)
{
	struct ipc_header *h = o->h;
	struct ipc_page_state s = state_now(o, page);

	if (s.u.kind == PAGE_FREE)
		pages_remove(o, &h->free[s.u.size], page);
	else if (s.u.kind == PAGE_HOLE)
		pages_remove(o, &h->holes, page);
	else if (s.u.kind != PAGE_TABLE)
		return false;
	if (s.u.kind != PAGE_HOLE)
		set32(o, h->pages_held, h->pages_held - block_pages(s));
	set_use(o, state(o, page), PAGE_INSIDE, 0, 0, 0, 0);
	set32(o, h->pages, page);
	commit(o);
	return true;
}

/* From the end of the heap, which is in this segment. Did all of it go? */
static bool cut_segment(struct ipc_obj *o, uint32_t first)
{
	uint32_t blocks[IPC_SEGMENT], n = 0, end = o->h->pages;

	for (uint32_t page = first, k; page < end && n < IPC_SEGMENT; page += k) {
		k = block_pages(state_now(o, page));
		if (!k)
			obj_damage(o, unknown);
		if (o->damage)
			return false;
		blocks[n++] = page;
	}
	while (n && !o->damage && cut(o, blocks[n - 1]))
		n--;
	return !n;
}

static void cut_file(struct ipc_obj *o)
{
	int fd = pages_file(o);

	if (fd < 0)
		return;
	if (ftruncate(fd, (off_t)(o->heap_off + (uint64_t)o->h->pages * IPC_PAGE)) == 0)
		o->pages = o->h->pages;
	pages_file_close(o, fd);
}

void heap_shrink(struct ipc_obj *o)
{
	uint32_t held = o->h->pages_held;

	if (o->damage || !o->env || o->env->dirfd == -1)
		return;
	heap_tidy(o);
	while (o->h->pages && !o->damage && cut_segment(o, (o->h->pages - 1) & ~(IPC_SEGMENT - 1)))
		;
	if (o->damage || o->pages == o->h->pages)
		return;
	cut_file(o);
	pages_account(o, -(int64_t)(held - o->h->pages_held) * IPC_PAGE, true);
}
