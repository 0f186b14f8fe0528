/* SPDX-License-Identifier: MIT */
/* Questions that any object answers: its type does, or there is a default. */
#include "object/type.h"

unsigned int ipc_poll(struct ipc_obj *o, ref_t handle)
{
	return o->ops->poll ? o->ops->poll(o, handle_at(o, handle)) : 0;
}

bool ipc_is_jobserver(const struct ipc_obj *o)
{
	return o->ops->bytes && o->ops->bytes(o);
}

uint32_t ipc_scope(const struct ipc_obj *o)
{
	return o->ops->scope ? o->ops->scope(o) : SCOPE_HANDLE;
}

uint64_t ipc_size(struct ipc_obj *o)
{
	return o->ops->size ? o->ops->size(o) : 0;
}
