/* SPDX-License-Identifier: MIT */
/*
 * sem and lock: permits. A lock is a semaphore with value 1 and bound 1, which may also be shared.
 *
 * `value` counts the free permits. A taker that must give its permit back when it goes (flock
 * always does; read does with `undo`) has a hold (struct ipc_hold). A permit taken without a hold
 * stays taken.
 *
 *	lock:	free (value 1) -- EX --> held (value 0, one hold)
 *		free           -- SH --> shared (value 0, shared = n, n holds by OP_FLOCK_SHARED)
 *
 * All waiters, exclusive and shared, reads and flocks, share one wait queue in order of arrival.
 * The same struct serves as the lock of a condition, a value or an array (taken there only by
 * flock), and of an rlock (rlock.c).
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>

#include "file/heap.h"
#include "file/list.h"
#include "file/log.h"
#include "object/answer.h"
#include "object/command.h"
#include "object/completion.h"
#include "object/count.h"
#include "object/facts.h"
#include "object/fast.h"
#include "object/hold.h"
#include "object/stats.h"
#include "object/type.h"
#include "object/waiter.h"
#include "types/check.h"
#include "types/sem.h"

#define WAITQ 0

void sem_init_lock(struct ipc_sem *s)
{
	s->value = s->bound = s->undo = 1;
}

/* Is what is taken by reading returned at the latest when its handle closes? */
static bool has_undo(const struct ipc_sem *s)
{
	return s->undo || s->jobserver;
}

/* What a read through this handle gives. (libipcfs takes permits by calls, and wants no bytes.) */
static void answer_permit(struct ipc_obj *o, const struct ipc_sem *s, ref_t handle,
			  struct ipc_answer *a)
{
	if (s->jobserver && !(handle_at(o, handle)->flags & HANDLE_LIB))
		answer_token(a);
	else
		answer_number(a, 1);
}

static uint64_t permit_next(struct ipc_obj *o, struct ipc_handle *hd)
{
	struct ipc_answer a;

	answer_permit(o, &o->h->b.sem, ref_of(o, hd), &a);
	return a.len;
}

static bool grantable(const struct ipc_sem *s, bool shared)
{
	return s->value || (shared && s->shared);
}

static void take(struct ipc_obj *o, struct ipc_sem *s, bool shared)
{
	if (shared)
		set32(o, s->shared, s->shared + 1);
	if (s->value)
		set64(o, s->value, s->value - 1);
	set64(o, s->taken, s->taken + 1);
}

/* Permits come back. Any above the bound are dropped: somebody already gave them by other means. */
static void put_back(struct ipc_obj *o, struct ipc_sem *s, uint64_t n)
{
	uint64_t v = s->value + n;

	set64(o, s->value, s->bound && v > s->bound ? s->bound : v);
	o->work = true;
}

void sem_unhold(struct ipc_obj *o, struct ipc_sem *s, struct ipc_hold *hold)
{
	if (hold->op == OP_FLOCK_SHARED) {
		if (s->shared)
			set32(o, s->shared, s->shared - 1);
		if (!s->shared)
			put_back(o, s, 1);
		return;
	}
	put_back(o, s, hold->count);
}

static struct ipc_hold *flock_of(struct ipc_obj *o, ref_t handle)
{
	struct ipc_hold *hold = hold_find(o, handle, OP_FLOCK);

	return hold ? hold : hold_find(o, handle, OP_FLOCK_SHARED);
}

static void unlock(struct ipc_obj *o, struct ipc_sem *s, struct ipc_hold *hold)
{
	sem_unhold(o, s, hold);
	hold_drop(o, hold);
	commit(o);
	o->work = true;
}

int sem_flock(struct ipc_obj *o, struct ipc_sem *s, unsigned int waitq, struct ipc_handle *hd,
	      struct ipc_call *c, int how)
{
	struct ipc_hold *hold = flock_of(o, c->handle);
	bool shared = how == LOCK_SH && ipc_is(o, TYPE_SHARED);

