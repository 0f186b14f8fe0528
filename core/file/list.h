/* SPDX-License-Identifier: MIT */
/* Lists in an engine file, through struct ipc_link. Their changes are part of the change under way. */
#ifndef IPC_LIST_H
#define IPC_LIST_H

#include "file/obj.h"

void list_push(struct ipc_obj *o, struct ipc_list *l, ref_t r); /* at the tail */
void list_push_head(struct ipc_obj *o, struct ipc_list *l, ref_t r);
void list_remove(struct ipc_obj *o, struct ipc_list *l, ref_t r);

/* What follows r in its list. It must link back to r: a list in which all do has no cycle. */
static inline ref_t list_next(struct ipc_obj *o, ref_t r)
{
	ref_t next = AT(o, ipc_link, r)->next;

	if (next && __builtin_expect(AT(o, ipc_link, next)->prev != r, 0))
		obj_damage(o, "a list's back link is wrong");
	return next;
}

/* What precedes it, checked in the same way. */
static inline ref_t list_prev(struct ipc_obj *o, ref_t r)
{
	ref_t prev = AT(o, ipc_link, r)->prev;

	if (prev && __builtin_expect(AT(o, ipc_link, prev)->next != r, 0))
		obj_damage(o, "a list's back link is wrong");
	return prev;
}

static inline uint32_t list_most(const struct ipc_obj *o, const struct ipc_list *l)
{
	uint32_t n = __atomic_load_n(&l->count, __ATOMIC_RELAXED);

	return n < blocks_most(o) ? n : (uint32_t)blocks_most(o);
}

static inline ref_t list_first(struct ipc_obj *o, const struct ipc_list *l)
{
	ref_t r = __atomic_load_n(&l->head, __ATOMIC_RELAXED);

	/* Otherwise the list could be a ring, in which all link back. */
	if (r && __builtin_expect(AT(o, ipc_link, r)->prev != 0, 0))
		obj_damage(o, "a list's back link is wrong");
	return r;
}

/*
 * Walk a list; `next` is read first, so the body may remove r. Always ends: it visits no more than
 * were there at the start, and each once.
 */
#define LIST_EACH(o, l, r)                                                          \
	for (ref_t r = list_first((o), (l)), r##_next, r##_n = list_most((o), (l)); \
	     r && r##_n && !(o)->damage && (r##_next = list_next(o, r), 1); r = r##_next, r##_n--)

#endif
