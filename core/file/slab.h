/* SPDX-License-Identifier: MIT */
/*
 * Small blocks: the classes of heap.c, and the straight way to one block.
 *
 * Who takes or frees one block of a page that has others free, and keeps some in use, changes two
 * words: the page's state, and the block's link to the next free one. Such a change can be known
 * before a single word is written, and noted at once with the caller's own (quick.h).
 *
 * A few blocks are in the header's page: the slots. A class that has no page takes those first, so an
 * object that has a handle or two and holds a short message or two is one page altogether. Which are in
 * use is one word (slots_used), and no slot is in a chain.
 */
#ifndef IPC_SLAB_H
#define IPC_SLAB_H

#include "file/heap.h"
#include "file/pages.h"

static const uint16_t class_size[IPC_CLASSES] = {
	32, 48, 64, 80, 96, 144, 208, 256, 384, 512, 816, 1024, 1360, 2048,
};

static const uint8_t per_page[IPC_CLASSES] = {
	128, 85, 64, 51, 42, 28, 19, 16, 10, 8, 5, 4, 3, 2,
};

/* 65536 divided by the units of one block, and rounded up: slab_begins(). */
static const uint16_t class_inverse[IPC_CLASSES] = {
	32768, 21846, 16384, 13108, 10923, 7282, 5042, 4096, 2731, 2048, 1286, 1024, 772, 512,
};

/* The smallest class for a size in units of 16 bytes. */
static inline unsigned int class_of(size_t size)
{
	static const uint8_t by_unit[129] = {
		0,  0,  0,  1,  2,  3,  4,  5,  5,  5,  6,  6,  6,  6,  7,  7,  7,  8,  8,
		8,  8,  8,  8,  8,  8,  9,  9,  9,  9,  9,  9,  9,  9,  10, 10, 10, 10, 10,
		10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 11, 11, 11, 11, 11,
		11, 11, 11, 11, 11, 11, 11, 11, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12,
		12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 13, 13, 13, 13, 13, 13, 13, 13, 13,
		13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13,
		13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 13,
	};
	return by_unit[(size + IPC_UNIT - 1) / IPC_UNIT];
}

/* Fetch a cache line; to be written, take it from the other CPUs at once. */
static inline void prefetch(const char *p, bool write)
{
#if defined(__x86_64__) /* (The compiler has it for some CPUs only; the others do nothing.) */
	if (write) {
		__asm__ volatile("prefetchw %0" : : "m"(*p));
		return;
	}
#endif
	if (write)
		__builtin_prefetch(p, 1);
	else
		__builtin_prefetch(p);
}

/*
 * Blocks that follow each other in a list are mostly adjacent, and in the cache of the CPU that had
 * them last. Fetch the next one and one further on, as following the list would wait for each in
 * turn.
 */
static inline void heap_prefetch(const struct ipc_obj *o, ref_t r, ref_t next, bool write)
{
	const char *p = o->base + (uint64_t)next * IPC_UNIT;
	const char *ahead = o->base + (uint64_t)(ref_t)(next + 6 * (next - r)) * IPC_UNIT;

	prefetch(p, write);
	prefetch(p + 64, write);
	prefetch(ahead, write);
	prefetch(ahead + 64, write);
}

/*
 * One block, and what its page's state and its link become when it is taken or freed. Nothing has
 * been changed yet.
 */
struct slab_step {
	ref_t block;
	uint32_t link; /* freed: what it leads to; taken: what it led to */
	uint64_t *use;
	uint64_t now, then; /* *use */
	uint32_t *links;    /* where `link` is; NULL: a new block, which has none */
	size_t size;        /* of the block */
};

static inline uint32_t *slab_link(struct ipc_obj *o, ref_t r)
{
	return (uint32_t *)(o->base + (uint64_t)r * IPC_UNIT);
}

/* Two each: for holds and the shortest messages, for messages, for waiters, for handles. */
static const struct {
	uint16_t at, size;
} slot[IPC_SLOTS] = {
	{ 0, 48 },    { 48, 48 },   { 96, 80 },   { 176, 80 },
	{ 256, 144 }, { 400, 144 }, { 544, 256 }, { 800, 256 },
};

/* The first slot that is large enough for the class. */
static const uint8_t slot_from[IPC_CLASSES] = {
	0, 0, 2, 2, 4, 4, 6, 6, IPC_SLOTS, IPC_SLOTS, IPC_SLOTS, IPC_SLOTS, IPC_SLOTS, IPC_SLOTS,
};

static inline bool in_slots(const struct ipc_obj *o, ref_t r)
{
	return (uint64_t)r * IPC_UNIT < o->heap_off;
}

