/* SPDX-License-Identifier: MIT */
/*
 * The files of the state directory (state.c): the mount file, one engine file an object, and which
 * of them are mapped.
 *
 * An object is mapped when it is first needed and stays so while a handle of it is open; of the
 * others the most recently used are kept. Memory is accounted in the mount file, in steps of heap
 * growth.
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
#include "state/alias.h"
#include "object/damage.h"
#include "file/lock.h"
#include "state/memory.h"
#include "state/state.h"
#include "object/type.h"

#define LOCK_NS     2000000 /* who holds a lock longer is stopped, or waits for a processor */
#define PATIENCE_NS 200000000
#define OLD_LOCK_NS 20000000

static void id_name(uint64_t id, const char *suffix, char *buf, size_t size)
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

		id_name(n->id, "", name, sizeof(name));
		if (n->type != IPC_DIR && !fstatat(fs.objects_fd, name, &st, AT_SYMLINK_NOFOLLOW))
			sum += (uint64_t)st.st_blocks * 512;
		id_name(n->id, ".data", name, sizeof(name));
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

/* ---- objects ---- */

static void remove_file(uint64_t id, const char *suffix)
{
	struct stat st;
	char name[24];

	id_name(id, suffix, name, sizeof(name));
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

	id_name(id, "", name, sizeof(name));
	unlinkat(fs.objects_fd, name, 0); /* left by a death between file and name */
	r = ipc_create(&fs.env, fs.objects_fd, name, id, t,
		       ipc_reserve(t, mount_body()->memory_limit), &defaults);
	if (r == 0 && t->traits & TYPE_MEMORY) {
		int fd;

		id_name(id, ".data", name, sizeof(name));
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
		id_name(n->id, i ? ".data" : "", name, sizeof(name));
		if (fchownat(fs.objects_fd, name, b->uid, b->gid, AT_SYMLINK_NOFOLLOW) < 0 &&
		    geteuid() == 0)
			log_line(LOG_WARNING, "chown %s: %m", name);
		fchmodat(fs.objects_fd, name, mode | (geteuid() ? 0600 : 0), 0);
	}
}

void object_unmap(struct object *ob)
{
	struct node *n = ob->node;

	if (!ob->o.damage) {
		n->size = ipc_size(&ob->o);
		n->size_known = true;
	}
	fs.above->goes(ob);
	timer_remove(&ob->timer);
	memory_hungry(ob, false);
	if (ob->look)
		LL_DELETE2(fs.look, ob, look_next);
	DL_DELETE2(fs.lru, ob, lru_prev, lru_next);
	fs.mapped--;
	n->ob = NULL;
	if (ob->data_fd >= 0)
		close(ob->data_fd);
	obj_unmap(&ob->o);
	free(ob);
}

