/* SPDX-License-Identifier: MIT */
/*
 * Requests on names: look-up, attributes, making, removing, renaming, listing.
 *
 * The kernel checks permissions (default_permissions) and serialises changes of one directory. A
 * change of the namespace is noted in the mount file with its request, so that one which is sent
 * again after a restart gets the answer that it had (namespace_done).
 */
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "array.h"
#include "ctl.h"
#include "io.h"
#include "text.h"
#include "type.h"

#define CTL_SUFFIX ".ctl"

static bool ends_in(const char *s, size_t len, const char *suffix)
{
	size_t n = strlen(suffix);

	return len >= n && !memcmp(s + len - n, suffix, n);
}

/* ---- look-up ---- */

/* An object, or the end of a two-way pipe, of this name: its nodeid. */
static int find_object(const struct target *dir, const char *name, size_t len, uint64_t *ret)
{
	struct node *n;

	if (dir->node->type == IPC_TWOWAY) {
		bool b = len == 1 && *name == 'b';

		if (len != 1 || (*name != 'a' && !b) ||
		    node_block(dir->node)->mode & (b ? MODE_NO_B : MODE_NO_A))
			return -ENOENT;
		*ret = NODEID(dir->node->id, b ? SUB_END_B : SUB_END_A);
		return 0;
	}
	n = tree_find(dir->node, name, len);
	if (!n)
		return -ENOENT;
	*ret = NODEID(n->id, SUB_SELF);
	return 0;
}

/* What a name means in a directory. *ret_base: without time limit. */
static int resolve(const struct target *dir, const char *name, uint64_t *ret_base, int64_t *ret_timeout)
{
	size_t len = strlen(name);
	const char *at_sign;
	uint64_t base;
	unsigned int sub;
	int r;

	*ret_timeout = -1;
	if (!dir->node || (dir->sub != SUB_SELF && !ctl_is_dir(dir->sub)))
		return -ENOENT;
	if (dir->sub == SUB_SELF) {
		r = find_object(dir, name, len, ret_base);
		if (r == 0)
			return 0;
		if (dir->node == fs.root && !strcmp(name, CTL_SUFFIX)) {
			*ret_base = NODEID(IPC_ROOT_ID, SUB_CTL);
			return 0;
		}
		if (ends_in(name, len, CTL_SUFFIX) && dir->node->type == IPC_DIR) {
			struct node *n = tree_find(dir->node, name, len - strlen(CTL_SUFFIX));

			if (!n || n->type == IPC_DIR)
				return -ENOENT;
			*ret_base = NODEID(n->id, SUB_CTL);
			return 0;
		}
	} else if ((sub = ctl_lookup(dir, name, len))) {
		*ret_base = NODEID(dir->node->id, sub);
		return 0;
	}
	at_sign = memrchr(name, '@', len);
	if (!at_sign)
		return -ENOENT;
	if (dir->sub == SUB_SELF) {
		r = find_object(dir, name, (size_t)(at_sign - name), &base);
		if (r < 0)
			return r;
		if (base >> 40 == 0) {
			uint32_t type = tree_by_id(base)->type;

			if (type == IPC_DIR || type == IPC_TWOWAY)
				return -ENOENT;
		}
	} else {
		sub = ctl_lookup(dir, name, (size_t)(at_sign - name));
		if (!sub || ctl_of(sub)->kind == HANDLE_OBJECT || ctl_is_dir(sub))
			return -ENOENT;
		base = NODEID(dir->node->id, sub);
	}
	if (text_seconds(at_sign + 1, len - (size_t)(at_sign + 1 - name), ret_timeout) < 0)
		return -EINVAL;
	*ret_base = base;
	return 0;
}

static void fill_entry(struct fuse_entry_param *e, uint64_t nodeid, const struct target *t)
{
	*e = (struct fuse_entry_param){ .ino = nodeid };
	target_attr(t, &e->attr);
	/* NAME@2 and NAME.ctl follow NAME: they are looked up each time. */
	if (t->timeout < 0 && t->sub != SUB_CTL)
		e->entry_timeout = ENTRY_TIMEOUT;
}

static int entry_of(uint64_t base, int64_t timeout, pid_t tid, struct fuse_entry_param *e)
{
	struct target t;
	uint64_t nodeid;
	int r = nodeid_for(base, timeout, tid, &nodeid);

	if (r == 0)
		r = target_of(nodeid, &t);
	if (r == 0)
		fill_entry(e, nodeid, &t);
	return r;
}

