/* SPDX-License-Identifier: MIT */
/*
 * How long a request may wait for a stalled object, and with which error it fails then.
 *
 * The table lists every request that may need an object's lock. The others concern only names and
 * attributes, and never get here: LOOKUP, GETATTR, READDIR, UNLINK, RENAME, chmod, chown, utimes …
 */
#include <fcntl.h>
#include <linux/fuse.h>

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
	uint32_t opcode;
	uint8_t until; /* whichever comes first; 0: for ever */
	uint8_t late;  /* BRIEFLY: what it gets then */
} rules[] = {
	{ FUSE_OPEN, BY_NAME | BY_FLAGS, 0 },
	{ FUSE_READ, BY_HANDLE | BY_FLAGS | BY_LIBRARY, 0 },
	{ FUSE_WRITE, BY_HANDLE | BY_FLAGS | BY_LIBRARY, 0 },
	{ FUSE_SETLKW, BY_HANDLE, 0 },
	{ FUSE_SETLK, TRIES, 0 },     /* LOCK_NB; for LOCK_UN see rule_of() */
	{ FUSE_IOCTL, BY_HANDLE, 0 }, /* libipcfs: ATTACH, DONE, ADD; for others see rule_of() */
	{ FUSE_FLUSH, BRIEFLY, 0 },   /* close(2) is told that it is done, and it is done later */
	{ FUSE_RELEASE, 0, 0 },       /* nobody waits for it */
	/*
	 * Names need a lock that the kernel holds until these are answered, and whoever waits for it
	 * cannot be killed: alias.c. (So it is with some WRITEs: see rule_of().)
	 */
	{ FUSE_CREATE, BRIEFLY, EAGAIN },
	{ FUSE_SETATTR, BRIEFLY, EAGAIN },
	{ FUSE_FALLOCATE, BRIEFLY, EAGAIN },
};

static const struct rule unlocking = { FUSE_SETLK, BY_HANDLE, 0 };
/* After GROW libipcfs goes through the file, and after CLOSE comes RELEASE. */
static const struct rule trying = { FUSE_IOCTL, BRIEFLY, EAGAIN };
static const struct rule named = { FUSE_WRITE, BRIEFLY, EAGAIN };

static const void *body_of(const struct fuse_in_header *h, size_t len, size_t size)
{
	return len >= sizeof(*h) + size ? h + 1 : NULL;
}

static uint32_t ioctl_of(const struct fuse_in_header *h, size_t len)
{
	const struct fuse_ioctl_in *in = body_of(h, len, sizeof(*in));

	return in ? in->cmd : 0;
}

/* A WRITE to an inode that a name leads to. */
static bool is_named(const struct object *ob, const struct fuse_in_header *h)
{
	return h->opcode == FUSE_WRITE && !(h->nodeid & NODEID_ALIAS) &&
	       (nodeid_sub(h->nodeid) >= SUB_CTL || ipc_is(&ob->o, TYPE_MEMORY));
}

static const struct rule *rule_of(const struct object *ob, const struct fuse_in_header *h,
				  size_t len)
{
	const struct fuse_lk_in *lk = body_of(h, len, sizeof(*lk));

	if (h->opcode == FUSE_SETLK && lk && lk->lk.type == F_UNLCK)
		return &unlocking;
	if (h->opcode == FUSE_IOCTL &&
	    (ioctl_of(h, len) == LIB_IOC_GROW || ioctl_of(h, len) == LIB_IOC_CLOSE))
		return &trying;
	if (is_named(ob, h))
		return &named;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].opcode == h->opcode)
			return &rules[i];
	return NULL;
}

static void limit(struct aside_limit *l, int64_t t, int error)
{
	if (t < l->least)
		t = l->least;
	if (t < l->deadline) {
		l->deadline = t;
		l->error = error;
	}
}

/* A time limit in nanoseconds; 0: not to wait at all; -1: none. */
static void limit_ns(struct aside_limit *l, int64_t now, int64_t ns)
{
	int64_t t;

	if (ns == 0)
		limit(l, now, EAGAIN);
	else if (ns > 0 && !__builtin_add_overflow(now, ns, &t))
		limit(l, t, ETIMEDOUT);
}

/* The handle is the first field of these requests' bodies. */
static void limit_by_handle(struct aside_limit *l, int64_t now, const struct fuse_in_header *h,
			    size_t len)
{
	const uint64_t *fh = body_of(h, len, sizeof(*fh));
	struct ipc_handle *hd;
	struct object *ob;
	struct target t;

	if (!fh || file_handle(h->nodeid, *fh, &t, &ob, &hd) < 0)
		return;
	limit_ns(l, now, __atomic_load_n(&hd->timeout, __ATOMIC_RELAXED));
	if (__atomic_load_n(&hd->deadline, __ATOMIC_RELAXED) >= 0)
		limit(l, __atomic_load_n(&hd->deadline, __ATOMIC_RELAXED), ETIMEDOUT);
	/* It is part of opening the object, and has no flags of its own. */
	if (h->opcode == FUSE_IOCTL && ioctl_of(h, len) == LIB_IOC_ATTACH &&
	    hd->oflags & O_NONBLOCK)
		limit_ns(l, now, 0);
}

static void limit_by_library(struct aside_limit *l, int64_t now, const struct fuse_in_header *h,
			     size_t len)
{
	const struct fuse_read_in *in =
		body_of(h, len, sizeof(*in)); /* fuse_write_in begins alike */
	struct ipc_handle *hd;
	struct object *ob;
	struct target t;

	if (in && file_handle(h->nodeid, in->fh, &t, &ob, &hd) == 0 && hd->flags & HANDLE_LIB)
		limit_ns(l, now, lib_timeout(in->offset));
}

static bool nonblocking(const struct fuse_in_header *h, size_t len)
{
	const struct fuse_open_in *open = body_of(h, len, sizeof(*open));
	const struct fuse_read_in *in = body_of(h, len, sizeof(*in));

	if (h->opcode == FUSE_OPEN)
		return open && open->flags & O_NONBLOCK;
	return in && in->flags & O_NONBLOCK;
}

void aside_limit(const struct object *ob, const void *msg, size_t len, bool looks,
		 struct aside_limit *ret)
{
	const struct fuse_in_header *h = msg;
	const struct rule *r = rule_of(ob, h, len);
	int64_t now = (int64_t)ipc_now();
	int64_t least = now + ipc_lock_patience(&ob->o.h->m.lock);
	struct target t;

	*ret = (struct aside_limit){ .deadline = IPC_NEVER };
	if (looks)
		limit(ret, least, 0);
	if (looks || !r)
		return;
	if (r->until & BRIEFLY)
		limit(ret, keeper_stopped(ob) ? now : least, r->late);
	ret->least = least;
	if (r->until & TRIES)
		limit_ns(ret, now, 0);
	if (r->until & BY_NAME && target_of(h->nodeid, &t) == 0)
		limit_ns(ret, now, t.timeout);
	if (r->until & BY_FLAGS && nonblocking(h, len))
		limit_ns(ret, now, 0);
	if (r->until & BY_HANDLE)
		limit_by_handle(ret, now, h, len);
	if (r->until & BY_LIBRARY)
		limit_by_library(ret, now, h, len);
}
