/* SPDX-License-Identifier: MIT */
/*
 * Requests on open files: each is translated into one call of the engine, and answered or parked.
 *
 * fh is generation << 32 | block of the handle in the object's file, so that it means the same to
 * a restarted worker; plain .ctl files and handles that only look have bit 63 set and no record.
 */
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>

#include "array.h"
#include "ctl.h"
#include "direct.h"
#include "io.h"
#include "monitor.h"
#include "text.h"
#include "type.h"
#include "worker.h"

#define FH_PLAIN	(1ull << 63)

#ifndef FOPEN_NOFLUSH
#define FOPEN_NOFLUSH	(1 << 5)
#endif

/* ---- plain files: a text as it stood at the open ---- */

struct snapshot {
	uint64_t fh;
	char *text;
	size_t len;
	UT_hash_handle hh;
};

static struct snapshot *snapshots;
static uint64_t next_plain = FH_PLAIN;

static struct snapshot *snapshot_of(uint64_t fh)
{
	struct snapshot *s;

	HASH_FIND(hh, snapshots, &fh, sizeof(fh), s);
	return s;
}

static int snapshot_take(const struct target *t, uint64_t fh)
{
	struct snapshot *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	r = ctl_snapshot(t, &s->text, &s->len);
	if (r < 0) {
		free(s);
		return r;
	}
	s->fh = fh;
	HASH_ADD(hh, snapshots, fh, sizeof(s->fh), s);
	return 0;
}

static void snapshot_drop(uint64_t fh)
{
	struct snapshot *s = snapshot_of(fh);

	if (!s)
		return;
	HASH_DEL(snapshots, s);
	free(s->text);
	free(s);
}

void io_cleanup(void)
{
	while (snapshots)
		snapshot_drop(snapshots->fh);
}

/* ---- handles ---- */

static bool is_stream_type(uint32_t type)
{
	return type == IPC_QUEUE || type == IPC_PIPE;
}

/* The object and handle of a request; the object is locked. */
static int enter(uint64_t ino, uint64_t fh, struct target *t, struct object **ret_ob,
		 struct ipc_handle **ret_hd)
{
	struct object *ob;
	int r = target_of(ino, t);

	if (r < 0)
		return r;
	ob = object_of(t->node, &r);
	if (!ob)
		return r;
	r = object_lock(ob);
	if (r < 0)
		return r;
	*ret_hd = ipc_handle(&ob->o, (ref_t)fh, (uint32_t)(fh >> 32));
	if (!*ret_hd) {
		object_unlock(ob);
		return -EBADF;
	}
	*ret_ob = ob;
	return 0;
}

static void fill_call(struct ipc_call *c, fuse_req_t req, struct ipc_obj *o, struct ipc_handle *hd,
		      int flags)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	*c = (struct ipc_call){
		.handle = ref_of(o, hd), .tid = (uint32_t)ctx->pid, .uid = ctx->uid,
		.unique = raw.unique, .deadline = IPC_NEVER, .limit = mount_body()->message_limit,
	};
	if (hd->deadline >= 0)
		c->deadline = hd->deadline ? hd->deadline : 1;
	if (hd->timeout > 0) {
		int64_t t = (int64_t)ipc_now() + hd->timeout;

		if (t > 0 && t < c->deadline)
			c->deadline = t;
	}
	if (hd->timeout == 0 || flags & O_NONBLOCK)
		c->deadline = 0;
}

/* Who makes a hold, a lease or an unfinished line is to be known as a process. */
static void fill_pid(struct ipc_call *c, struct ipc_handle *hd)
{
	if (hd->tid != c->tid || !hd->pid) {
		hd->pid = proc_pid(c->tid);
		hd->tid = c->tid;
	}
	c->pid = hd->pid;
}

