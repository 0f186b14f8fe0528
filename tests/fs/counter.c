/* SPDX-License-Identifier: MIT */
/*
 * counter: a number that writes add to and a read takes whole, as eventfd(2). A read waits while it is 0.
 *
 * Not a product: it shows what it takes to add a type (step by step in doc/architecture.md). That nothing
 * else is needed is shown by test_counter.c and, on a mount and with libipcfs, by
 * tests/mount/test_counter.py. In the tree it would be core/types/counter.c with a line in registry.c,
 * and ctl_counter.c would be in fs/ctl, with a line in ctl_table.c; its number and its body would be
 * in core/format/. (Here the body is an event's, which is one word.)
 */
#include <poll.h>

#include "file/log.h"
#include "object/answer.h"
#include "object/waiter.h"
#include "object/command.h"
#include "object/type.h"

#define N(o)  ((o)->h->b.event.set)
#define WAITQ 0

static int counter_parse(const char *s, size_t len, struct ipc_cmd *ret)
{
	return command_count(s, len, CMD_ADD, ret);
}

static int counter_give(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c,
			const struct ipc_cmd *cmd)
{
	if (cmd->n < 0 || N(o) > INT64_MAX - (uint64_t)cmd->n)
		return -ERANGE;
	set64(o, N(o), N(o) + (uint64_t)cmd->n);
	return 0;
}

static void take(struct ipc_obj *o, struct ipc_answer *ret)
{
	answer_number(ret, (int64_t)N(o));
	set64(o, N(o), 0);
}

static int counter_read(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
	if (!N(o) || waitq_first(o, WAITQ))
		return waiter_add(o, c, WAITQ, 0);
	take(o, &c->got);
	return 0;
}

static void counter_pump(struct ipc_obj *o)
{
	struct ipc_answer got;
	ref_t r;

	while ((r = waitq_first(o, WAITQ)) && N(o) && !o->damage) {
		take(o, &got);
		waiter_grant(o, r, (int64_t)got.len, &got);
	}
}

static unsigned int counter_poll(struct ipc_obj *o, struct ipc_handle *hd)
{
	return (N(o) && !waitq_first(o, WAITQ) ? POLLIN : 0) | POLLOUT;
}

static uint64_t counter_size(struct ipc_obj *o)
{
	return __atomic_load_n(&N(o), __ATOMIC_RELAXED);
}

static int counter_check(struct ipc_obj *o, struct ipc_check *k)
{
	if (N(o) > INT64_MAX)
		k->why = "more than was ever added";
	return k->why ? -EIO : 0;
}

extern const struct ipc_type ipc_counter_type;
const struct ipc_type ipc_counter_type = {
	.id = IPC_COUNTER,
	.name = "counter",
	.suffix = ".counter",
	.traits = TYPE_WAITED_FOR,
	.verbs = VERB(CMD_ADD),
	.ready = IPC_WORD(b.event.set),
	.read = counter_read,
	.parse = counter_parse,
	.give = counter_give,
	.pump = counter_pump,
	.poll = counter_poll,
	.size = counter_size,
	.check = counter_check,
};
