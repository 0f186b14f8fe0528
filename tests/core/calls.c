/* SPDX-License-Identifier: MIT */
/* Operations as one line each, with what they give as text. */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/file.h>

#include "object/answer.h"
#include "object/waiter.h"
#include "test.h"

#define PUTTERS 16

static char text_buf[2][2 << 20];
static unsigned int turn;
static struct {
	uint64_t unique;
	const char *text;
} putters[PUTTERS];
static unsigned int n_putters;

const char *error_text(int64_t r)
{
	static char buf[32];

	if (r >= 0)
		snprintf(buf, sizeof(buf), "%lld", (long long)r);
	else
		snprintf(buf, sizeof(buf), "!%s", strerrorname_np((int)-r));
	return buf;
}

static const char *answer_text(struct ipc_obj *o, const struct ipc_answer *a)
{
	char *buf = text_buf[turn++ % 2];
	size_t n = answer_copy(o, a, 0, buf, sizeof(text_buf[0]) - 1);

	CHECK_INT(n, a->len);
	buf[n] = 0;
	return buf;
}

ref_t h_new(struct ipc_obj *o, uint32_t kind, uint32_t oflags, uint32_t flags)
{
	struct ipc_opening how = {
		.kind = kind,
		.oflags = oflags,
		.flags = flags,
		.tid = 1000,
		.pid = 100,
		.gen = o->h->handles.count + 1,
		.timeout = -1,
	};
	ref_t h;

	CHECK_INT(ipc_open(o, &how, &h), 0);
	ipc_pump(o);
	return h;
}

int (*call_grow)(struct ipc_call *c);

struct ipc_call call_new(ref_t h, uint32_t op)
{
	return (struct ipc_call){
		.handle = h,
		.op = op,
		.tid = 1000,
		.pid = 100,
		.deadline = IPC_NEVER,
		.max = 65536,
		.limit = IPC_MESSAGE_MAX,
		.grow = call_grow,
	};
}

int64_t put_bytes(struct ipc_obj *o, ref_t h, const void *data, size_t len)
{
	struct ipc_call c = call_new(h, OP_WRITE);
	int r;

	c.deadline = 0;
	c.data = data;
	c.len = len;
	r = ipc_put(o, &c);
	ipc_pump(o);
	return r < 0 ? r : c.result;
}

int64_t put(struct ipc_obj *o, ref_t h, const char *text)
{
	return put_bytes(o, h, text, strlen(text));
}

void putter_remember(uint64_t unique, const char *text)
{
	unsigned int i = 0;

	while (i < n_putters && putters[i].unique != unique)
		i++;
	CHECK(i < PUTTERS);
	if (i == n_putters)
		n_putters++;
	putters[i].unique = unique;
	putters[i].text = text;
}

ref_t put_waits(struct ipc_obj *o, ref_t h, const char *text, uint64_t unique)
{
	struct ipc_call c = call_new(h, OP_WRITE);

	c.unique = unique;
	c.data = text;
	c.len = strlen(text);
	putter_remember(unique, text);
	CHECK_INT(ipc_put(o, &c), IPC_WAIT);
	ipc_pump(o);
	return c.waiter;
}

void put_turns(struct ipc_obj *o)
{
	ref_t w;

	while ((w = ipc_turn(o))) {
		struct ipc_call c = call_new(waiter_at(o, w)->handle, OP_WRITE);

		c.unique = waiter_at(o, w)->unique;
		c.done = waiter_at(o, w)->arg;
		c.waiter = w;
		for (unsigned int i = 0; i < n_putters; i++)
			if (putters[i].unique == c.unique)
				c.data = putters[i].text;
		CHECK(c.data);
		c.len = strlen(c.data);
		ipc_put(o, &c);
		ipc_pump(o);
	}
}

const char *get_some(struct ipc_obj *o, ref_t h, uint32_t op, size_t max)
{
	struct ipc_call c = call_new(h, op);
	int r;

	c.deadline = 0;
	c.max = max;
	r = ipc_read(o, &c);
	ipc_pump(o);
	return r < 0 ? error_text(r) : answer_text(o, &c.got);
}

const char *get(struct ipc_obj *o, ref_t h)
{
	uint32_t kind = handle_at(o, h)->kind;

	return get_some(o, h,
			kind == HANDLE_LEASE ? OP_LEASE :
			kind == HANDLE_JOIN  ? OP_JOIN :
					       OP_READ,
			65536);
}

ref_t get_waits(struct ipc_obj *o, ref_t h, uint32_t op, uint64_t unique)
{
	struct ipc_call c = call_new(h, op);

	c.unique = unique;
	CHECK_INT(ipc_read(o, &c), IPC_WAIT);
	ipc_pump(o);
	return c.waiter;
}

int give(struct ipc_obj *o, ref_t h, enum ipc_verb verb, int64_t n)
{
	struct ipc_call c = call_new(h, OP_WRITE);
	struct ipc_cmd cmd = { .verb = verb, .n = n };
	int r;

	c.deadline = 0;
	r = ipc_give(o, &c, &cmd);
	ipc_pump(o);
	return r;
}

int lock_it(struct ipc_obj *o, ref_t h, int how)
{
	struct ipc_call c = call_new(h, OP_FLOCK);
	int r;

	c.deadline = 0;
	r = ipc_flock(o, &c, how);
	ipc_pump(o);
	return r;
}

ref_t lock_waits(struct ipc_obj *o, ref_t h, int how, uint64_t unique)
{
	struct ipc_call c = call_new(h, OP_FLOCK);

	c.unique = unique;
	CHECK_INT(ipc_flock(o, &c, how), IPC_WAIT);
	ipc_pump(o);
	return c.waiter;
}

const char *finish(struct ipc_obj *o, ref_t w)
{
	struct ipc_call c = call_new(waiter_at(o, w)->handle, waiter_at(o, w)->op);
	const char *text;

	if (waiter_at(o, w)->state != WAITER_GRANTED)
		return "!WAITS";
	if (waiter_at(o, w)->got.kind == ANSWER_NONE)
		text = error_text(waiter_at(o, w)->result);
	else
		text = answer_text(o, &waiter_at(o, w)->got);
	ipc_finish(o, w, &c);
	ipc_pump(o);
	return text;
}

const char *in_hand(struct ipc_obj *o, ref_t h)
{
	return answer_text(o, &handle_at(o, h)->hand);
}

void close_it(struct ipc_obj *o, ref_t h)
{
	ipc_close(o, h);
	ipc_pump(o);
}

const char *leave(struct ipc_obj *o, ref_t w, int why)
{
	int64_t r = 0;
	bool gone = ipc_leave(o, w, why, &r);

	ipc_pump(o);
	return gone ? error_text(r) : "!WAITS";
}