/* What libipcfs says with the offset: a time limit of this call's own, and what is special. */
static uint64_t lib_call(struct ipc_call *c, const struct ipc_handle *hd, uint64_t off,
			 bool *ret_special)
{
	int64_t timeout;

	*ret_special = false;
	if (!(hd->flags & HANDLE_LIB))
		return off;
	timeout = lib_timeout(off);
	*ret_special = off & LIB_SPECIAL;
	if (timeout == 0)
		c->deadline = 0;
	else if (timeout > 0 && (int64_t)ipc_now() + timeout < c->deadline)
		c->deadline = (int64_t)ipc_now() + timeout;
	return off & LIB_OFFSET;
}

static int64_t now_coarse(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void touch(struct node *n, bool written)
{
	struct ipc_node *b = node_block(n);

	*(written ? &b->mtime : &b->atime) = now_coarse();
	if (written)
		b->ctime = b->mtime;
}

/*
 * Was this request, sent again after a restart, dealt with before? A parked one goes on waiting in
 * its place; one that was done at once is in the header. true: *c is filled as if it had just
 * been done, and *ret what it returned then.
 */
static bool done_before(struct object *ob, struct ipc_call *c, int *ret)
{
	bool partial;
	ref_t w;

	if (!raw.resent)
		return false;
	w = ipc_find_waiter(&ob->o, c->unique);
	if (w) {
		c->waiter = w;
		c->done = waiter_at(&ob->o, w)->arg;
		*ret = IPC_WAIT;
		return true;
	}
	if (!ipc_note_find(&ob->o, c->unique, c->handle, &c->result, &partial))
		return false;
	if (partial) {
		c->done = (uint32_t)c->result;
		if (c->op == OP_WRITE)
			c->pos = (uint64_t)c->result >> 32;
		return false;
	}
	*ret = c->result < 0 ? (int)c->result : 0;
	return true;
}

/* ---- open and close ---- */

static int reply_open(fuse_req_t req, uint64_t fh, uint32_t flags)
{
	/* fuse_reply_open() of libfuse 3.14 cannot say FOPEN_STREAM. */
	struct fuse_open_out out = { .fh = fh, .open_flags = flags };

	return fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

static uint32_t handle_flags(const struct target *t, uint32_t type, uint32_t kind, int flags)
{
	int mode = flags & O_ACCMODE;
	uint32_t f = 0;

	if (flags & O_ASYNC && kind == HANDLE_OBJECT && type != IPC_ARRAY)
		f |= HANDLE_LIB | (type == IPC_QUEUE ? HANDLE_RECORD : 0);
	if (mode == O_RDONLY)
		f |= f & HANDLE_LIB ? 0 : HANDLE_POSITION;
	else if (is_stream_type(type) && kind == HANDLE_OBJECT)
		f |= HANDLE_WRITER;
	if (flags & O_DIRECT)
		f |= HANDLE_RECORD;
	if (t->sub == SUB_END_A)
		f |= HANDLE_END_A;
	if (t->sub == SUB_END_B)
		f |= HANDLE_END_B;
	return f;
}

static uint32_t open_flags(uint32_t type, const struct ipc_opening *how)
{
	uint32_t f = FOPEN_DIRECT_IO;

	if (type == IPC_ARRAY && how->kind == HANDLE_OBJECT)
		return f | FOPEN_NOFLUSH;
	if (!(how->flags & (HANDLE_POSITION | HANDLE_LIB)))
		f |= FOPEN_STREAM;
	/* Only an unfinished line has to be dealt with before close() returns. */
	if (type != IPC_QUEUE || !(how->flags & HANDLE_WRITER) || how->flags & HANDLE_RECORD)
		f |= FOPEN_NOFLUSH;
	return f;
}

static ref_t opened_before(struct object *ob, uint64_t unique)
{
	if (!raw.resent)
		return 0;
	LIST_EACH(&ob->o, &ob->o.h->handles, r)
		if (AT(&ob->o, ipc_handle, r)->open_unique == unique)
			return r;
	return 0;
}

int open_object(fuse_req_t req, const struct target *t, int flags, uint64_t *ret_fh,
		uint32_t *ret_flags)
{
	const struct ctl_file *c = ctl_of(t->sub);
	struct ipc_opening how = {
		.kind = c ? c->kind : HANDLE_OBJECT, .oflags = (uint32_t)flags,
		.tid = (uint32_t)fuse_req_ctx(req)->pid, .uid = fuse_req_ctx(req)->uid,
		.nodeid = t->nodeid, .unique = raw.unique, .timeout = t->timeout,
	};
	struct object *ob;
	ref_t handle;
	int r;

	ob = object_of(t->node, &r);
	if (!ob)
		return r;
	how.flags = handle_flags(t, ob->o.type, how.kind, flags);
	if (ob->o.ops->unhold)		/* whose are its holds? */
		how.pid = proc_pid(how.tid);
	r = object_lock(ob);
	if (r < 0)
		return r;
	handle = opened_before(ob, how.unique);
	if (!handle) {
		how.gen = names_next_gen(&fs.mount) & 0x7fffffff;
		r = ipc_open(&ob->o, &how, &handle);
		if (r < 0) {
			settle(ob);
			return r;
		}
		if (how.flags & HANDLE_WRITER)
			writer_add(t->nodeid);
	}
	*ret_fh = (uint64_t)handle_at(&ob->o, handle)->gen << 32 | handle;
	*ret_flags = open_flags(ob->o.type, &how);
	settle(ob);
	return 0;
}

/* A resent OPEN that had been granted. */
static bool opened_already(const struct target *t)
{
	int r;
	struct object *ob = raw.resent ? object_of(t->node, &r) : NULL;
	bool yes;

	if (!ob || object_lock(ob) < 0)
		return false;
	yes = opened_before(ob, raw.unique) != 0;
	object_unlock(ob);
	return yes;
}

static bool is_plain(const struct target *t, int flags)
{
	const struct ctl_file *c = ctl_of(t->sub);

	if (c)
		return c->kind == HANDLE_OBJECT;
	return flags & O_NOFOLLOW && (flags & O_ACCMODE) == O_RDONLY && t->node->type != IPC_ARRAY;
}

void ops_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct target t;
	uint32_t flags = FOPEN_DIRECT_IO | FOPEN_NOFLUSH;
	int r = target_of(ino, &t);

	if (r == 0 && (ctl_is_dir(t.sub) || (t.sub == SUB_SELF &&
	    (t.node->type == IPC_DIR || t.node->type == IPC_TWOWAY))))
		r = -EISDIR;
	if (r == 0 && is_plain(&t, fi->flags)) {
		fi->fh = ++next_plain;
		if ((fi->flags & O_ACCMODE) != O_WRONLY)
			r = snapshot_take(&t, fi->fh);
	} else if (r == 0) {
		if ((fi->flags & O_ACCMODE) != O_RDONLY && t.sub <= SUB_END_B &&
		    (t.node->type == IPC_QUEUE || t.node->type == IPC_PIPE ||
		     t.node->type == IPC_TWOWAY) && !opened_already(&t) &&
		    !writer_enter(ino, fuse_req_ctx(req)->pid))
			r = -ESTALE;
		else
			r = open_object(req, &t, fi->flags, &fi->fh, &flags);
	}
	if (r < 0)
		fuse_reply_err(req, -r);
	else if (reply_open(req, fi->fh, flags) == -ENOENT)
		close_handle(ino, fi->fh);	/* nobody waits for it any more */
}

void close_handle(uint64_t ino, uint64_t fh)
{
	struct target t;
	struct object *ob;
	struct ipc_handle *hd;
	uint64_t companion, lock_id;

	if (fh & FH_PLAIN) {
		snapshot_drop(fh);
		return;
	}
	if (enter(ino, fh, &t, &ob, &hd) < 0)
		return;
	if (hd->waiters && ob->parked) {
		object_unlock(ob);
		park_end_handle(ob, (ref_t)fh);
		if (object_lock(ob) < 0)
			return;
	}
	if (hd->flags & HANDLE_WRITER)
		writer_leave(hd->nodeid);
	if (hd->line)
		ipc_flush(&ob->o, (ref_t)fh, 0, false, true);
	companion = hd->companion;
	lock_id = monitor_lock_id(ob);
	ipc_close(&ob->o, (ref_t)fh);
	settle(ob);
	monitor_closed(lock_id, companion);
}

void ops_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	close_handle(ino, fi->fh);
	fuse_reply_err(req, 0);
}

