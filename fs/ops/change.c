/* SPDX-License-Identifier: MIT */
/*
 * Changes of names: making, removing, renaming.
 *
 * The kernel checks permissions (default_permissions) and serialises changes of one directory. A
 * change of the namespace is noted in the mount file with its request, so that one which is sent
 * again after a restart gets the answer that it had (namespace_done).
 */
#include <linux/fuse.h>

#include "state/alias.h"
#include "ctl/ctl.h"
#include "ops/dir.h"
#include "ops/io.h"
#include "object/type.h"

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
	const struct ipc_type *type = ipc_type_by_name(name, len);

	if (strchr(name, '@') || ends_in(name, len, CTL_SUFFIX))
		return -EINVAL;
	if (!directory)
		return type ? (int)type->id : -EINVAL;
	if (!type)
		return IPC_DIR;
	return type->folder ? (int)type->folder : -EINVAL;
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
		r = object_create(names_next_id(&fs.mount), ipc_type_of_node(new.type));
		if (r < 0)
			return r == -EDQUOT ? -ENOSPC : r;
	}
	r = names_add(&fs.mount, &new, &ref);
	if (r < 0) {
		object_remove_files(names_next_id(&fs.mount), ipc_type_of_node(new.type));
		return r;
	}
	*ret = tree_insert(ref);
	if (!*ret)
		abort();	/* an index that is not true is worse than a restart */
	store_chmod(*ret);
	touch_dir(dir.node);
	return 0;
}

static int remove_node(struct node *n);

/* What was made cannot be given to the caller: it is as if it had not been made. */
static void unmake(struct node *n)
{
	remove_node(n);
	turn_end();
}

static void make_and_reply(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
			   bool directory)
{
	struct fuse_entry_param e;
	struct node *n = NULL;
	int r = make(req, parent, name, mode, directory, &n);

	if (r == 0)
		r = n ? entry_of(NODEID(n->id, SUB_SELF), -1, fuse_req_ctx(req)->pid, false, &e) : -ENOENT;
	if (r < 0 && n)
		unmake(n);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_entry(req, &e);
}

void ops_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	if ((mode & S_IFMT) && !S_ISREG(mode))
		fuse_reply_err(req, EPERM);
	else
		make_and_reply(req, parent, name, mode, false);
}

void ops_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
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

void ops_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		       struct fuse_file_info *fi)
{
	/* fuse_reply_create() of libfuse 3.14 cannot say FOPEN_STREAM. */
	struct { struct fuse_entry_out entry; struct fuse_open_out open; } out = { 0 };
	pid_t tid = fuse_req_ctx(req)->pid;
	struct fuse_entry_param e = { 0 };
	struct target t = { 0 };
	struct node *n = NULL;
	bool write;
	int r = make(req, parent, name, mode, false, &n);

	/* Another one was faster: the kernel looks it up again, and opens it. */
	if (r == -EEXIST && !(fi->flags & O_EXCL))
		r = -ESTALE;
	if (r == 0 && !n)
		r = -ENOENT;
	t.node = n;
	write = r == 0 && writes_may_wait(&t, fi->flags);
	if (r == 0)
		r = entry_of(NODEID(n->id, SUB_SELF), -1, tid, write, &e);
	if (r == 0)
		r = target_of(e.ino, &t);
	if (r == 0)
		r = open_object(req, &t, fi->flags, &out.open.fh, &out.open.open_flags);
	if (r < 0) {
		nodeid_forget(e.ino, 1);	/* the kernel does not hear of it */
		if (n && r != -EBUSY)		/* (that one is dealt with again) */
			unmake(n);
		fuse_reply_err(req, -r);
		return;
	}
	alias_opened(&t, out.open.fh, tid, write);
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
	struct object *ob = n->ob;
	int e;

	attr_recall(n);
	if (n->type != IPC_DIR && node_block(n)->active && !ob)
		ob = object_of(n, &e);
	if (ob && object_try(ob) == 0)	/* if it is damaged, whoever waits for it is told */
		object_unlock(ob);
	names_remove(&fs.mount, n->ref, true, raw.unique);
	tree_detach(n);
	if (ob)
		object_used(ob);
	else
		store_remove(n);
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
	attr_recall(dir->node);
	names_chmod(&fs.mount, dir->node->ref,
		    b->mode | (base >> 40 == SUB_END_A ? MODE_NO_A : MODE_NO_B), b->uid, b->gid);
	return 0;
}

static int unlink_name(fuse_ino_t parent, const char *name)
{
	struct target dir;
	struct node *n;
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
	if (!n)
		return no_such_name(&dir, name);
	if (node_is_dir(n))
		return -EISDIR;
	touch_dir(dir.node);
	return remove_node(n);
}

void ops_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	int r = unlink_name(parent, name);

	turn_end();		/* what it took is free when the call returns */
	fuse_reply_err(req, -r);
}

static int rmdir_name(fuse_ino_t parent, const char *name)
{
	struct target dir;
	struct node *n;
	int r;

	if (namespace_done(&n))
		return 0;
	r = target_of(parent, &dir);
	if (r < 0)
		return r;
	n = dir.sub == SUB_SELF ? tree_find(dir.node, name, strlen(name)) : NULL;
	if (!n)
		return no_such_name(&dir, name);
	if (!node_is_dir(n))
		return -ENOTDIR;
	if (n->first)
		return -ENOTEMPTY;
	touch_dir(dir.node);
	return remove_node(n);
}

void ops_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	int r = rmdir_name(parent, name);

	turn_end();
	fuse_reply_err(req, -r);
}

static int rename_name(fuse_ino_t parent, const char *name, fuse_ino_t newparent,
		       const char *newname, unsigned int flags)
{
	struct target from, to;
	struct node *n, *gone;
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
		return no_such_name(&from, name);
	for (const struct node *p = to.node; p; p = p->parent)
		if (p == n)		/* into itself; the kernel looks first */
			return -EINVAL;
	if (strlen(newname) > IPC_NAME_MAX)
		return -ENAMETOOLONG;
	type = type_of_name(newname, node_is_dir(n));
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
	attr_recall(n);
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

void ops_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
		       const char *newname, unsigned int flags)
{
	int r = rename_name(parent, name, newparent, newname, flags);

	turn_end();
	fuse_reply_err(req, -r);
}

void ops_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
	fuse_reply_err(req, EPERM);
}

void ops_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname)
{
	fuse_reply_err(req, EPERM);
}
