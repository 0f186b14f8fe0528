/* SPDX-License-Identifier: MIT */
/*
 * READ: the rest of the answer in hand, or the next answer, or a wait for it.
 */

#include "state/array.h"
#include "ops/io.h"
#include "wait/monitor.h"
#include "wait/nonblock.h"
#include "object/type.h"

void reply_answer(fuse_req_t req, struct object *ob, const struct ipc_answer *a, size_t off,
		  size_t size)
{
	static char buf[MAX_IO];
	size_t n;

	/*
	 * Copied, although one message in one block could go to the kernel from where it is: its
	 * file may be cut short meanwhile, and a reply that the kernel cannot read is none.
	 */
	n = answer_copy(&ob->o, a, off, buf, size < sizeof(buf) ? size : sizeof(buf));
	if (ob->o.damage)
		fuse_reply_err(req, EIO);
	else
		fuse_reply_buf(req, buf, n);
}

void reply_read(fuse_req_t req, struct object *ob, const struct ipc_handle *hd,
		const struct ipc_answer *a, size_t size)
{
	if (a->kind == ANSWER_END && hd->flags & HANDLE_LIB)
		fuse_reply_err(req, EPIPE);	/* 0 bytes are an empty message */
	else
		reply_answer(req, ob, a, 0, size);
}

/* A reply that fills the request would make the kernel ask for the rest of a longer read(). */
static size_t usable(size_t size)
{
	return size > MAX_IO - 4096 ? size - 1 : size;
}

/* Is there something of the answer in hand for a read at this position? With the object locked. */
static bool in_hand(struct object *ob, struct ipc_handle *hd, uint64_t pos, size_t *ret_off)
{
	struct ipc_answer *a = &hd->hand;

	if (hd->flags & HANDLE_POSITION) {
		if (a->kind == ANSWER_NONE || pos < a->base)
			return false;
		*ret_off = pos - a->base;
		/* Types that answer once: the end, until somebody seeks to 0 and asks again. */
		if (!ipc_is_stream(ob->o.ops) || hd->kind == HANDLE_JOIN)
			return pos != 0;
		return *ret_off < a->len;
	}
	ipc_next_rest(&ob->o, hd);
	*ret_off = a->off;
	return answer_left(a) != 0;
}

static void give_rest(fuse_req_t req, struct object *ob, struct ipc_handle *hd, struct ipc_call *c,
		      size_t off)
{
	struct ipc_answer *a = &hd->hand;
	size_t size = c->max;
	uint64_t n = off < a->len ? a->len - off : 0;

	n = n < size ? n : size;
	/* Without a position, only this tells a resent one where its part began. */
	if (!(hd->flags & HANDLE_POSITION))
		call_record(&ob->o, c, (int64_t)off, true);
	if (off + n > a->off)		/* the furthest: see answer.c */
		set64(&ob->o, a->off, off + n);
	commit(&ob->o);
	object_unlock(ob);
	reply_answer(req, ob, a, off, n);
	if (object_lock(ob) == 0)
		settle(ob);
}

static const uint32_t op_of_kind[] = {
	[HANDLE_OBJECT] = OP_READ, [HANDLE_STREAM] = OP_STREAM, [HANDLE_DRAIN] = OP_STREAM,
	[HANDLE_LEASE] = OP_LEASE, [HANDLE_JOIN] = OP_JOIN, [HANDLE_CHANGED] = OP_CHANGED,
};

static void read_array(fuse_req_t req, struct object *ob, size_t size, uint64_t off)
{
	static char buf[MAX_IO];
	ssize_t n = array_read(ob, buf, size < sizeof(buf) ? size : sizeof(buf), off);

	if (n < 0)
		fuse_reply_err(req, (int)-n);
	else
		fuse_reply_buf(req, buf, (size_t)n);
}

/*
 * A value is a file of its text: a read at 0 takes the text as it is now, later ones go on in it. At
 * the position where a write through this handle left it is what that write made.
 */
static void read_value(fuse_req_t req, struct object *ob, struct ipc_handle *hd, struct ipc_call *c)
{
	struct ipc_answer *a = &hd->hand;
	uint64_t off = c->pos;
	int r = 0;

	if (!off || a->kind == ANSWER_NONE || off < a->base) {
		c->pos = 0;
		r = ipc_read(&ob->o, c);
	}
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		reply_answer(req, ob, a, off - a->base, c->max);
	settle(ob);
}