static int flush_line(struct object *ob, struct ipc_handle *hd, uint32_t pid, bool killed)
{
	struct ipc_call c = { .handle = ref_of(&ob->o, hd), .unique = raw.unique };

	/* A refusal is noted with the change that drops the line, and must be said again. */
	if (hd->line_pid == pid && !killed && ob->o.h->b.queue.closed)
		call_record(&ob->o, &c, -EPIPE, false);
	return ipc_flush(&ob->o, c.handle, pid, killed, false);
}

void ops_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct target t;
	struct object *ob;
	struct ipc_handle *hd;
	uint32_t tid = (uint32_t)fuse_req_ctx(req)->pid;
	int64_t refused;
	bool partial;
	int r = 0;

	if (fi->fh & FH_PLAIN || enter(ino, fi->fh, &t, &ob, &hd) < 0) {
		fuse_reply_err(req, 0);
		return;
	}
	if (hd->line) {
		r = flush_line(ob, hd, proc_pid(tid), proc_killed(tid));
	} else if (raw.resent && ipc_note_find(&ob->o, raw.unique, (ref_t)fi->fh, &refused, &partial)) {
		r = (int)refused;
	}
	settle(ob);
	fuse_reply_err(req, -r);
}

/* ---- read ---- */

void reply_answer(fuse_req_t req, struct object *ob, const struct ipc_answer *a, size_t off,
		  size_t size)
{
	static char buf[MAX_IO];
	struct ipc_msg *m;

	/* One message in one block goes to the kernel from where it is. */
	if (a->kind == ANSWER_RAW && a->count == 1 && a->len > 4096 && off < a->len &&
	    !(m = msg_at(&ob->o, a->first))->more) {
		size_t n = a->len - off < size ? a->len - off : size;
		char *p = at(&ob->o, a->first, sizeof(*m) + a->skip + off + n);

		fuse_reply_buf(req, p + sizeof(*m) + a->skip + off, n);
		return;
	}
	size = answer_copy(&ob->o, a, off, buf, size < sizeof(buf) ? size : sizeof(buf));
	fuse_reply_buf(req, buf, size);
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
		if (!is_stream_type(ob->o.type) || hd->kind == HANDLE_JOIN)
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

static void read_plain(fuse_req_t req, uint64_t ino, uint64_t fh, size_t size, off_t off)
{
	struct snapshot *s = snapshot_of(fh);
	struct target t;

	if (!s && raw.resent && target_of(ino, &t) == 0 && snapshot_take(&t, fh) == 0)
		s = snapshot_of(fh);
	if (!s || (size_t)off >= s->len)
		fuse_reply_buf(req, NULL, 0);
	else
		fuse_reply_buf(req, s->text + off, s->len - (size_t)off < size ?
			       s->len - (size_t)off : size);
}

static bool is_array(uint64_t ino)
{
	struct target t;

	return target_of(ino, &t) == 0 && t.node->type == IPC_ARRAY;
}

static void read_array(fuse_req_t req, struct object *ob, size_t size, uint64_t off)
{
	static char buf[MAX_IO];
	ssize_t n = array_read(ob, buf, size < sizeof(buf) ? size : sizeof(buf), off);

	settle(ob);
	if (n < 0)
		fuse_reply_err(req, (int)-n);
	else
		fuse_reply_buf(req, buf, (size_t)n);
}

void ops_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct target t;
	struct object *ob;
	struct ipc_handle *hd;
	struct object *lock;
	struct ipc_call c;
	size_t hand_off;
	bool special;
	int r;

	if (fi->fh & FH_PLAIN) {
		read_plain(req, ino, fi->fh, size, off);
		return;
	}
	/*
	 * sendfile(2) and mmap(2) cut what they read at st_size, which is no length here: the rest
	 * would be lost. Programs that are refused fall back to read(2).
	 */
	if (raw.by_cache && !is_array(ino)) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	interruptible(req);
	r = enter(ino, fi->fh, &t, &ob, &hd);
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	if (ob->o.type == IPC_ARRAY) {
		read_array(req, ob, size, (uint64_t)off);
		return;
	}
	fill_call(&c, req, &ob->o, hd, fi->flags);
	c.op = op_of_kind[hd->kind <= HANDLE_CHANGED ? hd->kind : 0];
	off = (off_t)lib_call(&c, hd, (uint64_t)off, &special);
	if (special && ob->o.type == IPC_QUEUE)
		c.op = OP_JOIN;
	c.max = usable(size);
	c.pos = (uint64_t)off;
	if (ob->o.ops->unhold || c.op == OP_LEASE || ob->o.type == IPC_BARRIER)
		fill_pid(&c, hd);
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
		lock = ob->o.type == IPC_COND ? lock_object(ob) : NULL;
		if (lock)
			monitor_find(lock, &c);
		r = ipc_read(&ob->o, &c);
	}
	if (r == IPC_WAIT) {
		if (ob->o.type == IPC_COND)
			monitor_lend(ob, c.waiter);
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
		watch_holder(ob, c.pid);
	if (object_lock(ob) == 0)
		settle(ob);
}

