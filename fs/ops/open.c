/* SPDX-License-Identifier: MIT */
/* Opening. */
#include <fcntl.h>

#include "wait/ask.h"
#include "base/proc.h"
#include "state/alias.h"
#include "state/blank.h"
#include "ctl/ctl.h"
#include "wait/door.h"
#include "ops/io.h"
#include "object/type.h"
#include "ctl/plain.h"
#include "wait/call.h"
#include "wait/unfinished.h"

/*
 * The kernel's __FMODE_EXEC. An object is no program: looking whether it begins with "#!" would take
 * a message.
 */
#define OPENED_TO_EXECUTE 0x20

/* For arrays and values, looking and reading are the same. */
static bool only_looks(const struct object *ob, uint32_t kind, int flags)
{
	return ob->o.h->take == TAKE_RW && kind == HANDLE_OBJECT &&
	       !ipc_is(&ob->o, TYPE_MEMORY | TYPE_TEXT) &&
	       (flags & (O_ACCMODE | O_ASYNC)) == O_RDONLY;
}

/* A value is a plain file; what is opened read-only is a file of answers, but for make's tokens. */
static bool has_position(const struct ipc_obj *o, uint32_t kind, int flags)
{
	if (kind == HANDLE_OBJECT && ipc_is(o, TYPE_TEXT))
		return true;
	return (flags & O_ACCMODE) == O_RDONLY && !(kind == HANDLE_OBJECT && ipc_is_jobserver(o));
}

static uint32_t handle_flags(const struct target *t, const struct ipc_obj *o, uint32_t kind,
			     int flags)
{
	int mode = flags & O_ACCMODE;
	uint32_t f = 0;

	if (flags & O_ASYNC && kind == HANDLE_OBJECT && !ipc_is(o, TYPE_MEMORY))
		f |= HANDLE_LIB | (ipc_is(o, TYPE_MESSAGES) ? HANDLE_RECORD : 0);
	if (!(f & HANDLE_LIB) && has_position(o, kind, flags))
		f |= HANDLE_POSITION;
	if (mode != O_RDONLY && ipc_is_stream(o->ops) && ipc_kind_puts(kind))
		f |= HANDLE_WRITER;
	if (flags & O_DIRECT)
		f |= HANDLE_RECORD;
	if (t->sub == SUB_END_A)
		f |= HANDLE_END_A;
	if (t->sub == SUB_END_B)
		f |= HANDLE_END_B;
	return f;
}

/* Who closes matters only for an unfinished line: is one to be expected (close.c)? */
static bool may_leave_a_line(const struct object *ob, uint32_t flags)
{
	struct ipc_handle hd = { .flags = flags };

	if (!ipc_is(&ob->o, TYPE_LINES) || !(flags & HANDLE_WRITER) || flags & HANDLE_RECORD)
		return false;
	return !fs.told_ends || (ob->tidy < TIDY_MOST && ipc_framing(&ob->o, &hd) == FRAMING_LINE);
}

static uint32_t open_flags(const struct ipc_obj *o, const struct ipc_handle *hd)
{
	uint32_t f = OPEN_UNCACHED;

	if (!(hd->flags & HANDLE_FLUSHED))
		f |= OPEN_NO_FLUSH;
	if (ipc_is(o, TYPE_MEMORY) && hd->kind == HANDLE_OBJECT)
		return f;
	return hd->flags & (HANDLE_POSITION | HANDLE_LIB) ? f : f | OPEN_STREAM;
}

static struct ipc_opening opening_of(const struct request *rq, const struct target *t,
				     const struct ipc_obj *o)
{
	const struct ctl_file *c = ctl_of(t);
	struct ipc_opening how = {
		.kind = c ? c->kind : HANDLE_OBJECT,
		.oflags = (uint32_t)rq->flags,
		.tid = rq->by.tid,
		.uid = rq->by.uid,
		.nodeid = t->nodeid,
		.unique = rq->by.unique,
		.timeout = t->timeout,
	};

	how.flags = handle_flags(t, o, how.kind, rq->flags);
	if (o->ops->unhold || how.kind == HANDLE_LEASE) /* the process that its holds belong to */
		how.pid = proc_pid(how.tid);
	return how;
}

