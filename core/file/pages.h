/* SPDX-License-Identifier: MIT */
/* Between pages.c and heap.c: page blocks, and the two words that say what a page is. */
#ifndef IPC_PAGES_H
#define IPC_PAGES_H

#include "file/log.h"
#include "file/obj.h"

#define TOP       (IPC_ORDERS - 1)
#define TOP_PAGES (1u << TOP)

/* Which page has the state of this one (of one that the header has not). */
static inline uint32_t table_of(uint32_t page)
{
	return page < IPC_SEGMENT ? IPC_FIRST : page & ~(IPC_SEGMENT - 1);
}

static inline bool is_table(uint32_t page)
{
	return page >= IPC_FIRST && page == table_of(page);
}

static inline struct ipc_page_state *state(struct ipc_obj *o, uint32_t page)
{
	if (__builtin_expect(!obj_has_pages(o, (uint64_t)page + 1), 0)) {
		obj_damage(o, "page number out of range");
		__builtin_memset(ipc_nowhere, 0, sizeof(struct ipc_page_state));
		return (struct ipc_page_state *)ipc_nowhere;
	}
	if (page < IPC_FIRST)
		return &o->h->first[page];
	return (struct ipc_page_state *)(o->base + IPC_PAGE + (uint64_t)table_of(page) * IPC_PAGE) +
	       page % IPC_SEGMENT;
}

/* Read once: another process may write it, and what was checked must be what is used. */
static inline struct ipc_page_state state_now(struct ipc_obj *o, uint32_t page)
{
	return (struct ipc_page_state){
		.u.word = __atomic_load_n(&state(o, page)->u.word, __ATOMIC_RELAXED),
	};
}

static inline ref_t page_ref(struct ipc_obj *o, uint32_t page)
{
	return (ref_t)((o->heap_off + (uint64_t)page * IPC_PAGE) / IPC_UNIT);
}

static inline uint32_t page_of(struct ipc_obj *o, ref_t r)
{
	return (uint32_t)(((uint64_t)r * IPC_UNIT - o->heap_off) / IPC_PAGE);
}

static inline uint64_t use_word(unsigned int kind, unsigned int size, unsigned int first,
				unsigned int carved, unsigned int used)
{
	struct ipc_page_state n = { .u = { .first = (uint16_t)first,
					   .carved = (uint16_t)carved,
					   .used = (uint16_t)used,
					   .kind = (uint8_t)kind,
					   .size = (uint8_t)size } };

	return n.u.word;
}

static inline void set_use(struct ipc_obj *o, struct ipc_page_state *s, unsigned int kind,
			   unsigned int size, unsigned int first, unsigned int carved,
			   unsigned int used)
{
	set64(o, s->u.word, use_word(kind, size, first, carved, used));
}

/* The file itself, for a moment: its descriptor, or -1. */
int pages_file(struct ipc_obj *o);
void pages_file_close(struct ipc_obj *o, int fd);
/* So many bytes more (negative: less) are its. */
int pages_account(struct ipc_obj *o, int64_t bytes, bool essential);

/* Lists of pages: `head` and the links hold page number + 1. */
void pages_push(struct ipc_obj *o, uint32_t *head, uint32_t page);
void pages_remove(struct ipc_obj *o, uint32_t *head, uint32_t page);
/* A page block of 2^order pages, or false. */
bool pages_alloc(struct ipc_obj *o, unsigned int order, uint32_t *ret_page);
void pages_free(struct ipc_obj *o, uint32_t page, unsigned int order);

#endif
