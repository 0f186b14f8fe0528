/* SPDX-License-Identifier: MIT */
/*
 * event: set or clear. Readers wait until it is set. Setting it releases all of them even if it is
 * cleared again immediately, because the change and the grants happen under one lock.
 */
#include <poll.h>
#include <stdio.h>

#include "file/list.h"
#include "file/log.h"
#include "object/answer.h"
#include "object/command.h"
#include "object/count.h"
#include "object/facts.h"
#include "object/stats.h"
#include "object/type.h"
#include "object/waiter.h"

#define E(o)  (&(o)->h->b.event)
#define WAITQ 0

static int event_read(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
	(void)hd;
	if (!E(o)->set)
		return waiter_add(o, c, WAITQ, 0);
	answer_number(&c->got, 1);
	return 0;
}

static int event_parse(const char *s, size_t len, struct ipc_cmd *ret)
{
	if (text_is(s, len, "1") || text_is(s, len, "set"))
		*ret = (struct ipc_cmd){ .verb = CMD_SET };
	else if (text_is(s, len, "0") || text_is(s, len, "clear"))
		*ret = (struct ipc_cmd){ .verb = CMD_CLEAR };
	else
		return -EINVAL;
	return 0;
}

static int event_give(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c,
		      const struct ipc_cmd *cmd)
{
	(void)hd;
	(void)c;
	if (cmd->verb != CMD_SET && cmd->verb != CMD_CLEAR)
		return -EINVAL;
	set64(o, E(o)->set, cmd->verb == CMD_SET);
	if (cmd->verb == CMD_SET)
		set64(o, E(o)->sets, E(o)->sets + 1);
	return 0;
}

static void event_pump(struct ipc_obj *o)
{
	struct ipc_answer got;

	if (!E(o)->set)
		return;
	answer_number(&got, 1);
	LIST_EACH(o, &o->h->waitqs[WAITQ], r)
		waiter_grant(o, r, (int64_t)got.len, &got);
}

static unsigned int event_poll(struct ipc_obj *o, struct ipc_handle *hd)
{
	(void)hd;
	return (E(o)->set ? POLLIN : 0) | POLLOUT;
}

static uint64_t event_size(struct ipc_obj *o)
{
	return count_now(&E(o)->fast, &E(o)->set);
}

static void event_entered(struct ipc_obj *o)
{
	count_entered(o, &E(o)->fast, &E(o)->set);
}

/* Waiters and pollers must hear of a change, but once it is set nobody is left to wait. */
static void event_leaving(struct ipc_obj *o)
{
	bool wanted = count_wanted(o->h);

	if (!wanted || E(o)->set)
		count_leaving(o, &E(o)->fast, E(o)->set, 0, wanted);
}

static void event_counts(const struct ipc_obj *o, struct ipc_counts *c)
{
	c->puts += __atomic_load_n(&E(o)->sets, __ATOMIC_RELAXED);
	c->gets = STATS_NONE;
}

static void event_rest(struct ipc_obj *o)
{
	STAT_FOLD(o, E(o)->sets, puts);
}

static int event_check(struct ipc_obj *o, struct ipc_check *k)
{
	if (E(o)->set > 1)
		k->why = "neither set nor clear";
	return k->why ? -EIO : 0;
}

static int event_words(const struct ipc_facts *f, char *ret, size_t size)
{
	return snprintf(ret, size, "%s", f->size ? "set" : "clear");
}

const struct ipc_type ipc_event_type = {
	.id = IPC_EVENT,
	.name = "event",
	.suffix = ".event",
	.traits = TYPE_WAITED_FOR | TYPE_LASTING | TYPE_SETTABLE,
	.verbs = VERB(CMD_SET) | VERB(CMD_CLEAR),
	.ready = IPC_WORD(b.event.set),
	.count = IPC_WORD(b.event.fast),
	.read = event_read,
	.parse = event_parse,
	.give = event_give,
	.pump = event_pump,
	.poll = event_poll,
	.size = event_size,
	.words = event_words,
	.rest = event_rest,
	.counts = event_counts,
	.check = event_check,
	.entered = event_entered,
	.leaving = event_leaving,
};