/* Neither a handle that only looks nor an array's memory needs the lock, for which they might wait. */
static bool read_unlocked(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			  const struct fuse_file_info *fi)
{
	struct target t;
	struct object *ob;
	struct ipc_handle *hd;

	if (enter_unlocked(ino, fi->fh, &t, &ob, &hd) < 0 || !ob->adopted)
		return false;
	if (hd->flags & HANDLE_LOOK)
		plain_read(req, ino, fi->fh, size, off);
	else if (ipc_is(&ob->o, TYPE_MEMORY))
		read_array(req, ob, size, (uint64_t)off);
	else
		return false;
	return true;
}

void ops_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct target t;
	struct object *ob;
	struct ipc_handle *hd;
	struct object *lock;
	struct ipc_call c;
	uint32_t opener;
	size_t hand_off;
	uint32_t kind;
	bool special;
	int r;

	if (fi->fh & FH_PLAIN) {
		plain_read(req, ino, fi->fh, size, off);
		return;
	}
	if (raw.by_cache && target_of(ino, &t) == 0 && !node_is(t.node, TYPE_MEMORY)) {
		mapped_read(req, &t, size, off, EINVAL);
		return;
	}
	if (read_unlocked(req, ino, size, off, fi) || !enter_to_wait(req, ino, fi->fh, &t, &ob, &hd))
		return;
	if (hd->flags & HANDLE_LOOK || ipc_is(&ob->o, TYPE_MEMORY)) {	/* not looked at before */
		object_unlock(ob);
		if (!read_unlocked(req, ino, size, off, fi))
			fuse_reply_err(req, EIO);
		return;
	}
	fill_call(&c, req, &ob->o, hd, fi->flags);
	kind = __atomic_load_n(&hd->kind, __ATOMIC_RELAXED);
	c.op = op_of_kind[kind <= HANDLE_CHANGED ? kind : 0];
	off = (off_t)lib_call(&c, hd, (uint64_t)off, &special);
	if (special && ipc_is(&ob->o, TYPE_JOIN))
		c.op = OP_JOIN;
	c.max = usable(size);
	c.pos = (uint64_t)off;
	if (ipc_is(&ob->o, TYPE_TEXT) && hd->kind == HANDLE_OBJECT && hd->flags & HANDLE_POSITION) {
		touch(t.node, false);
		read_value(req, ob, hd, &c);
		return;
	}
	if (ipc_is(&ob->o, TYPE_PID) || c.op == OP_LEASE)
		fill_pid(&c, hd);
	watch_opener(ob, hd, c.pid);
	opener = hd->opener;
	c.done = SIZE_MAX;
	if (done_before(ob, &c, &r)) {
		c.got = hd->hand;
	} else if (c.done != SIZE_MAX) {	/* the rest that it was given before */
		give_rest(req, ob, hd, &c, c.done);
		return;
	} else if (!special && in_hand(ob, hd, (uint64_t)off, &hand_off)) {
		give_rest(req, ob, hd, &c, hand_off);
		return;
	} else if (off && !(hd->flags & HANDLE_POSITION)) {
		/* A later part of a read() that the kernel has split: it has something already. */
		object_unlock(ob);
		fuse_reply_buf(req, NULL, 0);
		return;
	} else {
		lock = ipc_is(&ob->o, TYPE_MONITOR) ? lock_object(ob) : NULL;
		r = lock ? monitor_find(lock, &c) : 0;
		nonblock_stand(ob, hd, &c, fi->flags);
		if (r == 0)
			r = nonblock_ended(ob, &c, 0, fi->flags, ipc_read(&ob->o, &c));
	}
	if (r == IPC_WAIT && waiter_at(&ob->o, c.waiter)->flags & WAITER_STANDS)
		r = -EAGAIN;
	if (r == IPC_WAIT) {
		if (ipc_is(&ob->o, TYPE_MONITOR))
			monitor_lend(ob, c.waiter, c.tid);
		park(req, ob, &c, NULL);
		return;
	}
	if (r == 0)
		touch(t.node, false);
	ipc_pump(&ob->o);
	object_unlock(ob);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		reply_read(req, ob, hd, &c.got, c.max);
	if (r == 0)
		watch_holder(ob, opener, c.pid);
	if (object_lock(ob) == 0)
		settle(ob);
}
