/* SPDX-License-Identifier: MIT */
/* Objects' files: the part that depends on the type, which file/ knows nothing about. */
#include "file/heap.h"
#include "object/type.h"

#define RESERVE_SMALL (256ull << 20)

static bool is_large(const struct ipc_type *t)
{
	return t->traits & TYPE_LARGE;
}

uint64_t ipc_reserve(const struct ipc_type *t, uint64_t limit)
{
	if (!is_large(t))
		return RESERVE_SMALL;
	if (limit > IPC_RESERVE_MOST / 2)
		return IPC_RESERVE_MOST;
	return (limit + limit / 4 + RESERVE_SMALL) / IPC_PAGE * IPC_PAGE;
}

static void know_type(struct ipc_obj *o, const struct ipc_type *t)
{
	o->ops = t;
	o->entered = t->entered;
	o->leaving = t->leaving;
}

int ipc_create(struct ipc_env *env, int dirfd, const char *name, uint64_t id,
	       const struct ipc_type *t, uint64_t reserve, const struct ipc_defaults *defaults)
{
	struct ipc_header h;

	ipc_first(&h, id, t, reserve, defaults);
	return obj_create(env, dirfd, name, &h);
}

int ipc_make(struct ipc_env *env, int dirfd, const char *name, uint64_t id,
	     const struct ipc_type *t, uint64_t reserve, const struct ipc_defaults *defaults,
	     struct ipc_obj *ret)
{
	struct ipc_header h;
	int r;

	ipc_first(&h, id, t, reserve, defaults);
	r = obj_make(env, dirfd, name, &h, ret);
	if (r == 0)
		know_type(ret, t);
	return r;
}

void ipc_renew(struct ipc_obj *o, uint64_t id, const struct ipc_type *t,
	       const struct ipc_defaults *defaults)
{
	struct ipc_header h;

	ipc_first(&h, id, t, (uint64_t)o->max_pages * IPC_PAGE, defaults);
	obj_renew(o, &h);
	heap_begin(o, o->pages);
	know_type(o, t);
}

int ipc_map(struct ipc_env *env, int fd, struct ipc_obj *o)
{
	int r = obj_map(env, fd, o);
	const struct ipc_type *t;

	if (r < 0)
		return r;
	t = ipc_type_of(o->type);
	if (!t || (!is_large(t) && o->map_len - o->heap_off > RESERVE_SMALL)) {
		obj_unmap(o);
		return -EIO;
	}
	know_type(o, t);
	return 0;
}
