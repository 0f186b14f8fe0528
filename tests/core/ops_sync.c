/* SPDX-License-Identifier: MIT */
/* Operations of events, semaphores, locks; and of any handle. */
#include <sys/file.h>

#include "file/heap.h"
#include "file/list.h"
#include "file/log.h"
#include "object/begun.h"
#include "object/hold.h"
#include "object/waiter.h"
#include "object/wake.h"
#include "ops.h"

#define S(s) (&(s)->o->h->b.sem)

static void two_handles(struct scene *s)
{
	s->h[0] = h_open(s->o);
	s->h[1] = h_open(s->o);
}

static void waiting(struct scene *s)
{
	two_handles(s);
	for (unsigned int i = 0; i < 5; i++)
		s->w[i] = get_waits(s->o, s->h[1], OP_READ, i % 2 ? 0 : 101 + i);
}

static void is_set(struct scene *s)
{
	two_handles(s);
	give(s->o, s->h[1], CMD_SET, 0);
}

static void three(struct scene *s)
{
	two_handles(s);
	give(s->o, s->h[1], CMD_ADD, 3);
}

static void undo_three(struct scene *s)
{
	three(s);
	S(s)->undo = 1;
}

static void undo_taken(struct scene *s)
{
	undo_three(s);
	get(s->o, s->h[0]);
	get(s->o, s->h[0]);
}

static void scoped(struct scene *s)
{
	undo_taken(s);
	S(s)->scope = SCOPE_PROCESS;
}

static void opener_taken(struct scene *s)
{
	undo_taken(s);
	S(s)->scope = SCOPE_OPENER;
	ipc_adopt(s->o, s->h[0], 101);
}

/* Tokens that were read by one handle and are to be written to the other. */
static void jobs(struct scene *s)
{
	three(s);
	S(s)->jobserver = 1;
	for (unsigned int i = 0; i < 3; i++)
		CHECK_STR(get(s->o, s->h[0]), "+");
}

static void jobs_waited_for(struct scene *s)
{
	jobs(s);
	s->w[0] = get_waits(s->o, s->h[1], OP_READ, 101);
}

static void undo_waiting(struct scene *s)
{
	waiting(s);
	S(s)->undo = 1;
}

static void borrowed(struct scene *s)
{
	three(s);
	CHECK_INT(lock_it(s->o, s->h[0], LOCK_EX), 0);
	CHECK_STR(get(s->o, s->h[1]), "1\n");
	CHECK_STR(get(s->o, s->h[1]), "1\n");
	s->w[0] = lock_waits(s->o, s->h[1], LOCK_EX, 101);
}

static void direct_granted(struct scene *s)
{
	two_handles(s);
	get_waits(s->o, s->h[0], OP_READ, 0);
	get_waits(s->o, s->h[0], OP_READ, 0);
	lock_waits(s->o, s->h[0], LOCK_EX, 0);
	give(s->o, s->h[1], CMD_ADD, 5);
}

/* Permits that were given to sleepers, who have not been there yet. */
static void given(struct scene *s)
{
	struct ipc_wakes wakes;

	two_handles(s);
	s->w[0] = get_waits(s->o, s->h[0], OP_READ, 0);
	s->w[1] = lock_waits(s->o, s->h[0], LOCK_EX, 0);
	give(s->o, s->h[1], CMD_ADD, 5);
	ipc_wake(s->o, &wakes);
}

static void taken(struct scene *s)
{
	given(s);
	for (unsigned int i = 0; i < 2; i++) {
		struct ipc_call c = { .waiter = s->w[i] };
		int r;

		CHECK(ipc_take_given(s->o, &c, waiter_at(s->o, s->w[i]), &r));
	}
}

static void locked(struct scene *s)
{
	two_handles(s);
	CHECK_INT(lock_it(s->o, s->h[0], LOCK_EX), 0);
	s->w[0] = lock_waits(s->o, s->h[1], LOCK_SH, 101);
}

static void lock_read(struct scene *s)
{
	two_handles(s);
	CHECK_STR(get(s->o, s->h[1]), "1\n");
	s->w[0] = get_waits(s->o, s->h[0], OP_READ, 101);
}

static void shared(struct scene *s)
{
	two_handles(s);
	s->h[2] = h_open(s->o);
	CHECK_INT(lock_it(s->o, s->h[0], LOCK_SH), 0);
	CHECK_INT(lock_it(s->o, s->h[1], LOCK_SH), 0);
	s->w[0] = lock_waits(s->o, s->h[2], LOCK_EX, 101);
}

static void shared_alone(struct scene *s)
{
	two_handles(s);
	CHECK_INT(lock_it(s->o, s->h[0], LOCK_SH), 0);
}

static void polled(struct scene *s)
{
	struct ipc_handle *hd;

	two_handles(s);
	hd = handle_at(s->o, s->h[0]);
	hd->poll_events = 1;
	list_push(s->o, &s->o->h->polls, s->h[0] + 1);
	commit(s->o);
}

#define RUN(name, ...)                                     \
	static void name(struct scene *s, uint64_t unique) \
	{                                                  \
		__VA_ARGS__;                               \
	}