static void ops_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e;
	struct target dir;
	uint64_t base;
	int64_t timeout;
	int r = target_of(parent, &dir);

	if (r == 0)
		r = resolve(&dir, name, &base, &timeout);
	if (r == 0)
		r = entry_of(base, timeout, fuse_req_ctx(req)->pid, &e);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_entry(req, &e);
}

static void ops_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	nodeid_forget(ino, n);
	fuse_reply_none(req);
}

static void ops_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		nodeid_forget(forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

/* ---- attributes ---- */

static void reply_attr(fuse_req_t req, const struct target *t)
{
	struct stat st;

	target_attr(t, &st);
	/* Those of a directory change by requests of the kernel alone. */
	fuse_reply_attr(req, &st, S_ISDIR(st.st_mode) && t->sub == SUB_SELF ? ENTRY_TIMEOUT : 0);
}

static void ops_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct target t;
	int r = target_of(ino, &t);

	if (r < 0)
		fuse_reply_err(req, -r);
	else
		reply_attr(req, &t);
}

#define TIME_MOST 9000000000

static int64_t time_of(const struct timespec *ts, bool now)
{
	struct timespec t = *ts;

	if (now)
		clock_gettime(CLOCK_REALTIME, &t);
	if (t.tv_sec > TIME_MOST)	/* utimensat(2) takes any; nanoseconds last for 292 years */
		t.tv_sec = TIME_MOST;
	if (t.tv_sec < -TIME_MOST)
		t.tv_sec = -TIME_MOST;
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void set_mode(struct target *t, const struct stat *attr, int to_set)
{
	struct ipc_node *b = node_block(t->node);
	uint32_t mode = b->mode, uid = b->uid, gid = b->gid;

	if (to_set & FUSE_SET_ATTR_MODE) {
		mode = (mode & ~07777u) | (attr->st_mode & 07777);
		/* An end's bits are its directory's; being searchable goes with being readable. */
		if (t->sub == SUB_END_A || t->sub == SUB_END_B)
			mode = (mode & ~0777u) | (attr->st_mode & 0666) |
			       (attr->st_mode & 0444) >> 2;
	}
	if (to_set & FUSE_SET_ATTR_UID)
		uid = attr->st_uid;
	if (to_set & FUSE_SET_ATTR_GID)
		gid = attr->st_gid;
	names_chmod(&fs.mount, t->node->ref, mode, uid, gid);
	store_chmod(t->node);
}

static int truncate_array(struct node *n, off_t size)
{
	int r;
	struct object *ob = object_of(n, &r);

	r = ob ? object_lock(ob) : r;
	if (r < 0)
		return r;
	r = array_resize(ob, (uint64_t)size);
	settle(ob);
	return r;
}

static void ops_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
			struct fuse_file_info *fi)
{
	struct target t;
	int r = target_of(ino, &t);

	if (r == 0 && t.sub >= SUB_CTL)
		r = to_set & FUSE_SET_ATTR_SIZE && !(to_set & (FUSE_SET_ATTR_MODE |
			FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) ? -EINVAL : -EPERM;
	else if (r == 0 && to_set & FUSE_SET_ATTR_SIZE)
		r = t.node->type == IPC_ARRAY ? truncate_array(t.node, attr->st_size) : -EINVAL;
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	if (to_set & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
		set_mode(&t, attr, to_set);
	if (to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW))
		node_block(t.node)->atime = time_of(&attr->st_atim, to_set & FUSE_SET_ATTR_ATIME_NOW);
	if (to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW))
		node_block(t.node)->mtime = time_of(&attr->st_mtim, to_set & FUSE_SET_ATTR_MTIME_NOW);
	reply_attr(req, &t);
}

static void ops_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct target t;
	char buf[4200];
	int r = target_of(ino, &t);

	if (r == 0)
		r = ctl_readlink(&t, buf, sizeof(buf));
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_readlink(req, buf);
}

static void ops_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct ipc_mount *b = mount_body();
	struct statvfs s = {
		.f_bsize = 4096, .f_frsize = 4096, .f_namemax = IPC_NAME_MAX,
		.f_blocks = b->memory_limit / 4096, .f_files = b->object_limit,
	};

	s.f_bfree = b->memory < b->memory_limit ? (b->memory_limit - b->memory) / 4096 : 0;
	s.f_bavail = s.f_bfree;
	s.f_ffree = b->objects < b->object_limit ? b->object_limit - b->objects : 0;
	s.f_favail = s.f_ffree;
	fuse_reply_statfs(req, &s);
}

