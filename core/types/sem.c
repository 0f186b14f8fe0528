/* SPDX-License-Identifier: MIT */
/* sem: permits that are taken one at a time and given in any number. See permit.h. */
#include <inttypes.h>
#include <stdio.h>

#include "file/log.h"
#include "object/command.h"
#include "object/completion.h"
#include "object/count.h"
#include "object/facts.h"
#include "object/hold.h"
#include "object/stats.h"
#include "object/type.h"
#include "types/permit.h"

#define S(o) (&(o)->h->b.sem)

static int sem_parse(const char *s, size_t len, struct ipc_cmd *ret)
{
	return command_count(s, len, CMD_ADD, ret);
}

/* What the caller took by reading and now gives back. One job may write where another read. */
static struct ipc_hold *taken(struct ipc_obj *o, const struct ipc_call *c)
{
	return S(o)->jobserver ? hold_of_process(o, c->pid, OP_READ) :
				 hold_find(o, c->handle, OP_READ);
}

static int sem_give(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c,
		    const struct ipc_cmd *cmd)
{
	struct ipc_hold *hold;
	uint64_t n, left = 0;

	(void)hd;
	if (cmd->verb != CMD_ADD || cmd->n < 0)
		return -EINVAL;
	n = (uint64_t)cmd->n - c->done;
	if (n > INT64_MAX - S(o)->value || (S(o)->bound && S(o)->value + n > S(o)->bound))
		return -ERANGE;
	/* The holds of many processes that share a descriptor may be too many for one change. */
	while (n > left && (hold = taken(o, c))) {
		left += hold_reduce(o, hold,
				    n - left > UINT32_MAX ? UINT32_MAX : (uint32_t)(n - left));
		if (log_room(o) > 60)
			continue;
		permit_put_back(o, left);
		set64(o, S(o)->given, S(o)->given + left);
		n -= left;
		c->done += left;
		left = 0;
		call_record(o, c, (int64_t)(c->pos << 32 | c->done), true);
		commit(o);
	}
	permit_put_back(o, n);
	set64(o, S(o)->given, S(o)->given + n);
	return 0;
}

static uint64_t sem_size(struct ipc_obj *o)
{
	return count_now(&S(o)->fast, &S(o)->value);
}

static void sem_entered(struct ipc_obj *o)
{
	count_entered(o, &S(o)->fast, &S(o)->value);
}

/* Only while taken permits belong to nobody. (A hold may stand for what was taken by reading.) */
static void sem_leaving(struct ipc_obj *o)
{
	if (!permit_has_undo(o) && S(o)->scope == SCOPE_HANDLE && !o->h->holds.count &&
	    !count_wanted(o->h))
		count_leaving(o, &S(o)->fast, S(o)->value, S(o)->bound, false);
}

static void sem_counts(const struct ipc_obj *o, struct ipc_counts *c)
{
	c->puts += __atomic_load_n(&S(o)->given, __ATOMIC_RELAXED);
	c->gets += __atomic_load_n(&S(o)->taken, __ATOMIC_RELAXED);
}

static void sem_rest(struct ipc_obj *o)
{
	STAT_FOLD(o, S(o)->given, puts);
	STAT_FOLD(o, S(o)->taken, gets);
}

static bool gives_tokens(const struct ipc_obj *o)
{
	return S(o)->jobserver;
}

static int sem_check(struct ipc_obj *o, struct ipc_check *k)
{
	uint64_t held;

	return permit_check(o, k, 0, &held);
}

static int sem_words(const struct ipc_facts *f, char *ret, size_t size)
{
	uint64_t bound = facts_count(f, "bound");

	if (!bound)
		return snprintf(ret, size, "%" PRIu64 " free", f->size);
	return snprintf(ret, size, "%" PRIu64 " of %" PRIu64 " free", f->size, bound);
}

const struct ipc_type ipc_sem_type = {
	.id = IPC_SEM,
	.name = "sem",
	.suffix = ".sem",
	.traits = TYPE_SETTABLE | TYPE_PID,
	.verbs = VERB(CMD_ADD),
	.ready = IPC_WORD(b.sem.value),
	.count = IPC_WORD(b.sem.fast),
	.read = permit_read,
	.parse = sem_parse,
	.give = sem_give,
	.flock = permit_flock,
	.pump = permit_pump,
	.poll = permit_poll,
	.units = permit_units,
	.size = sem_size,
	.next = permit_next,
	.unhold = permit_unhold,
	.regret = permit_regret,
	.words = sem_words,
	.rest = sem_rest,
	.counts = sem_counts,
	.check = sem_check,
	.scope = permit_scope,
	.bytes = gives_tokens,
	.entered = sem_entered,
	.leaving = sem_leaving,
};
