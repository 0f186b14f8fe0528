/* SPDX-License-Identifier: MIT */
/*
 * libipcfs: one short message while nobody waits and nobody has the lock. What most calls are comes to
 * one small change here, and nothing else is asked; all else goes the usual way (client_direct.c).
 */
#include "client/client_session.h"

/* The handle, with the lock taken; NULL: not now. */
static struct ipc_handle *begin(struct ipcfs_obj *c)
{
	struct ipc_obj *o = &c->map;
	struct ipc_handle *hd;

	if (!c->short_cut || __atomic_load_n(&c->damaged, __ATOMIC_RELAXED) || !obj_lock_now(o))
		return NULL;
	hd = ipc_handle(o, c->at.handle, c->at.gen);
	if (__builtin_expect(hd && !session_anybody(o->h), 1))
		return hd;
	obj_unlock_now(o);
	return NULL;
}

/* Nobody waits for anything that this has changed. */
static void end(struct ipcfs_obj *c)
{
	c->map.freed = false;
	if (__builtin_expect(c->map.damage != NULL, 0))
		session_leave(&(struct session){ .client = c, .o = &c->map });
	else
		obj_unlock_now(&c->map);
}

bool direct_put_now(struct ipcfs_obj *c, const void *msg, size_t len)
{
	struct iovec v = { (void *)(uintptr_t)msg, len };
	unsigned int done;

	if (!begin(c))
		return false;
	done = ipc_put_now(&c->map, c->at.message_limit, &v, 1);
	end(c);
	return done;
}

bool direct_get_now(struct ipcfs_obj *c, void *buf, size_t size, size_t *ret_len)
{
	const struct ipc_handle *hd = begin(c);
	struct iovec v = { buf, size };
	unsigned int done;

	if (!hd)
		return false;
	done = ipc_get_now(&c->map, hd, &v, 1);
	end(c);
	*ret_len = v.iov_len;
	return done;
}