/* ---- changes ---- */

/* The answer to a change that was made before the last worker died: 0, and the node. */
static bool namespace_done(struct node **ret)
{
	uint64_t id;

	if (!raw.resent || !names_done(&fs.mount, raw.unique, &id))
		return false;
	*ret = tree_by_id(id);
	return true;
}

static void touch_dir(struct node *dir)
{
	struct timespec zero = { 0 };
	struct ipc_node *b = node_block(dir);

	b->mtime = b->ctime = time_of(&zero, true);
}

/* May a change be made to names in this directory at all? */
static int writable_dir(uint64_t ino, struct target *dir)
{
	int r = target_of(ino, dir);

	if (r < 0)
		return r;
	if (dir->sub != SUB_SELF)
		return -EPERM;
	return dir->node->type == IPC_DIR ? 0 : -EPERM;
}

/* The type that a new name may have; IPC_DIR for a plain directory. -EINVAL. */
static int type_of_name(const char *name, bool directory)
{
	size_t len = strlen(name);
	uint32_t type = ipc_type_by_name(name, len);

	if (strchr(name, '@') || ends_in(name, len, CTL_SUFFIX))
		return -EINVAL;
	if (!directory)
		return type == IPC_NONE ? -EINVAL : (int)type;
	if (type == IPC_PIPE)
		return IPC_TWOWAY;
	return type == IPC_NONE ? IPC_DIR : -EINVAL;
}

static int make(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, bool directory,
		struct node **ret)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct ipc_new_node new = {
		.mode = mode & 07777, .uid = ctx->uid, .gid = ctx->gid, .name = name,
		.name_len = strlen(name), .unique = raw.unique,
	};
	struct target dir;
	ref_t ref;
	int r;

	if (namespace_done(ret))
		return 0;
	r = writable_dir(parent, &dir);
	if (r < 0)
		return r;
	if (new.name_len > IPC_NAME_MAX)
		return -ENAMETOOLONG;
	if (tree_find(dir.node, name, new.name_len))
		return -EEXIST;
	r = type_of_name(name, directory);
	if (r < 0)
		return r;
	new.type = (uint32_t)r;
	new.parent = dir.node->id;
	if (node_block(dir.node)->mode & S_ISGID) {
		new.gid = node_block(dir.node)->gid;
		new.mode |= directory ? S_ISGID : 0;
	}
	if (new.type != IPC_DIR) {
		if (mount_body()->objects >= mount_body()->object_limit)
			return -ENOSPC;
		r = object_create(names_next_id(&fs.mount),
				  new.type == IPC_TWOWAY ? IPC_PIPE : new.type);
		if (r < 0)
			return r == -ENOSPC || r == -EDQUOT ? -ENOSPC : r;
	}
	r = names_add(&fs.mount, &new, &ref);
	if (r < 0)
		return r;
	*ret = tree_insert(ref);
	if (!*ret)
		return -ENOMEM;
	store_chmod(*ret);
	if (new.type == IPC_QUEUE && mount_body()->framing == FRAMING_RECORD) {
		struct object *ob = object_of(*ret, &r);

		if (ob && object_lock(ob) == 0) {
			ipc_setting32(&ob->o, &ob->o.h->b.queue.framing, FRAMING_RECORD);
			object_unlock(ob);
		}
	}
	touch_dir(dir.node);
	return 0;
}

static void make_and_reply(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
			   bool directory)
{
	struct fuse_entry_param e;
	struct node *n;
	int r = make(req, parent, name, mode, directory, &n);

	if (r == 0)
		r = n ? entry_of(NODEID(n->id, SUB_SELF), -1, fuse_req_ctx(req)->pid, &e) : -ENOENT;
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_entry(req, &e);
}

static void ops_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	if ((mode & S_IFMT) && !S_ISREG(mode))
		fuse_reply_err(req, EPERM);
	else
		make_and_reply(req, parent, name, mode, false);
}

static void ops_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	make_and_reply(req, parent, name, mode, true);
}

