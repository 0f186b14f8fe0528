/* SPDX-License-Identifier: MIT */
/* Opening and closing. */
#include <linux/fuse.h>

#include "state/alias.h"
#include "ctl/ctl.h"
#include "wait/damaged.h"
#include "wait/held.h"
#include "ops/io.h"
#include "wait/monitor.h"
#include "object/type.h"

/*
 * The kernel's __FMODE_EXEC. An object is no program: looking whether it begins with "#!" would take
 * a message.
 */
#define OPENED_TO_EXECUTE 0x20

#ifndef FOPEN_NOFLUSH
#define FOPEN_NOFLUSH	(1 << 5)
#endif

static int reply_open(fuse_req_t req, uint64_t fh, uint32_t flags)
{
	/* fuse_reply_open() of libfuse 3.14 cannot say FOPEN_STREAM. */
	struct fuse_open_out out = { .fh = fh, .open_flags = flags };

	return fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

/* Arrays and values are the same to whoever looks and to whoever reads. */
static bool only_looks(const struct object *ob, uint32_t kind, int flags)
{
	return ob->o.h->take == TAKE_RW && kind == HANDLE_OBJECT &&
	       !ipc_is(&ob->o, TYPE_MEMORY | TYPE_TEXT) && (flags & (O_ACCMODE | O_ASYNC)) == O_RDONLY;
}

/* A value is a plain file; what is opened read-only is a file of answers, but for make's tokens. */
static bool has_position(const struct ipc_obj *o, uint32_t kind, int flags)
{
	if (kind == HANDLE_OBJECT && ipc_is(o, TYPE_TEXT))
		return true;
	return (flags & O_ACCMODE) == O_RDONLY && !(kind == HANDLE_OBJECT && ipc_is_jobserver(o));
}

static uint32_t handle_flags(const struct target *t, const struct ipc_obj *o, uint32_t kind, int flags)
{
	int mode = flags & O_ACCMODE;
	uint32_t f = 0;

	if (flags & O_ASYNC && kind == HANDLE_OBJECT && !ipc_is(o, TYPE_MEMORY))
		f |= HANDLE_LIB | (ipc_is(o, TYPE_MESSAGES) ? HANDLE_RECORD : 0);
	if (!(f & HANDLE_LIB) && has_position(o, kind, flags))
		f |= HANDLE_POSITION;
	if (mode != O_RDONLY && ipc_is_stream(o->ops) && kind == HANDLE_OBJECT)
		f |= HANDLE_WRITER;
	if (flags & O_DIRECT)
		f |= HANDLE_RECORD;
	if (t->sub == SUB_END_A)
		f |= HANDLE_END_A;
	if (t->sub == SUB_END_B)
		f |= HANDLE_END_B;
	return f;
}

static uint32_t open_flags(const struct ipc_obj *o, const struct ipc_opening *how)
{
	uint32_t f = FOPEN_DIRECT_IO;

	if (ipc_is(o, TYPE_MEMORY) && how->kind == HANDLE_OBJECT)
		return f | FOPEN_NOFLUSH;
	if (!(how->flags & (HANDLE_POSITION | HANDLE_LIB)))
		f |= FOPEN_STREAM;
	/* Only an unfinished line has to be dealt with before close() returns. */
	if (!ipc_is(o, TYPE_LINES) || !(how->flags & HANDLE_WRITER) || how->flags & HANDLE_RECORD)
		f |= FOPEN_NOFLUSH;
	return f;
}

static ref_t opened_by(struct object *ob, uint64_t unique)
{
	LIST_EACH(&ob->o, &ob->o.h->handles, r)
		if (AT(&ob->o, ipc_handle, r)->open_unique == unique)
			return r;
	return 0;
}

static ref_t opened_before(struct object *ob, uint64_t unique)
{
	return raw.resent ? opened_by(ob, unique) : 0;
}

int open_object(fuse_req_t req, const struct target *t, int flags, uint64_t *ret_fh,
		uint32_t *ret_flags)
{
	const struct ctl_file *c = ctl_of(t);
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
	how.flags = handle_flags(t, &ob->o, how.kind, flags);
	if (ob->o.ops->unhold)		/* whose are its holds? */
		how.pid = proc_pid(how.tid);
	r = object_enter(ob);
	if (r < 0)
		return r;
	if (only_looks(ob, how.kind, flags))
		how.flags |= HANDLE_LOOK;
	handle = opened_before(ob, how.unique);
	if (!handle) {
		how.gen = names_next_gen(&fs.mount) & FH_GEN;
		r = ipc_open(&ob->o, &how, &handle);
		if (r < 0) {
			settle(ob);
			return r;
		}
		if (writes_may_wait(t, flags))
			writer_add(t->nodeid);
	}
	/* (Whatever generation the file says: bit 63 is that of plain files.) */
	*ret_fh = (uint64_t)(handle_at(&ob->o, handle)->gen & FH_GEN) << 32 | handle;
	*ret_flags = open_flags(&ob->o, &how);
	settle(ob);
	return 0;
}

/* A resent OPEN that had been granted. */
static bool opened_already(const struct target *t)
{
	int r;
	struct object *ob = raw.resent && t->node->type != IPC_DIR ? object_of(t->node, &r) : NULL;
	bool yes;

	if (!ob || object_lock(ob) < 0)	/* (then open_object() meets the same) */
		return ob != NULL;
	yes = opened_before(ob, raw.unique) != 0;
	object_unlock(ob);
	return yes;
}

static bool is_plain(const struct target *t, int flags)
{
	const struct ctl_file *c = ctl_of(t);

	if (c)
		return c->kind == HANDLE_OBJECT;
	return flags & O_NOFOLLOW && (flags & O_ACCMODE) == O_RDONLY;
}

static int open_target(fuse_req_t req, const struct target *t, struct fuse_file_info *fi,
		       uint32_t *ret_flags)
{
	if (!is_plain(t, fi->flags))
		return open_object(req, t, fi->flags, &fi->fh, ret_flags);
	fi->fh = plain_next();
	*ret_flags = FOPEN_DIRECT_IO | FOPEN_NOFLUSH;
	return (fi->flags & O_ACCMODE) == O_WRONLY ? 0 : plain_open(t, fi->fh);
}

/* Before a write can wait on the object's own inode: no name may lead there any more. */
static int leave_names(const struct target *t)
{
	struct object *ob;
	int r = 0;

	if (base_is_open(t->base) || name_expire(t))
		return 0;
	ob = object_of(t->node, &r);
	if (ob)
		held_later(ob);
	return ob ? -EBUSY : r;
}

static bool is_dir(const struct target *t)
{
	return ctl_is_dir(t) || (t->sub == SUB_SELF && node_is_dir(t->node));
}

void ops_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	pid_t tid = fuse_req_ctx(req)->pid;
	struct target t;
	uint32_t flags;
	bool write;
	int r = target_of(ino, &t);

	if (r == 0 && is_dir(&t))
		r = -EISDIR;
	if (r == 0 && fi->flags & OPENED_TO_EXECUTE)
		r = -EACCES;
	write = r == 0 && writes_may_wait(&t, fi->flags);
	if (r == 0 && !opened_already(&t))
		r = alias_enter(&t, tid, write);
	if (r == 0 && write && !t.alias)
		r = leave_names(&t);
	if (r == 0) {
		alias_recall(&t);
		r = open_target(req, &t, fi, &flags);
	}
	name_expired(t.base);
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	alias_opened(&t, fi->fh, tid, write);
	if (reply_open(req, fi->fh, flags) == -ENOENT)
		close_handle(ino, fi->fh);	/* nobody waits for it any more */
}

