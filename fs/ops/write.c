/* SPDX-License-Identifier: MIT */
/* WRITE: messages and bytes for queues and pipes, commands for all others, memory for arrays. */

#include <fcntl.h>

#include "object/waiter.h"
#include "wait/ask.h"
#include "state/alias.h"
#include "state/array.h"
#include "ctl/ctl.h"
#include "object/command.h"
#include "ops/io.h"
#include "state/memory.h"
#include "wait/nonblock.h"
#include "object/type.h"
#include "wait/call.h"
#include "wait/unfinished.h"

/* The commands in a write: one on each line; or all of it is one, such as a value's text. */
struct commands {
	const char *buf;
	size_t size;
	bool whole;
	bool tokens; /* each byte gives back one permit: a jobserver */
};

/* The command that begins at `at`: *ret_end is behind it. */
static int command_at(struct object *ob, const struct commands *w, size_t at, struct ipc_cmd *ret,
		      size_t *ret_end)
{
	const char *nl = w->whole ? NULL : memchr(w->buf + at, '\n', w->size - at);
	size_t n = nl ? (size_t)(nl - w->buf) + 1 - at : w->size - at;

	*ret_end = at + n;
	*ret = (struct ipc_cmd){ .verb = CMD_ADD, .n = (int64_t)n };
	return w->tokens ? 0 : ipc_command(ob->o.ops, w->buf + at, n, ret);
}

/* All are parsed before the first is executed. */
static int check_commands(struct object *ob, const struct commands *w, size_t at)
{
	struct ipc_cmd cmd;
	int r;

	do
		r = command_at(ob, w, at, &cmd, &at);
	while (r == 0 && at < w->size);
	return r;
}

static int do_command(struct object *ob, struct ipc_call *c, const struct ipc_cmd *cmd, size_t at,
		      size_t end, bool more)
{
	int r;

	c->pos = at;
	c->len = end;
	c->more = more;
	r = ipc_give(&ob->o, c, cmd);
	c->done = 0;
	if (more) /* waiters see each of them: `set`, `clear` */
		ipc_pump(&ob->o);
	return r;
}

/* c->pos: how many bytes of it were done before a restart. */
static int write_commands(struct object *ob, struct ipc_call *c, const char *buf, size_t size)
{
	bool lib = handle_at(&ob->o, c->handle)->flags & HANDLE_LIB;
	struct commands w = { .buf = buf, .size = size };
	size_t at = c->pos, end;
	struct ipc_cmd cmd;
	int r;

	if (at > size) /* (after a restart this is what the object's file says) */
		return -EIO;
	w.tokens = ipc_is_jobserver(&ob->o) && !lib;
	w.whole = ipc_is(&ob->o, TYPE_TEXT) || w.tokens;
	r = check_commands(ob, &w, at);
	if (r < 0)
		return r;
	do {
		command_at(ob, &w, at, &cmd, &end);
		r = do_command(ob, c, &cmd, at, end, end < size);
		if (r == 0)
			at = end;
	} while (r == 0 && at < size);
	c->done = at;
	return at ? 0 : r;
}

/* What was written, or -errno. */
static int wrote(struct request *rq, ssize_t n)
{
	if (n < 0)
		return (int)n;
	touch(rq, rq->t.node, true);
	done_number(rq, REPLY_WRITTEN, (uint64_t)n);
	return 0;
}

/*
 * Existing bytes of an array are written without the object's lock. If a write waited for that, the
 * kernel would hold the inode's lock meanwhile, and names lead to this inode (alias.c).
 */
static bool is_in_place(struct request *rq)
{
	rq->ob = array_open(rq->ino, rq->fh, &rq->t);
	return rq->ob && !(rq->flags & O_APPEND) && array_has(rq->ob, rq->off, rq->size);
}

static enum outcome write_in_place(struct request *rq)
{
	ssize_t n = array_write(rq->ob, rq->data, rq->size, rq->off);

	if (n >= 0)
		attr_recall(rq->t.node);
	return done(rq, wrote(rq, n));
}

/*
 * Room for an array. EINVAL for all others: with EOPNOTSUPP, posix_fallocate(3) would read and
 * write single bytes instead.
 */
