/* SPDX-License-Identifier: MIT */
/*
 * The ioctls of libipcfs (core/client/lib.h): what the daemon does for programs that work on the engine
 * files themselves.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "ops/direct.h"
#include "object/fast.h"
#include "ops/io.h"
#include "client/lib.h"
#include "object/type.h"

static int attach(struct object *ob, struct ipc_handle *hd, fuse_req_t req,
		  struct lib_attach *a)
{
	struct ipc_obj *o = &ob->o;
	char name[24];
	struct stat st;

	if (a->magic != LIB_MAGIC)
		return -EPROTO;
	snprintf(name, sizeof(name), "%llu", (unsigned long long)ob->node->id);
	if (snprintf(a->path, sizeof(a->path), "%s/objects/%s", fs.opt.state, name) >=
	    (int)sizeof(a->path))
		a->path[0] = 0;
	a->dev = a->ino = a->pid_ns = 0;
	if (fstatat(fs.objects_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		a->dev = st.st_dev;
		a->ino = st.st_ino;
	}
	if (stat("/proc/self/ns/pid", &st) == 0)
		a->pid_ns = st.st_ino;
	a->handle = ref_of(o, hd);
	a->gen = hd->gen;
	a->type = o->type;
	a->pid = proc_pid((uint32_t)fuse_req_ctx(req)->pid);
	a->uid = fuse_req_ctx(req)->uid;
	a->id = ob->node->id;
	a->twoway = ob->node->type == IPC_TWOWAY;
	a->message_limit = mount_body()->message_limit;
	if (!a->direct)
		return 0;
	set32(o, hd->flags, hd->flags | HANDLE_DIRECT);
	set32(o, hd->tid, (uint32_t)fuse_req_ctx(req)->pid);
	set32(o, hd->pid, a->pid);
	ob->direct = true;
	fast_wanted(o);
	return o->damage ? -EIO : 0;
}

static int done(struct object *ob, struct ipc_handle *hd, int64_t n)
{
	int64_t result;
	bool partial;

	if (!ipc_is(&ob->o, TYPE_JOIN) || n < 0)
		return -EINVAL;
	if ((hd->oflags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	if (raw.resent && ipc_note_find(&ob->o, raw.unique, 0, &result, &partial))
		return -error_of(result);
	return ipc_done(&ob->o, raw.unique, (uint64_t)n);
}

static int add(struct object *ob, struct ipc_handle *hd, fuse_req_t req, struct lib_add *a)
{
	struct ipc_cmd cmd = { .verb = CMD_PLUS, .n = a->n };
	int mode = (int)hd->oflags & O_ACCMODE, r = 0;
	struct ipc_call c;
	bool partial;

	if (!ipc_is(&ob->o, TYPE_TEXT) || hd->kind != HANDLE_OBJECT)
		return -EINVAL;
	if (mode == O_RDONLY || (a->wanted && mode != O_RDWR))
		return -EBADF;
	fill_call(&c, req, &ob->o, hd, 0);
	c.op = OP_WRITE;
	c.whole = a->wanted;
	if (!raw.resent || !ipc_note_find(&ob->o, raw.unique, c.handle, &a->made, &partial)) {
		r = ipc_give(&ob->o, &c, &cmd);
		a->made = c.got.number;
	}
	/* What came of it is said now, and is no answer for a later read. */
	if (r == 0 && answer_left(&hd->hand))
		answer_drop(&ob->o, &hd->hand);
	if (r == 0)
		touch(ob->node, true);
	return r;
}

/* Who only reads may wait, which takes memory, but then waits through the file. */
static int grow(struct object *ob, struct ipc_handle *hd, int64_t order)
{
	if (!(hd->flags & HANDLE_DIRECT))
		return -EPERM;
	if ((hd->oflags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	ob->o.want_order = order >= 0 && order < IPC_ORDERS ? (uint32_t)order : 0;
	/* Until the longest message finds room, and no further: or asking alone would make it grow. */
	return heap_has_room(&ob->o, mount_body()->message_limit) ? 0 : heap_grow(&ob->o, false);
}

int direct_ioctl(struct object *ob, struct ipc_handle *hd, fuse_req_t req, unsigned int cmd,
		 const void *in, size_t in_size, void *out, size_t *ret_size)
{
	int64_t n = 0;
	int r;

	*ret_size = 0;
	if (in_size >= sizeof(n))
		memcpy(&n, in, sizeof(n));
	switch (cmd) {
	case LIB_IOC_ATTACH:
		if (in_size < sizeof(struct lib_attach))
			return -EINVAL;
		memcpy(out, in, sizeof(struct lib_attach));
		r = attach(ob, hd, req, out);
		if (r == 0)
			*ret_size = sizeof(struct lib_attach);
		return r;
	case LIB_IOC_KICK:
		ob->o.work = ob->o.freed = true;
		return 0;
	case LIB_IOC_GROW:
		return grow(ob, hd, n);
	case LIB_IOC_DONE:
		return done(ob, hd, n);
	case LIB_IOC_ADD:
		if (in_size < sizeof(struct lib_add))
			return -EINVAL;
		memcpy(out, in, sizeof(struct lib_add));
		r = add(ob, hd, req, out);
		if (r == 0)
			*ret_size = sizeof(struct lib_add);
		return r;
	default:
		return -ENOTTY;
	}
}
