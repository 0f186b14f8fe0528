/* SPDX-License-Identifier: MIT */
/*
 * libipcfs: one short message while nobody waits and nobody has the lock. What most calls are comes to
 * one small change here, and nothing else is asked; all else goes the usual way (client_direct.c).
 */
#include "client/client_session.h"
#include "file/quick.h"
#include "object/answer.h"
#include "object/type.h"

/* Take the lock, if nothing else has to be looked at. */
static inline __attribute__((always_inline)) bool begin(struct ipcfs_obj *c)
{
	struct ipc_obj *o = &c->map;

	if (!c->short_cut || __atomic_load_n(&c->damaged, __ATOMIC_RELAXED) || !obj_lock_now(o))
		return false;
	if (direct_current(c) && __builtin_expect(!session_anybody(o->h), 1))
		return true;
	obj_unlock_now(o);
	return false;
}

/* Nobody waits for anything that this has changed. */
static inline void end(struct ipcfs_obj *c)
{
	c->map.freed = false;
	obj_unlock_now(&c->map);
}

/* Where the page has no block left, or had none before: more is to be changed. */
static __attribute__((noinline)) bool end_many(struct ipcfs_obj *c, struct iovec *v, bool put)
{
	struct ipc_obj *o = &c->map;
	unsigned int n = put ? ipc_put_now(o, c->at.message_limit, v, 1) :
			       ipc_get_now(o, c->own, v, 1);

	if (__builtin_expect(o->damage != NULL, 0))
		session_leave(&(struct session){ .client = c, .o = o });
	else
		end(c);
	return n;
}

bool direct_put_now(struct ipcfs_obj *c, const void *msg, size_t len)
{
	struct iovec v;

	if (!begin(c))
		return false;
	if (c->map.ops->put_one(&c->map, c->at.message_limit, msg, len)) {
		end(c);
		return true;
	}
	v = (struct iovec){ (void *)(uintptr_t)msg, len };
	return end_many(c, &v, true);
}

ssize_t direct_get_now(struct ipcfs_obj *c, void *buf, size_t size)
{
	struct iovec v;
	ssize_t n;

	/* Who waits for one looks again and again: leave the lock to whoever brings it. */
	if (!c->short_cut || !ipc_word(c->map.h, c->type->ready) || !begin(c))
		return -1;
	n = -1;
	if (c->own->hand.kind != ANSWER_NONE || c->own->rests ||
	    (n = c->map.ops->get_one(&c->map, buf, size)) >= 0) {
		end(c);
		return n;
	}
	v = (struct iovec){ buf, size };
	return end_many(c, &v, false) ? (ssize_t)v.iov_len : -1;
}