/* ---- write ---- */

/* Commands, one a line; a value's text is one command. All are understood before one is done. */
static int write_commands(struct object *ob, struct ipc_call *c, const char *buf, size_t size)
{
	bool whole = ob->o.type == IPC_VALUE;
	int r = 0;

	for (int pass = 0; pass < 2; pass++) {
		size_t done = c->pos;		/* before a restart */

		do {
			const char *nl = whole ? NULL : memchr(buf + done, '\n', size - done);
			size_t n = nl ? (size_t)(nl - buf) + 1 - done : size - done;
			struct ipc_cmd cmd;

			r = text_command(ob->o.type, buf + done, n, &cmd);
			if (r == 0 && pass) {
				c->pos = done;
				c->len = done + n;
				c->more = done + n < size;
				r = ipc_give(&ob->o, c, &cmd);
				c->done = 0;
				if (c->more)	/* who waits sees each of them: `set`, `clear` */
					ipc_pump(&ob->o);
			}
			if (r < 0)
				break;
			done += n;
		} while (done < size);
		if (pass)
			c->done = done;
		else if (r < 0)
			return r;
	}
	return c->done ? 0 : r;
}

static void reply_write(fuse_req_t req, struct object *ob, struct node *n, int r, size_t done)
{
	if (r == 0)
		touch(n, true);
	ipc_pump(&ob->o);
	object_unlock(ob);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_write(req, done);
	if (object_lock(ob) == 0)
		settle(ob);
}

