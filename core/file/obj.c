/* SPDX-License-Identifier: MIT */
/*
 * Engine files: making, mapping and locking them, recovery. See obj.h.
 */
#define _GNU_SOURCE
#include "file/obj.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/layout.h"
#include "file/lock.h"
#include "file/log.h"

#define MARKED       "a program that uses it has found it damaged"
#define STORES_LEAST 1000000u

char ipc_nowhere[65536];

#ifdef IPC_FAULTS
long ipc_fault_after;
#endif

static bool is_full(int error)
{
	return error == ENOSPC || error == EDQUOT || error == ENOMEM || error == EFBIG;
}

int file_back(struct ipc_env *env, int fd, off_t off, off_t len, bool essential)
{
	const off_t piece = 8 << 20;

	while (len > 0) {
		off_t n = len < piece ? len : piece;

		if (fallocate(fd, 0, off, n) == 0) {
			off += n;
			len -= n;
		} else if (is_full(errno)) {
			if (!env->full || !env->full(env, n, essential))
				return -ENOSPC;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

/* A new file, with memory for the header that is accounted: a descriptor, or -errno. */
static int make_file(struct ipc_env *env, int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), r;

	if (fd < 0)
		return -errno;
	r = env->account ? env->account(env, IPC_PAGE, false) : 0;
	if (r == 0) {
		r = file_back(env, fd, 0, IPC_PAGE, false);
		if (r < 0 && env->account)
			env->account(env, -(int64_t)IPC_PAGE, true);
	}
	if (r == 0)
		return fd;
	close(fd);
	unlinkat(dirfd, name, 0);
	return r;
}

/* It could not be mapped. */
static void unmake_file(struct ipc_env *env, int dirfd, const char *name)
{
	unlinkat(dirfd, name, 0);
	if (env->account)
		env->account(env, -(int64_t)IPC_PAGE, true);
}

static void begin_header(struct ipc_header *h, const struct ipc_header *first)
{
	*h = *first;
	h->version = IPC_VERSION;
	h->fingerprint = layout_fingerprint();
	/* Magic last: a file that was not finished is none. */
	__atomic_store_n(&h->magic, IPC_MAGIC, __ATOMIC_RELEASE);
}

int obj_create(struct ipc_env *env, int dirfd, const char *name, const struct ipc_header *first)
{
	int fd = make_file(env, dirfd, name), r = 0;
	struct ipc_header *h;

	if (fd < 0)
		return fd;
	h = mmap(NULL, IPC_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (h == MAP_FAILED) {
		r = -errno;
		unmake_file(env, dirfd, name);
	} else {
		begin_header(h, first);
		munmap(h, IPC_PAGE);
	}
	close(fd);
	return r;
}

/* Map a file with such a header, of so many heap pages. */
static int map_all(struct ipc_env *env, int fd, const struct ipc_header *head, uint64_t pages,
		   struct ipc_obj *o)
{
	*o = (struct ipc_obj){
		.env = env,
		.fd = -1,
		.freed = true,
		.id = head->id,
		.type = head->type,
		.heap_off = IPC_PAGE,
		.map_len = IPC_PAGE + head->reserve,
		.max_pages = (uint32_t)(head->reserve / IPC_PAGE),
		.stores = STORES_LEAST,
	};
	o->pages = pages < o->max_pages ? (uint32_t)pages : o->max_pages;
	o->base = mmap(NULL, o->map_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (o->base == MAP_FAILED) {
		o->base = NULL;
		return -errno;
	}
	o->h = (struct ipc_header *)o->base;
	return 0;
}

int obj_make(struct ipc_env *env, int dirfd, const char *name, const struct ipc_header *first,
	     struct ipc_obj *o)
{
	int fd = make_file(env, dirfd, name), r;

	if (fd < 0)
		return fd;
	r = map_all(env, fd, first, 0, o);
	close(fd);
	if (r < 0) {
		unmake_file(env, dirfd, name);
		return r;
	}
	begin_header(o->h, first);
	return 0;
}

void obj_renew(struct ipc_obj *o, const struct ipc_header *first)
{
	memset(o->base, 0, (size_t)(1 + o->pages) * IPC_PAGE);
	o->id = first->id;
	o->type = first->type;
	o->stores = STORES_LEAST;
	o->grow_order = 0;
	o->work = o->starved = false;
	o->freed = true;
	begin_header(o->h, first);
}

/*
 * By pread(2), not through the mapping: if the page were gone, the SIGBUS could not be traced to
 * this object, whose mapping its user does not know yet.
 */
static int read_header(int fd, struct ipc_header *h, uint64_t *ret_pages)
{
	struct stat st;
	ssize_t n = pread(fd, h, sizeof(*h), 0);

	if (n < 0)
		return -errno;
	if (n < (ssize_t)sizeof(*h) || h->magic != IPC_MAGIC)
		return -EIO;
	if (h->version != IPC_VERSION || h->fingerprint != layout_fingerprint())
		return -EPROTO;
	/* The file may be growing, its length before `pages`. So read them in the other order. */
	if (fstat(fd, &st) < 0 || st.st_size < (off_t)IPC_PAGE)
		return -EIO;
	*ret_pages = (uint64_t)st.st_size / IPC_PAGE - 1;
	if (h->pages > *ret_pages) /* truncated */
		return -EIO;
	if (h->reserve > IPC_RESERVE_MOST || h->reserve % IPC_PAGE)
		return -EIO;
	return 0;
}

int obj_map(struct ipc_env *env, int fd, struct ipc_obj *o)
{
	struct ipc_header head;
	uint64_t pages = 0;
	int r = read_header(fd, &head, &pages);

	*o = (struct ipc_obj){ .env = env, .fd = -1 };
	return r < 0 ? r : map_all(env, fd, &head, pages, o);
}

bool obj_reach(struct ipc_obj *o, uint64_t end)
{
	uint64_t pages = (end - o->heap_off + IPC_PAGE - 1) / IPC_PAGE;
	int r;

	if (o->env->alone || pages > o->max_pages)
		return false;
	/* Reading behind the end of a file is fatal; asking for the page gives an error. */
	do
		r = madvise(o->base + o->heap_off + (pages - 1) * IPC_PAGE, IPC_PAGE,
			    MADV_POPULATE_READ);
	while (r < 0 && (errno == EINTR || errno == EAGAIN));
	if (r < 0 && errno != EINVAL) /* (before Linux 5.14 it cannot tell) */
		return false;
	o->pages = (uint32_t)pages;
	return true;
}

void obj_unmap(struct ipc_obj *o)
{
	if (o->base)
		munmap(o->base, o->map_len);
	if (o->fd >= 0)
		close(o->fd);
	o->base = NULL;
	o->h = NULL;
	o->fd = -1;
}

void obj_damage(struct ipc_obj *o, const char *why)
{
	if (o->damage)
		return;
	__atomic_store_n(&o->damage, why, __ATOMIC_RELAXED);
	if (o->env && o->env->damaged)
		o->env->damaged(o->env, o, why);
}

void obj_rollback(struct ipc_obj *o)
{
	struct ipc_header *h = o->h;
	uint64_t n = __atomic_load_n(&h->log_len, __ATOMIC_RELAXED);

	if (n > IPC_LOG_MAX) {
		obj_damage(o, "undo log too long");
		return;
	}
	while (n--) {
		uint64_t where = __atomic_load_n(&h->log[n].where, __ATOMIC_RELAXED),
			 off = where & ~1ull;

		IPC_FAULT();
		if (off % 4 || (off > IPC_PAGE - 8 && !obj_has(o, off, 8))) {
			obj_damage(o, "undo record out of range");
			return;
		}
		if (where & 1)
			*(uint32_t *)(o->base + off) = (uint32_t)h->log[n].old;
		else
			memcpy(o->base + off, &h->log[n].old, 8);
		/*
		 * Rolling back again from here gives the same result, so a death here does no harm.
		 */
	}
	commit(o);
}

int obj_lock(struct ipc_obj *o, int64_t timeout_ns)
{
	int r;

	if (__atomic_load_n(&o->damage, __ATOMIC_RELAXED)) /* shared by threads of a client */
		return -EIO;
	r = ipc_lock_take(&o->h->m.lock, timeout_ns);
	if (r == -EIO)
		obj_damage(o, MARKED);
	if (r == -EBUSY || r == -EIO)
		return r;
	/* Many times what any change can need. (The mount file's lock is never released.) */
	o->stores = o->type == IPC_MOUNT ?
			    UINT64_MAX / 2 :
			    STORES_LEAST + stores_for(o->env->alone ? o->pages : o->max_pages);
	/* A process that takes it over after a crash may die too, before it has undone anything. */
	o->locked = true;
	if (__builtin_expect(__atomic_load_n(&o->h->m.damaged, __ATOMIC_RELAXED), 0)) {
		obj_damage(o, MARKED);
	} else if (__builtin_expect(r != 0 || o->h->log_len != 0, 0)) {
		obj_rollback(o);
		o->work = o->freed = true; /* it may have died before it could say so */
	}
	if (o->entered && !o->damage)
		o->entered(o);
	if (__builtin_expect(o->damage != NULL, 0)) {
		obj_unlock(o);
		return -EIO;
	}
	return 0;
}

void obj_unlock(struct ipc_obj *o)
{
	if (o->leaving)
		o->leaving(o);
	o->locked = false;
	ipc_lock_release(&o->h->m.lock);
}
