/* SPDX-License-Identifier: MIT */
/*
 * The ioctls of libipcfs (core/client/lib.h): what the daemon does for programs that work on the engine
 * files themselves.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "ctl/refuse.h"
#include "base/proc.h"
#include "file/heap.h"
#include "file/statedir.h"
#include "object/answer.h"
#include "ops/direct.h"
#include "object/fast.h"
#include "client/lib.h"
#include "object/type.h"
#include "state/store.h"
#include "wait/call.h"

/* Where the engine file is. (A client in another pid namespace cannot use it.) */
static void say_where(const struct object *ob, struct lib_attach *a)
{
	struct state_name name = state_engine(ob->node->id);
	struct stat st;

	if (snprintf(a->path, sizeof(a->path), "%s/" STATE_OBJECTS "/%s", fs.opt.state, name.s) >=
	    (int)sizeof(a->path))
		a->path[0] = 0;
	a->dev = a->ino = a->pid_ns = 0;
	if (fstatat(fs.objects_fd, name.s, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		a->dev = st.st_dev;
		a->ino = st.st_ino;
	}
	if (stat("/proc/self/ns/pid", &st) == 0)
		a->pid_ns = st.st_ino;
}

static int attach(struct request *rq, struct lib_attach *a)
{
	struct object *ob = rq->ob;
	struct ipc_handle *hd = rq->hd;
	struct ipc_obj *o = &ob->o;
	int r = a->magic != LIB_MAGIC ? -EPROTO : a->direct ? store_share(ob->node) : 0;

	if (r < 0)
		return r;
	say_where(ob, a);
	a->handle = ref_of(o, hd);
	a->gen = hd->gen;
	a->type = o->type;
	a->pid = proc_pid(rq->by.tid);
	a->uid = rq->by.uid;
	a->id = ob->node->id;
	a->twoway = ob->node->type == IPC_TWOWAY;
	a->message_limit = mount_body()->message_limit;
	if (!a->direct)
		return 0;
	ob->direct = true;
	refuse_later();
	return ipc_attach(o, hd, rq->by.tid, a->pid);
}

static int messages_done(struct request *rq, int64_t n)
{
	int64_t result;

	if (!ipc_is(&rq->ob->o, TYPE_JOIN) || n < 0)
		return -EINVAL;
	if ((rq->hd->oflags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	if (again_completed(rq, 0, &result))
		return -error_of(result);
	return ipc_done(&rq->ob->o, rq->by.unique, (uint64_t)n);
}

static int add(struct request *rq, struct lib_add *a)
{
	struct ipc_cmd cmd = { .verb = CMD_PLUS, .n = a->n };
	struct object *ob = rq->ob;
	struct ipc_handle *hd = rq->hd;
	int mode = (int)hd->oflags & O_ACCMODE, r = 0;
	struct ipc_call *c = &rq->call;

	if (!ipc_is(&ob->o, TYPE_TEXT) || hd->kind != HANDLE_OBJECT)
		return -EINVAL;
	if (mode == O_RDONLY || (a->wants_value && mode != O_RDWR))
		return -EBADF;
	fill_call(c, rq, 0);
	c->op = OP_WRITE;
	c->whole = a->wants_value;
	c->at_once = true; /* its result is returned now, not by a later read */
	if (again_completed(rq, c->handle, &a->made)) {
		answer_drop(&ob->o,
			    &hd->hand); /* (the worker may have died before ipc_give() did) */
	} else {
		r = ipc_give(&ob->o, c, &cmd);
		a->made = c->got.number;
	}
	if (r == 0)
		touch(rq, ob->node, true);
	return r;
}

/* Readers need memory only to wait, and then they wait through the file. */
static int grow(struct object *ob, struct ipc_handle *hd, int64_t order)
{
	if (!(hd->flags & HANDLE_DIRECT))
		return -EPERM;
	if ((hd->oflags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	ob->o.grow_order = order >= 0 && order < IPC_ORDERS ? (uint32_t)order : 0;
	/* Only until the longest message fits, or a client could make it grow just by asking. */
	return heap_has_room(&ob->o, mount_body()->message_limit) ? 0 : heap_grow(&ob->o, false);
}

/* Calls with a struct, which is the answer, too. */
static int call_struct(struct request *rq, void *out, size_t size, size_t *ret_size)
{
	int r;

	if (rq->size < size)
		return -EINVAL;
	memcpy(out, rq->data, size);
	r = rq->cmd == LIB_IOC_ATTACH ? attach(rq, out) : add(rq, out);
	*ret_size = r == 0 ? size : 0;
	return r;
}

int direct_ioctl(struct request *rq, void *out, size_t *ret_size)
{
	int64_t n = 0;

	*ret_size = 0;
	if (rq->size >= sizeof(n))
		memcpy(&n, rq->data, sizeof(n));
	switch (rq->cmd) {
	case LIB_IOC_ATTACH:
		return call_struct(rq, out, sizeof(struct lib_attach), ret_size);
	case LIB_IOC_ADD:
		return call_struct(rq, out, sizeof(struct lib_add), ret_size);
	case LIB_IOC_TAKE:
		answer_drop(&rq->ob->o, &rq->hd->hand);
		return 0;
	case LIB_IOC_GROW:
		return grow(rq->ob, rq->hd, n);
	case LIB_IOC_DONE:
		return messages_done(rq, n);
	default:
		return -ENOTTY;
	}
}
