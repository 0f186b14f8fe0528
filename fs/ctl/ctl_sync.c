/* SPDX-License-Identifier: MIT */
/* The .ctl files of semaphores, locks, events, conditions and barriers. */
#include "ctl/rows.h"
#include "object/command.h"
#include "object/number.h"
#include "wait/monitor.h"

SHOW_NUMBER(sem_value, sem.value)
SHOW_NUMBER(bound, sem.bound)
SHOW_NUMBER(undo, sem.undo)
SHOW_NUMBER(jobserver, sem.jobserver)
SHOW_NUMBER(event_value, event.set)
SHOW_NUMBER(parties, barrier.parties)
SHOW_NUMBER(broken, barrier.broken)

static int store_undo(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	return ctl_store_flag(ob, &B(ob).sem.undo, s, len);
}

static int store_jobserver(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	return ctl_store_flag(ob, &B(ob).sem.jobserver, s, len);
}

static int store_bound(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	uint64_t n;
	int r = number_count(s, len, &n);

	if (r == 0 && n && n < B(ob).sem.value)
		r = -ERANGE;
	if (r == 0)
		ipc_setting64(&ob->o, &B(ob).sem.bound, n);
	return r;
}

static const char *const scopes[SCOPES] = {
	[SCOPE_HANDLE] = "handle",
	[SCOPE_PROCESS] = "process",
	[SCOPE_OPENER] = "opener",
};

static void show_scope(struct object *ob, FILE *f)
{
	fprintf(f, "%s\n", scopes[B(ob).sem.scope % SCOPES]);
}

static int store_scope(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	int r = ctl_word(s, len, scopes, SCOPES);

	if (r >= 0)
		ipc_setting32(&ob->o, &B(ob).sem.scope, (uint32_t)r);
	return r < 0 ? r : 0;
}

static void show_waiting(struct object *ob, FILE *f)
{
	fprintf(f, "%" PRIu64 "\n", ipc_size(&ob->o));
}

static int store_parties(struct object *ob, const char *s, size_t len, uint64_t unique)
{
	struct ipc_call c = { .unique = unique };
	struct ipc_cmd cmd;
	int r = ipc_command(ob->o.ops, s, len, &cmd);

	if (r == 0 && cmd.verb != CMD_PARTIES)
		r = -EINVAL;
	return r < 0 ? r : ipc_give(&ob->o, &c, &cmd);
}

const struct ctl_file ctl_sem[] = {
	CTL_COMMON,
	FACT(28, "value", show_sem_value),
	SETTING(29, "bound", show_bound, store_bound),
	SETTING(31, "undo", show_undo, store_undo),
	SETTING(32, "scope", show_scope, store_scope),
	CTL_TAKE,
	SETTING(54, "jobserver", show_jobserver, store_jobserver),
	CTL_END,
};

const struct ctl_file ctl_lock[] = {
	/* and of rlocks */
	CTL_COMMON,
	FACT(28, "value", show_sem_value),
	FACT(30, "bound", show_bound),
	SETTING(31, "undo", show_undo, store_undo),
	SETTING(32, "scope", show_scope, store_scope),
	CTL_TAKE,
	CTL_END,
};

const struct ctl_file ctl_event[] = {
	CTL_COMMON,
	FACT(33, "value", show_event_value),
	CTL_TAKE,
	CTL_END,
};

const struct ctl_file ctl_barrier[] = {
	CTL_COMMON,
	SETTING(34, "parties", show_parties, store_parties),
	FACT(35, "waiting", show_waiting),
	FACT(36, "broken", show_broken),
	CTL_TAKE,
	CTL_END,
};

const struct ctl_file ctl_cond[] = {
	CTL_COMMON,
	SETTING(37, "lock", show_lock, store_lock),
	CTL_TAKE,
	CTL_END,
};