/* The object, locked, with nobody who waits by this handle. */
static int enter_to_close(uint64_t ino, uint64_t fh, struct target *t, struct object **ret_ob,
			  struct ipc_handle **ret_hd)
{
	int r = enter(ino, fh, t, ret_ob, ret_hd);

	if (r < 0 || !(*ret_hd)->waiters || !(*ret_ob)->parked)
		return r;
	object_unlock(*ret_ob);
	park_end_handle(*ret_ob, (ref_t)fh);
	return object_enter(*ret_ob);
}

/* What it holds in this object, and in the one that its ctl/lock names. Unlocks the object. */
static void give_back(struct object *ob, struct ipc_handle *hd,
		      void (*how)(struct ipc_obj *o, ref_t handle))
{
	uint64_t companion = hd->companion, lock_id = ipc_lock_id(&ob->o);
	uint64_t back = monitor_back(ob, hd), id = ob->node->id;

	how(&ob->o, ref_of(&ob->o, hd));
	settle(ob);
	monitor_closed(lock_id, companion, id, back);
}

static void close_it(const struct target *t, struct object *ob, struct ipc_handle *hd)
{
	if (hd->poll_kh)
		pollers_remove(ob, hd->poll_kh);
	if (writes_may_wait(t, (int)hd->oflags))
		writer_leave(t->nodeid);
	if (hd->line)
		ipc_flush(&ob->o, ref_of(&ob->o, hd), 0, false, true);
	give_back(ob, hd, ipc_close);
}