static void fill_attr(struct fuse_attr *a, const struct stat *st)
{
	*a = (struct fuse_attr){
		.ino = st->st_ino, .size = (uint64_t)st->st_size, .blocks = (uint64_t)st->st_blocks,
		.atime = (uint64_t)st->st_atim.tv_sec, .atimensec = (uint32_t)st->st_atim.tv_nsec,
		.mtime = (uint64_t)st->st_mtim.tv_sec, .mtimensec = (uint32_t)st->st_mtim.tv_nsec,
		.ctime = (uint64_t)st->st_ctim.tv_sec, .ctimensec = (uint32_t)st->st_ctim.tv_nsec,
		.mode = st->st_mode, .nlink = (uint32_t)st->st_nlink, .uid = st->st_uid,
		.gid = st->st_gid, .blksize = (uint32_t)st->st_blksize,
	};
}

static void ops_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		       struct fuse_file_info *fi)
{
	/* fuse_reply_create() of libfuse 3.14 cannot say FOPEN_STREAM. */
	struct { struct fuse_entry_out entry; struct fuse_open_out open; } out = { 0 };
	struct fuse_entry_param e;
	struct target t, dir;
	struct node *n = NULL;
	uint64_t base;
	int64_t timeout;
	int r = make(req, parent, name, mode, false, &n);

	if (r == -EEXIST && !(fi->flags & O_EXCL)) {	/* another one was faster */
		r = target_of(parent, &dir);
		if (r == 0)
			r = resolve(&dir, name, &base, &timeout);
		n = r == 0 ? tree_by_id(base) : NULL;
	}
	if (r == 0)
		r = n ? entry_of(NODEID(n->id, SUB_SELF), -1, fuse_req_ctx(req)->pid, &e) : -ENOENT;
	if (r == 0)
		r = target_of(e.ino, &t);
	if (r == 0)
		r = open_object(req, &t, fi->flags, &out.open.fh, &out.open.open_flags);
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	target_attr(&t, &e.attr);
	out.entry.nodeid = e.ino;
	out.entry.entry_valid = (uint64_t)e.entry_timeout;
	fill_attr(&out.entry.attr, &e.attr);
	if (fuse_reply_buf(req, (const char *)&out, sizeof(out)) == -ENOENT)
		close_handle(e.ino, out.open.fh);
}

/* The entry goes; the node stays while it is open. */
static int remove_node(struct node *n)
{
	bool keep = n->ob && !n->ob->o.damage && n->ob->o.h->handles.count;
	struct object *ob;
	int e = 0;

	if (n->type != IPC_DIR && node_block(n)->active && !n->ob) {
		ob = object_of(n, &e);
		keep = ob && !ob->o.damage && ob->o.h->handles.count;
	}
	ob = n->ob;
	names_remove(&fs.mount, n->ref, true, raw.unique);
	tree_detach(n);
	if (keep)
		return 0;
	if (ob) {
		object_used(ob);
		return 0;
	}
	object_remove_files(n);
	names_remove(&fs.mount, n->ref, false, 0);
	tree_forget(n);
	return 0;
}

/* The ends of a two-way pipe can be removed one by one, so that `rm -r` gets to its rmdir. */
static int unlink_end(const struct target *dir, const char *name)
{
	struct ipc_node *b = node_block(dir->node);
	uint64_t base;
	int r = find_object(dir, name, strlen(name), &base);

	/* The kernel asks for what it has seen: a resent one has done it itself. */
	if (r == -ENOENT && raw.resent && (!strcmp(name, "a") || !strcmp(name, "b")))
		return 0;
	if (r < 0)
		return r;
	names_chmod(&fs.mount, dir->node->ref,
		    b->mode | (base >> 40 == SUB_END_A ? MODE_NO_A : MODE_NO_B), b->uid, b->gid);
	return 0;
}

static int unlink_name(fuse_ino_t parent, const char *name)
{
	struct target dir;
	struct node *n;
	uint64_t base;
	int64_t timeout;
	int r;

	if (namespace_done(&n))
		return 0;
	r = target_of(parent, &dir);
	if (r < 0)
		return r;
	if (dir.sub != SUB_SELF)
		return -EPERM;
	if (dir.node->type == IPC_TWOWAY)
		return unlink_end(&dir, name);
	n = tree_find(dir.node, name, strlen(name));
	if (!n)		/* a name that is only thought of, such as NAME@2, cannot be removed */
		return resolve(&dir, name, &base, &timeout) == 0 ? -EINVAL : -ENOENT;
	if (n->type == IPC_DIR || n->type == IPC_TWOWAY)
		return -EISDIR;
	touch_dir(dir.node);
	return remove_node(n);
}

