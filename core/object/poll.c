/* SPDX-License-Identifier: MIT */
/*
 * poll(2), select(2) and epoll(7): what is ready, and who is told of it when.
 *
 * Once the kernel has asked, the poller stays in header.polls until its handle closes. When there
 * is more than it was told of, it is notified once, and asks again. A notification always wakes it,
 * so it gets one only for what is news to it. What it was told of (poll_told, poll_level) is
 * reduced as things are used up, so that they are news when they come back.
 *
 * What only one caller can use (a message, a permit, room for a message: struct ipc_type, units) is
 * told to one poller for each unit, in the order in which they asked:
 *
 * 	asked ----------- notified ----------> WOKEN, SENT -- asks --> WOKEN, DELIVERED -- asks --.
 * 	  ^ ^                                      |                         |                     |
 * 	  | `--------------- reads, writes -----------------------------------'                    |
 * 	  `---------------------- it did not want it: the next is notified ------------------------'
 *
 * A poller that is WOKEN may be busy with something else, or stopped, or only looking. Others for
 * whom the object is ready must not miss it because of that: a poller that has had a whole interval
 * (POLL_OLD) no longer counts, and then everybody is notified. Pollers known to have nothing else
 * to do (POLL_ASLEEP: nothing was ready when they asked, or EAGAIN after that) come first.
 */
#include <fcntl.h>
#include <poll.h>

#include "file/list.h"
#include "file/log.h"
#include "object/answer.h"
#include "object/completion.h"
#include "object/poll.h"
#include "object/stats.h"
#include "object/type.h"
#include "object/waiter.h"

enum { IN, OUT, DIRS };

static const uint32_t bit[DIRS] = { POLLIN, POLLOUT };

#define POLL_WOKEN     1u  /* << direction */
#define POLL_DELIVERED 4u  /* << direction: and it has asked since */
#define POLL_OLD       16u /* << direction: and has been so for an interval */
#define POLL_SENT      64u /* notified; it has not asked since */
#define POLL_ASLEEP    128u
#define POLL_DIR       (POLL_WOKEN | POLL_DELIVERED | POLL_OLD)

#define LINK (offsetof(struct ipc_handle, poll_link) / IPC_UNIT)

static bool ran_out(int64_t clock)
{
	return clock && clock <= (int64_t)ipc_now();
}

/* What is ready only for this handle. */
static unsigned int own(struct ipc_handle *hd)
{
	bool in = answer_left(&hd->hand) || hd->rests || hd->flags & HANDLE_LOOK;

	return (in || ran_out(hd->clock[IN]) ? POLLIN : 0) |
	       (ran_out(hd->clock[OUT]) ? POLLOUT : 0);
}

unsigned int ipc_ready(struct ipc_obj *o, struct ipc_handle *hd)
{
	unsigned int mode = hd->oflags & O_ACCMODE;
	unsigned int p = ipc_poll(o, ref_of(o, hd)) | own(hd);

	/* A type that answers once is at its end then, so a reader must never be asked to wait. */
	if (mode == O_RDONLY)
		p &= ~(unsigned int)POLLOUT;
	if (mode == O_WRONLY)
		p &= ~(unsigned int)POLLIN;
	return p;
}

static uint64_t units(struct ipc_obj *o, struct ipc_handle *hd, unsigned int dir,
		      uint64_t *ret_level)
{
	uint64_t n;

	*ret_level = 0;
	n = o->ops->units ? o->ops->units(o, hd, dir == OUT, ret_level) : 0;
	return own(hd) & bit[dir] ? 0 : n;
}

static void tell(struct ipc_obj *o, struct ipc_handle *hd, unsigned int ready)
{
	set32(o, hd->poll_told, ready);
	for (unsigned int dir = IN; dir < DIRS; dir++) {
		uint64_t level;

		units(o, hd, dir, &level);
		set64(o, hd->poll_level[dir], level);
	}
}