static int map_file(struct object *ob)
{
	char name[24];
	int fd, r;

	id_name(ob->node->id, "", name, sizeof(name));
	/* O_NONBLOCK: whoever owns it may have a lease on it, and let us wait. */
	fd = openat(fs.objects_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? -EIO : -errno;
	r = ipc_map(&fs.env, fd, &ob->o);
	close(fd);
	ob->o.user = ob;
	if (r == 0 && (ob->o.id != ob->node->id || ob->o.ops != ob->node->ops)) {
		obj_unmap(&ob->o);
		r = -EIO;
	}
	return r;
}

/* Before its first use, locked: is it sound, and are its handles of this mount? */
static void adopt(struct object *ob)
{
	struct ipc_obj *o = &ob->o;
	bool same = o->h->epoch == mount_body()->epoch;
	struct target t;
	struct ipc_check k;

	ob->adopted = true;
	if (same) /* a restart: its people are there */
		fs.above->restarted(ob);
	if (ipc_check(o, &k) < 0) {
		obj_damage(o, k.why);
		ob->direct = same; /* who could say? */
	} else if (!same) {
		ipc_begin_mount(o, mount_body()->epoch);
	} else {
		ipc_restarted(o);
		ob->late_polls = true;
	}
	if (!o->damage)
		LIST_EACH(o, &o->h->handles, h) {
			struct ipc_handle *hd = AT(o, ipc_handle, h);

			/* (It must not be another object's, which others would find taken.) */
			if (!ipc_is(o, TYPE_MEMORY) && (hd->oflags & O_ACCMODE) != O_RDONLY &&
			    target_of(hd->nodeid, &t) == 0 && t.node == ob->node)
				writer_add(t.nodeid);
			ob->direct |= (hd->flags & HANDLE_DIRECT) != 0;
		}
}

/*
 * The object is of an earlier mount. A direct client of that one may be in the middle of a change:
 * let it end. But a word that stays is nobody's: its thread may be one of another boot, or it is
 * stopped.
 */
static void free_old_lock(uint32_t *word)
{
	if (ipc_lock_take(word, OLD_LOCK_NS) == -EBUSY)
		__atomic_store_n(word, 0, __ATOMIC_RELEASE);
	else
		ipc_lock_release(word);
}

/* Once, however often it is asked for. */
static void say_why(struct node *n, int r)
{
	char path[512];

	if (n->refused)
		return;
	n->refused = true;
	tree_path(n, path, sizeof(path));
	log_line(LOG_ERR, "%s: engine file %llu cannot be used: %s", path,
		 (unsigned long long)n->id,
		 r == -EPROTO ? "made by another version of ipcfs" : strerror(-r));
}

struct object *object_of(struct node *n, int *ret_error)
{
	struct object *ob = n->ob;
	int r;

	if (n->type == IPC_DIR) {
		*ret_error = -EISDIR;
		return NULL;
	}
	if (ob) {
		if (ob->lru_next) { /* not the last already */
			DL_DELETE2(fs.lru, ob, lru_prev, lru_next);
			DL_APPEND2(fs.lru, ob, lru_prev, lru_next);
		}
		return ob;
	}
	ob = calloc(1, sizeof(*ob));
	if (!ob) {
		*ret_error = -ENOMEM;
		return NULL;
	}
	ob->node = n;
	ob->data_fd = -1;
	r = map_file(ob);
	if (r < 0) {
		say_why(n, r);
		free(ob);
		*ret_error = r == -ENFILE || r == -EMFILE || r == -ENOMEM ? r : -EIO;
		return NULL;
	}
	n->ob = ob;
	DL_APPEND2(fs.lru, ob, lru_prev, lru_next);
	fs.mapped++;
	damage_unmark(&ob->o); /* it is checked anew */
	if (ob->o.h->epoch != mount_body()->epoch)
		free_old_lock(&ob->o.h->m.lock);
	ob->o.h->memory_low = fs.hungry != NULL;
	if (object_lock(ob) == 0)
		object_unlock(ob);
	return ob;
}

static int lock_for(struct object *ob, int64_t ns)
{
	int r = obj_lock(&ob->o, ns);

	if (r < 0)
		return r;
	attr_recall(ob->node);
	/* Cut short and made longer again, it has zeros instead. */
	if (ob->o.h->magic != IPC_MAGIC || ob->o.h->id != ob->o.id)
		obj_damage(&ob->o, "it is no longer an engine file");
	else if (ob->adopted)
		return 0;
	else
		adopt(ob);
	if (!ob->o.damage)
		return 0;
	obj_unlock(&ob->o);
	return -EIO;
}

int object_try(struct object *ob)
{
	return lock_for(ob, 0);
}

int object_lock_patiently(struct object *ob)
{
	return lock_for(ob, PATIENCE_NS);
}

int object_lock(struct object *ob)
{
	int r = lock_for(ob, ob->held ? 0 : LOCK_NS);

	if (r == -EBUSY)
		fs.above->kept(ob);
	return r;
}

void object_unlock(struct object *ob)
{
	if (ob->o.locked)
		obj_unlock(&ob->o);
}

uint64_t object_memory(struct object *ob)
{
	struct stat st;

	if (ob->data_fd >= 0 && fstat(ob->data_fd, &st) == 0)
		return heap_held(&ob->o) + (uint64_t)st.st_blocks * 512;
	return heap_held(&ob->o);
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