static void ops_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	fuse_reply_err(req, -unlink_name(parent, name));
}

static int rmdir_name(fuse_ino_t parent, const char *name)
{
	struct target dir;
	struct node *n;
	uint64_t base;
	int64_t timeout;
	int r;

	if (namespace_done(&n))
		return 0;
	r = target_of(parent, &dir);
	if (r < 0)
		return r;
	n = dir.sub == SUB_SELF ? tree_find(dir.node, name, strlen(name)) : NULL;
	if (!n)
		return resolve(&dir, name, &base, &timeout) == 0 ? -EINVAL : -ENOENT;
	if (n->type != IPC_DIR && n->type != IPC_TWOWAY)
		return -ENOTDIR;
	if (n->first)
		return -ENOTEMPTY;
	touch_dir(dir.node);
	return remove_node(n);
}

static void ops_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	fuse_reply_err(req, -rmdir_name(parent, name));
}

static int rename_name(fuse_ino_t parent, const char *name, fuse_ino_t newparent,
		       const char *newname, unsigned int flags)
{
	struct target from, to;
	struct node *n, *gone;
	uint64_t base;
	int64_t timeout;
	ref_t ref;
	int r, type;

	if (namespace_done(&n))
		return 0;
	r = target_of(parent, &from);
	if (r == 0)
		r = target_of(newparent, &to);
	if (r < 0)
		return r;
	if (from.sub != SUB_SELF || to.sub != SUB_SELF || from.node->type != IPC_DIR ||
	    to.node->type != IPC_DIR)
		return -EPERM;
	if (flags & ~(unsigned int)RENAME_NOREPLACE)
		return -EINVAL;
	n = tree_find(from.node, name, strlen(name));
	if (!n)
		return resolve(&from, name, &base, &timeout) == 0 ? -EINVAL : -ENOENT;
	for (const struct node *p = to.node; p; p = p->parent)
		if (p == n)		/* into itself; the kernel looks first */
			return -EINVAL;
	if (strlen(newname) > IPC_NAME_MAX)
		return -ENAMETOOLONG;
	type = type_of_name(newname, n->type == IPC_DIR || n->type == IPC_TWOWAY);
	if (type < 0)	/* a directory under an object's name is a change of type */
		return ipc_type_by_name(newname, strlen(newname)) && !strchr(newname, '@') ?
		       -EPERM : -EINVAL;
	if ((uint32_t)type != n->type)
		return -EPERM;
	gone = tree_find(to.node, newname, strlen(newname));
	if (gone == n)
		return 0;
	if (gone && flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (gone && gone->type != n->type)
		return -EPERM;
	if (gone && gone->first)
		return -ENOTEMPTY;
	r = names_move(&fs.mount, n->ref, to.node->id, newname, strlen(newname),
		       gone ? gone->ref : 0, raw.unique, &ref);
	if (r < 0)
		return r;
	touch_dir(from.node);
	touch_dir(to.node);
	if (gone)
		remove_node(gone);
	tree_moved(&n, ref);
	return 0;
}

static void ops_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
		       const char *newname, unsigned int flags)
{
	fuse_reply_err(req, -rename_name(parent, name, newparent, newname, flags));
}

static void ops_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
	fuse_reply_err(req, EPERM);
}

static void ops_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname)
{
	fuse_reply_err(req, EPERM);
}

/* ---- listing ---- */

/* The entry behind `cookie`: false at the end. */
static bool next_entry(const struct target *dir, uint64_t cookie, char *name, uint64_t *ret_base,
		       uint64_t *ret_cookie)
{
	struct node *n;

	if (cookie < 2) {
		strcpy(name, cookie ? ".." : ".");
		*ret_base = 0;
		*ret_cookie = cookie + 1;
		return true;
	}
	*ret_cookie = cookie + 1;
	if (dir->sub != SUB_SELF) {
		unsigned int sub = ctl_nth(dir, (unsigned int)cookie - 2);

		if (!sub)
			return false;
		strcpy(name, ctl_of(sub)->name);
		*ret_base = NODEID(dir->node->id, sub);
		return true;
	}
	if (dir->node->type == IPC_TWOWAY) {
		for (; cookie < 4; cookie++) {
			name[0] = cookie == 2 ? 'a' : 'b';
			name[1] = 0;
			*ret_cookie = cookie + 1;
			if (find_object(dir, name, 1, ret_base) == 0)
				return true;
		}
		return false;
	}
	n = cookie == 2 ? dir->node->first : tree_after(dir->node, cookie);
	if (!n)
		return false;
	strcpy(name, node_name(n));
	*ret_base = NODEID(n->id, SUB_SELF);
	*ret_cookie = n->cookie;
	return true;
}