void ops_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
	       struct fuse_file_info *fi)
{
	struct target t;
	struct object *ob;
	struct ipc_handle *hd;
	struct ipc_call c;
	bool special;
	int r;

	if (fi->fh & FH_PLAIN) {
		ssize_t n = target_of(ino, &t) < 0 ? -ESTALE : ctl_write(&t, buf, size, raw.unique);

		if (n < 0)
			fuse_reply_err(req, (int)-n);
		else
			fuse_reply_write(req, (size_t)n);
		return;
	}
	interruptible(req);
	r = enter(ino, fi->fh, &t, &ob, &hd);
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	if (ob->o.type == IPC_ARRAY) {
		ssize_t n = array_write(ob, buf, size, fi->flags & O_APPEND ?
					ob->o.h->b.array.length : (uint64_t)off);

		reply_write(req, ob, t.node, n < 0 ? (int)n : 0, n < 0 ? 0 : (size_t)n);
		return;
	}
	fill_call(&c, req, &ob->o, hd, fi->flags);
	c.op = OP_WRITE;
	lib_call(&c, hd, (uint64_t)off, &special);
	if (special && is_stream_type(ob->o.type))
		size = 0;
	c.data = buf;
	c.len = size;
	if (done_before(ob, &c, &r)) {
		if (r == 0)
			c.done = (size_t)c.result;
	} else if (hd->kind != HANDLE_OBJECT) {
		r = -EBADF;
	} else if (is_stream_type(ob->o.type)) {
		if (hd->line || !size || buf[size - 1] != '\n')
			fill_pid(&c, hd);
		r = ipc_put(&ob->o, &c);
	} else {
		fill_pid(&c, hd);
		r = write_commands(ob, &c, buf, size);
	}
	if (r == IPC_WAIT && waiter_at(&ob->o, c.waiter)->flags & WAITER_MEMORY &&
	    !memory_may_come(size)) {
		int64_t result;

		ipc_leave(&ob->o, c.waiter, -ENOSPC, &result);
		c.result = result;
		r = result < 0 ? (int)result : 0;
	}
	if (r == IPC_WAIT) {
		char *copy = malloc(size + 1);

		if (!copy)
			abort();	/* the next worker will find the waiter and get the data again */
		memcpy(copy, buf, size);
		c.data = NULL;
		c.len = size;
		park(req, ob, &c, copy);
		return;
	}
	reply_write(req, ob, t.node, r, is_stream_type(ob->o.type) && r == 0 ? (size_t)c.result : c.done);
}

