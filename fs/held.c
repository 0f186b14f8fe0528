/* SPDX-License-Identifier: MIT */
/*
 * Objects whose lock somebody keeps.
 *
 * A direct client may be stopped at any instruction (Ctrl-Z, a debugger, a frozen container), and
 * so while it has the lock of an engine file. Nobody can do anything with that object until it
 * goes on or dies, but all others are none of its business: so the daemon waits for a lock only as
 * long as an operation may take on a busy machine (store.c). Then the object is held up: the
 * request is put aside as the kernel sent it, later ones for the object go behind it at once, and
 * all of them are dealt with again, in their order, when the lock is to be had. The event thread
 * has the loop thread look every RETRY_MS.
 *
 * A request that is put aside has changed nothing yet, or what can be told from the object's
 * notes: it is dealt with as one that the kernel sends again after a restart. A signal ends its
 * wait; so do the time limits that it has. A restart forgets it, and the kernel sends it again.
 *
 * One who keeps the lock and is not stopped is broken, or means harm. After LIMIT_NS the object's
 * requests get EIO until the lock is free.
 */
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>
#include <utlist.h>

#include "held.h"
#include "io.h"
#include "lib.h"
#include "lock.h"
#include "type.h"

#define LIMIT_NS	5000000000
#define PATIENCE_NS	100000000	/* of who may not wait; as in libipcfs */

struct kept {				/* a request that is put aside */
	struct kept *next, *prev;
	int64_t deadline;
	int late;			/* what it gets then */
	size_t len;
	_Alignas(8) char msg[];
};

struct to_finish {			/* what the lock was missing for, after the answer was given */
	struct to_finish *next;
	ref_t waiter;
	size_t max;
	uint64_t pos;
	uint64_t fh;			/* a handle to be closed, instead of a waiter: */
	uint64_t id, back;		/* the companion of this one */
};

static struct object *held;
static _Atomic bool any;		/* there are some */
int held_fd = -1;
static struct object *aside;		/* for which the request that is dealt with has to wait */

bool held_any(void)
{
	return any;
}

void held_add(struct object *ob)
{
	if (ob->held)
		return;
	ob->held = ipc_now();
	ob->held_word = 0;
	DL_APPEND2(held, ob, held_prev, held_next);
	if (!any && held_fd >= 0 && eventfd_write(held_fd, 1) < 0)
		log_line(LOG_ERR, "eventfd: %m");
	any = true;
}

void held_remove(struct object *ob)
{
	if (!ob->held)
		return;
	ob->held = 0;
	ob->held_failed = false;
	DL_DELETE2(held, ob, held_prev, held_next);
	any = held != NULL;
}

void held_put_aside(struct object *ob)
{
	aside = ob;
}

void held_later(struct object *ob)
{
	held_add(ob);
	held_put_aside(ob);
}

void held_begin(void)
{
	aside = NULL;
}

bool held_may_reply(uint64_t unique)
{
	return !aside || (unique & ~(1ull << 63)) != raw.unique;
}

/* ---- time limits ---- */

/*
 * The handle that it uses. What its file says is not to be trusted, but only this request's
 * matter.
 */
static struct ipc_handle *handle_of(struct object *ob, uint64_t fh)
{
	return ipc_handle(&ob->o, (ref_t)fh, (uint32_t)(fh >> 32));
}

static void limit(struct kept *k, int64_t t, int error)
{
	if (t < k->deadline) {
		k->deadline = t;
		k->late = error;
	}
}

static bool is_stopped(const struct object *ob);

/* Names need a lock that the kernel holds until this is answered: alias.c. */
static bool must_not_wait(const struct object *ob, const struct fuse_in_header *h)
{
	return h->opcode == FUSE_SETATTR || h->opcode == FUSE_CREATE ||
	       h->opcode == FUSE_FALLOCATE ||
	       (h->opcode == FUSE_WRITE && !(h->nodeid & NODEID_ALIAS) &&
		(h->nodeid >> 40 >= SUB_CTL || ob->o.type == IPC_ARRAY));
}

