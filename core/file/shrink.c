/* SPDX-License-Identifier: MIT */
/*
 * Making an engine file shorter. While a file is in use, heap_trim() only makes holes. When nobody
 * has it open, this cuts off what is free at the end, possibly down to the header.
 *
 * Each step is a change of its own: the heap's last page block, if it is free, leaves the heap. The
 * file is truncated last. A death in between leaves the file longer than its heap, which does no
 * harm: the heap will grow into it again.
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

/* How many pages the block that begins there has; 0: none begins there. */
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

/* Remove the heap's last block, which begins at this page. false: it is in use. */
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

/* Work back from the end of the heap, within this segment. Did all of it go? */
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