static size_t add_entry(fuse_req_t req, char *buf, size_t size, const char *name, uint64_t base,
			uint64_t cookie, bool plus, uint64_t dot)
{
	struct fuse_entry_param e = { .attr = { .st_mode = S_IFDIR } };
	struct target t;

	if (base && target_of(base, &t) == 0) {
		if (plus) {
			fill_entry(&e, base, &t);
			e.attr_timeout = PLUS_TIMEOUT;
		} else {
			e.attr.st_mode = t.sub >= SUB_CTL ? (ctl_is_dir(t.sub) ? S_IFDIR : S_IFREG) :
				t.sub == SUB_SELF && (t.node->type == IPC_DIR ||
						      t.node->type == IPC_TWOWAY) ? S_IFDIR : S_IFREG;
		}
		e.attr.st_ino = base;
	} else {
		e.attr.st_ino = dot;	/* . and ..: the kernel knows better; 0 would be left out */
	}
	return plus ? fuse_add_direntry_plus(req, buf, size, name, &e, (off_t)cookie) :
		      fuse_add_direntry(req, buf, size, name, &e.attr, (off_t)cookie);
}

static void read_dir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool plus)
{
	static char buf[128 * 1024];
	char name[IPC_NAME_MAX + 1];
	struct target dir;
	uint64_t cookie = (uint64_t)off, base, next;
	size_t used = 0;
	int r = target_of(ino, &dir);

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	if (size > sizeof(buf))
		size = sizeof(buf);
	while (next_entry(&dir, cookie, name, &base, &next)) {
		size_t n = add_entry(req, buf + used, size - used, name, base, next, plus, dir.base);

		if (n > size - used)
			break;
		used += n;
		cookie = next;
	}
	fuse_reply_buf(req, buf, used);
}

static void ops_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			struct fuse_file_info *fi)
{
	read_dir(req, ino, size, off, false);
}

static void ops_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			    struct fuse_file_info *fi)
{
	read_dir(req, ino, size, off, true);
}

static void ops_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct target t;
	int r = target_of(ino, &t);

	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_open(req, fi);
}

/* ENOSYS would make the kernel copy st_size bytes by itself: less or more than there is. */
static void ops_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t off_in,
				struct fuse_file_info *fi_in, fuse_ino_t out, off_t off_out,
				struct fuse_file_info *fi_out, size_t len, int flags)
{
	fuse_reply_err(req, EINVAL);
}

static void ops_init(void *userdata, struct fuse_conn_info *conn)
{
	conn->want |= conn->capable & (FUSE_CAP_FLOCK_LOCKS | FUSE_CAP_POSIX_LOCKS |
				       FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_READDIRPLUS |
				       FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_PARALLEL_DIROPS |
				       FUSE_CAP_ASYNC_DIO);
	/* Splicing costs more than it saves for small messages. */
	conn->want &= ~(unsigned int)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
				      FUSE_CAP_SPLICE_MOVE | FUSE_CAP_AUTO_INVAL_DATA);
	conn->max_write = MAX_IO;
	/* RELEASEs are background requests: one that waits behind others would come too late. */
	conn->max_background = 65535;
	conn->congestion_threshold = 65535;
}

const struct fuse_lowlevel_ops fs_ops = {
	.init = ops_init,
	.lookup = ops_lookup, .forget = ops_forget, .forget_multi = ops_forget_multi,
	.getattr = ops_getattr, .setattr = ops_setattr, .readlink = ops_readlink,
	.mknod = ops_mknod, .mkdir = ops_mkdir, .unlink = ops_unlink, .rmdir = ops_rmdir,
	.symlink = ops_symlink, .rename = ops_rename, .link = ops_link,
	.opendir = ops_opendir, .readdir = ops_readdir, .readdirplus = ops_readdirplus,
	.statfs = ops_statfs, .create = ops_create,
	.open = ops_open, .read = ops_read, .write = ops_write, .flush = ops_flush,
	.release = ops_release, .flock = ops_flock, .getlk = ops_getlk, .setlk = ops_setlk,
	.ioctl = ops_ioctl, .poll = ops_poll, .copy_file_range = ops_copy_file_range,
};
