/* SPDX-License-Identifier: MIT */
/* The attributes that stat(2) shows for a nodeid. */
#include <stdint.h>
#include <sys/stat.h>

#include "state/blank.h"
#include "state/nodeid.h"
#include "state/store.h"
#include "state/target.h"

static void set_time(struct timespec *ts, int64_t ns)
{
	ts->tv_sec = ns / 1000000000;
	ts->tv_nsec = ns % 1000000000;
	if (ts->tv_nsec < 0) {
		ts->tv_nsec += 1000000000;
		ts->tv_sec--;
	}
}

static uint64_t object_size(struct node *n)
{
	struct object *ob;
	int e;

	if (!node_mapped(n) && !(node_block(n)->flags & NODE_MAPPED) &&
	    (n->type != IPC_TWOWAY || node_is_blank(n)))
		return node_block(n)->size;
	ob = object_of(n, &e);
	return ob && !ob->o.damage ? ipc_size(&ob->o) : 0;
}

/* Of an object's file, or an end of a two-way pipe. */
static void object_attr(const struct target *t, struct stat *st)
{
	struct node *n = t->node;

	st->st_mode = S_IFREG | (st->st_mode & (n->type == IPC_TWOWAY ? 0666 : 07777));
	st->st_size = (off_t)object_size(n);
	/* An end of a two-way pipe shows what is to be read there. */
	if (node_mapped(n) && !n->ob->o.damage && n->type == IPC_TWOWAY)
		st->st_size = (off_t)ipc_end_size(&n->ob->o, t->sub == SUB_END_B);
	/* A program that checks the size first would not even try to read a file of size 0. */
	if (t->timeout >= 0 && !st->st_size && !node_is(n, TYPE_MEMORY))
		st->st_size = CTL_SIZE;
	if (node_mapped(n))
		st->st_blocks = (blkcnt_t)(object_memory(n->ob) / 512);
	/*
	 * An engine file may contain anything, and for an invalid size the kernel would fail the
	 * whole directory.
	 */
	if (st->st_size < 0)
		st->st_size = INT64_MAX;
}

void target_attr(const struct target *t, struct stat *st)
{
	struct node *n = t->node;
	struct ipc_node *b = node_block(n);

	*st = (struct stat){
		.st_ino = t->base,
		.st_nlink = node_has_name(n),
		.st_uid = b->uid,
		.st_gid = b->gid,
		.st_blksize = 128 * 1024,
		.st_mode = b->mode & 07777,
	};
	set_time(&st->st_atim, b->atime);
	set_time(&st->st_mtim, b->mtime);
	set_time(&st->st_ctim, b->ctime);
	if (t->sub >= SUB_CTL) {
		fs.above->ctl_attr(t, st);
	} else if (t->sub == SUB_SELF && node_is_dir(n)) {
		st->st_mode |= S_IFDIR;
		st->st_nlink = node_has_name(n) ? 2 + node_subdirs(n) : 0;
		st->st_size = node_entries(n);
	} else {
		object_attr(t, st);
	}
}