/* Unless it made one before a restart. */
static int make_handle(struct request *rq)
{
	struct ipc_opening *how = &rq->opening;
	struct object *ob = rq->ob;
	ref_t handle = again_opened(rq, ob);
	int r = 0;

	if (!handle) {
		if (only_looks(ob, how->kind, (int)how->oflags))
			how->flags |= HANDLE_LOOK;
		if (may_leave_a_line(ob, how->flags))
			how->flags |= HANDLE_FLUSHED;
		how->gen = names_next_gen(&fs.mount);
		r = ipc_open(&ob->o, how, &handle);
		if (r == 0 && writes_may_wait(&rq->t, (int)how->oflags))
			writer_add(rq->t.nodeid);
	}
	if (r < 0)
		return r;
	rq->reply.fh = fh_of(handle_at(&ob->o, handle)->gen, handle);
	rq->reply.open_flags = open_flags(&ob->o, handle_at(&ob->o, handle));
	return 0;
}

int open_object(struct request *rq)
{
	int r;
	struct object *ob = object_of(rq->t.node, &r);

	if (!ob)
		return r;
	rq->opening = opening_of(rq, &rq->t, &ob->o);
	return object_change(ob, rq, make_handle);
}

/* A resent OPEN that had been granted. */
static bool opened_already(const struct request *rq)
{
	struct node *n = rq->t.node;
	int r;
	struct object *ob =
		rq->by.resent && n->type != IPC_DIR && !node_is_blank(n) ? object_of(n, &r) : NULL;
	bool yes;

	if (!ob || object_look(ob, NULL) < 0) /* (then open_object() meets the same) */
		return ob != NULL;
	yes = again_opened(rq, ob) != 0;
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

static int open_target(struct request *rq)
{
	struct reply *rp = &rq->reply;

	if (!is_plain(&rq->t, rq->flags))
		return open_object(rq);
	rp->fh = plain_next();
	rp->open_flags = OPEN_UNCACHED | OPEN_NO_FLUSH;
	return (rq->flags & O_ACCMODE) == O_WRONLY ? 0 : plain_open(rq, rp->fh);
}

/* Before a write can wait on the object's own inode, no name may lead there any more. */
static int leave_names(struct request *rq)
{
	const struct target *t = &rq->t;
	struct object *ob;
	int r = 0;

	if (base_is_open(t->base) || name_expire(t))
		return 0;
	ob = object_of(t->node, &r);
	if (ob)
		object_wait(ob, rq);
	return ob ? -EBUSY : r;
}

static bool is_dir(const struct target *t)
{
	return ctl_is_dir(t) || (t->sub == SUB_SELF && node_is_dir(t->node));
}

/* (Its mode says so, but not to root.) */
static bool only_to_write(const struct target *t)
{
	const struct ctl_file *c = ctl_of(t);

	return c && c->access == CTL_PUTS;
}

/* May it be opened in this way by this inode? */
static int enter_inode(struct request *rq, bool *ret_write)
{
	struct target *t = &rq->t;
	int r = target_of(rq->ino, t);

	if (r < 0)
		return r;
	if (is_dir(t))
		return -EISDIR;
	if (rq->flags & OPENED_TO_EXECUTE ||
	    (only_to_write(t) && (rq->flags & O_ACCMODE) != O_WRONLY))
		return -EACCES;
	*ret_write = writes_may_wait(t, rq->flags);
	if (!opened_already(rq))
		r = alias_enter(&rq->by, t, *ret_write);
	if (r == 0 && *ret_write && !t->alias)
		r = leave_names(rq);
	return r;
}

enum outcome file_open(struct request *rq)
{
	bool write = false;
	int r = enter_inode(rq, &write);

	if (r == 0) {
		alias_recall(&rq->t);
		r = open_target(rq);
	}
	name_expired(rq->t.base);
	if (r < 0)
		return done(rq, r);
	alias_opened(&rq->by, &rq->t, rq->reply.fh, write);
	rq->reply.kind = REPLY_OPEN;
	return DONE;
}