static void set_deadline(struct object *ob, struct kept *k)
{
	const struct fuse_in_header *h = (const void *)k->msg;
	const struct fuse_read_in *in = (const void *)(h + 1);	/* fuse_write_in begins alike */
	const struct fuse_ioctl_in *ioc = (const void *)(h + 1);
	int64_t now = (int64_t)ipc_now();
	struct ipc_handle *hd;

	k->deadline = IPC_NEVER;
	/* (After a CLOSE ipcfs_close() goes on, and RELEASE comes behind it.) */
	if (must_not_wait(ob, h) ||
	    (h->opcode == FUSE_IOCTL && k->len >= sizeof(*h) + sizeof(*ioc) && ioc->cmd == LIB_IOC_CLOSE))
		limit(k, is_stopped(ob) ? now : now + PATIENCE_NS, EAGAIN);
	if ((h->opcode != FUSE_READ && h->opcode != FUSE_WRITE) || k->len < sizeof(*h) + sizeof(*in) ||
	    in->fh & FH_PLAIN)
		return;
	if (in->flags & O_NONBLOCK)
		limit(k, now + PATIENCE_NS, EAGAIN);
	hd = handle_of(ob, in->fh);
	if (!hd)
		return;
	if (hd->timeout >= 0)
		limit(k, now + (hd->timeout ? hd->timeout : PATIENCE_NS), hd->timeout ? ETIMEDOUT : EAGAIN);
	if (hd->deadline >= 0)
		limit(k, hd->deadline, ETIMEDOUT);
	if (hd->flags & HANDLE_LIB && lib_timeout(in->offset) >= 0) {
		int64_t ns = lib_timeout(in->offset);

		limit(k, now + (ns ? ns : PATIENCE_NS), ns ? ETIMEDOUT : EAGAIN);
	}
}

/* ---- keeping requests ---- */

void held_end(const void *msg, size_t len)
{
	struct object *ob = aside;
	struct kept *k;

	aside = NULL;
	if (!ob)
		return;
	k = malloc(sizeof(*k) + len);
	if (!k)
		abort();		/* the next worker gets it again */
	k->len = len;
	memcpy(k->msg, msg, len);
	set_deadline(ob, k);
	DL_APPEND(ob->kept, k);
}

static void answer(struct object *ob, struct kept *k, int error)
{
	const struct fuse_in_header *h = (const void *)k->msg;
	struct fuse_out_header out = { .len = sizeof(out), .error = -error, .unique = h->unique };
	struct iovec iov = { &out, sizeof(out) };

	DL_DELETE(ob->kept, k);
	if (writev(fuse_session_fd(fs.se), &iov, 1) < 0 && errno != ENOENT)
		log_line(LOG_WARNING, "reply: %m");
	free(k);
}

bool held_interrupted(uint64_t unique)
{
	struct object *ob;
	struct kept *k;

	DL_FOREACH2(held, ob, held_next)
		DL_FOREACH(ob->kept, k) {
			const struct fuse_in_header *h = (const void *)k->msg;

			if ((h->unique & ~(1ull << 63)) != (unique & ~(1ull << 63)))
				continue;
			if (h->opcode != FUSE_RELEASE)
				answer(ob, k, EINTR);
			return true;
		}
	return false;
}

bool held_has(uint64_t unique)
{
	struct object *ob;
	struct kept *k;

	DL_FOREACH2(held, ob, held_next)
		DL_FOREACH(ob->kept, k)
			if ((((const struct fuse_in_header *)k->msg)->unique & ~(1ull << 63)) == unique)
				return true;
	return false;
}

void held_end_all(int error)
{
	struct object *ob;

	DL_FOREACH2(held, ob, held_next)
		while (ob->kept)
			answer(ob, ob->kept, error);
}

void held_finish(struct object *ob, ref_t waiter, const struct ipc_call *c)
{
	struct to_finish *f = malloc(sizeof(*f));

	if (!f)
		abort();
	*f = (struct to_finish){ ob->to_finish, waiter, c->max, c->pos, 0, 0, 0 };
	ob->to_finish = f;
}

void held_close(struct object *ob, uint64_t fh, uint64_t id, uint64_t back)
{
	struct to_finish *f = malloc(sizeof(*f));

	if (!f)
		abort();
	*f = (struct to_finish){ ob->to_finish, 0, 0, 0, fh, id, back };
	ob->to_finish = f;
}

