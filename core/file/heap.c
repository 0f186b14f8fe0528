/* SPDX-License-Identifier: MIT */
/*
 * The heap of an engine file: blocks of 32 bytes to 64 KiB.
 *
 * Two layers. Below, page blocks (pages.c), which are the large blocks. Above, slabs (and a few slots in
 * the header's page, slab.h): a page is
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

/*
 * Up to n free blocks of a page, from its chain and then from what was never carved; how many. *s is
 * its state without them, *ret_link where the last of the chain leads on.
 */
static unsigned int slab_pick(struct ipc_obj *o, unsigned int cls, ref_t base, ref_t *ret,
			      unsigned int n, struct ipc_page_state *s, uint32_t **ret_link)
{
	unsigned int got = 0, first = s->u.first, carved = s->u.carved, used = s->u.used;
	uint32_t *link;

	for (; got < n && used < per_page[cls]; got++, used++) {
		ref_t next;

		if (first) {
			if (first > IPC_PAGE / IPC_UNIT)
				break;
			ret[got] = base + first - 1;
			*ret_link = link = slab_link(o, ret[got]);
			next = __atomic_load_n(link, __ATOMIC_RELAXED);
			first = next ? next - base + 1 : 0;
			heap_prefetch(o, ret[got], next, true);
		} else if (carved < per_page[cls]) {
			ret[got] = base + carved++ * class_size[cls] / IPC_UNIT;
		} else {
			break;
		}
	}
	if (first > IPC_PAGE / IPC_UNIT)
		return 0;
	s->u.word = use_word(PAGE_SLAB, cls, first, carved, used);
	return got;
}

/* Up to n blocks of one page; how many. */
static unsigned int slab_alloc(struct ipc_obj *o, unsigned int cls, ref_t *ret, unsigned int n)
{
	struct ipc_page_state s;
	uint32_t page, *link = NULL;
	unsigned int got;

	if (!slab_page(o, cls, &page))
		return 0;
	s = state_now(o, page);
	got = slab_pick(o, cls, page_ref(o, page), ret, n, &s, &link);
	if (!got) {
		obj_damage(o, "a page's free blocks are not where they should be");
		return 0;
	}
	/*
	 * The blocks will be filled without undo records, and a rollback needs the chain again: that of
	 * the last one, for the others go on leading to the next.
	 */
	if (link && !log_set(o, link, *link, 1))
		return 0;
	log64(o, &state(o, page)->u.word, s.u.word);
	if (s.u.used == per_page[cls])
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

static ref_t slot_alloc(struct ipc_obj *o, unsigned int cls)
{
	struct slab_step s;

	if (o->h->partial[cls] || !slot_take(o, cls, &s))
		return 0;
	set64(o, *s.use, s.then);
	return s.block;
}

static void slot_free(struct ipc_obj *o, ref_t r)
{
	struct slab_step s;

	if (slot_return(o, r, &s))
		set64(o, *s.use, s.then);
	else
		obj_damage(o, "freed an invalid block");
}

static ref_t small_alloc(struct ipc_obj *o, unsigned int cls)
{
	ref_t r = slot_alloc(o, cls);

	return r || slab_alloc(o, cls, &r, 1) ? r : 0;
}

ref_t heap_alloc(struct ipc_obj *o, size_t size)
{
	unsigned int order = 0;
	uint32_t page;

	if (size <= class_size[IPC_CLASSES - 1])
		return small_alloc(o, class_of(size));
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
	*ret_page = page_of(o, r);
	return state_now(o, *ret_page);
}

void heap_free(struct ipc_obj *o, ref_t r)
{
	struct ipc_page_state s;
	uint32_t page;

	if (in_slots(o, r)) {
		slot_free(o, r);
		return;
	}
	s = block_state(o, r, &page);
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
		if (!k && (ret[got] = slot_alloc(o, class_of(size))))
			k = 1;
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
		struct ipc_page_state s = { .u.kind = PAGE_INSIDE };
		uint32_t page;

		if (!in_slots(o, r[done]))
			s = block_state(o, r[done], &page);
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
	struct ipc_page_state s;
	uint32_t page;

	if (in_slots(o, r)) {
		unsigned int k = slot_of(r);

		return k < IPC_SLOTS && o->h->slots_used >> k & 1 ? slot[k].size : 0;
	}
	s = block_state(o, r, &page);
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