static int allocate(struct request *rq)
{
	uint64_t end = rq->off + rq->len;
	int r = 0;

	if (!ipc_is(&rq->ob->o, TYPE_MEMORY))
		return -EINVAL;
	if (rq->how)
		return -EOPNOTSUPP;
	if (end > rq->ob->o.h->b.array.length)
		r = array_resize(rq->ob, end);
	if (r == 0)
		touch(rq, rq->t.node, true);
	return r;
}

enum outcome file_allocate(struct request *rq)
{
	return done(rq, rq->fh & FH_PLAIN ? -EINVAL : handle_change(rq, allocate));
}

static enum outcome write_plain(struct request *rq)
{
	return done(rq, target_of(rq->ino, &rq->t) == 0 ? ctl_write(rq) : -ESTALE);
}

static void fill_write(struct request *rq)
{
	struct ipc_call *c = &rq->call;
	bool special;

	fill_call(c, rq, rq->flags);
	c->op = OP_WRITE;
	lib_call(c, rq->hd, rq->off, &special);
	c->data = rq->data;
	c->len = special && rq->size == 1 && ipc_is_stream(rq->ob->o.ops) ? 0 : rq->size;
	c->atomic = special;
	c->end = rq->hd->flags & HANDLE_POSITION ? rq->off + c->len : 0;
}

/* The write continues an unfinished line, or ends in mid-line. */
static void write_line(struct request *rq)
{
	struct ipc_handle *hd = rq->hd;
	struct ipc_call *c = &rq->call;

	fill_pid(c, hd);
	if (!ipc_is(&rq->ob->o, TYPE_LINES) || ipc_framing(&rq->ob->o, hd) != FRAMING_LINE ||
	    hd->flags & HANDLE_FLUSHED)
		return;
	/* The unfinished line of another process that was killed is dropped. */
	if (hd->line && hd->line_pid != c->pid &&
	    unfinished_killed(rq->t.node->id, rq->fh, hd->line_pid))
		ipc_flush(&rq->ob->o, c->handle, 0, true, true);
	unfinished_by(rq->t.node->id, rq->fh, c->pid);
}

/* Put its bytes, or do its commands. */
static int put(struct request *rq)
{
	struct object *ob = rq->ob;
	struct ipc_handle *hd = rq->hd;
	struct ipc_call *c = &rq->call;

	if (!ipc_kind_puts(hd->kind))
		return -EBADF;
	if (!ipc_is_stream(ob->o.ops)) {
		fill_pid(c, hd);
		return write_commands(ob, c, c->data, c->len);
	}
	if (hd->line || !c->len || c->data[c->len - 1] != '\n')
		write_line(rq);
	else if (ob->tidy < TIDY_MOST)
		ob->tidy++;
	return nonblock_ended(ob, c, 1, rq->flags, ipc_put(&ob->o, c));
}

/* It waits for memory that will never come: a short count, or ENOSPC. */
static bool waits_in_vain(struct request *rq, int *ret)
{
	struct ipc_obj *o = &rq->ob->o;
	struct ipc_call *c = &rq->call;
	struct ipc_waiter *w = waiter_at(o, c->waiter);

	if (!(w->flags & WAITER_MEMORY) || memory_may_come(w->need))
		return false;
	ipc_leave(o, c->waiter, -ENOSPC, &c->result);
	*ret = c->result < 0 ? (int)c->result : 0;
	return true;
}

static int write_object(struct request *rq)
{
	struct ipc_call *c = &rq->call;
	int r;

	fill_write(rq);
	if (!again_call(rq, &r))
		r = put(rq);
	else if (r == 0)
		c->done = (size_t)c->result;
	if (r == IPC_WAIT && !waits_in_vain(rq, &r))
		return IPC_WAIT;
	return wrote(rq, r < 0 ? r : ipc_is_stream(rq->ob->o.ops) ? c->result : (ssize_t)c->done);
}

static int write_array(struct request *rq)
{
	uint64_t off = rq->flags & O_APPEND ? rq->ob->o.h->b.array.length : rq->off;

	return wrote(rq, array_write(rq->ob, rq->data, rq->size, off));
}

static int write_file(struct request *rq)
{
	return ipc_is(&rq->ob->o, TYPE_MEMORY) ? write_array(rq) : write_object(rq);
}

enum outcome file_write(struct request *rq)
{
	if (rq->fh & FH_PLAIN)
		return write_plain(rq);
	if (is_in_place(rq))
		return write_in_place(rq);
	return done(rq, handle_change(rq, write_file));
}
