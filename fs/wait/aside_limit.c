/* SPDX-License-Identifier: MIT */
/*
 * How long a request may wait for a stalled object, and with which error it fails then.
 *
 * The table lists every request that may need an object's lock. The others concern only names and
 * attributes, and never get here: look-ups, stat, readdir, unlink, rename, chmod, chown, utimes …
 */
#include <fcntl.h>
#include <sys/file.h>

#include "client/lib.h"
#include "file/lock.h"
#include "state/nodeid.h"
#include "wait/call.h"
#include "wait/aside.h"

enum {
	BY_NAME = 1,    /* NAME@SECONDS, which is being opened */
	BY_HANDLE = 2,  /* the limits of the open file: its name's, those set by ioctl */
	BY_FLAGS = 4,   /* O_NONBLOCK */
	BY_LIBRARY = 8, /* what libipcfs passes in the offset: lib.h */
	TRIES = 16,     /* it may not wait: EAGAIN */
	BRIEFLY = 32,   /* and does not wait at all if the holder is stopped */
};

static const struct rule {
	uint8_t until; /* whichever comes first; 0: for ever */
	uint8_t late;  /* BRIEFLY: what it gets then */
} rules[] = {
	[ASKS_OPEN] = { BY_NAME | BY_FLAGS, 0 },
	[ASKS_READ] = { BY_HANDLE | BY_FLAGS | BY_LIBRARY, 0 },
	[ASKS_WRITE] = { BY_HANDLE | BY_FLAGS | BY_LIBRARY, 0 }, /* for others see rule_of() */
	[ASKS_FLOCK] = { BY_HANDLE, 0 },                         /* LOCK_NB: see rule_of() */
	[ASKS_IOCTL] = { BY_HANDLE, 0 }, /* libipcfs: ATTACH, DONE, ADD; for others see rule_of() */
	[ASKS_FLUSH] = { BRIEFLY, 0 }, /* close(2) is told that it is done, and it is done later */
	[ASKS_RELEASE] = { 0, 0 },     /* nobody waits for it */
	/*
	 * Names need a lock that the kernel holds until these are answered, and whoever waits for it
	 * cannot be killed: alias.c. (So it is with some WRITEs: see rule_of().)
	 */
	[ASKS_CREATE] = { BRIEFLY, EAGAIN },
	[ASKS_ATTR] = { BRIEFLY, EAGAIN },
	[ASKS_SPACE] = { BRIEFLY, EAGAIN },
};

/*
 * A write to an inode that a name leads to; of libipcfs: GROW, after which it goes through the file, and
 * CLOSE, after which comes RELEASE.
 */
static const struct rule brief = { BRIEFLY, EAGAIN };
static const struct rule trying = { TRIES, 0 };

/* A write to an inode that a name leads to. */
static bool is_named(const struct object *ob, uint64_t ino)
{
	return !(ino & NODEID_ALIAS) && (nodeid_sub(ino) >= SUB_CTL || ipc_is(&ob->o, TYPE_MEMORY));
}

static const struct rule *rule_of(const struct request *rq)
{
	switch (rq->kind) {
	case ASKS_FLOCK:
		return rq->how & LOCK_NB && !(rq->how & LOCK_UN) ? &trying : &rules[ASKS_FLOCK];
	case ASKS_IOCTL:
		return rq->cmd == LIB_IOC_GROW || rq->cmd == LIB_IOC_CLOSE ? &brief :
									     &rules[ASKS_IOCTL];
	case ASKS_WRITE:
		return is_named(rq->aside.ob, rq->ino) ? &brief : &rules[ASKS_WRITE];
	default:
		return &rules[rq->kind];
	}
}

struct limit {
	int64_t deadline; /* CLOCK_MONOTONIC ns, IPC_NEVER */
	int error;        /* what it gets then */
	int64_t least;    /* the caller's own time limits do not end it earlier */
};

static void limit(struct limit *l, int64_t t, int error)
{
	if (t < l->least)
		t = l->least;
	if (t < l->deadline) {
		l->deadline = t;
		l->error = error;
	}
}

/* A time limit in nanoseconds; 0: not to wait at all; -1: none. */
static void limit_ns(struct limit *l, int64_t now, int64_t ns)
{
	int64_t t;

	if (ns == 0)
		limit(l, now, EAGAIN);
	else if (ns > 0 && !__builtin_add_overflow(now, ns, &t))
		limit(l, t, ETIMEDOUT);
}

static struct ipc_handle *handle_of(const struct request *rq)
{
	struct ipc_handle *hd;
	struct object *ob;
	struct target t;

	return file_handle(rq->ino, rq->fh, &t, &ob, &hd) < 0 ? NULL : hd;
}

static void limit_by_handle(struct limit *l, int64_t now, const struct request *rq)
{
	const struct ipc_handle *hd = handle_of(rq);

	if (!hd)
		return;
	limit_ns(l, now, __atomic_load_n(&hd->timeout, __ATOMIC_RELAXED));
	if (__atomic_load_n(&hd->deadline, __ATOMIC_RELAXED) >= 0)
		limit(l, __atomic_load_n(&hd->deadline, __ATOMIC_RELAXED), ETIMEDOUT);
	/* It is part of opening the object, and has no flags of its own. */
	if (rq->kind == ASKS_IOCTL && rq->cmd == LIB_IOC_ATTACH && hd->oflags & O_NONBLOCK)
		limit_ns(l, now, 0);
}

static void limit_by_library(struct limit *l, int64_t now, const struct request *rq)
{
	const struct ipc_handle *hd = handle_of(rq);

	if (hd && hd->flags & HANDLE_LIB)
		limit_ns(l, now, lib_timeout(rq->off));
}

/* least: how long anybody waits for a lock whose holder runs. */
static void limit_by_rule(struct limit *l, int64_t now, int64_t least, const struct request *rq)
{
	const struct rule *r = rule_of(rq);
	struct target t;

	if (r->until & BRIEFLY)
		limit(l, keeper_stopped(rq->aside.ob) ? now : least, r->late);
	l->least = least;
	if (r->until & TRIES)
		limit_ns(l, now, 0);
	if (r->until & BY_NAME && target_of(rq->ino, &t) == 0)
		limit_ns(l, now, t.timeout);
	if (r->until & BY_FLAGS && rq->flags & O_NONBLOCK)
		limit_ns(l, now, 0);
	if (r->until & BY_HANDLE)
		limit_by_handle(l, now, rq);
	if (r->until & BY_LIBRARY)
		limit_by_library(l, now, rq);
}

void aside_limit(struct request *rq)
{
	struct aside *as = &rq->aside;
	int64_t now = (int64_t)ipc_now();
	int64_t least = now + ipc_lock_patience(&as->ob->o.h->m.lock);
	struct limit l = { .deadline = IPC_NEVER };

	if (as->limited)
		return;
	if (as->looks)
		limit(&l, least, 0);
	else if (!as->later)
		limit_by_rule(&l, now, least, rq);
	as->limited = !as->later;
	as->until = l.deadline;
	as->late = l.error;
}
