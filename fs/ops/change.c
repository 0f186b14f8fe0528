/* SPDX-License-Identifier: MIT */
/*
 * Changes of names: making, removing, renaming.
 *
 * The kernel checks permissions (default_permissions) and serialises changes of one directory. A
 * change of the namespace is recorded in the mount file with its request, so that one which is sent
 * again after a restart gets the answer that it had (namespace_done).
 */
#include <fcntl.h>
#include <stdio.h>

#include "ctl/ctl.h"
#include "object/engine.h"
#include "ops/dir.h"
#include "ops/io.h"
#include "state/alias.h"
#include "state/blank.h"
#include "state/store.h"
#include "wait/door.h"
#include "wait/turn.h"

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

/* May it be made here? 0: it may, and is to be a `new`. */
static int may_make(struct request *rq, bool directory, struct target *dir,
		    struct ipc_new_node *new)
{
	int r = writable_dir(rq->ino, dir);

	if (r < 0)
		return r;
	if (new->name_len > IPC_NAME_MAX)
		return -ENAMETOOLONG;
	if (tree_find(dir->node, new->name, new->name_len))
		return -EEXIST;
	r = type_of_name(new->name, directory);
	if (r < 0)
		return r;
	new->type = (uint32_t)r;
	new->parent = dir->node->id;
	if (node_block(dir->node)->mode & S_ISGID) {
		new->gid = node_block(dir->node)->gid;
		new->mode |= directory ? S_ISGID : 0;
	}
	if (new->type != IPC_DIR && mount_body()->objects >= mount_body()->object_limit)
		return -ENOSPC;
	return 0;
}

static int make(struct request *rq, bool directory, struct node **ret)
{
	struct ipc_new_node new = {
		.mode = rq->mode & 07777,
		.uid = rq->by.uid,
		.gid = rq->by.gid,
		.name = rq->name,
		.name_len = strlen(rq->name),
		.unique = rq->by.unique,
	};
	struct target dir;
	ref_t ref;
	int r;

	if (again_named(rq, ret))
		return 0;
	r = may_make(rq, directory, &dir, &new);
	if (r == 0 && new.type != IPC_DIR)
		blank_new(ipc_type_of_node(new.type), &new);
	if (r == 0)
		r = names_add(&fs.mount, &new, &ref);
	if (r < 0)
		return r;
	*ret = tree_at(ref);
	touch_dir(dir.node);
	return 0;
}

static int remove_node(struct request *rq, struct node *n);

/* The caller cannot have what was made: undo it. */
static void unmake(struct request *rq, struct node *n)
{
	remove_node(rq, n);
	rq->settle_first = true;
}

static enum outcome make_entry(struct request *rq, bool directory)
{
	struct node *n = NULL;
	int r = make(rq, directory, &n);

	if (r == 0)
		r = n ? entry_of(rq, NODEID(n->id, SUB_SELF), -1, false) : -ENOENT;
	if (r < 0 && n)
		unmake(rq, n);
	return done(rq, r);
}

enum outcome name_mknod(struct request *rq)
{
	if ((rq->mode & S_IFMT) && !S_ISREG(rq->mode))
		return done(rq, -EPERM);
	return make_entry(rq, false);
}

enum outcome name_mkdir(struct request *rq)
{
	return make_entry(rq, true);
}

static int open_new(struct request *rq, struct node *n, bool *ret_write)
{
	int r;

	rq->t = (struct target){ .node = n };
	*ret_write = writes_may_wait(&rq->t, rq->flags);
	r = entry_of(rq, NODEID(n->id, SUB_SELF), -1, *ret_write);
	if (r == 0)
		r = open_object(rq);
	return r;
}

enum outcome name_create(struct request *rq)
{
	struct reply *rp = &rq->reply;
	struct node *n = NULL;
	bool write = false;
	int r = make(rq, false, &n);

	/* Another process was faster: the kernel looks it up again, and opens it. */
	if (r == -EEXIST && !(rq->flags & O_EXCL))
		r = -ESTALE;
	if (r == 0)
		r = n ? open_new(rq, n, &write) : -ENOENT;
	if (r < 0) {
		nodeid_forget(rp->entry.ino, 1); /* the kernel does not hear of it */
		if (n && r != -EBUSY)            /* (that will be handled again) */
			unmake(rq, n);
		return done(rq, r);
	}
	alias_opened(&rq->by, &rq->t, rp->fh, write);
	target_attr(&rq->t, &rp->entry.attr);
	rp->kind = REPLY_CREATE;
	return DONE;
}

/* The entry goes; the node stays while it is open. */
static int remove_node(struct request *rq, struct node *n)
{
	struct object *ob = n->ob;
	int e;

	attr_recall(n);
	if (n->type != IPC_DIR && node_block(n)->active && !ob)
		ob = object_of(n, &e);
	/* If it is damaged, whoever waits for it is told. */
	if (ob && node_block(n)->active && object_look(ob, NULL) == 0)
		object_unlock(ob);
	if (!ob && (n->type == IPC_DIR || node_is_blank(n))) {
		names_remove(&fs.mount, n->ref, false, rq->by.unique);
		tree_forget(n);
		return 0;
	}
	names_remove(&fs.mount, n->ref, true, rq->by.unique);
	if (ob)
		object_used(ob);
	else
		store_remove(n);
	return 0;
}

