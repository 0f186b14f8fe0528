/* SPDX-License-Identifier: MIT */
#include "ctl/held.h"

#include <string.h>

#include "base/alloc.h"
#include "file/list.h"
#include "object/type.h"
#include "state/object.h"

static void add(struct held_all *all, ref_t handle, const struct held *h)
{
	MORE(all->held, all->n);
	all->held[all->n - 1] = *h;
	all->held[all->n - 1].handle = keepers_handle(&all->keepers, handle);
	all->held[all->n - 1].object = all->n_paths - 1;
}

bool held_any(const struct object *ob)
{
	return ob->o.h->holds.count ||
	       (ob->o.ops->unlease && ipc_leased((struct ipc_obj *)&ob->o)->count);
}

void held_collect(struct held_all *all, struct object *ob, const char *path)
{
	struct ipc_obj *o = &ob->o;

	keepers_collect(&all->keepers, ob);
	MORE(all->paths, all->n_paths);
	all->paths[all->n_paths - 1] = path ? strdup(path) : NULL;
	LIST_EACH(o, &o->h->holds, r) {
		const struct ipc_hold *k = AT(o, ipc_hold, r);

		add(all, k->handle, &(struct held){ 0, 0, k->pid, k->uid, k->op, k->since });
	}
	if (!o->ops->unlease)
		return;
	LIST_EACH(o, ipc_leased(o), r) {
		const struct ipc_lease *k = AT(o, ipc_lease, r);

		add(all, k->handle,
		    &(struct held){ 0, 0, k->pid, handle_at(o, k->handle)->uid, OP_LEASE,
				    k->since });
	}
}

void held_free(struct held_all *all)
{
	for (size_t i = 0; i < all->n_paths; i++)
		free(all->paths[i]);
	free(all->paths);
	free(all->held);
	keepers_free(&all->keepers);
	*all = (struct held_all){ 0 };
}
