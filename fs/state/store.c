/* SPDX-License-Identifier: MIT */
/*
 * The files of the state directory (state.c): the mount file, and an engine file per object. Which
 * of them are mapped is object.c's business.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>
#include <utlist.h>

#include "base/log.h"
#include "file/statedir.h"
#include "object/type.h"
#include "state/alias.h"
#include "state/blank.h"
#include "state/files.h"
#include "state/fs.h"
#include "state/memory.h"
#include "state/object.h"
#include "state/state.h"
#include "state/store.h"
#include "state/tree.h"

/* Apply the options to the mount file, whose limits outlast the daemon. */
static void apply_limits(void)
{
	struct ipc_mount *b = mount_body();
	struct ipc_limits l = {
		.memory = b->memory_limit,
		.objects = b->object_limit,
		.message = b->message_limit,
		.fresh = { b->framing, b->take },
	};

	if (fs.opt.memory || !l.memory)
		l.memory = fs.opt.memory_limit;
	if (fs.opt.objects || !l.objects)
		l.objects = fs.opt.object_limit;
	if (fs.opt.message || !l.message)
		l.message = fs.opt.message_limit;
	if (fs.opt.framing)
		l.fresh.framing = fs.opt.new_framing;
	if (fs.opt.take)
		l.fresh.take = fs.opt.new_take;
	names_limits(&fs.mount, &l);
}

/* The object that a file there belongs to; 0: none that has a name. */
static uint64_t owner(const char *file)
{
	uint64_t id;
	bool data;
	ref_t ref;

	if (!state_is_of(file, &id, &data))
		return 0;
	ref = names_by_id(&fs.mount, id);
	return ref && !(node_at(&fs.mount, ref)->flags & NODE_BLANK) ? id : 0;
}

/* What the files really use, now that nothing else runs. */
uint64_t store_recount(void)
{
	int fd = openat(fs.objects_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	struct stat st;
	uint64_t sum = 0;

	while (dir && (e = readdir(dir)))
		if (owner(e->d_name) && !fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW))
			sum += (uint64_t)st.st_blocks * 512;
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	return sum;
}

static int load_names(bool check)
{
	int r = tree_load(check);

	if (r < 0)
		return r;
	alias_load();
	return fs.mount.damage ? -EIO : 0;
}

static void set_up(const struct state_observer *above)
{
	fs.above = above;
	fs.env = (struct ipc_env){
		.dirfd = fs.objects_fd,
		.alone = true,
		.account = memory_account,
		.full = memory_full,
		.damaged = above->damaged,
	};
	fs.mount_env = (struct ipc_env){ .dirfd = fs.objects_fd, .alone = true };
}

int store_load(const struct state_observer *above, bool check, const char **ret_why)
{
	int fd = state_open_files(ret_why), r;

	if (fd < 0)
		return fd;
	set_up(above);
	r = ipc_map(&fs.mount_env, fd, &fs.mount);
	close(fd);
	if (r < 0)
		return state_refuse_mount_file(r, NULL, ret_why);
	/*
	 * Only the worker uses this file; its mutex stays locked until it ends. A previous owner is
	 * gone.
	 */
	fs.mount.h->m.lock = 0;
	r = obj_lock(&fs.mount, PATIENCE_NS);
	if (r == 0) {
		names_restarted(&fs.mount);
		apply_limits();
		r = load_names(check);
	}
	if (r < 0)
		return state_refuse_mount_file(r, fs.mount.damage, ret_why);
	fs.mount_env.damaged = above->damaged;
	fs.mount_env.full = memory_full;
	memory_begin();
	return 0;
}

/* ---- the files of an object ---- */

void store_remove(struct node *n)
{
	if (!node_is_blank(n))
		files_remove(n->id, n->ops);
	tree_remove(n);
}

static void set_mode(const struct ipc_node *b, const char *name)
{
	if (fchownat(fs.objects_fd, name, b->uid, b->gid, AT_SYMLINK_NOFOLLOW) < 0 &&
	    geteuid() == 0)
		log_line(LOG_WARNING, "chown %s: %m", name);
	fchmodat(fs.objects_fd, name, state_mode(b->mode), 0);
}

/* Whoever may read and write the object may open its engine file. */
void store_chmod(struct node *n)
{
	const struct ipc_node *b = node_block(n);

	if (!(b->flags & NODE_SHARED))
		return;
	set_mode(b, state_engine(n->id).s);
	if (node_is(n, TYPE_MEMORY))
		set_mode(b, state_data(n->id).s);
}

int store_share(struct node *n)
{
	uint32_t flags;
	int r = 0;

	if (!object_of(n, &r) && r == -ENOSPC)
		return r;
	flags = node_block(n)->flags;
	if (!(flags & NODE_SHARED))
		names_flags(&fs.mount, n->ref, flags | NODE_SHARED, 0);
	store_chmod(n);
	return 0;
}

static bool is_left_over(const struct ipc_node *n)
{
	return !n->parent && !n->active && n->id != IPC_ROOT_ID;
}

void store_sweep(void)
{
	uint32_t count;
	uint64_t *ids;

	blank_sweep();
	ids = tree_listed(is_left_over, &count);
	while (count--) {
		struct node *n = tree_by_id(ids[count]);

		if (n && !n->ob) /* (One that is mapped goes at the end of the turn.) */
			store_remove(n);
	}
	free(ids);
}

/* What cannot be read any more is zeros, and the object is damaged; nothing else stops: files.c. */
void store_bus_error(int sig, siginfo_t *si, void *context)
{
	uintptr_t page = (uintptr_t)si->si_addr & ~(uintptr_t)(IPC_PAGE - 1);
	struct object *ob;

	(void)context;
	if (files_contain(&fs.mount, page)) /* the next worker will see whether it can use it */
		log_line(LOG_ERR, "%s/mount was truncated, or its disk is failing", fs.opt.state);
	DL_FOREACH2(fs.lru, ob, lru_next) {
		if (!files_zero_page(&ob->o, page))
			continue;
		obj_damage(&ob->o, "its file was truncated");
		return;
	}
	if (ready_bus_error(page))
		return;
	signal(sig, SIG_DFL); /* not an object: die, and let another worker check */
}

void store_unload(void)
{
	struct object *ob, *next;

	DL_FOREACH_SAFE2(fs.lru, ob, next, lru_next)
		object_unmap(ob);
	DL_FOREACH_SAFE2(fs.away, ob, next, lru_next)
		object_unmap(ob);
	ready_drop();
	memory_end();
	tree_unload();
	alias_unload();
	writers_unload();
	if (fs.mount.locked)
		obj_unlock(&fs.mount);
	obj_unmap(&fs.mount);
}
