/* SPDX-License-Identifier: MIT */
/*
 * An object that nobody has open, and that may stay so for long.
 *
 * State that matters only to handles is dropped. If the object is then as it was created, it is
 * *blank*: it needs no engine file, since one can be made again at any time.
 */
#include <string.h>

#include "file/heap.h"
#include "file/log.h"
#include "object/type.h"

void ipc_first(struct ipc_header *h, uint64_t id, const struct ipc_type *t, uint64_t reserve,
	       const struct ipc_defaults *defaults)
{
	*h = (struct ipc_header){ .id = id, .type = t->id, .reserve = reserve };
	if (t->init)
		t->init(h, defaults);
	if (defaults)
		h->take = defaults->take;
}

void ipc_rest(struct ipc_obj *o)
{
	if (o->damage || o->h->handles.count)
		return;
	if (o->ops->rest) {
		o->ops->rest(o);
		commit(o);
	}
	heap_tidy(o);
}

bool ipc_is_blank(const struct ipc_obj *o, const struct ipc_defaults *d)
{
	const struct ipc_header *h = o->h;
	struct ipc_header fresh;

	/* Without a block there is no handle, no waiter, and nothing that was put into it. */
	if (o->damage || h->log_len || h->pages_used || h->slots_used || h->handles.count)
		return false;
	ipc_first(&fresh, o->id, o->ops, 0, d);
	return h->take == fresh.take && !memcmp(&h->b, &fresh.b, sizeof(h->b));
}