/* Things that it was told of and that are gone now are news when they come back. */
static void lower(struct ipc_obj *o, struct ipc_handle *hd)
{
	set32(o, hd->poll_told, hd->poll_told & ipc_ready(o, hd));
	for (unsigned int dir = IN; dir < DIRS; dir++) {
		uint64_t level;

		units(o, hd, dir, &level);
		if (level < hd->poll_level[dir])
			set64(o, hd->poll_level[dir], level);
	}
	commit(o);
}

static void leave(struct ipc_obj *o, struct ipc_handle *hd)
{
	list_remove(o, &o->h->polls, ref_of(o, hd) + LINK);
	set32(o, hd->poll_events, 0);
	set32(o, hd->poll_state, 0);
}

bool ipc_poll_asked(struct ipc_obj *o, ref_t handle, uint64_t kh, uint32_t events,
		    unsigned int ready)
{
	struct ipc_handle *hd = handle_at(o, handle);
	uint32_t state = hd->poll_state;
	bool others = false;

	for (unsigned int dir = IN; dir < DIRS; dir++) {
		if (!(state & POLL_WOKEN << dir))
			continue;
		if (ready & bit[dir] && !(state & POLL_DELIVERED << dir)) {
			state |= POLL_DELIVERED << dir;
		} else {
			others |= ready & bit[dir];
			state &= ~(POLL_DIR << dir);
		}
	}
	/* Others may have asked through the same handle, and be asleep. */
	if (hd->poll_events && !(state & POLL_SENT))
		events |= hd->poll_events;
	if (hd->poll_events)
		list_remove(o, &o->h->polls, handle + LINK);
	list_push(o, &o->h->polls, handle + LINK);
	state &= ~(POLL_SENT | POLL_ASLEEP);
	set32(o, hd->poll_state, ready & events ? state : state | POLL_ASLEEP);
	set32(o, hd->poll_events, events | POLLHUP | POLLERR);
	set64(o, hd->poll_kh, kh);
	tell(o, hd, ready);
	commit(o);
	return others;
}

void ipc_poll_gone(struct ipc_obj *o, ref_t handle)
{
	struct ipc_handle *hd = handle_at(o, handle);

	if (!hd->poll_events)
		return;
	leave(o, hd);
	commit(o);
}

void ipc_poll_acted(struct ipc_obj *o, ref_t handle, unsigned int dir, bool again)
{
	struct ipc_handle *hd = handle_at(o, handle);
	uint32_t state = hd->poll_state & ~(POLL_DIR << dir);

	if (!hd->poll_events)
		return;
	if (state & POLL_SENT && !again)
		leave(o, hd); /* who sleeps asks again */
	else
		set32(o, hd->poll_state, again ? state | POLL_ASLEEP : state & ~POLL_ASLEEP);
	commit(o);
}

/* Is there news for this handle's poller? 0: no; 1: perhaps; 2: perhaps, and it sleeps; 3: yes. */
static unsigned int news(struct ipc_obj *o, struct ipc_handle *hd, const uint64_t *woken, bool all)
{
	unsigned int ready = ipc_ready(o, hd), best = 0;

	if (hd->poll_state & POLL_SENT)
		return 0;
	if (ready & ~hd->poll_told & (POLLHUP | POLLERR))
		return 3;
	for (unsigned int dir = IN; dir < DIRS; dir++) {
		bool told = hd->poll_told & bit[dir];
		uint64_t level, n = units(o, hd, dir, &level);
		unsigned int rank = hd->poll_state & POLL_ASLEEP ? 2 : 1;

		if (!(ready & hd->poll_events & bit[dir]) || (told && level <= hd->poll_level[dir]))
			continue;
		if (n && !all && woken[dir] >= n)
			continue;
		if (told && own(hd) & bit[dir])
			continue;
		rank = n == 0 || all ? 3 : rank;
		best = rank > best ? rank : best;
	}
	return best;
}