	(void)hd;
	c->op = shared ? OP_FLOCK_SHARED : OP_FLOCK;
	if (how == LOCK_UN) {
		if (hold)
			unlock(o, s, hold);
		return 0;
	}
	if (hold) {
		if (hold->op == c->op)
			return 0;
		if (shared) { /* in one change, so that nobody gets in between */
			set32(o, hold->op, OP_FLOCK_SHARED);
			set32(o, s->shared, s->shared + 1);
			return 0;
		}
		/* As with flock(2): gives up the old lock, then asks for the new one. */
		unlock(o, s, hold);
		if (waitq_first(o, waitq))
			o->ops->pump(o);
	}
	if (grantable(s, shared) && !waitq_first(o, waitq)) {
		take(o, s, shared);
		return hold_add(o, c, c->op, 1);
	}
	return waiter_add(o, c, waitq, 0);
}

void sem_pump(struct ipc_obj *o, struct ipc_sem *s, unsigned int waitq)
{
	struct ipc_answer got;
	ref_t r;

	while ((r = waitq_first(o, waitq)) && !o->damage) {
		struct ipc_waiter *w = waiter_at(o, r);
		uint32_t op = w->flags & WAITER_RELOCK ? OP_FLOCK : w->op;
		bool shared = op == OP_FLOCK_SHARED;
		int e = 0;

		if (!grantable(s, shared))
			break;
		take(o, s, shared);
		if (w->flags & WAITER_RETAKE)
			e = sem_retake(o, w);
		else if (op != OP_READ || has_undo(s))
			e = hold_add_for(o, w, op, 1);
		if (e < 0) {
			obj_rollback(o);
			if (heap_grow(o, true) < 0)
				break;
			continue;
		}
		answer_permit(o, s, w->handle, &got);
		if (w->op == OP_READ && w->result >= 0)
			waiter_grant(o, r, (int64_t)got.len, &got);
		else
			waiter_grant(o, r, w->result, NULL);
	}
}

int sem_retake(struct ipc_obj *o, const struct ipc_waiter *w)
{
	int e = w->depth ? hold_add_for(o, w, OP_READ, w->depth) : 0;

	set32(o, handle_at(o, w->handle)->lent_pid, 0);
	return e == 0 && w->arg ? hold_add_for(o, w, (uint32_t)w->arg, 1) : e;
}

/* ---- the types ---- */

#define S(o) (&(o)->h->b.sem)

static void lock_init(struct ipc_header *h, const struct ipc_defaults *d)
{
	(void)d;
	sem_init_lock(&h->b.sem);
}

static int read_permit(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c)
{
	(void)hd;
	if (!S(o)->value || waitq_first(o, WAITQ))
		return waiter_add(o, c, WAITQ, 0);
	take(o, S(o), false);
	answer_permit(o, S(o), c->handle, &c->got);
	return has_undo(S(o)) ? hold_add(o, c, OP_READ, 1) : 0;
}

static int parse(const char *s, size_t len, struct ipc_cmd *ret)
{
	return command_count(s, len, CMD_ADD, ret);
}

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
		put_back(o, S(o), 1);
		return 0;
	}
	sem_unhold(o, S(o), hold);
	hold_drop(o, hold);
	return 0;
}

/* What the caller took by reading and now gives back. One job may write where another read. */
static struct ipc_hold *taken(struct ipc_obj *o, const struct ipc_call *c)
{
	return S(o)->jobserver ? hold_of_process(o, c->pid, OP_READ) :
				 hold_find(o, c->handle, OP_READ);
}