/* ---- locks ---- */

void ops_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op)
{
	struct target t;
	struct object *ob, *lock;
	struct ipc_handle *hd;
	struct ipc_call c;
	uint64_t fh;
	int r;

	if (fi->fh & FH_PLAIN || !fi->fh) {	/* 0: a directory */
		fuse_reply_err(req, EOPNOTSUPP);
		return;
	}
	interruptible(req);
	r = enter(ino, fi->fh, &t, &ob, &hd);
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	fill_call(&c, req, &ob->o, hd, op & LOCK_NB ? O_NONBLOCK : fi->flags & ~O_NONBLOCK);
	c.op = OP_FLOCK;
	fill_pid(&c, hd);
	lock = lock_object(ob);
	if (lock && hd->kind == HANDLE_OBJECT) {
		r = monitor_flock(ob, hd, lock, op & ~LOCK_NB, &fh);
		settle(ob);
		if (r == 0 && fh)
			r = object_lock(lock);
		if (r < 0 || !fh) {
			fuse_reply_err(req, -r);
			return;
		}
		ob = lock;
		c.handle = (ref_t)fh;
	}
	if (hd->kind != HANDLE_OBJECT)
		r = -EOPNOTSUPP;
	else if (!done_before(ob, &c, &r))
		r = ipc_flock(&ob->o, &c, op & ~LOCK_NB);
	if (r == IPC_WAIT) {
		park(req, ob, &c, NULL);
		return;
	}
	ipc_pump(&ob->o);
	object_unlock(ob);
	fuse_reply_err(req, -r);
	if (r == 0)
		watch_holder(ob, c.pid);
	if (object_lock(ob) == 0)
		settle(ob);
}

/* fcntl locks: refused, so that the kernel never keeps them locally, an inode each. */
void ops_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock)
{
	fuse_reply_err(req, EOPNOTSUPP);
}

void ops_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock,
	       int sleep)
{
	fuse_reply_err(req, EOPNOTSUPP);
}

/* ---- ioctl ---- */

