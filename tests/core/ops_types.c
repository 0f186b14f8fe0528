/* SPDX-License-Identifier: MIT */
/* Operations of rlocks, conditions, barriers and values; and of a lock that is lent. */
#include <sys/file.h>

#include "file/list.h"
#include "file/log.h"
#include "object/hold.h"
#include "object/lend.h"
#include "ops.h"

#define RUN(name, ...)                                     \
	static void name(struct scene *s, uint64_t unique) \
	{                                                  \
		__VA_ARGS__;                               \
	}

static void handles(struct scene *s)
{
	for (unsigned int i = 0; i < 4; i++)
		s->h[i] = h_open(s->o);
}

/* A waiter leaves by a signal, once: a parked one has no request. */
static void run_interrupt(struct scene *s, ref_t w, uint64_t unique)
{
	if (ipc_find_waiter(s->o, 101) == w)
		run_leave(s, w, unique, -EINTR);
}

static void run_set(struct scene *s, uint64_t unique, const struct ipc_cmd *cmd)
{
	struct ipc_call c = call_new(s->h[0], OP_WRITE);

	c.unique = unique;
	if (!answered(s->o, &c))
		ipc_give(s->o, &c, cmd);
}

RUN(take, run_read(s, unique, OP_READ, 65536))
RUN(lock_ex, run_flock(s, unique, LOCK_EX))
RUN(lock_un, run_flock(s, unique, LOCK_UN))
RUN(release_one, run_give(s, unique, CMD_ADD, 1))
RUN(release_three, run_give(s, unique, CMD_ADD, 3))
RUN(finish_first, run_finish(s, s->w[0], 65536))
RUN(interrupt, run_interrupt(s, s->w[0], unique))
RUN(time_out, run_leave(s, s->w[0], unique, -ETIMEDOUT))
RUN(cancel, ipc_cancel(s->o, unique == 1))
RUN(close_h, run_close(s, s->h[0]))
RUN(ended, ipc_process_ended(s->o, 200 + (unique == 1)))

/* ---- rlock ---- */

static void deep(struct scene *s)
{
	handles(s);
	CHECK_STR(get(s->o, s->h[0]), "1\n");
	CHECK_STR(get(s->o, s->h[0]), "2\n");
	CHECK_INT(lock_it(s->o, s->h[0], LOCK_EX), 0);
}

static void deep_waited_for(struct scene *s)
{
	deep(s);
	s->w[0] = get_waits(s->o, s->h[1], OP_READ, 101);
	s->w[1] = get_waits(s->o, s->h[2], OP_READ, 0);
	s->w[2] = lock_waits(s->o, s->h[1], LOCK_EX, 102);
}

static void deep_by_another(struct scene *s)
{
	deep_waited_for(s);
	LIST_EACH(s->o, &s->o->h->holds, r)
		AT(s->o, ipc_hold, r)->pid = 200;
}

static void flocked_waited_for(struct scene *s)
{
	handles(s);
	CHECK_INT(lock_it(s->o, s->h[0], LOCK_EX), 0);
	s->w[0] = get_waits(s->o, s->h[1], OP_READ, 101);
	s->w[1] = get_waits(s->o, s->h[2], OP_READ, 0);
	s->w[2] = lock_waits(s->o, s->h[1], LOCK_EX, 102);
}

const struct op ops_rlock[] = {
	{ "rlock read", IPC_RLOCK, handles, take, 0 },
	{ "rlock read again", IPC_RLOCK, deep, take, STEPS },
	{ "rlock read waits", IPC_RLOCK, flocked_waited_for, take, STEPS },
	{ "rlock flock", IPC_RLOCK, handles, lock_ex, 0 },
	{ "rlock release", IPC_RLOCK, deep_waited_for, release_one, 0 },
	{ "rlock release of all", IPC_RLOCK, deep_waited_for, release_three, 0 },
	{ "rlock unlock", IPC_RLOCK, flocked_waited_for, lock_un, 0 },
	{ "rlock close", IPC_RLOCK, deep_waited_for, close_h, STEPS },
	{ "rlock process ended", IPC_RLOCK, deep_by_another, ended, STEPS | DAEMON },
	{ NULL },
};

/* ---- lending ---- */

static struct ipc_lent lent;

