/* SPDX-License-Identifier: MIT */
/*
 * libipcfs in the engine file itself: waiting.
 *
 * A waiter's futex word (enum ipc_futex) says whether its owner sleeps, so waking a
 * spinning waiter costs no system call. A waiter continues for one of two reasons: it was granted,
 * or it is a putter whose turn it is to try again. If what it was granted is only a number, it
 * takes that without the lock, and somebody else removes the waiter.
 */
#include <linux/futex.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "client/client.h"
#include "client/client_session.h"
#include "object/damage.h"
#include "object/waiter.h"

#define LOOK_NS      5000000000  /* when a sleeper asks whether the mount is still there, … */
#define LOOK_MOST_NS 60000000000 /* … each time after twice as long, up to this */

static bool goes(uint32_t word)
{
	return word == FUTEX_GO || word == FUTEX_GIVEN;
}

static bool may_go(struct ipcfs_obj *o, void *futex)
{
	(void)o;
	return goes(__atomic_load_n((uint32_t *)futex, __ATOMIC_ACQUIRE));
}

/* 0: go; -EINTR, -ETIMEDOUT. */
static int sleep_on(struct ipcfs_obj *o, uint32_t *futex, int64_t deadline, bool spins)
{
	struct timespec ts = { deadline / 1000000000, deadline % 1000000000 };
	uint32_t word = FUTEX_SPINS;

	if (spins && session_spin(o, may_go, futex, true))
		return 0;
	if (!__atomic_compare_exchange_n(futex, &word, FUTEX_SLEEPS, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_ACQUIRE) &&
	    goes(word))
		return 0;
	if (damage_marked(&o->map)) /* before we joined the wait queue: nobody wakes us */
		return 0;
	/* With a time limit always: a futex call without one would go on after a signal handler. */
	if (syscall(SYS_futex, futex, FUTEX_WAIT_BITSET, FUTEX_SLEEPS, &ts, NULL,
		    FUTEX_BITSET_MATCH_ANY) == 0 ||
	    errno == EAGAIN)
		return 0;
	return errno == EINTR ? -EINTR : -ETIMEDOUT;
}

/* Sleep once, unlocked. 0: look at the waiter again; -errno: why not to wait any longer. */
static int nap(struct session *s, struct ipc_waiter *w, int64_t now, int64_t *look_ns,
	       int64_t deadline)
{
	struct ipcfs_obj *c = s->client;
	bool looks = now + *look_ns < deadline;
	int why = sleep_on(c, &w->futex, looks ? now + *look_ns : deadline, !s->spun);

	if (why != -ETIMEDOUT)
		return why;
	if (!looks) {
		session_sync(c);
		return why;
	}
	*look_ns = *look_ns * 2 < LOOK_MOST_NS ? *look_ns * 2 : LOOK_MOST_NS;
	return ioctl(c->fd, LIB_IOC_KICK) < 0 && errno != EINTR ? -errno : 0;
}

static bool has_come(const struct ipc_waiter *w)
{
	return w->state == WAITER_GRANTED || w->state == WAITER_TURN;
}

/* It was given what needs no lock, and the handle is still the one that asked: IPC_DONE, -errno. */
static bool taken(struct session *s, struct ipc_waiter *w, int *ret)
{
	const struct lib_attach *at = &s->client->at;

	return __atomic_load_n(&w->futex, __ATOMIC_ACQUIRE) == FUTEX_GIVEN &&
	       ipc_handle(s->o, at->handle, at->gen) && ipc_take_given(s->o, &s->c, w, ret);
}

int session_wait(struct session *s)
{
	struct ipc_waiter *w = waiter_at(s->o, s->c.waiter);
	int64_t deadline = s->c.deadline, look_ns = LOOK_NS, ret;
	int64_t now = (int64_t)w->since; /* or a little later */
	int why, e;

	while (!has_come(w)) {
		session_leave(s); /* may make us the first, and wake us */
		why = nap(s, w, now, &look_ns, deadline);
		if (why == -EIO) { /* there may be no lock in it any more */
			__atomic_store_n(&s->client->damaged, true, __ATOMIC_RELAXED);
			return why;
		}
		if (!why && taken(s, w, &e))
			return e;
		e = session_lock(s, IPC_NEVER);
		if (e == IPC_ELSEWHERE) /* our waiter went with the handle */
			e = why < 0 ? why : -ENOTCONN;
		if (e != IPC_DONE)
			return e;
		if (!why || has_come(w)) {
			now = (int64_t)ipc_now();
			continue;
		}
		if (ipc_leave(s->o, s->c.waiter, why, &ret))
			return why;
		deadline = IPC_NEVER; /* a condition takes its lock back first */
		ipc_pump(s->o);
	}
	return IPC_DONE;
}
