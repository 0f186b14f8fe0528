/* SPDX-License-Identifier: MIT */
/*
 * Objects that are mapped, and their locks.
 *
 * An object is mapped when it is first needed, and a number of the most recently used ones stay
 * mapped. Nothing is kept of another one that nobody needs. If somebody has it open or waits for
 * it, it is away: its struct object remains, and it is mapped again when it is locked. While it is
 * not mapped, its size is in its node.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>
#include <utlist.h>

#include "base/log.h"
#include "file/heap.h"
#include "file/list.h"
#include "file/lock.h"
#include "file/statedir.h"
#include "object/completion.h"
#include "object/damage.h"
#include "object/type.h"
#include "state/alias.h"
#include "state/blank.h"
#include "state/files.h"
#include "state/object.h"
#include "state/store.h"

#define ADOPT_NS    2000000
#define OLD_LOCK_NS 20000000

void object_idle(struct object *ob, bool idle)
{
	if (ob->idle) {
		DL_DELETE2(fs.idle, ob, idle_prev, idle_next);
		fs.idle_count--;
	}
	if (idle) {
		DL_APPEND2(fs.idle, ob, idle_prev, idle_next);
		fs.idle_count++;
	}
	ob->idle = idle;
}

static void is_mapped(struct object *ob)
{
	DL_APPEND2(fs.lru, ob, lru_prev, lru_next);
	fs.mapped++;
	fs.mapped_bytes += ob->o.map_len;
}

static void not_mapped(struct object *ob)
{
	if (ob->away) {
		DL_DELETE2(fs.away, ob, lru_prev, lru_next);
	} else {
		DL_DELETE2(fs.lru, ob, lru_prev, lru_next);
		fs.mapped--;
		fs.mapped_bytes -= ob->o.map_len;
	}
	ob->away = false;
	if (ob->data_fd >= 0)
		close(ob->data_fd);
	ob->data_fd = -1;
}

/* From now on it counts as not mapped. */
static void leave_lists(struct object *ob)
{
	fs.above->goes(ob);
	timer_remove(&ob->timer);
	object_idle(ob, false);
	if (ob->look)
		LL_DELETE2(fs.look, ob, look_next);
	not_mapped(ob);
	ob->node->ob = NULL;
	tree_idle(ob->node);
}

/* This stays its size until it is mapped again. */
static void record_size(struct object *ob)
{
	struct ipc_node *b = node_block(ob->node);

	if (ob->o.damage || ob->direct || !ob->adopted || ob->away)
		return;
	b->size = ipc_size(&ob->o);
	names_flags(&fs.mount, ob->node->ref, b->flags & ~NODE_MAPPED, 0);
}

void object_unmap(struct object *ob)
{
	record_size(ob);
	leave_lists(ob);
	obj_unmap(&ob->o);
	free(ob);
}

void object_away(struct object *ob)
{
	const struct ipc_header *h = ob->o.h;

	ob->open = h->handles.count;
	ob->holding = h->holds.count;
	ob->due = ipc_due(&ob->o) != IPC_NEVER;
	ob->waits = h->granted.count;
	for (unsigned int i = 0; i < IPC_WAITQS; i++)
		ob->waits |= h->waitqs[i].count != 0;
	record_size(ob);
	not_mapped(ob);
	obj_unmap(&ob->o);
	ob->away = true;
	DL_APPEND2(fs.away, ob, lru_prev, lru_next);
}

/* Its file, and an array's memory. */
static void let_files_go(struct object *ob)
{
	const struct node *n = ob->node;

	if (node_is(n, TYPE_MEMORY))
		files_remove_data(n->id);
	if (!(node_block(n)->flags & NODE_SHARED) && ready_put(&ob->o))
		return;
	obj_unmap(&ob->o);
	files_remove_engine(n->id);
}

/* false: there is no memory to note in its node what has happened to it. */
static bool become_blank(struct object *ob)
{
	struct node *n = ob->node;
	struct ipc_node *b = node_block(n);

	b->size = ipc_size(&ob->o);
	if (names_blank(&fs.mount, n->ref, b->flags & ~NODE_MAPPED, n->id, &ob->o.h->stats) < 0)
		return false;
	leave_lists(ob);
	let_files_go(ob);
	names_making(&fs.mount, 0);
	free(ob);
	return true;
}

bool object_rest(struct object *ob)
{
	bool blank;

	if (object_lock(ob, 0) < 0)
		return false;
	object_idle(ob, false);
	ipc_rest(&ob->o);
	blank = blank_again(ob);
	if (!blank)
		heap_shrink(&ob->o);
	object_unlock(ob);
	return blank && become_blank(ob);
}

void object_remove(struct object *ob)
{
	struct node *n = ob->node;

	leave_lists(ob);
	let_files_go(ob);
	free(ob);
	tree_remove(n);
}

/*
 * The object was last used by an earlier mount. One of that mount's direct clients may be in the
 * middle of a change: let it finish. But a lock word that stays set is nobody's: its thread
 * belonged to another boot, or is stopped.
 */
static void free_old_lock(uint32_t *word)
{
	if (ipc_lock_take(word, OLD_LOCK_NS) == -EBUSY)
		__atomic_store_n(word, 0, __ATOMIC_RELEASE);
	else
		ipc_lock_release(word);
}

