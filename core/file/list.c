/* SPDX-License-Identifier: MIT */
/* Lists in an engine file, through struct ipc_link. Each change is part of the change under way. */
#include "file/list.h"
#include "file/log.h"
#include "file/obj.h"

static struct ipc_link *link_at(struct ipc_obj *o, ref_t r)
{
	return AT(o, ipc_link, r);
}

void list_push(struct ipc_obj *o, struct ipc_list *l, ref_t r)
{
	struct ipc_link *k = link_at(o, r);

	set32(o, k->next, 0);
	set32(o, k->prev, l->tail);
	if (l->tail)
		set32(o, link_at(o, l->tail)->next, r);
	else
		set32(o, l->head, r);
	set32(o, l->tail, r);
	set32(o, l->count, l->count + 1);
}

void list_push_head(struct ipc_obj *o, struct ipc_list *l, ref_t r)
{
	struct ipc_link *k = link_at(o, r);

	set32(o, k->prev, 0);
	set32(o, k->next, l->head);
	if (l->head)
		set32(o, link_at(o, l->head)->prev, r);
	else
		set32(o, l->tail, r);
	set32(o, l->head, r);
	set32(o, l->count, l->count + 1);
}

void list_remove(struct ipc_obj *o, struct ipc_list *l, ref_t r)
{
	struct ipc_link *k = link_at(o, r);
	ref_t next = k->next, prev = k->prev;

	/*
	 * Otherwise, taking the heads off a corrupt list could yield one element again and again.
	 */
	if ((prev ? link_at(o, prev)->next : l->head) != r ||
	    (next ? link_at(o, next)->prev : l->tail) != r || !l->count) {
		obj_damage(o, "a list's back link is wrong");
		return;
	}
	if (prev)
		set32(o, link_at(o, prev)->next, next);
	else
		set32(o, l->head, next);
	if (next)
		set32(o, link_at(o, next)->prev, prev);
	else
		set32(o, l->tail, prev);
	set32(o, l->count, l->count - 1);
}
