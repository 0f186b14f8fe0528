/* SPDX-License-Identifier: MIT */
/*
 * The files of the state directory (state.c): the mount file, and one engine file an object. Which of
 * them are mapped is object.c's business.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>
#include <utlist.h>

#include "base/log.h"
#include "object/type.h"
#include "state/fs.h"
#include "state/memory.h"
#include "state/object.h"
#include "state/state.h"
#include "state/store.h"
#include "state/tree.h"

void store_name(uint64_t id, const char *suffix, char *buf, size_t size)
{
	snprintf(buf, size, "%llu%s", (unsigned long long)id, suffix);
}

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

/* What the files really take, now that nothing else runs. */
uint64_t store_recount(void)
{
	uint64_t sum = 0;

	for (struct node *n = fs.by_id; n; n = n->by_id.next) {
		struct stat st;
		char name[40];

		store_name(n->id, "", name, sizeof(name));
		if (n->type != IPC_DIR && !fstatat(fs.objects_fd, name, &st, AT_SYMLINK_NOFOLLOW))
			sum += (uint64_t)st.st_blocks * 512;
		store_name(n->id, ".data", name, sizeof(name));
		if (node_is(n, TYPE_MEMORY) &&
		    !fstatat(fs.objects_fd, name, &st, AT_SYMLINK_NOFOLLOW))
			sum += (uint64_t)st.st_blocks * 512;
	}
	return sum;
}

int store_load(const struct state_observer *above, const char **ret_why)
{
	int fd = state_open_files(ret_why), r;

	if (fd < 0)
		return fd;
	fs.above = above;
	fs.env = (struct ipc_env){
		.dirfd = fs.objects_fd,
		.alone = true,
		.account = memory_account,
		.full = memory_full,
		.damaged = above->damaged,
	};
	fs.mount_env = (struct ipc_env){ .dirfd = fs.objects_fd, .alone = true };
	r = ipc_map(&fs.mount_env, fd, &fs.mount);
	close(fd);
	if (r < 0)
		return state_refuse_mount_file(r, NULL, ret_why);
	/* The worker alone uses this file; its mutex stays locked until it ends. Whoever had it is gone. */
	fs.mount.h->m.lock = 0;
	r = obj_lock(&fs.mount, PATIENCE_NS);
	if (r == 0) {
		names_restarted(&fs.mount);
		apply_limits();
		r = tree_load();
	}
	if (r < 0)
		return state_refuse_mount_file(r, fs.mount.damage, ret_why);
	fs.mount_env.damaged = above->damaged;
	fs.mount_env.full = memory_full;
	memory_begin();
	return 0;
}

/* ---- the files of an object ---- */

static void remove_file(uint64_t id, const char *suffix)
{
	struct stat st;
	char name[24];

	store_name(id, suffix, name, sizeof(name));
	if (fstatat(fs.objects_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		memory_account(&fs.env, -(int64_t)st.st_blocks * 512, true);
	unlinkat(fs.objects_fd, name, 0);
}

void object_remove_files(uint64_t id, const struct ipc_type *t)
{
	if (!t)
		return;
	remove_file(id, "");
	if (t->traits & TYPE_MEMORY)
		remove_file(id, ".data");
}

int object_create(uint64_t id, const struct ipc_type *t)
{
	struct ipc_defaults defaults = { mount_body()->framing, mount_body()->take };
	char name[24];
	int r;

	store_name(id, "", name, sizeof(name));
	unlinkat(fs.objects_fd, name, 0); /* left by a death between file and name */
	r = ipc_create(&fs.env, fs.objects_fd, name, id, t,
		       ipc_reserve(t, mount_body()->memory_limit), &defaults);
	if (r == 0 && t->traits & TYPE_MEMORY) {
		int fd;

		store_name(id, ".data", name, sizeof(name));
		unlinkat(fs.objects_fd, name, 0);
		fd = openat(fs.objects_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0) {
			r = -errno;
			object_remove_files(id, t);
			return r;
		}
		close(fd);
	}
	return r;
}

void store_remove(struct node *n)
{
	object_remove_files(n->id, n->ops);
	names_remove(&fs.mount, n->ref, false, 0);
	tree_forget(n);
}

/* The engine file may be opened by whom the object lets read and write. */
void store_chmod(struct node *n)
{
	struct ipc_node *b = node_block(n);
	uint32_t mode = 0;
	char name[24];

	for (unsigned int shift = 0; shift <= 6; shift += 3)
		if ((b->mode >> shift & 6) == 6)
			mode |= 6u << shift;
	if (n->type == IPC_DIR)
		return;
	for (int i = 0; i < 1 + node_is(n, TYPE_MEMORY); i++) {
		store_name(n->id, i ? ".data" : "", name, sizeof(name));
		if (fchownat(fs.objects_fd, name, b->uid, b->gid, AT_SYMLINK_NOFOLLOW) < 0 &&
		    geteuid() == 0)
			log_line(LOG_WARNING, "chown %s: %m", name);
		fchmodat(fs.objects_fd, name, mode | (geteuid() ? 0600 : 0), 0);
	}
}

void store_sweep(void)
{
	struct node *n, *tmp;

	HASH_ITER(by_id, fs.by_id, n, tmp) {
		if (!n->parent && n != fs.root && !node_block(n)->active)
			store_remove(n);
	}
}

/*
 * SIGBUS: an engine file was cut short while it is mapped (by who may write it), or its disk fails.
 * Zeros take the place of the page, and the object is damaged; nothing else stops. The address says
 * whose page it is, for nothing in a file leads out of its own mapping.
 */
static bool contains(const struct ipc_obj *o, uintptr_t page)
{
	return o->base && page >= (uintptr_t)o->base && page - (uintptr_t)o->base < o->map_len;
}

void store_bus_error(int sig, siginfo_t *si, void *context)
{
	uintptr_t page = (uintptr_t)si->si_addr & ~(uintptr_t)(IPC_PAGE - 1);
	struct object *ob;

	(void)context;
	if (contains(&fs.mount, page)) /* the next worker will look whether it can go on with it */
		log_line(LOG_ERR, "%s/mount was truncated, or its disk is failing", fs.opt.state);
	DL_FOREACH2(fs.lru, ob, lru_next) {
		if (!contains(&ob->o, page))
			continue;
		if (mmap((void *)page, IPC_PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
			break;
		obj_damage(&ob->o, "its file was truncated");
		return;
	}
	signal(sig, SIG_DFL); /* not an object: die of it, and let another worker look */
}

void store_unload(void)
{
	struct object *ob, *next;

	DL_FOREACH_SAFE2(fs.lru, ob, next, lru_next)
		object_unmap(ob);
	memory_end();
	tree_unload();
	if (fs.mount.locked)
		obj_unlock(&fs.mount);
	obj_unmap(&fs.mount);
}