static void lendable(struct scene *s)
{
	deep_waited_for(s);
	CHECK(ipc_lent_find(s->o, 100, &lent));
}

static void is_lent(struct scene *s)
{
	deep(s);
	CHECK(ipc_lent_find(s->o, 100, &lent));
	ipc_lend(s->o, &lent, 100);
}

static void is_lent_and_taken(struct scene *s)
{
	is_lent(s);
	CHECK_INT(lock_it(s->o, s->h[1], LOCK_EX), 0);
}

RUN(lend, (void)unique; ipc_lend(s->o, &lent, 100))

static void retake(struct scene *s, uint64_t unique)
{
	struct ipc_call c = call_new(0, 0);
	ref_t w;

	c.unique = unique;
	if (!unique || !ipc_find_waiter(s->o, unique))
		ipc_lent_retake(s->o, &c, &lent);
	ipc_pump(s->o);
	w = ipc_find_waiter(s->o, unique);
	if (unique && w)
		run_finish(s, w, 0);
}

const struct op ops_lent[] = {
	{ "lend", IPC_RLOCK, lendable, lend, STEPS | DAEMON },
	{ "lent retake", IPC_RLOCK, is_lent, retake, STEPS | DAEMON },
	{ "lent retake waits", IPC_RLOCK, is_lent_and_taken, retake, STEPS | DAEMON },
	{ NULL },
};

/* ---- cond ---- */

static void has_lock(struct scene *s)
{
	handles(s);
	CHECK_INT(lock_it(s->o, s->h[0], LOCK_EX), 0);
}

/* h[1] waits with the lock, h[2] twice without, one of them a direct client. */
static void cond_waits(struct scene *s)
{
	handles(s);
	CHECK_INT(lock_it(s->o, s->h[1], LOCK_EX), 0);
	s->w[0] = get_waits(s->o, s->h[1], OP_READ, 101);
	s->w[1] = get_waits(s->o, s->h[2], OP_READ, 102);
	s->w[2] = get_waits(s->o, s->h[2], OP_READ, 0);
}

static void cond_waits_without(struct scene *s)
{
	handles(s);
	s->w[0] = get_waits(s->o, s->h[1], OP_READ, 101);
	s->w[1] = get_waits(s->o, s->h[2], OP_READ, 0);
}

/* The same, but h[0] is who waits. */
static void cond_waiting(struct scene *s)
{
	handles(s);
	CHECK_INT(lock_it(s->o, s->h[0], LOCK_EX), 0);
	s->w[0] = get_waits(s->o, s->h[0], OP_READ, 101);
	s->w[1] = get_waits(s->o, s->h[2], OP_READ, 102);
}

static void cond_locked(struct scene *s)
{
	cond_waits(s);
	CHECK_INT(lock_it(s->o, s->h[0], LOCK_EX), 0);
	CHECK_INT(give(s->o, s->h[0], CMD_NOTIFY, 1), 0);
	s->w[3] = lock_waits(s->o, s->h[3], LOCK_EX, 103);
}

/* h[0] has its notify, but not the lock. */
static void cond_relocks(struct scene *s)
{
	cond_waiting(s);
	CHECK_INT(lock_it(s->o, s->h[1], LOCK_EX), 0);
	CHECK_INT(give(s->o, s->h[1], CMD_NOTIFY, 1), 0);
}

static void cond_parked(struct scene *s)
{
	cond_waiting(s);
	CHECK_STR(leave(s->o, s->w[0], -EINTR), "!EINTR");
}

static void cond_parked_notified(struct scene *s)
{
	cond_parked(s);
	CHECK_INT(give(s->o, s->h[1], CMD_NOTIFY, 1), 0);
}

static void cond_parked_locked(struct scene *s)
{
	cond_parked_notified(s);
	CHECK_INT(lock_it(s->o, s->h[1], LOCK_EX), 0);
}

/* A notify is on its way when the daemon dies. */
static void cond_in_between(struct scene *s)
{
	cond_waiting(s);
	set64(s->o, s->o->h->b.cond.to_notify, 1);
	commit(s->o);
}