/* The length of what the next read would give; -1: it would wait. */
static int64_t next_length(struct object *ob, struct ipc_handle *hd)
{
	struct ipc_obj *o = &ob->o;
	unsigned int ready = ipc_poll(o, ref_of(o, hd));

	ipc_next_rest(o, hd);
	if (answer_left(&hd->hand))
		return (int64_t)answer_left(&hd->hand);
	if (!(ready & POLLIN))
		return -1;
	if (hd->kind == HANDLE_OBJECT && is_stream_type(o->type)) {
		struct ipc_mq *q = ipc_reads_from(o, hd);
		uint32_t framing = ipc_framing(o, hd);

		if (!q->count)
			return 0;
		if (framing == FRAMING_BYTES)
			return (int64_t)q->bytes;
		return msg_at(o, q->head)->len - q->skip + (framing == FRAMING_LINE);
	}
	return (int64_t)(o->ops->next ? o->ops->next(o, hd) : 2);
}

void ops_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
	       struct fuse_file_info *fi, unsigned int flags, const void *in_buf, size_t in_size,
	       size_t out_size)
{
	struct target t;
	struct object *ob;
	struct ipc_handle *hd;
	struct lib_attach out;
	size_t n_out = 0;
	int64_t v = 0;
	int r = 0;

	if (flags & FUSE_IOCTL_DIR || fi->fh & FH_PLAIN || _IOC_TYPE(cmd) != 'i' ||
	    enter(ino, fi->fh, &t, &ob, &hd) < 0) {
		fuse_reply_err(req, ENOTTY);
		return;
	}
	if (in_size >= sizeof(v))
		memcpy(&v, in_buf, sizeof(v));
	switch (cmd) {
	case IPCFS_IOC_TIMEOUT:
		if (v < -1)
			r = -EINVAL;
		else
			set64(&ob->o, hd->timeout, v);
		break;
	case IPCFS_IOC_DEADLINE:
		if (v < -1)
			r = -EINVAL;
		else
			set64(&ob->o, hd->deadline, v);
		break;
	case IPCFS_IOC_NEXT:
		v = next_length(ob, hd);
		break;
	default:
		r = direct_ioctl(ob, hd, req, cmd, in_buf, in_size, &out, &n_out);
	}
	commit(&ob->o);
	settle(ob);
	if (r < 0)
		fuse_reply_err(req, -r);
	else if (n_out)
		fuse_reply_ioctl(req, 0, &out, n_out);
	else if (cmd == IPCFS_IOC_NEXT)
		fuse_reply_ioctl(req, 0, &v, sizeof(v));
	else
		fuse_reply_ioctl(req, 0, NULL, 0);
}

/* ---- poll ---- */

static unsigned int poll_now(struct object *ob, struct ipc_handle *hd)
{
	struct ipc_obj *o = &ob->o;
	unsigned int mode = hd->oflags & O_ACCMODE;
	unsigned int p = ipc_poll(o, ref_of(o, hd));

	if (mode != O_WRONLY && (answer_left(&hd->hand) || hd->rests))
		p |= POLLIN;
	/* A type that answers once is at its end then: never ask a reader of it to wait. */
	if (mode == O_RDONLY)
		p &= ~(unsigned int)POLLOUT;
	if (mode == O_WRONLY)
		p &= ~(unsigned int)POLLIN;
	return p | (p & POLLIN ? POLLRDNORM : 0) | (p & POLLOUT ? POLLWRNORM : 0);
}

void ops_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *ph)
{
	struct target t;
	struct object *ob;
	struct ipc_handle *hd;
	unsigned int ready;

	if (ph)
		fuse_pollhandle_destroy(ph);	/* its kh is all that we need: see raw_request */
	if (fi->fh & FH_PLAIN) {
		fuse_reply_poll(req, POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
		return;
	}
	if (enter(ino, fi->fh, &t, &ob, &hd) < 0) {
		fuse_reply_poll(req, POLLERR);
		return;
	}
	ready = poll_now(ob, hd);
	if (ph) {
		struct ipc_obj *o = &ob->o;
		ref_t link = ref_of(o, hd) + 1;

		set64(o, hd->poll_kh, raw.poll_kh);
		if (!hd->poll_events)
			list_push(o, &o->h->polls, link);
		set32(o, hd->poll_events, fi->poll_events | POLLHUP | POLLERR);
		commit(o);
	}
	object_unlock(ob);
	fuse_reply_poll(req, ready);
}