RUN(set, run_give(s, unique, CMD_SET, 0))
RUN(clear, run_give(s, unique, CMD_CLEAR, 0))
RUN(give_one, run_give(s, unique, CMD_ADD, 1))
RUN(give_four, run_give(s, unique, CMD_ADD, 4))
RUN(take, run_read(s, unique, OP_READ, 65536))
RUN(lock_ex, run_flock(s, unique, LOCK_EX))
RUN(lock_sh, run_flock(s, unique, LOCK_SH))
RUN(lock_un, run_flock(s, unique, LOCK_UN))
RUN(finish_first, run_finish(s, s->w[0], 65536))
RUN(leave_first, run_leave(s, s->w[0], unique, -EINTR))
RUN(cancel, ipc_cancel(s->o, unique == 1))
RUN(refuse_first, (void)unique; ipc_refuse(s->o, s->w[0]))
RUN(ended, ipc_process_ended(s->o, 100 + (unique == 1)))
RUN(close_h, run_close(s, s->h[0]))
RUN(give_back, (void)unique; run_give_back(s, s->h[0]))
RUN(close_all, (void)unique; ipc_close_all(s->o))
RUN(open_h, run_open(s, unique))
RUN(trim, (void)unique; heap_trim(s->o, true))
RUN(take_given, struct ipc_call c = { .waiter = s->w[0] }; int r; (void)unique;
    ipc_take_given(s->o, &c, waiter_at(s->o, s->w[0]), &r))
RUN(reap, (void)unique; ipc_reap(s->o))
RUN(wake, struct ipc_wakes wakes; (void)unique; ipc_wake(s->o, &wakes))

const struct op ops_event[] = {
	{ "event set", IPC_EVENT, waiting, set, 0 },
	{ "event clear", IPC_EVENT, is_set, clear, 0 },
	{ "event read", IPC_EVENT, is_set, take, 0 },
	{ "event read waits", IPC_EVENT, two_handles, take, 0 },
	{ "event cancel", IPC_EVENT, waiting, cancel, STEPS | DAEMON },
	{ "event leave", IPC_EVENT, waiting, leave_first, 0 },
	{ NULL },
};

const struct op ops_sem[] = {
	{ "sem read", IPC_SEM, three, take, 0 },
	{ "sem read with undo", IPC_SEM, undo_three, take, 0 },
	{ "sem read with undo again", IPC_SEM, undo_taken, take, STEPS },
	{ "sem read waits", IPC_SEM, waiting, take, 0 },
	{ "sem give to waiters", IPC_SEM, waiting, give_four, 0 },
	{ "sem give to waiters with undo", IPC_SEM, undo_waiting, give_four, 0 },
	{ "sem give of what it took", IPC_SEM, undo_taken, give_one, 0 },
	{ "sem give of more than it took", IPC_SEM, undo_taken, give_four, 0 },
	{ "sem flock", IPC_SEM, three, lock_ex, 0 },
	{ "sem flock waits", IPC_SEM, waiting, lock_ex, 0 },
	{ "sem flock is refused", IPC_SEM, borrowed, refuse_first, STEPS | DAEMON },
	{ "sem unlock", IPC_SEM, borrowed, lock_un, 0 },
	{ "sem process ended", IPC_SEM, scoped, ended, DAEMON },
	{ "sem opener ended", IPC_SEM, opener_taken, ended, DAEMON },
	{ "sem a job's token is given back", IPC_SEM, jobs_waited_for, give_one, 0 },
	{ "sem a job ends", IPC_SEM, jobs, ended, DAEMON },
	{ "sem leave", IPC_SEM, waiting, leave_first, 0 },
	{ "sem close of a borrower", IPC_SEM, borrowed, close_h, STEPS },
	{ "sem close with undo", IPC_SEM, undo_taken, close_h, STEPS },
	{ "sem close of a direct client", IPC_SEM, direct_granted, close_h, STEPS },
	{ "sem given back", IPC_SEM, undo_taken, give_back, STEPS },
	{ "sem given back by a direct client", IPC_SEM, direct_granted, give_back, STEPS },
	{ NULL },
};

const struct op ops_lock[] = {
	{ "lock flock", IPC_LOCK, two_handles, lock_ex, 0 },
	{ "lock flock shared", IPC_LOCK, two_handles, lock_sh, 0 },
	{ "lock flock waits", IPC_LOCK, lock_read, lock_ex, 0 },
	{ "lock unlock", IPC_LOCK, locked, lock_un, 0 },
	{ "lock unlock of one of two", IPC_LOCK, shared, lock_un, 0 },
	{ "lock to shared", IPC_LOCK, locked, lock_sh, STEPS },
	{ "lock to exclusive", IPC_LOCK, shared_alone, lock_ex, STEPS },
	{ "lock to exclusive waits", IPC_LOCK, shared, lock_ex, STEPS },
	{ "lock read", IPC_LOCK, two_handles, take, 0 },
	{ "lock release of another's", IPC_LOCK, lock_read, give_one, 0 },
	{ "lock close of a shared one", IPC_LOCK, shared, close_h, STEPS },
	{ "lock close", IPC_LOCK, locked, close_h, STEPS },
	{ NULL },
};

const struct op ops_handle[] = {
	{ "handle open", IPC_EVENT, two_handles, open_h, DAEMON },
	{ "handle close while polled", IPC_EVENT, polled, close_h, STEPS },
	{ "handle close of all", IPC_LOCK, shared, close_all, STEPS | DAEMON | GRANTS },
	{ "handle finish", IPC_SEM, direct_granted, finish_first, STEPS },
	{ "handle takes what it was given", IPC_SEM, given, take_given, CLIENT },
	{ "handle close after that", IPC_SEM, taken, close_h, STEPS },
	{ "handle of whom another frees the waiters", IPC_SEM, taken, reap, STEPS },
	{ "handle wake", IPC_SEM, direct_granted, wake, DAEMON },
	{ "heap trim", IPC_EVENT, two_handles, trim, DAEMON },
	{ NULL },
};
