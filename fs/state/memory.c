/* SPDX-License-Identifier: MIT */
/*
 * The mount's memory: what the engine files take, counted in the mount file in steps of heap
 * growth, and who waits for some.
 *
 * An object is hungry while the first in one of its wait queues waits for memory (WAITER_MEMORY),
 * or a grant failed for lack of it. The hungry ones are in a list, the longest waiting first. All
 * are tried again, in that order, when less is in use than when they were last refused. What they
 * take and give back while they try does not count, so a round in which nobody succeeds is not
 * followed by another.
 *
 * Memory may be short because the mount's limit is reached, or because the file system of the state
 * directory is full. Only we change the former; room in the latter may be made by anyone who shares
 * it, and nothing tells us, so then they are tried again from time to time.
 *
 * Whoever has to wait needs some memory for that, and so does whoever opens the object to drain it.
 * Part of the limit is set aside for these (`essential`). In the file system it is the file
 * STATE/spare, which is shortened by what they need when nothing else is left, and filled up again
 * later.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <syslog.h>
#include <unistd.h>
#include <utlist.h>

#include "base/log.h"
#include "file/heap.h"
#include "file/statedir.h"
#include "object/type.h"
#include "state/blank.h"
#include "state/fs.h"
#include "state/memory.h"
#include "state/object.h"
#include "state/tree.h"

#define STEP        65536 /* a heap grows by multiples of it */
#define SPARE_MOST  (1 << 20)
#define RETRY_NS    100000000  /* how often to try again if others have to make room … */
#define SPARE_NS    1000000000 /* … or if only the spare file is short */
#define LOOKS_MOST  10000      /* objects that are looked at before a caller may wait */
#define RETRY_SHARE 20         /* … unless that takes more than this part of the time */

static uint64_t refused_at; /* bytes in use when the hungry were last refused */
static bool forced;         /* try in any case: there may be more, whatever is in use */

static bool full; /* the file system had no room when it was last asked */
static struct {
	int fd;
	int64_t size, want;
} spare = { .fd = -1 };
static struct timer retry;

/* An idle one gives back all that is free. */
static bool has_spare(const struct object *ob)
{
	return ob->o.h->free_top || (ob->idle && ob->o.h->pages);
}

/* Return the free memory of all other objects. false: there was none. */
static bool reclaim(void)
{
	static bool busy; /* locking one may check it, and that may ask for memory */
	uint64_t before = mount_body()->memory;
	struct object *ob;

	if (busy)
		return false;
	busy = true;
	DL_FOREACH2(fs.lru, ob, lru_next) {
		if (ob->o.damage || ob->o.locked || !has_spare(ob) || object_lock(ob, 0) < 0)
			continue;
		if (ob->idle) {
			ipc_rest(&ob->o);
			heap_shrink(&ob->o);
		}
		heap_trim(&ob->o, true);
		object_unlock(ob);
	}
	busy = false;
	return mount_body()->memory < before;
}

int memory_account(struct ipc_env *env, int64_t bytes, bool essential)
{
	struct ipc_mount *b = mount_body();
	uint64_t limit = b->memory_limit;

	(void)env;
	/* Waiting must be possible: waiters and handles may exceed the limit by some. */
	if (essential)
		limit += limit / 4 + (1 << 20);
	if (bytes > 0 && b->memory + (uint64_t)bytes > limit) {
		reclaim();
		if (b->memory + (uint64_t)bytes > limit)
			return -ENOSPC;
	}
	/* A damaged file may give back more than it ever took. */
	if (bytes < 0 && b->memory < (uint64_t)-bytes)
		bytes = -(int64_t)b->memory;
	/* One aligned word, written by this worker alone: it needs no undo record. */
	__atomic_store_n(&b->memory, b->memory + (uint64_t)bytes, __ATOMIC_RELAXED);
	return 0;
}

/* ---- a file system that is full ---- */

static uint64_t disk_size(void) /* 0: no limit, or unknown */
{
	struct statvfs s;

	return fstatvfs(fs.state_fd, &s) < 0 ? 0 : (uint64_t)s.f_blocks * s.f_frsize;
}

static void spare_fill(void)
{
	struct ipc_env alone = { .dirfd = -1 }; /* nobody is to make room for it */

	if (spare.fd >= 0 && spare.size < spare.want &&
	    file_back(&alone, spare.fd, 0, spare.want, false) == 0)
		spare.size = spare.want;
}

static bool spare_give(int64_t bytes)
{
	int64_t size = spare.size > bytes ? spare.size - bytes : 0;

	if (!spare.size || ftruncate(spare.fd, size) < 0)
		return false;
	spare.size = size;
	return true;
}