/* Of a damaged object nothing is to be closed; but without a name it may go. */
static void used_no_more(uint64_t ino)
{
	struct target t;

	if (target_of(ino, &t) == 0 && t.node->ob && t.node->ob->o.damage)
		object_used(t.node->ob);
}

void close_handle(uint64_t ino, uint64_t fh)
{
	struct target t;
	struct object *ob;
	struct ipc_handle *hd;

	alias_closed(ino, fh);
	if (fh & FH_PLAIN) {
		plain_close(fh);
		return;
	}
	if (enter_to_close(ino, fh, &t, &ob, &hd) < 0) {
		used_no_more(ino);
		return;
	}
	if (hd->flags & HANDLE_LOOK)
		plain_close(fh);
	close_it(&t, ob, hd);
}

int close_early(uint64_t ino, uint64_t fh, bool whole)
{
	struct target t;
	struct object *ob;
	struct ipc_handle *hd;
	int r = enter_to_close(ino, fh, &t, &ob, &hd);

	if (r < 0)
		return r == -EBADF ? 0 : r;	/* it is closed: this one came twice */
	if (whole && hd->flags & HANDLE_LIB)
		close_it(&t, ob, hd);
	else
		give_back(ob, hd, ipc_give_back);
	return 0;
}

static bool is_dying(uint32_t tid)
{
	char state = proc_state(tid);

	return !state || state == 'Z' || state == 'X' || proc_killed(tid);
}

void close_unfetched(uint64_t unique)
{
	struct node *n, *tmp;

	HASH_ITER(by_id, fs.by_id, n, tmp) {
		struct ipc_handle *hd;
		uint64_t fh, nodeid;
		ref_t r;

		if (!n->ob || !n->ob->o.h || object_lock(n->ob) < 0)
			continue;
		r = opened_by(n->ob, unique);
		hd = r ? handle_at(&n->ob->o, r) : NULL;
		if (!hd || !is_dying(hd->tid)) {	/* who lives was answered */
			object_unlock(n->ob);
			continue;
		}
		fh = (uint64_t)hd->gen << 32 | r;
		nodeid = hd->nodeid;
		object_unlock(n->ob);
		close_handle(nodeid, fh);
		return;
	}
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

/* There is no line to be completed: then a close() does not even wait for the lock (held.c). */
static bool nothing_to_flush(uint64_t ino, uint64_t fh)
{
	struct target t;
	struct object *ob = !raw.resent && target_of(ino, &t) == 0 ? t.node->ob : NULL;
	struct ipc_handle *hd;

	if (!ob || ob->o.damage)
		return false;
	hd = ipc_handle(&ob->o, (ref_t)fh, (uint32_t)(fh >> 32));
	return hd && !hd->line;
}

void ops_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct target t;
	struct object *ob;
	struct ipc_handle *hd;
	uint32_t tid = (uint32_t)fuse_req_ctx(req)->pid, pid;
	int64_t refused;
	bool partial, killed;
	int r = 0;

	if (!(fi->fh & FH_PLAIN) && !nothing_to_flush(ino, fi->fh))
		r = enter(ino, fi->fh, &t, &ob, &hd);
	else
		r = -EBADF;
	if (r == -EBUSY)		/* put aside */
		held_closer(tid, &pid, &killed);
	if (r < 0) {
		fuse_reply_err(req, 0);
		return;
	}
	if (hd->line) {
		held_closer(tid, &pid, &killed);
		r = flush_line(ob, hd, pid, killed);
	} else if (raw.resent && ipc_note_find(&ob->o, raw.unique, (ref_t)fi->fh, &refused, &partial)) {
		r = -error_of(refused);
	}
	settle(ob);
	fuse_reply_err(req, -r);
}
