/* SPDX-License-Identifier: MIT */
/*
 * The operations of engine.h: each is one change of one object, done by its type's table.
 */
#include <poll.h>

#include "object/type.h"

/*
 * End a step of an operation: 1 to begin it again (the heap has grown), else its result. A step
 * that was refused leaves nothing behind.
 */
static bool again(struct ipc_obj *o, int *r)
{
	if (o->damage)
		*r = -EIO;
	if (*r >= 0) {
		commit(o);
		o->work = true;
		return false;
	}
	if (o->damage)
		return false;
	obj_rollback(o);
	if (*r != -ENOMEM)
		return false;
	*r = heap_grow(o, true);
	return *r == 0;
}

int ipc_read(struct ipc_obj *o, struct ipc_call *c)
{
	struct ipc_handle *hd = handle_at(o, c->handle);
	/* Who joins through libipcfs may have read only a part of its last message. */
	bool keep = c->op == OP_JOIN && hd->kind == HANDLE_OBJECT;
	int r;

	if (hd->hand.kind != ANSWER_NONE && !keep)
		answer_pass(o, hd, c->pos);
	do {
		c->got = (struct ipc_answer){ 0 };
		c->waiter = 0;
		r = o->ops->read ? o->ops->read(o, hd, c) : -EINVAL;
		if (r == 0) {
			c->got.off = c->got.len < c->max ? c->got.len : c->max;
			c->got.base = c->pos;
			if (!keep)
				answer_move(o, &hd->hand, &c->got);
			call_record(o, c, (int64_t)c->got.len, false);
		}
	} while (again(o, &r));
	ipc_poll_acted(o, c->handle, 0, r == -EAGAIN || r == IPC_WAIT);
	return r;
}

int ipc_put(struct ipc_obj *o, struct ipc_call *c)
{
	struct ipc_handle *hd = handle_at(o, c->handle);
	int r = o->ops->put ? o->ops->put(o, hd, c) : -EINVAL;

	o->work = true;
	if (o->damage)
		return -EIO;
	if (r < 0)
		obj_rollback(o);
	ipc_poll_acted(o, c->handle, 1, r == -EAGAIN || r == IPC_WAIT);
	return r;
}

int ipc_give(struct ipc_obj *o, struct ipc_call *c, const struct ipc_cmd *cmd)
{
	struct ipc_handle *hd = c->handle ? handle_at(o, c->handle) : NULL;	/* a setting has none */
	int r;

	do {
		c->waiter = 0;
		r = o->ops->give ? o->ops->give(o, hd, c, cmd) : -EINVAL;
		if (r == 0)
			call_record(o, c, c->whole ? c->got.number :
				    (int64_t)c->len << (c->more ? 32 : 0), c->more);
	} while (again(o, &r));
	return r;
}

int ipc_flock(struct ipc_obj *o, struct ipc_call *c, int how)
{
	struct ipc_handle *hd = handle_at(o, c->handle);
	int r;

	do {
		c->waiter = 0;
		r = o->ops->flock ? o->ops->flock(o, hd, c, how) : -EOPNOTSUPP;
		if (r == 0)
			call_record(o, c, 0, false);
	} while (again(o, &r));
	ipc_poll_acted(o, c->handle, 0, r == -EAGAIN || r == IPC_WAIT);
	return r;
}

unsigned int ipc_poll(struct ipc_obj *o, ref_t handle)
{
	return o->ops->poll ? o->ops->poll(o, handle_at(o, handle)) : 0;
}

int64_t ipc_next_length(struct ipc_obj *o, struct ipc_handle *hd)
{
	unsigned int ready = ipc_poll(o, ref_of(o, hd));

	ipc_next_rest(o, hd);
	if (answer_left(&hd->hand))
		return (int64_t)answer_left(&hd->hand);
	if (!(ready & POLLIN))
		return -1;
	return o->ops->next ? (int64_t)o->ops->next(o, hd) : 2;
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

void ipc_pump(struct ipc_obj *o)
{
	o->work = false;
	msg_sweep(o);
	if (o->ops->pump && !o->damage)
		o->ops->pump(o);
}

void ipc_setting64(struct ipc_obj *o, uint64_t *field, uint64_t v)
{
	set64_at(o, field, v);
	commit(o);
	o->work = true;
}

void ipc_setting32(struct ipc_obj *o, uint32_t *field, uint32_t v)
{
	set32_at(o, field, v);
	commit(o);
	o->work = true;
}