void memory_begin(void)
{
	uint64_t disk = disk_size(), want = mount_body()->memory_limit / 64;
	struct stat st;

	if (disk && disk / 16 < want)
		want = disk / 16;
	want = want < STEP ? STEP : want > SPARE_MOST ? SPARE_MOST : want / STEP * STEP;
	full = false;
	spare.fd =
		openat(fs.state_fd, STATE_SPARE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	spare.want = (int64_t)want;
	spare.size = spare.fd < 0 || fstat(spare.fd, &st) < 0 ? 0 : (int64_t)st.st_size;
	spare_fill();
	if (spare.size < spare.want)
		log_line(LOG_WARNING,
			 "%s: the file system is full; callers that have to wait may get ENOSPC "
			 "instead",
			 fs.opt.state);
}

void memory_end(void)
{
	timer_remove(&retry);
	if (spare.fd >= 0)
		close(spare.fd);
	spare.fd = -1;
	spare.size = 0;
}

bool memory_full(struct ipc_env *env, int64_t bytes, bool essential)
{
	(void)env;
	full = true;
	return ready_drop() || reclaim() || (essential && spare_give(bytes));
}

static void try_again(struct timer *t)
{
	timer_remove(t);
	full = false;
	spare_fill();
	forced = true; /* at the end of the turn */
}

/* Others may make room. took: how long it took to try. */
static void retry_later(uint64_t took)
{
	bool waits = fs.hungry && full;
	int64_t least = waits ? RETRY_NS : SPARE_NS, wait = (int64_t)took * RETRY_SHARE;
	int64_t t = (int64_t)ipc_now() + (wait > least ? wait : least);

	if ((waits || spare.size < spare.want) && (!retry.heap_at || t < retry.deadline)) {
		retry.fire = try_again;
		timer_set(&retry, t);
	}
}

/* ---- the hungry ---- */

/* (Without mapping it, which would unmap another one that somebody has a pointer to.) */
static void write_low(uint64_t id, uint32_t yes)
{
	int fd = openat(fs.objects_fd, state_engine(id).s,
			O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return;
	if (pwrite(fd, &yes, sizeof(yes), offsetof(struct ipc_header, memory_low)) < 0)
		log_line(LOG_WARNING, STATE_OBJECTS "/%s: %m", state_engine(id).s);
	close(fd);
}

/* Direct clients report freed memory while anybody waits for it. */
static void memory_low(bool yes)
{
	struct object *ob;

	DL_FOREACH2(fs.lru, ob, lru_next)
		if (!ob->o.damage)
			__atomic_store_n(&ob->o.h->memory_low, yes, __ATOMIC_RELAXED);
	DL_FOREACH2(fs.away, ob, lru_next)
		if (ob->direct)
			write_low(ob->node->id, yes);
}

void memory_hungry(struct object *ob, bool hungry)
{
	if (hungry) {
		uint64_t now = mount_body()->memory;

		if (!fs.hungry || now > refused_at)
			refused_at = now;
	}
	if (ob->hungry == hungry)
		return;
	ob->hungry = hungry;
	if (!hungry) {
		DL_DELETE2(fs.hungry, ob, hungry_prev, hungry_next);
		if (!fs.hungry)
			memory_low(false);
		return;
	}
	if (!fs.hungry)
		memory_low(true);
	DL_APPEND2(fs.hungry, ob, hungry_prev, hungry_next);
}

bool memory_may_do(void)
{
	if (!fs.hungry || (!forced && mount_body()->memory >= refused_at))
		return false;
	forced = false;
	refused_at = mount_body()->memory;
	return true;
}

void memory_tried(uint64_t took)
{
	retry_later(took);
}

void memory_limit_changed(void)
{
	forced = true;
}

/* Bytes that an object's messages may take: all but the few pages of its handles and waiters. */
static uint64_t can_go(ref_t r)
{
	uint64_t id = node_at(&fs.mount, r)->id;
	const struct ipc_type *t = ipc_type_of_node(node_at(&fs.mount, r)->type);
	const struct node *n = tree_known(id);
	uint64_t held = 0, few = 17 * (uint64_t)IPC_PAGE;
	struct stat st;

	if (!t || !(t->traits & TYPE_LARGE))
		return 0;
	if (n && node_mapped(n)) {
		held = n->ob->o.damage ? 0 : heap_held(&n->ob->o);
	} else if (!(node_at(&fs.mount, r)->flags & NODE_BLANK)) {
		if (fstatat(fs.objects_fd, state_engine(id).s, &st, AT_SYMLINK_NOFOLLOW) == 0)
			held = (uint64_t)st.st_blocks * 512;
	}
	return held > few ? held - few : 0;
}

struct forecast {
	uint64_t least, most; /* bytes in use once all that was looked at is drained; the aim */
	unsigned int left;
};

static bool drained(void *arg, ref_t r)
{
	struct forecast *f = arg;
	uint64_t go = can_go(r);

	f->least -= go < f->least ? go : f->least;
	return f->least > f->most && --f->left;
}

bool memory_may_come(size_t bytes)
{
	struct ipc_mount *b = mount_body();
	uint64_t need = bytes + STEP, disk = disk_size();
	struct forecast f = { .least = b->memory, .left = LOOKS_MOST };

	/* Whoever fills a file system may also free it. */
	if ((disk && need > disk) || need > b->memory_limit)
		return false;
	f.most = b->memory_limit - need;
	if (f.least > f.most)
		names_each(&fs.mount, drained, &f);
	return f.least <= f.most || !f.left; /* (of so many objects some may be removed) */
}
