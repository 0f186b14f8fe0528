/* SPDX-License-Identifier: MIT */
/*
 * The heap of an engine file: blocks of 32 bytes to 64 KiB.
 *
 * Two layers. Below, page blocks (pages.c), which are the large blocks. Above, slabs: a page is
 * carved into blocks of one size class; the free ones are chained through their first word (a
 * reference, as in a list of messages: see heap_alloc_run), and pages with a free block are in the
 * class's list `partial`. All that is known of a page is in its two words of its segment's table,
 * so that the blocks themselves hold nothing but payload.
 *
 * What is freed in a change must not be allocated again in the same one (a rollback could not
 * bring its content back): so a change allocates first and frees last.
 */
#include "file/heap.h"
#include "file/log.h"
#include "file/slab.h"

/* The page that the class's next block comes from. false: no memory, or damaged. */
static bool slab_page(struct ipc_obj *o, unsigned int cls, uint32_t *ret_page)
{
	struct ipc_header *h = o->h;
	struct ipc_page_state now;

	if (!h->partial[cls]) {
		if (!pages_alloc(o, 0, ret_page)) {
			o->grow_order = 0;
			return false;
		}
		set_use(o, state(o, *ret_page), PAGE_SLAB, cls, 0, 0, 0);
		pages_push(o, &h->partial[cls], *ret_page);
		return true;
	}
	*ret_page = h->partial[cls] - 1;
	now = state_now(o, *ret_page);
	if (now.u.kind == PAGE_SLAB && now.u.size == cls && now.u.used < per_page[cls])
		return true;
	obj_damage(o, "slab list refers to a page that is not its own");
	return false;
}

/* Up to n blocks of one page; how many. */
static unsigned int slab_alloc(struct ipc_obj *o, unsigned int cls, ref_t *ret, unsigned int n)
{
	unsigned int got = 0, first, carved, used;
	struct ipc_page_state now;
	uint32_t page, *link = NULL;
	ref_t base;

	if (!slab_page(o, cls, &page))
		return 0;
	now = state_now(o, page);
	base = page_ref(o, page);
	first = now.u.first;
	carved = now.u.carved;
	used = now.u.used;
	for (; got < n && used < per_page[cls]; got++, used++) {
		ref_t next;

		if (first) {
			if (first > IPC_PAGE / IPC_UNIT)
				break;
			ret[got] = base + first - 1;
			link = (uint32_t *)(o->base + (uint64_t)ret[got] * IPC_UNIT);
			next = __atomic_load_n(link, __ATOMIC_RELAXED);
			first = next ? next - base + 1 : 0;
			heap_prefetch(o, ret[got], next, true);
		} else if (carved < per_page[cls]) {
			ret[got] = base + carved++ * class_size[cls] / IPC_UNIT;
		} else {
			break;
		}
	}
	if (!got || first > IPC_PAGE / IPC_UNIT) {
		obj_damage(o, "a page's free blocks are not where they should be");
		return 0;
	}
	/*
	 * The blocks will be filled without undo records, and a rollback needs the chain again: that of
	 * the last one, for the others go on leading to the next.
	 */
	if (link && !log_set(o, link, *link, 1))
		return 0;
	log64(o, &state(o, page)->u.word, use_word(PAGE_SLAB, cls, first, carved, used));
	if (used == per_page[cls])
		pages_remove(o, &o->h->partial[cls], page);
	return got;
}

/* Free n blocks of one page, each of which leads to the next by its first word. */
static void slab_free(struct ipc_obj *o, const ref_t *r, unsigned int n, uint32_t page,
		      struct ipc_page_state now)
{
	struct ipc_header *h = o->h;
	unsigned int cls = now.u.size, used = now.u.used;
	struct ipc_page_state *s = state(o, page);
	ref_t base = page_ref(o, page);

	if (cls >= IPC_CLASSES || used < n || (*r - base) * IPC_UNIT % class_size[cls]) {
		obj_damage(o, "freed an invalid block");
		return;
	}
	if (used == n && h->partial[cls] && (h->partial[cls] != page + 1 || s->l.next)) {
		/* The page is empty, and there is another one for the next block. */
		if (used < per_page[cls])
			pages_remove(o, &h->partial[cls], page);
		pages_free(o, page, 0);
		return;
	}
	log32(o, (uint32_t *)(o->base + (uint64_t)r[n - 1] * IPC_UNIT),
	      now.u.first ? base + now.u.first - 1 : 0);
	log64(o, &s->u.word, use_word(PAGE_SLAB, cls, *r - base + 1, now.u.carved, used - n));
	if (used == per_page[cls])
		pages_push(o, &h->partial[cls], page);
}

ref_t heap_alloc(struct ipc_obj *o, size_t size)
{
	unsigned int order = 0;
	uint32_t page;

	if (size <= class_size[IPC_CLASSES - 1]) {
		ref_t r;

		return slab_alloc(o, class_of(size), &r, 1) ? r : 0;
	}
	while (((size_t)IPC_PAGE << order) < size)
		order++;
	assert(order < IPC_ORDERS);
	if (!pages_alloc(o, order, &page)) {
		o->grow_order = order;
		return 0;
	}
	set_use(o, state(o, page), PAGE_BLOCK, order, 0, 0, 0);
	return page_ref(o, page);
}