/* Which slot begins there; IPC_SLOTS: none. */
static inline unsigned int slot_of(ref_t r)
{
	unsigned int k = 0;

	while (k < IPC_SLOTS && (uint64_t)r * IPC_UNIT != BLOCKS_OFF + slot[k].at)
		k++;
	return k;
}

static inline bool slot_take(struct ipc_obj *o, unsigned int cls, struct slab_step *ret)
{
	uint64_t *use = &o->h->slots_used, used = __atomic_load_n(use, __ATOMIC_RELAXED);
	unsigned int k = slot_from[cls];

	while (k < IPC_SLOTS && used >> k & 1)
		k++;
	if (k == IPC_SLOTS)
		return false;
	*ret = (struct slab_step){
		.block = (ref_t)((BLOCKS_OFF + slot[k].at) / IPC_UNIT),
		.use = use,
		.now = used,
		.then = used | 1ull << k,
		.size = slot[k].size,
	};
	return true;
}

static inline bool slot_return(struct ipc_obj *o, ref_t r, struct slab_step *ret)
{
	uint64_t *use = &o->h->slots_used, used = __atomic_load_n(use, __ATOMIC_RELAXED);
	unsigned int k = slot_of(r);

	if (k == IPC_SLOTS || !(used >> k & 1))
		return false;
	*ret = (struct slab_step){
		.block = r,
		.use = use,
		.now = used,
		.then = used & ~(1ull << k),
		.links = slab_link(o, r),
		.size = slot[k].size,
	};
	return true;
}

/* Take a block of at most HEAP_RUN_MOST bytes. false: not in this way. */
static inline bool slab_take(struct ipc_obj *o, size_t size, struct slab_step *ret)
{
	unsigned int cls = class_of(size), first;
	uint32_t page = __atomic_load_n(&o->h->partial[cls], __ATOMIC_RELAXED) - 1;
	struct ipc_page_state *s, is;
	ref_t base;

	if (__builtin_expect(page >= o->pages, 0)) /* (0: there is none) */
		return page == UINT32_MAX && slot_take(o, cls, ret);
	s = state(o, page);
	is.u.word = __atomic_load_n(&s->u.word, __ATOMIC_RELAXED);
	if (is.u.kind != PAGE_SLAB || is.u.size != cls || is.u.used + 1 >= per_page[cls])
		return false;
	base = page_ref(o, page);
	*ret = (struct slab_step){ .use = &s->u.word, .now = is.u.word, .size = class_size[cls] };
	first = is.u.first;
	is.u.used++;
	if (first) {
		if (first > IPC_PAGE / IPC_UNIT)
			return false;
		ret->block = base + first - 1;
		ret->links = slab_link(o, ret->block);
		ret->link = __atomic_load_n(ret->links, __ATOMIC_RELAXED);
		first = ret->link ? ret->link - base + 1 : 0;
		if (first > IPC_PAGE / IPC_UNIT)
			return false;
		is.u.first = (uint16_t)first;
	} else if (is.u.carved < per_page[cls]) {
		ret->block = base + is.u.carved++ * class_size[cls] / IPC_UNIT;
	} else {
		return false;
	}
	ret->then = is.u.word;
	return true;
}

/* Is this the offset, in units, of a block of the page? */
static inline bool slab_begins(unsigned int unit, unsigned int cls)
{
	return (unit * class_inverse[cls] & 65535) < class_inverse[cls];
}

/* Free one. false: not in this way. */
static inline bool slab_return(struct ipc_obj *o, ref_t r, struct slab_step *ret)
{
	uint32_t page = page_of(o, r);
	struct ipc_page_state *s, is;
	unsigned int cls;
	ref_t base;

	if (__builtin_expect(in_slots(o, r), 0))
		return slot_return(o, r, ret);
	if (__builtin_expect(page >= o->pages, 0))
		return false;
	s = state(o, page);
	is.u.word = __atomic_load_n(&s->u.word, __ATOMIC_RELAXED);
	cls = is.u.size;
	base = page_ref(o, page);
	if (is.u.kind != PAGE_SLAB || cls >= IPC_CLASSES || is.u.used >= per_page[cls] ||
	    !slab_begins(r - base, cls))
		return false;
	/* The last block of a page: the page goes with it, unless it is the only one. */
	if (is.u.used <= 1 && (!is.u.used || o->h->partial[cls] != page + 1 || s->l.next))
		return false;
	*ret = (struct slab_step){
		.block = r,
		.link = is.u.first ? base + is.u.first - 1 : 0,
		.use = &s->u.word,
		.now = is.u.word,
		.links = slab_link(o, r),
		.size = class_size[cls],
	};
	is.u.first = (uint16_t)(r - base + 1);
	is.u.used--;
	ret->then = is.u.word;
	return true;
}

#endif