void held_forget(struct object *ob)
{
	held_remove(ob);
	while (ob->to_finish) {
		struct to_finish *f = ob->to_finish;

		ob->to_finish = f->next;
		free(f);
	}
}

/* ---- trying again ---- */

static uint32_t holder(const struct object *ob)
{
	return __atomic_load_n(&ob->o.h->m.lock, __ATOMIC_RELAXED) & LOCK_TID;
}

/* Is who keeps it stopped by a signal or a debugger? */
static bool is_stopped(const struct object *ob)
{
	char state = proc_state(holder(ob));

	return state == 'T' || state == 't';
}

/* Somebody who runs has kept it for too long. */
static void look_at_holder(struct object *ob)
{
	uint32_t word = holder(ob);
	uint64_t now = ipc_now();
	char path[512];

	if (word != ob->held_word || is_stopped(ob)) {
		ob->held_word = word;
		ob->held = now;
	}
	if (ob->held_failed || now - ob->held < LIMIT_NS)
		return;
	tree_path(ob->node, path, sizeof(path));
	log_line(LOG_ERR, "%s: process %u keeps the lock of engine file %llu", path, word,
		 (unsigned long long)ob->o.id);
	ob->held_failed = true;
}

static void expire(struct object *ob)
{
	int64_t now = (int64_t)ipc_now();
	struct kept *k, *tmp;

	DL_FOREACH_SAFE(ob->kept, k, tmp) {
		if (ob->held_failed)
			answer(ob, k, EIO);
		else if (k->deadline <= now)
			answer(ob, k, k->late);
	}
}

/* It is locked: what was left undone. Unlocks it. */
static void catch_up(struct object *ob)
{
	while (ob->to_finish) {
		struct to_finish *f = ob->to_finish;
		struct ipc_call c = { .max = f->max, .pos = f->pos };

		ob->to_finish = f->next;
		struct ipc_handle *hd = f->fh ? handle_of(ob, f->fh) : NULL;

		if (!f->fh)
			ipc_finish(&ob->o, f->waiter, &c);
		else if (hd && hd->nodeid == f->id && hd->companion == f->back)
			ipc_close(&ob->o, (ref_t)f->fh);
		free(f);
	}
	LIST_EACH(&ob->o, &ob->o.h->holds, r) {
		uint32_t pid = ipc_hold_process(&ob->o, AT(&ob->o, ipc_hold, r));

		if (pid && !proc_start(pid))
			ipc_process_ended(&ob->o, pid);
	}
	ob->o.work = ob->o.freed = true;
	settle(ob);
}

/* Its requests, in their order. Those that find it held up again stay the first. */
static void deal_again(struct object *ob, void (*again)(void *msg, size_t len))
{
	struct kept *list = ob->kept, *k;

	ob->kept = NULL;
	while (list && !ob->kept) {
		k = list;
		DL_DELETE(list, k);
		again(k->msg, k->len);
		free(k);
	}
	DL_CONCAT(ob->kept, list);
}

static void look_again(struct object *ob, void (*again)(void *msg, size_t len))
{
	int r = object_try(ob);

	if (r == -EBUSY) {
		look_at_holder(ob);
		expire(ob);
		return;
	}
	held_remove(ob);
	ob->pins++;		/* one of its requests may end the turn (turn.c), and we are not done */
	if (r == 0)
		catch_up(ob);
	deal_again(ob, again);
	if (ob->untold && !ob->held)
		settle_told_in(ob);
	ob->pins--;
	object_used(ob);
}

void held_retry(void (*again)(void *msg, size_t len))
{
	static uint64_t looked;
	struct object *ob;
	unsigned int n = 0;
	uint64_t now = ipc_now();

	if (!held || now - looked < RETRY_MS * 1000000ull / 2)
		return;
	looked = now;
	DL_FOREACH2(held, ob, held_next)
		n++;
	while (n-- && (ob = held)) {
		DL_DELETE2(held, ob, held_prev, held_next);	/* others may come and go meanwhile */
		DL_APPEND2(held, ob, held_prev, held_next);
		look_again(ob, again);
	}
}