static struct ipc_page_state block_state(struct ipc_obj *o, ref_t r, uint32_t *ret_page)
{
	if ((uint64_t)r * IPC_UNIT < o->heap_off)
		*ret_page = UINT32_MAX;
	else
		*ret_page = page_of(o, r);
	return state_now(o, *ret_page);
}

void heap_free(struct ipc_obj *o, ref_t r)
{
	uint32_t page;
	struct ipc_page_state s = block_state(o, r, &page);

	if (s.u.kind == PAGE_SLAB)
		slab_free(o, &r, 1, page, s);
	else if (s.u.kind == PAGE_BLOCK && s.u.size < IPC_ORDERS && r == page_ref(o, page))
		pages_free(o, page, s.u.size);
	else
		obj_damage(o, "freed an invalid block");
}

size_t heap_run_size(size_t size)
{
	return size > HEAP_RUN_MOST ? 0 : class_size[class_of(size)];
}

unsigned int heap_alloc_run(struct ipc_obj *o, size_t size, ref_t *ret, unsigned int n)
{
	unsigned int got = 0, k;

	if (size > HEAP_RUN_MOST)
		return 0;
	while (got < n && log_room(o) > HEAP_RUN_ROOM) {
		k = slab_alloc(o, class_of(size), ret + got, n - got);
		if (!k)
			break;
		got += k;
	}
	return got;
}

unsigned int heap_free_run(struct ipc_obj *o, const ref_t *r, unsigned int n)
{
	unsigned int done = 0, k;

	while (done < n && log_room(o) > HEAP_RUN_ROOM && !o->damage) {
		uint32_t page;
		struct ipc_page_state s = block_state(o, r[done], &page);

		if (s.u.kind != PAGE_SLAB) {
			heap_free(o, r[done++]);
			continue;
		}
		for (k = 1; done + k < n && !heap_apart(r[done], r[done + k]); k++)
			if (*slab_link(o, r[done + k - 1]) != r[done + k]) /* in this page */
				break;
		slab_free(o, r + done, k, page, s);
		done += k;
	}
	return done;
}

size_t heap_size(struct ipc_obj *o, ref_t r)
{
	uint32_t page;
	struct ipc_page_state s = block_state(o, r, &page);

	if (s.u.kind == PAGE_SLAB && s.u.size < IPC_CLASSES)
		return class_size[s.u.size];
	if (s.u.kind == PAGE_BLOCK && s.u.size < IPC_ORDERS)
		return (size_t)IPC_PAGE << s.u.size;
	return 0;
}

uint64_t heap_held(const struct ipc_obj *o)
{
	return ((uint64_t)o->h->pages_held + 1) * IPC_PAGE;
}

/* ---- check ---- */

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

/*
 * Every page belongs to exactly one block; every list holds what it should; the counts are right.
 */
int heap_check(struct ipc_obj *o, uint64_t *ret_blocks)
{
	struct ipc_header *h = o->h;
	uint32_t used = 0, held = 0, listed = 0, left, page = 0;
	uint32_t pages = __atomic_load_n(&h->pages, __ATOMIC_RELAXED);

	*ret_blocks = 0;
	if (!obj_has_pages(o, pages))
		return -EIO;
	while (page < pages) {
		struct ipc_page_state now = state_now(o, page);
		const struct ipc_page_state *s = &now;
		unsigned int n = 1;

		switch (s->u.kind) {
		case PAGE_FREE:
		case PAGE_HOLE:
		case PAGE_BLOCK:
			if (s->u.size >= IPC_ORDERS)
				return -EIO;
			n = 1u << s->u.size;
			if (page % n || page + n > pages)
				return -EIO;
			if (s->u.kind == PAGE_BLOCK) {
				used += n;
				++*ret_blocks;
			} else {
				listed++;
			}
			if (s->u.kind == PAGE_HOLE && n != TOP_PAGES)
				return -EIO;
			break;
		case PAGE_SLAB:
			if (s->u.size >= IPC_CLASSES || s->u.used > s->u.carved ||
			    s->u.carved > per_page[s->u.size] || !check_chain(o, page, s))
				return -EIO;
			used++;
			*ret_blocks += s->u.used;
			listed += s->u.used < per_page[s->u.size];
			break;
		case PAGE_TABLE:
			if (page % IPC_SEGMENT)
				return -EIO;
			break;
		default:
			return -EIO;
		}
		if (s->u.kind != PAGE_HOLE)
			held += n;
		page += n;
	}
	if (used != h->pages_used || held != h->pages_held)
		return -EIO;
	left = listed;
	for (unsigned int k = 0; k < IPC_ORDERS; k++) {
		uint32_t before = left;

		if (check_list(o, h->free[k], PAGE_FREE, k, &left) < 0 ||
		    (k == TOP && before - left != h->free_top))
			return -EIO;
	}
	if (check_list(o, h->holes, PAGE_HOLE, TOP, &left) < 0)
		return -EIO;
	for (unsigned int c = 0; c < IPC_CLASSES; c++)
		if (check_list(o, h->partial[c], PAGE_SLAB, c, &left) < 0)
			return -EIO;
	return left ? -EIO : 0;
}