static void cond_lent_granted(struct scene *s)
{
	struct ipc_call c;

	handles(s);
	c = call_new(s->h[0], OP_READ);
	c.unique = 101;
	c.lent = (struct ipc_lent){ .handle = 99, .gen = 3 };
	CHECK_INT(ipc_read(s->o, &c), IPC_WAIT);
	CHECK_INT(give(s->o, s->h[1], CMD_NOTIFY, 1), 0);
	s->w[0] = c.waiter;
}

RUN(notify_two, run_give(s, unique, CMD_NOTIFY, 2))
RUN(notify_all, run_give(s, unique, CMD_NOTIFY, CMD_ALL))

static void park_again(struct scene *s, uint64_t unique)
{
	(void)unique;
	ipc_cond_park(s->o, s->w[0]);
}

const struct op ops_cond[] = {
	{ "cond wait", IPC_COND, handles, take, 0 },
	{ "cond wait with the lock", IPC_COND, has_lock, take, 0 },
	{ "cond notify two", IPC_COND, cond_waits, notify_two, 0 },
	{ "cond notify all", IPC_COND, cond_waits, notify_all, 0 },
	{ "cond unlock to a notified", IPC_COND, cond_locked, lock_un, 0 },
	{ "cond finish", IPC_COND, cond_waits, finish_first, STEPS },
	{ "cond interrupt", IPC_COND, cond_waiting, interrupt, 0 },
	{ "cond interrupt of a relocker", IPC_COND, cond_relocks, interrupt, 0 },
	{ "cond interrupt in between", IPC_COND, cond_in_between, interrupt, 0 },
	{ "cond time limit", IPC_COND, cond_waiting, time_out, 0 },
	{ "cond time limit of a relocker", IPC_COND, cond_relocks, time_out, 0 },
	{ "cond time limit in between", IPC_COND, cond_in_between, time_out, STEPS },
	{ "cond read again", IPC_COND, cond_parked, take, 0 },
	{ "cond read again, notified", IPC_COND, cond_parked_notified, take, 0 },
	{ "cond read again, locked", IPC_COND, cond_parked_locked, take, 0 },
	{ "cond give up", IPC_COND, cond_parked_notified, lock_un, STEPS },
	{ "cond cancel", IPC_COND, cond_waits_without, cancel, STEPS | DAEMON },
	{ "cond cancel of a relocker", IPC_COND, cond_relocks, cancel, STEPS | DAEMON },
	{ "cond close of a waiter", IPC_COND, cond_waiting, close_h, STEPS },
	{ "cond close of a relocker", IPC_COND, cond_relocks, close_h, STEPS },
	{ "cond close of a parked one", IPC_COND, cond_parked_notified, close_h, STEPS },
	{ "cond close in between", IPC_COND, cond_in_between, close_h, STEPS },
	{ "cond park of a granted one", IPC_COND, cond_lent_granted, park_again, DAEMON },
	{ NULL },
};

/* ---- barrier ---- */

/* Three of four wait: h[0], h[1] and a direct client. */
static void three_of_four(struct scene *s)
{
	handles(s);
	CHECK_INT(give(s->o, s->h[0], CMD_PARTIES, 4), 0);
	s->w[0] = get_waits(s->o, s->h[0], OP_READ, 101);
	s->w[1] = get_waits(s->o, s->h[1], OP_READ, 102);
	s->w[2] = get_waits(s->o, s->h[2], OP_READ, 0);
}

static void one_parked(struct scene *s)
{
	three_of_four(s);
	CHECK_STR(leave(s->o, s->w[0], -EINTR), "!EINTR");
}

static void one_parked_last(struct scene *s)
{
	one_parked(s);
	get_waits(s->o, s->h[3], OP_READ, 104);
}

RUN(parties_three, run_give(s, unique, CMD_PARTIES, 3))
RUN(parties_five, run_give(s, unique, CMD_PARTIES, 5))
RUN(reset, run_give(s, unique, CMD_RESET, 0))
RUN(abort_it, run_give(s, unique, CMD_ABORT, 0))