/* Recorded first: from here on it may change. */
static void mapped(struct object *ob)
{
	uint32_t flags = node_block(ob->node)->flags;

	if (!(flags & NODE_MAPPED))
		names_flags(&fs.mount, ob->node->ref, flags | NODE_MAPPED, 0);
	ob->o.h->memory_low = fs.hungry != NULL;
	ob->o.h->roomy = 0;
	if (ob->adopted) /* it was away */
		return;
	damage_unmark(&ob->o); /* it is checked anew */
	if (ob->o.h->epoch != mount_body()->epoch)
		free_old_lock(&ob->o.h->m.lock);
}

static int map_file(struct object *ob)
{
	struct state_name name = state_engine(ob->node->id);
	int fd, r;

	/* O_NONBLOCK: whoever owns it may have a lease on it, and let us wait. */
	fd = openat(fs.objects_fd, name.s, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	r = ipc_map(&fs.env, fd, &ob->o);
	close(fd);
	ob->o.user = ob;
	if (r == 0 && (ob->o.id != ob->node->id || ob->o.ops != ob->node->ops)) {
		obj_unmap(&ob->o);
		r = -EIO;
	}
	if (r == 0)
		mapped(ob);
	return r;
}

/* Before its first use, locked: is it sound, and do its handles belong to this mount? */
static void adopt(struct object *ob)
{
	struct ipc_obj *o = &ob->o;
	bool same = o->h->epoch == mount_body()->epoch;
	struct target t;
	struct ipc_check k;

	ob->adopted = true;
	if (same) /* a restart: its users are still there */
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

/* Once, however often it is used. */
static void say_why(struct node *n, int r)
{
	char path[512];

	if (n->refused)
		return;
	n->refused = true;
	tree_path(n, path, sizeof(path));
	if (r == -ENOENT && !node_is_blank(n))
		log_line(LOG_ERR, "%s: its file is missing", path);
	else
		log_line(LOG_ERR, "%s: engine file %llu cannot be used: %s", path,
			 (unsigned long long)n->id,
			 r == -EPROTO ? "made by another version of ipcfs" : strerror(-r));
}

/* The error that the caller gets. */
static int cannot_map(struct node *n, int r)
{
	if (r == -ENFILE || r == -EMFILE || r == -ENOMEM || (r == -ENOSPC && node_is_blank(n)))
		return r;
	say_why(n, r);
	return -EIO;
}

/*
 * Zeros take the place of a file that cannot be used any more, as if it had been truncated while
 * mapped: so nobody has to check for a missing mapping.
 */
static bool stand_in(struct object *ob)
{
	struct ipc_obj *o = &ob->o;

	o->base = mmap(NULL, o->map_len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (o->base == MAP_FAILED) {
		o->base = NULL;
		return false;
	}
	o->h = (struct ipc_header *)o->base;
	return true;
}

bool object_back(struct object *ob)
{
	struct ipc_obj was = ob->o;
	int r;

	if (!ob->away)
		return true;
	r = map_file(ob);
	if (r < 0) {
		ob->o = was;
		if (cannot_map(ob->node, r) != -EIO || !stand_in(ob))
			return false;
	}
	ob->o.work = was.work;
	ob->o.freed = was.freed;
	ob->o.starved = was.starved;
	not_mapped(ob);
	is_mapped(ob);
	if (r < 0)
		obj_damage(&ob->o, "its file is gone, or cannot be used");
	return r == 0;
}

/* It was used last, so others are unmapped before it. */
static void to_the_end(struct object *ob)
{
	if (!ob->lru_next) /* it is last already */
		return;
	DL_DELETE2(fs.lru, ob, lru_prev, lru_next);
	DL_APPEND2(fs.lru, ob, lru_prev, lru_next);
}

static int map_new(struct node *n)
{
	struct object *ob = calloc(1, sizeof(*ob));
	int r;

	if (!ob)
		return -ENOMEM;
	ob->node = n;
	ob->data_fd = -1;
	r = node_is_blank(n) ? blank_end(ob) : map_file(ob);
	if (r < 0) {
		free(ob);
		return cannot_map(n, r);
	}
	n->ob = ob;
	is_mapped(ob);
	if (!ob->adopted && object_lock(ob, ADOPT_NS) == 0)
		object_unlock(ob);
	return 0;
}

struct object *object_of(struct node *n, int *ret_error)
{
	struct object *ob = n->ob;

	if (!ob) {
		*ret_error = n->type == IPC_DIR ? -EISDIR : map_new(n);
		return n->ob;
	}
	if (!object_back(ob)) {
		*ret_error = -EIO;
		return ob->o.damage ? ob : NULL;
	}
	to_the_end(ob);
	return ob;
}

int object_lock(struct object *ob, int64_t ns)
{
	int r = object_back(ob) ? obj_lock(&ob->o, ns) : -EIO;

	if (r < 0)
		return r;
	attr_recall(ob->node);
	/* Truncated and extended again, it has zeros instead. */
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

void object_unlock(struct object *ob)
{
	if (ob->o.locked)
		obj_unlock(&ob->o);
}

uint64_t object_memory(struct object *ob)
{
	struct stat st;

	if (!ob->node->ob) /* an image */
		return 0;
	if (ob->data_fd >= 0 && fstat(ob->data_fd, &st) == 0)
		return heap_held(&ob->o) + (uint64_t)st.st_blocks * 512;
	return heap_held(&ob->o);
}
