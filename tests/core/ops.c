/* SPDX-License-Identifier: MIT */
/* What the operations of the tables have in common. */
#include "file/list.h"
#include "object/completion.h"
#include "object/waiter.h"
#include "ops.h"

extern const struct op ops_queue[], ops_lease[], ops_pipe[], ops_event[], ops_sem[], ops_lock[],
	ops_handle[], ops_names[], ops_rlock[], ops_lent[], ops_cond[], ops_barrier[], ops_value[],
	ops_fast[], ops_rest[];

const struct op *const op_tables[] = {
	ops_queue, ops_lease, ops_pipe, ops_event,   ops_sem,   ops_lock, ops_handle, ops_names,
	ops_rlock, ops_lent,  ops_cond, ops_barrier, ops_value, ops_fast, ops_rest,   NULL,
};

bool answered(struct ipc_obj *o, struct ipc_call *c)
{
	int64_t result;
	bool partial;
	ref_t w;

	if (!c->unique)
		return false;
	w = ipc_find_waiter(o, c->unique);
	if (w) {
		if (waiter_at(o, w)->state != WAITER_TURN)
			return true;
		c->waiter = w;
		c->done = waiter_at(o, w)->arg;
		return false;
	}
	if (!ipc_completion_find(o, c->unique, c->handle, &result, &partial))
		return false;
	if (!partial)
		return true;
	c->done = (size_t)result;
	return false;
}

bool ctl_answered(struct ipc_obj *o, uint64_t unique)
{
	int64_t result;
	bool partial;

	return ipc_completion_find(o, unique, 0, &result, &partial);
}

void run_put(struct scene *s, uint64_t unique, const char *text)
{
	struct ipc_call c = call_new(s->h[0], OP_WRITE);

	c.unique = unique;
	c.data = text;
	c.len = strlen(text);
	putter_remember(unique, text);
	if (!answered(s->o, &c))
		ipc_put(s->o, &c);
}

void run_read(struct scene *s, uint64_t unique, uint32_t op, size_t max)
{
	struct ipc_call c = call_new(s->h[0], op);

	c.unique = unique;
	c.max = max;
	if (!answered(s->o, &c))
		ipc_read(s->o, &c);
}

void run_give(struct scene *s, uint64_t unique, enum ipc_verb verb, int64_t n)
{
	struct ipc_call c = call_new(s->h[0], OP_WRITE);
	struct ipc_cmd cmd = { .verb = verb, .n = n };

	c.unique = unique;
	if (!answered(s->o, &c))
		ipc_give(s->o, &c, &cmd);
}

void run_flock(struct scene *s, uint64_t unique, int how)
{
	struct ipc_call c = call_new(s->h[0], OP_FLOCK);

	c.unique = unique;
	if (!answered(s->o, &c))
		ipc_flock(s->o, &c, how);
}

/* Is the waiter still there? */
static bool stands(struct ipc_obj *o, ref_t w, struct ipc_list *l)
{
	LIST_EACH(o, l, r)
		if (r == w)
			return true;
	return false;
}

void run_finish(struct scene *s, ref_t w, size_t max)
{
	struct ipc_obj *o = s->o;
	struct ipc_call c = { 0 };

	c.max = max;
	if (stands(o, w, &o->h->granted) || stands(o, w, &o->h->woken))
		ipc_finish(o, w, &c);
}

void run_leave(struct scene *s, ref_t w, uint64_t unique, int why)
{
	struct ipc_obj *o = s->o;
	int64_t ret;

	(void)unique;
	for (unsigned int i = 0; i < IPC_WAITQS; i++)
		if (stands(o, w, &o->h->waitqs[i])) {
			ipc_leave(o, w, why, &ret);
			return;
		}
}

void run_close(struct scene *s, ref_t h)
{
	if (stands(s->o, h, &s->o->h->handles))
		ipc_close(s->o, h);
}

void run_give_back(struct scene *s, ref_t h)
{
	ipc_give_back(s->o, h);
}

void run_open(struct scene *s, uint64_t unique)
{
	struct ipc_opening how = { .oflags = RW, .gen = 77, .unique = unique, .timeout = -1 };
	ref_t h;

	LIST_EACH(s->o, &s->o->h->handles, r)
		if (unique && handle_at(s->o, r)->open_unique == unique)
			return;
	ipc_open(s->o, &how, &h);
}