/* The ends of a two-way pipe are independent. */
static unsigned int end_of(const struct ipc_handle *hd)
{
	return hd->flags & HANDLE_END_B ? 1 : 0;
}

ref_t ipc_poll_next(struct ipc_obj *o, bool all)
{
	uint64_t woken[2][DIRS] = { { 0 } }; /* at each end */
	unsigned int best = 0;
	ref_t ret = 0;

	LIST_EACH(o, &o->h->polls, r) {
		struct ipc_handle *hd = handle_at(o, r - LINK);

		lower(o, hd);
		for (unsigned int dir = IN; dir < DIRS; dir++)
			woken[end_of(hd)][dir] += !!(hd->poll_state & POLL_WOKEN << dir);
	}
	LIST_EACH(o, &o->h->polls, r) {
		struct ipc_handle *hd = handle_at(o, r - LINK);
		unsigned int rank = news(o, hd, woken[end_of(hd)], all);

		if (rank > best) {
			best = rank;
			ret = r - LINK;
		}
		if (best == 3)
			break;
	}
	return ret;
}

void ipc_poll_sent(struct ipc_obj *o, ref_t handle)
{
	struct ipc_handle *hd = handle_at(o, handle);
	unsigned int ready = ipc_ready(o, hd);
	uint32_t state = hd->poll_state | POLL_SENT;

	for (unsigned int dir = IN; dir < DIRS; dir++) {
		uint64_t level;

		if (ready & hd->poll_events & bit[dir] && units(o, hd, dir, &level))
			state = (state & ~(POLL_DIR << dir)) | POLL_WOKEN << dir;
	}
	set32(o, hd->poll_state, state);
	commit(o);
}

bool ipc_poll_pending(struct ipc_obj *o)
{
	LIST_EACH(o, &o->h->polls, r)
		if (handle_at(o, r - LINK)->poll_state & (POLL_WOKEN << IN | POLL_WOKEN << OUT))
			return true;
	return false;
}

bool ipc_poll_overdue(struct ipc_obj *o)
{
	bool late = false;

	LIST_EACH(o, &o->h->polls, r) {
		struct ipc_handle *hd = handle_at(o, r - LINK);
		uint32_t state = hd->poll_state;

		for (unsigned int dir = IN; dir < DIRS; dir++) {
			if (!(state & POLL_WOKEN << dir))
				continue;
			late |= !!(state & POLL_OLD << dir);
			state = state & POLL_OLD << dir ? state & ~(POLL_DIR << dir) :
							  state | POLL_OLD << dir;
		}
		set32(o, hd->poll_state, state);
		commit(o);
	}
	return late;
}

/* ---- time limits of what does not wait ---- */

int ipc_clock(struct ipc_obj *o, struct ipc_call *c, unsigned int dir, int64_t limit, int r)
{
	int64_t *clock = &handle_at(o, c->handle)->clock[dir];

	if (r != -EAGAIN || limit == 0 || limit == IPC_NEVER) {
		set64(o, *clock, 0);
	} else if (!*clock && limit > (int64_t)ipc_now()) {
		set64(o, *clock, limit);
	} else if (!*clock || ran_out(*clock)) {
		set64(o, *clock, 0);
		r = -ETIMEDOUT;
		stats_ended(o, r);
		call_record(o, c, r, false);
	}
	commit(o);
	return r;
}

static int64_t sooner(int64_t t, int64_t limit, int64_t now)
{
	return limit > now && limit < t ? limit : t;
}

int64_t ipc_next_limit(struct ipc_obj *o, int64_t now)
{
	int64_t t = IPC_NEVER;

	LIST_EACH(o, &o->h->handles, r) {
		struct ipc_handle *hd = handle_at(o, r);

		t = sooner(t, hd->clock[IN], now);
		t = sooner(t, hd->clock[OUT], now);
		if (hd->standing)
			t = sooner(t, waiter_at(o, hd->standing)->deadline, now);
	}
	return t;
}
