/* SPDX-License-Identifier: MIT */
/*
 * A restart on a kernel without FUSE_NOTIFY_RESEND (before Linux 6.9).
 *
 * The kernel never says which requests the dead worker had read and not answered, but there are
 * only two kinds. Those that wait have a waiter, which knows the request's `unique`: they are sent
 * away with ECONNABORTED as if interrupted (nothing was taken; a condition's or barrier's waiter
 * keeps its place for the next read), so that nobody hangs. And the one that the worker dealt
 * with is still in the memory where the kernel wrote it: it is dealt with again (worker.c), as one
 * that the kernel had sent again.
 *
 * A reply to a request that the kernel does not know any more is ENOENT, and does no harm.
 */
#include <linux/fuse.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "object/type.h"
#include "process/worker.h"

static void reply(int fd, uint64_t unique, int error, const void *data, size_t len)
{
	struct fuse_out_header out = {
		.len = (uint32_t)(sizeof(out) + len), .error = error, .unique = unique,
	};
	struct iovec iov[2] = { { &out, sizeof(out) }, { (void *)data, len } };

	if (writev(fd, iov, len ? 2 : 1) < 0)
		return;		/* it was answered, or its caller is gone */
}

static void reply_result(int fd, const struct ipc_waiter *w, uint64_t unique, int64_t result)
{
	struct fuse_write_out written = { .size = (uint32_t)result };

	if (result < 0)
		reply(fd, unique, -error_of(result), NULL, 0);
	else if (w->op == OP_WRITE)
		reply(fd, unique, 0, &written, sizeof(written));
	else
		reply(fd, unique, 0, NULL, 0);
}

/* It has its answer: that is what it gets. */
static void end_granted(struct ipc_obj *o, ref_t r, int fd)
{
	struct ipc_waiter *w = waiter_at(o, r);
	size_t size;
	char *buf;

	if (ipc_is(o, TYPE_MONITOR) && w->flags & WAITER_LENT) {
		reply(fd, w->unique, -ECONNABORTED, NULL, 0);
		ipc_cond_park(o, r);
		return;
	}
	if (w->result < 0 || w->op == OP_FLOCK || w->op == OP_FLOCK_SHARED || w->op == OP_WRITE) {
		reply_result(fd, w, w->unique, w->result);
	} else {
		size = w->need < MAX_IO ? w->need : MAX_IO;
		buf = malloc(size + 1);
		if (!buf)
			abort();
		reply(fd, w->unique, 0, buf, answer_copy(o, &w->got, 0, buf, size));
		free(buf);
	}
	ipc_finish_told(o, r);
}

static void end_waiting(struct ipc_obj *o, ref_t r, int fd)
{
	uint64_t unique = waiter_at(o, r)->unique;
	struct ipc_waiter w = *waiter_at(o, r);
	int64_t result;

	if (!ipc_leave(o, r, -EINTR, &result))
		return;
	reply_result(fd, &w, unique, result == -EINTR ? -ECONNABORTED : result);
}

/*
 * A put that ended in its turn, or a wait that an INTERRUPT ended, is gone from its line before it
 * is answered, and was not the request that the worker dealt with: the note has what it came to.
 * (A read that was noted was answered, or is the one that is dealt with again.)
 */
static void end_noted(struct ipc_obj *o, int fd)
{
	struct ipc_waiter as = { .op = o->h->result > 0 ? OP_WRITE : OP_NONE };

	if (o->h->unique_handle && !o->h->unique_partial)
		reply_result(fd, &as, o->h->unique, o->h->result);
}

bool abandon_waiters(int fd, uint64_t unique)
{
	struct node *n, *tmp;
	bool found = false;

	HASH_ITER(by_id, fs.by_id, n, tmp) {
		struct object *ob;
		struct ipc_obj *o;
		int e;

		if (n->type == IPC_DIR || !node_block(n)->active)
			continue;
		turn_trim();
		ob = object_of(n, &e);
		if (!ob || object_lock_patiently(ob) < 0)
			continue;
		o = &ob->o;
		if (o->h->unique != unique)	/* first: those who leave now are noted too */
			end_noted(o, fd);
		LIST_EACH(o, &o->h->granted, r) {
			if (!waiter_is_request(waiter_at(o, r)))
				continue;
			found |= waiter_at(o, r)->unique == unique;
			end_granted(o, r, fd);
		}
		for (unsigned int i = 0; i < IPC_LINES; i++)
			LIST_EACH(o, &o->h->lines[i], r) {
				if (!waiter_is_request(waiter_at(o, r)))
					continue;
				found |= waiter_at(o, r)->unique == unique;
				end_waiting(o, r, fd);
			}
		object_unlock(ob);
	}
	return found;
}