static int give(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c,
		const struct ipc_cmd *cmd)
{
	struct ipc_sem *s = S(o);
	struct ipc_hold *hold;
	uint64_t n, left = 0;

	(void)hd;
	if (cmd->verb != CMD_ADD || cmd->n < 0)
		return -EINVAL;
	n = (uint64_t)cmd->n - c->done;
	if (n > INT64_MAX - s->value || (s->bound && s->value + n > s->bound))
		return -ERANGE;
	/* The holds of many processes that share a descriptor may be too many for one change. */
	while (n > left && (hold = taken(o, c))) {
		left += hold_reduce(o, hold,
				    n - left > UINT32_MAX ? UINT32_MAX : (uint32_t)(n - left));
		if (log_room(o) > 60)
			continue;
		put_back(o, s, left);
		set64(o, s->given, s->given + left);
		n -= left;
		c->done += left;
		left = 0;
		call_record(o, c, (int64_t)(c->pos << 32 | c->done), true);
		commit(o);
	}
	put_back(o, s, n);
	set64(o, s->given, s->given + n);
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

static int flock_it(struct ipc_obj *o, struct ipc_handle *hd, struct ipc_call *c, int how)
{
	return sem_flock(o, S(o), WAITQ, hd, c, how);
}

static void pump(struct ipc_obj *o)
{
	sem_pump(o, S(o), WAITQ);
}

static unsigned int poll_it(struct ipc_obj *o, struct ipc_handle *hd)
{
	(void)hd;
	return (S(o)->value && !waitq_first(o, WAITQ) ? POLLIN : 0) | POLLOUT;
}

static unsigned int lock_poll(struct ipc_obj *o, struct ipc_handle *hd)
{
	return S(o)->value ? poll_it(o, hd) & ~(unsigned int)POLLOUT : POLLOUT;
}

static uint64_t units(struct ipc_obj *o, struct ipc_handle *hd, bool out, uint64_t *ret)
{
	(void)hd;
	*ret = out ? 0 : S(o)->value;
	return *ret;
}

static uint64_t size(struct ipc_obj *o)
{
	return fast_held(S(o)) ? 0 : __atomic_load_n(&S(o)->value, __ATOMIC_RELAXED);
}

static uint64_t permits(struct ipc_obj *o)
{
	return count_now(&S(o)->fast, &S(o)->value);
}

static void permits_entered(struct ipc_obj *o)
{
	count_entered(o, &S(o)->fast, &S(o)->value);
}

/* Only while taken permits belong to nobody. (A hold may stand for what was taken by reading.) */
static void permits_leaving(struct ipc_obj *o)
{
	if (!has_undo(S(o)) && S(o)->scope == SCOPE_HANDLE && !o->h->holds.count &&
	    !count_wanted(o->h))
		count_leaving(o, &S(o)->fast, S(o)->value, S(o)->bound, false);
}

static void permits_counts(const struct ipc_obj *o, struct ipc_counts *c)
{
	c->puts += __atomic_load_n(&S(o)->given, __ATOMIC_RELAXED);
	c->gets += __atomic_load_n(&S(o)->taken, __ATOMIC_RELAXED);
}

static void permits_rest(struct ipc_obj *o)
{
	STAT_FOLD(o, S(o)->given, puts);
	STAT_FOLD(o, S(o)->taken, gets);
}

void lock_counts(const struct ipc_obj *o, struct ipc_counts *c)
{
	c->puts = STATS_NONE;
	c->gets += __atomic_load_n(&S(o)->taken, __ATOMIC_RELAXED);
}

void lock_counts_inner(const struct ipc_obj *o, struct ipc_counts *c)
{
	c->locks = o->h->stats.others + __atomic_load_n(&S(o)->taken, __ATOMIC_RELAXED);
}

static void unhold(struct ipc_obj *o, struct ipc_hold *hold)
{
	sem_unhold(o, S(o), hold);
}

uint32_t sem_scope(const struct ipc_obj *o)
{
	/* Jobs share descriptors, so a close says nothing about any one of them. */
	return S(o)->jobserver ? SCOPE_PROCESS : S(o)->scope;
}

static bool gives_tokens(const struct ipc_obj *o)
{
	return S(o)->jobserver;
}

/*
 * A direct client died with a permit that it had been granted: its hold returns the permit. Without
 * undo the permit was never taken.
 */
static void regret(struct ipc_obj *o, struct ipc_waiter *w)
{
	if (w->op == OP_READ && !has_undo(S(o)) && w->result >= 0)
		put_back(o, S(o), 1);
}

/*
 * What is true of permits and locks alike. expected: shared holders. *ret_held: how many are held.
 */
static int check_permits(struct ipc_obj *o, struct ipc_sem *s, struct ipc_check *k,
			 uint64_t expected, uint64_t *ret_held)
{
	uint64_t shared = 0, held = 0;

	if (s->spare && check_block(o, s->spare, sizeof(struct ipc_hold), k) < 0)
		return -EIO;
	LIST_EACH(o, &o->h->holds, r) {
		struct ipc_hold *hold = AT(o, ipc_hold, r);

		if (hold->op == OP_FLOCK_SHARED)
			shared += hold->count;
		else
			held += hold->count;
	}
	if (s->bound && s->value > s->bound)
		k->why = "more free permits than the bound";
	else if (shared != expected)
		k->why = "wrong count of shared holders";
	else if (s->undo > 1 || s->scope >= SCOPES || s->jobserver > 1)
		k->why = "unknown setting";
	*ret_held = shared + held;
	return k->why ? -EIO : 0;
}

int sem_check(struct ipc_obj *o, struct ipc_sem *s, struct ipc_check *k)
{
	uint64_t held;

	if (check_permits(o, s, k, s->shared, &held) < 0)
		return -EIO;
	if (s->value && held)
		k->why = "free and held at once";
	else if (ipc_is(o, TYPE_INNER_LOCK) && s->value + held != 1)
		k->why = "held by nobody, or by two";
	return k->why ? -EIO : 0;
}

static int check(struct ipc_obj *o, struct ipc_check *k)
{
	uint64_t held;

	return check_permits(o, S(o), k, 0, &held);
}

static int lock_check(struct ipc_obj *o, struct ipc_check *k)
{
	return sem_check(o, S(o), k);
}

static int words(const struct ipc_facts *f, char *ret, size_t size)
{
	uint64_t bound = facts_count(f, "bound");

	if (!bound)
		return snprintf(ret, size, "%" PRIu64 " free", f->size);
	return snprintf(ret, size, "%" PRIu64 " of %" PRIu64 " free", f->size, bound);
}

int lock_words(const struct ipc_facts *f, char *ret, size_t size)
{
	return snprintf(ret, size, "%s", f->size ? "free" : "held");
}

const struct ipc_type ipc_sem_type = {
	.id = IPC_SEM,
	.name = "sem",
	.suffix = ".sem",
	.traits = TYPE_SETTABLE | TYPE_PID,
	.verbs = VERB(CMD_ADD),
	.ready = IPC_WORD(b.sem.value),
	.count = IPC_WORD(b.sem.fast),
	.read = read_permit,
	.parse = parse,
	.give = give,
	.flock = flock_it,
	.pump = pump,
	.poll = poll_it,
	.units = units,
	.size = permits,
	.next = permit_next,
	.unhold = unhold,
	.regret = regret,
	.words = words,
	.rest = permits_rest,
	.counts = permits_counts,
	.check = check,
	.scope = sem_scope,
	.bytes = gives_tokens,
	.entered = permits_entered,
	.leaving = permits_leaving,
};

const struct ipc_type ipc_lock_type = {
	.id = IPC_LOCK,
	.name = "lock",
	.suffix = ".lock",
	.traits = TYPE_LOCK | TYPE_SHARED | TYPE_PID,
	.verbs = VERB(CMD_ADD),
	.init = lock_init,
	.read = read_permit,
	.parse = lock_parse,
	.give = lock_give,
	.flock = flock_it,
	.pump = pump,
	.poll = lock_poll,
	.units = units,
	.size = size,
	.next = permit_next,
	.unhold = unhold,
	.regret = regret,
	.words = lock_words,
	.counts = lock_counts,
	.check = lock_check,
	.scope = sem_scope,
	.rest = fast_rest,
	.entered = fast_entered,
	.leaving = fast_leaving,
};
