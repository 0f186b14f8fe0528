/* SPDX-License-Identifier: MIT */
/* lock: a semaphore with value 1 and bound 1, which may also be shared. See permit.h. */
#include <poll.h>
#include <stdio.h>

#include "object/command.h"
#include "object/facts.h"
#include "object/fast.h"
#include "object/hold.h"
#include "object/stats.h"
#include "object/type.h"
#include "types/lock.h"
#include "types/permit.h"

#define S(o) (&(o)->h->b.sem)

int lock_parse(const char *s, size_t len, struct ipc_cmd *ret)
{
	return command_count(s, text_is(s, len, "release") ? 0 : len, CMD_ADD, ret);
}

/* Release this handle's own hold if it has one, otherwise somebody else's. */
static int release_lock(struct ipc_obj *o, struct ipc_call *c)
{
	struct ipc_hold *hold = hold_find(o, c->handle, OP_NONE);

	if (S(o)->value)
		return -ERANGE;
	if (!hold)
		hold = hold_find(o, 0, OP_NONE);
	if (!hold) {
		permit_put_back(o, 1);
		return 0;
	}
	permit_unhold(o, hold);
	hold_drop(o, hold);
	return 0;
}

static int lock_give(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c,
		     const struct ipc_cmd *cmd)
{
	(void)hd;
	if (cmd->verb != CMD_ADD || cmd->n < 0)
		return -EINVAL;
	if (cmd->n != 1)
		return cmd->n ? -ERANGE : 0;
	return release_lock(o, c);
}

static unsigned int lock_poll(struct ipc_obj *o, struct ipc_handle *hd)
{
	return S(o)->value ? permit_poll(o, hd) & ~(unsigned int)POLLOUT : POLLOUT;
}

uint64_t lock_size(struct ipc_obj *o)
{
	return fast_held(S(o)) ? 0 : __atomic_load_n(&S(o)->value, __ATOMIC_RELAXED);
}

void lock_counts(const struct ipc_obj *o, struct ipc_counts *c)
{
	c->puts = STATS_NONE;
	c->gets += __atomic_load_n(&S(o)->taken, __ATOMIC_RELAXED);
}

int lock_words(const struct ipc_facts *f, char *ret, size_t size)
{
	return snprintf(ret, size, "%s", f->size ? "free" : "held");
}

const struct ipc_type ipc_lock_type = {
	.id = IPC_LOCK,
	.name = "lock",
	.suffix = ".lock",
	.traits = TYPE_LOCK | TYPE_SHARED | TYPE_PID,
	.verbs = VERB(CMD_ADD),
	.init = permit_init_lock,
	.read = permit_read,
	.parse = lock_parse,
	.give = lock_give,
	.flock = permit_flock,
	.pump = permit_pump,
	.poll = lock_poll,
	.units = permit_units,
	.size = lock_size,
	.next = permit_next,
	.unhold = permit_unhold,
	.regret = permit_regret,
	.words = lock_words,
	.counts = lock_counts,
	.check = permit_check_lock,
	.scope = permit_scope,
	.rest = fast_rest,
	.entered = fast_entered,
	.leaving = fast_leaving,
};
