/* SPDX-License-Identifier: MIT */
/*
 * The worker: serves requests until the file system is unmounted or it is told to stop.
 *
 * One loop thread reads requests (device.c) and deals with each at once, for no request ever waits in
 * here; so requests are handled in the order in which the kernel sent them, and what a close gave
 * back is there for whatever was asked after it. One event thread waits for everything else (events.c).
 * A worker that follows a dead one takes up what that had begun (resend.c), and starts another
 * supervisor when its own dies (guard.c).
 */
#include "ctl/refuse.h"
#include "process/worker.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/timer.h"
#include "ctl/plain.h"
#include "ops/dispatch.h"
#include "ops/observer.h"
#include "process/device.h"
#include "process/events.h"
#include "process/follow.h"
#include "process/guard.h"
#include "process/resend.h"
#include "process/shared.h"
#include "state/alias.h"
#include "state/fs.h"
#include "state/store.h"
#include "wait/aside.h"
#include "wait/park.h"
#include "wait/takeup.h"
#include "wait/turn.h"
#include "wait/unfinished.h"
#include "wait/watch.h"

/* ---- the loop ---- */

/* One that was put aside. */
static bool deal_again(void *msg, size_t len, struct aside *as)
{
	bool aside = dispatch(msg, len, true, as);

	turn_end();
	return aside;
}

static void retry_aside(void)
{
	if (!stalled_any())
		return;
	pthread_mutex_lock(&fs.lock);
	aside_retry(deal_again);
	turn_end();
	pthread_mutex_unlock(&fs.lock);
}

static bool for_aside(const void *msg)
{
	const struct fuse_in_header *h = msg;

	return h->opcode == FUSE_INTERRUPT &&
	       aside_interrupted(((const struct fuse_interrupt_in *)(h + 1))->unique);
}

static void deal_with(const struct message *m, struct worker_shared *sh)
{
	struct aside as = { 0 };
	bool news = !m->stored && resend_is_new(m->data);

	watch_look();
	resend_came(m->data);
	device_take(m);
	if (!for_aside(m->data) && dispatch(m->data, m->len, m->again, &as))
		aside_keep(m->data, m->len, &as);
	sh->served |= news;
	device_done(m);
	if (m->stored)
		resend_ask();
	turn_end();
}

/* Not while a notification waits for the directory of someone who waits for us (expire.c). */
static bool may_stop(void)
{
	bool ret;

	if (!events_stopping())
		return false;
	pthread_mutex_lock(&fs.lock);
	ret = !names_expiring();
	pthread_mutex_unlock(&fs.lock);
	return ret;
}

static int serve(struct fuse_session *se, struct worker_shared *sh)
{
	struct message m;
	uint32_t tid;
	int r = 0;

	while (!fuse_session_exited(se) && !may_stop()) {
		retry_aside();
		r = device_next(se, &m);
		if (r == -EINTR)
			continue;
		if (r <= 0)
			break;
		pthread_mutex_lock(&fs.lock);
		tid = ((const struct fuse_in_header *)m.data)->pid;
		deal_with(&m, sh);
		pthread_mutex_unlock(&fs.lock);
		follow(tid);
	}
	return events_stopping() || r >= 0 || r == -ENODEV ? 0 : r;
}

/* ---- start and end ---- */

/* The supervisor decides whether another one is to try. */
static int start_failed(struct worker_shared *sh, int error, const char *why)
{
	snprintf(sh->why, sizeof(sh->why), "%s", why);
	sh->error = error;
	return error;
}

/* What the last worker left, and who has waited since. */
static void take_up(struct worker_shared *sh)
{
	pthread_mutex_lock(&fs.lock);
	takeup_begin();
	resend_begin(sh);
	turn_end(); /* what is swept must not be mapped */
	store_sweep();
	unfinished_load();
	takeup_some();
	refuse_later();
	turn_end();
	pthread_mutex_unlock(&fs.lock);
}

static int begin(struct fuse_session *se, int fd, struct worker_shared *sh, int supervisor)
{
	const char *why = "";
	int r;

	fs.se = se;
	fs.restarts = sh->restarts;
	fs.supervisor = sh->supervisor;
	fs.started = sh->started;
	r = store_load(&observer, sh->check, &why);
	if (r < 0)
		return start_failed(sh, r, why);
	sh->check = false;
	guard_begin(sh, fd, supervisor);
	r = device_begin(se, fd, sh);
	if (r == 0)
		r = events_open();
	if (r == 0) {
		take_up(sh);
		r = events_start();
	}
	return r < 0 ? start_failed(sh, r, strerror(-r)) : 0;
}

static void end(void)
{
	events_stop();
	device_end();
	pthread_mutex_lock(&fs.lock);
	park_end_all(ECANCELED);
	io_cleanup();
	unfinished_unload();
	takeup_end();
	store_unload();
	timers_free();
	pthread_mutex_unlock(&fs.lock);
	events_close();
}

int worker_run(struct fuse_session *se, int fd, struct worker_shared *sh, int supervisor)
{
	int r = begin(se, fd, sh, supervisor);

	if (r < 0)
		return r;
	r = serve(se, sh);
	end();
	return r;
}