/* The ends of a two-way pipe can be removed one by one, so that `rm -r` gets to its rmdir. */
static int unlink_end(const struct request *rq, const struct target *dir)
{
	const char *name = rq->name;
	struct ipc_node *b = node_block(dir->node);
	uint64_t base;
	int r = find_object(dir, name, strlen(name), &base);

	/* The kernel asks for what it has seen: a resent one has done it itself. */
	if (r == -ENOENT && rq->by.resent && (!strcmp(name, "a") || !strcmp(name, "b")))
		return 0;
	if (r < 0)
		return r;
	attr_recall(dir->node);
	names_chmod(&fs.mount, dir->node->ref,
		    b->mode | (nodeid_sub(base) == SUB_END_A ? MODE_NO_A : MODE_NO_B), b->uid,
		    b->gid);
	return 0;
}

static int unlink_name(struct request *rq)
{
	struct target dir;
	struct node *n;
	int r;

	if (again_named(rq, &n))
		return 0;
	r = target_of(rq->ino, &dir);
	if (r < 0)
		return r;
	if (dir.sub != SUB_SELF)
		return -EPERM;
	if (dir.node->type == IPC_TWOWAY)
		return unlink_end(rq, &dir);
	n = tree_find(dir.node, rq->name, strlen(rq->name));
	if (!n)
		return no_such_name(&dir, rq->name);
	if (node_is_dir(n))
		return -EISDIR;
	touch_dir(dir.node);
	return remove_node(rq, n);
}

enum outcome name_unlink(struct request *rq)
{
	rq->settle_first = true; /* what it took is free when the call returns */
	return done(rq, unlink_name(rq));
}

static int rmdir_name(struct request *rq)
{
	struct target dir;
	struct node *n;
	int r;

	if (again_named(rq, &n))
		return 0;
	r = target_of(rq->ino, &dir);
	if (r < 0)
		return r;
	n = dir.sub == SUB_SELF ? tree_find(dir.node, rq->name, strlen(rq->name)) : NULL;
	if (!n)
		return no_such_name(&dir, rq->name);
	if (!node_is_dir(n))
		return -ENOTDIR;
	if (node_entries(n))
		return -ENOTEMPTY;
	touch_dir(dir.node);
	return remove_node(rq, n);
}

enum outcome name_rmdir(struct request *rq)
{
	rq->settle_first = true;
	return done(rq, rmdir_name(rq));
}

/* A name may change, but not the type that it says. */
static int may_be_called(const struct node *n, const char *name)
{
	int type;

	if (strlen(name) > IPC_NAME_MAX)
		return -ENAMETOOLONG;
	type = type_of_name(name, node_is_dir(n));
	if (type < 0) /* a directory under an object's name is a change of type */
		return ipc_type_by_name(name, strlen(name)) && !strchr(name, '@') ? -EPERM :
										    -EINVAL;
	return (uint32_t)type == n->type ? 0 : -EPERM;
}

/* Into this directory. *ret: what it takes the place of; NULL; n itself: nothing is to be done. */
static int may_move(const struct request *rq, struct node *n, const struct target *to,
		    struct node **ret)
{
	struct node *gone;
	int r;

	if (tree_contains(n, to->node)) /* into itself; the kernel looks first */
		return -EINVAL;
	r = may_be_called(n, rq->new_name);
	if (r < 0)
		return r;
	*ret = gone = tree_find(to->node, rq->new_name, strlen(rq->new_name));
	if (!gone || gone == n)
		return 0;
	if (rq->cmd & RENAME_NOREPLACE)
		return -EEXIST;
	if (gone->type != n->type)
		return -EPERM;
	return node_entries(gone) ? -ENOTEMPTY : 0;
}

static int move(struct request *rq, struct node *n, struct node *from, struct node *to,
		struct node *gone)
{
	ref_t ref;
	int r;

	attr_recall(n);
	r = names_move(&fs.mount, n->ref, to->id, rq->new_name, strlen(rq->new_name),
		       gone ? gone->ref : 0, rq->by.unique, &ref);
	if (r < 0)
		return r;
	n->ref = ref;
	touch_dir(from);
	touch_dir(to);
	if (gone)
		remove_node(rq, gone);
	return 0;
}

static int rename_name(struct request *rq)
{
	struct target from, to;
	struct node *n, *gone;
	int r;

	if (again_named(rq, &n))
		return 0;
	r = target_of(rq->ino, &from);
	if (r == 0)
		r = target_of(rq->new_dir, &to);
	if (r < 0)
		return r;
	if (from.sub != SUB_SELF || to.sub != SUB_SELF || from.node->type != IPC_DIR ||
	    to.node->type != IPC_DIR)
		return -EPERM;
	if (rq->cmd & ~(unsigned int)RENAME_NOREPLACE)
		return -EINVAL;
	n = tree_find(from.node, rq->name, strlen(rq->name));
	if (!n)
		return no_such_name(&from, rq->name);
	r = may_move(rq, n, &to, &gone);
	if (r < 0 || gone == n)
		return r;
	return move(rq, n, from.node, to.node, gone);
}

enum outcome name_rename(struct request *rq)
{
	rq->settle_first = true;
	return done(rq, rename_name(rq));
}