const struct op ops_barrier[] = {
	{ "barrier arrive last", IPC_BARRIER, three_of_four, take, 0 },
	{ "barrier arrive", IPC_BARRIER, handles, take, 0 },
	{ "barrier lower the parties", IPC_BARRIER, three_of_four, parties_three, 0 },
	{ "barrier raise the parties", IPC_BARRIER, three_of_four, parties_five, 0 },
	{ "barrier reset", IPC_BARRIER, one_parked, reset, 0 },
	{ "barrier abort", IPC_BARRIER, one_parked, abort_it, 0 },
	{ "barrier time limit", IPC_BARRIER, three_of_four, time_out, 0 },
	{ "barrier interrupt", IPC_BARRIER, three_of_four, interrupt, 0 },
	{ "barrier arrive again", IPC_BARRIER, one_parked, take, 0 },
	{ "barrier arrive again, last", IPC_BARRIER, one_parked_last, take, 0 },
	{ "barrier cancel", IPC_BARRIER, three_of_four, cancel, STEPS | DAEMON },
	{ "barrier close of a waiter", IPC_BARRIER, three_of_four, close_h, STEPS },
	{ "barrier close of a parked one", IPC_BARRIER, one_parked, close_h, STEPS },
	{ NULL },
};

/* ---- value ---- */

static void is_five(struct scene *s)
{
	struct ipc_call c;
	struct ipc_cmd cmd = { .verb = CMD_TEXT, .text = "5", .text_len = 1 };

	handles(s);
	c = call_new(s->h[1], OP_WRITE);
	CHECK_INT(ipc_give(s->o, &c, &cmd), 0);
	CHECK_STR(get(s->o, s->h[0]), "5\n");
}

static void watched(struct scene *s)
{
	is_five(s);
	s->h[2] = h_new(s->o, HANDLE_CHANGED, R, HANDLE_POSITION);
	s->h[3] = h_new(s->o, HANDLE_CHANGED, RW, 0);
	s->w[0] = get_waits(s->o, s->h[2], OP_READ, 101);
	s->w[1] = get_waits(s->o, s->h[3], OP_READ, 0);
}

static void lock_waited_for(struct scene *s)
{
	watched(s);
	CHECK_INT(lock_it(s->o, s->h[0], LOCK_EX), 0);
	s->w[2] = lock_waits(s->o, s->h[1], LOCK_EX, 103);
}

static char long_text[IPC_VALUE_MAX + 1];

static struct ipc_cmd long_command(void)
{
	memset(long_text, 'x', IPC_VALUE_MAX);
	return (struct ipc_cmd){ .verb = CMD_TEXT, .text = long_text, .text_len = IPC_VALUE_MAX };
}

static void typecode(struct scene *s, uint64_t unique)
{
	if (!ctl_answered(s->o, unique))
		ipc_value_typecode(s->o, unique, 'd');
}

RUN(set_seven,
    run_set(s, unique, &(struct ipc_cmd){ .verb = CMD_TEXT, .text = "7", .text_len = 1 }))
RUN(set_long, struct ipc_cmd cmd = long_command(); run_set(s, unique, &cmd))
RUN(set_same, run_set(s, unique, &(struct ipc_cmd){ .verb = CMD_TEXT, .text = "5", .text_len = 1 }))
RUN(plus, run_set(s, unique, &(struct ipc_cmd){ .verb = CMD_PLUS, .n = 2 }))
RUN(cas, run_set(s, unique,
		 &(struct ipc_cmd){ .verb = CMD_CAS,
				    .text = "6",
				    .text_len = 1,
				    .old = "5",
				    .old_len = 1 }))

const struct op ops_value[] = {
	{ "value set", IPC_VALUE, watched, set_seven, 0 },
	{ "value set long", IPC_VALUE, watched, set_long, 0 },
	{ "value set the same", IPC_VALUE, watched, set_same, 0 },
	{ "value set first", IPC_VALUE, handles, set_seven, 0 },
	{ "value plus", IPC_VALUE, watched, plus, 0 },
	{ "value cas", IPC_VALUE, watched, cas, 0 },
	{ "value read", IPC_VALUE, is_five, take, STEPS },
	{ "value read first", IPC_VALUE, handles, take, 0 },
	{ "value typecode", IPC_VALUE, handles, typecode, DAEMON },
	{ "value close", IPC_VALUE, lock_waited_for, close_h, STEPS },
	{ "value unlock", IPC_VALUE, lock_waited_for, lock_un, 0 },
	{ "array flock", IPC_ARRAY, handles, lock_ex, 0 },
	{ NULL },
};
