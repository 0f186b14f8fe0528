/* SPDX-License-Identifier: MIT */
/*
 * libipcfs: closes that are on their way.
 *
 * What a closed handle held is free before any request that is made after that close; but the
 * kernel reports a close to the daemon only when it gets around to it. So a call that is about to
 * fail first makes a request to the daemon (session_sync): when the answer arrives, every earlier
 * close has been handled.
 *
 * That costs a round trip, and is spared where no close can be on its way: when whoever has
 * something is a direct client that lives. ipcfs_close() gives back before it closes, so only an
 * exit, an exec or a kill can come late, and of these the kernel tells at once: each client keeps a
 * lock of one byte, at its process id, on the directory of the engine files, through a descriptor
 * that ends with the others. (It is an open file description's, and goes with no other close.)
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/client_session.h"
#include "file/list.h"
#include "object/answer.h"
#include "object/fast.h"
#include "object/type.h"

#define HANDLES_LOOK 32u /* to look at more costs as much as to ask the daemon, */
#define PIDS_LOOK    8   /* and so does this */

/* ---- who lives ---- */

struct living { /* one for each state directory */
	struct living *next;
	dev_t dev;
	ino_t ino;
	unsigned int refs;
	int fd; /* atomic; -1 */
};

static struct living *all;
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;

/* Is its descriptor what it was? (A program may have closed all that it did not know.) */
static bool is_open(const struct living *l)
{
	struct stat st;

	return l->fd >= 0 && fstat(l->fd, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino;
}

/* In the child: the parent's lock is not its own. */
void living_forked(void)
{
	pthread_mutex_init(&all_lock, NULL);
	for (struct living *l = all; l; l = l->next) {
		if (is_open(l))
			close(l->fd);
		l->fd = -1;
	}
}

static struct flock byte_of(uint32_t pid, short type)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = pid, .l_len = 1 };
}

/* A descriptor of the directory, with our lock; *st identifies it. -1: others cannot see us. */
static int open_directory(const char *engine_file, struct stat *st)
{
	struct flock mine = byte_of((uint32_t)getpid(), F_RDLCK);
	char path[sizeof(((struct lib_attach *)NULL)->path)];
	char *slash;
	int fd;

	snprintf(path, sizeof(path), "%s", engine_file);
	slash = strrchr(path, '/');
	if (!slash)
		return -1;
	*slash = 0;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, st) == 0 && fcntl(fd, F_OFD_SETLK, &mine) == 0)
		return fd;
	close(fd);
	return -1;
}

static struct living *find(const struct stat *st)
{
	struct living *l = all;

	while (l && (l->dev != st->st_dev || l->ino != st->st_ino))
		l = l->next;
	return l;
}

void living_enter(struct ipcfs_obj *o)
{
	struct living *l = o->living;
	struct stat st;
	int fd;

	pthread_mutex_lock(&all_lock);
	if (l && is_open(l))
		goto out;
	fd = open_directory(o->at.path, &st);
	if (fd < 0)
		goto out;
	if (!l) {
		l = find(&st);
		if (!l && (l = calloc(1, sizeof(*l)))) {
			*l = (struct living){
				.next = all, .dev = st.st_dev, .ino = st.st_ino, .fd = -1
			};
			all = l;
		}
		if (l)
			l->refs++;
		o->living = l;
	}
	if (l && !is_open(l))
		__atomic_store_n(&l->fd, fd, __ATOMIC_RELEASE);
	else
		close(fd);
out:
	pthread_mutex_unlock(&all_lock);
}

void living_leave(struct ipcfs_obj *o)
{
	struct living *l = o->living, **at = &all;

	if (!l)
		return;
	pthread_mutex_lock(&all_lock);
	if (--l->refs == 0) {
		while (*at != l)
			at = &(*at)->next;
		*at = l->next;
		if (is_open(l))
			close(l->fd);
		free(l);
	}
	pthread_mutex_unlock(&all_lock);
}

/* Does the process have its lock? */
static bool lives(const struct ipcfs_obj *o, uint32_t pid)
{
	struct flock its = byte_of(pid, F_WRLCK);
	int fd = o->living ? __atomic_load_n(&o->living->fd, __ATOMIC_ACQUIRE) : -1;

	if (pid == (uint32_t)o->pid)
		return true;
	return fd >= 0 && pid && fcntl(fd, F_OFD_GETLK, &its) == 0 && its.l_type != F_UNLCK;
}

static bool all_live(const struct ipcfs_obj *o, const uint32_t *pids, int n)
{
	for (int i = 0; i < n; i++)
		if (!lives(o, pids[i]))
			return false;
	return true;
}

/* ---- which handles hold something ---- */

void session_sync(struct ipcfs_obj *c)
{
	int saved = errno;

	while (ioctl(c->fd, LIB_IOC_SYNC) < 0 && errno == EINTR)
		;
	errno = saved;
}

/* Would closing it make a difference to others? */
static bool matters(const struct ipc_obj *o, const struct ipc_handle *hd)
{
	if (o->ops->closed || hd->holds || hd->waiters || hd->rests || hd->leases || hd->line)
		return true;
	return o->ops->back && answer_left(&hd->hand);
}

/*
 * Whose handles matter, by process. How many; -1: too many, or some of whom nobody can tell
 * whether they live. With the object locked.
 */
static int who_matters(struct ipc_obj *o, const struct ipc_handle *me, uint32_t pids[PIDS_LOOK])
{
	int n = 0;

	if (ipc_is(o, TYPE_LASTING) && !o->ops->unhold) /* no close sets an event */
		return 0;
	if (o->h->handles.count > HANDLES_LOOK)
		return -1;
	LIST_EACH(o, &o->h->handles, r) {
		const struct ipc_handle *hd = handle_at(o, r);
		int i = 0;

		if (hd == me || !matters(o, hd))
			continue;
		if (!(hd->flags & HANDLE_DIRECT))
			return -1;
		while (i < n && pids[i] != hd->pid)
			i++;
		if (i == PIDS_LOOK)
			return -1;
		pids[i] = hd->pid;
		n += i == n;
	}
	return n;
}

bool session_retry(struct session *s, int *r)
{
	struct ipcfs_obj *c = s->client;
	uint32_t pids[PIDS_LOOK];
	int n, e;

	if (s->asked || !s->hd)
		return false;
	n = who_matters(s->o, s->hd, pids);
	if (n == 0)
		return false;
	s->asked = true;
	session_leave(s);
	if (n > 0 && all_live(c, pids, n))
		return false;
	session_sync(c);
	e = session_lock(s, 0);
	if (e != IPC_DONE)
		*r = e;
	return e == IPC_DONE;
}

/* ---- the size column ---- */

/* The process that holds the lock by the fast word, read without the object's lock. 0: none. */
static uint32_t fast_pid(struct ipcfs_obj *c)
{
	uint64_t word = c->fast ? __atomic_load_n(&c->fast->fast, __ATOMIC_RELAXED) : FAST_OFF;
	const struct ipc_handle *hd;

	if (word <= FAST_FREE)
		return 0;
	hd = ipc_handle(&c->map, (ref_t)word & ~FAST_FROZEN, (uint32_t)(word >> 32));
	return hd ? __atomic_load_n(&hd->pid, __ATOMIC_RELAXED) : UINT32_MAX;
}

/* Nothing is held, and nobody waits: for most types that is all there is to know. */
static bool nobody(const struct ipcfs_obj *c)
{
	const struct ipc_header *h = c->map.h;
	uint32_t n = __atomic_load_n(&h->holds.count, __ATOMIC_RELAXED) |
		     __atomic_load_n(&h->woken.count, __ATOMIC_RELAXED) |
		     __atomic_load_n(&h->granted.count, __ATOMIC_RELAXED);

	for (unsigned int i = 0; i < IPC_WAITQS; i++)
		n |= __atomic_load_n(&h->waitqs[i].count, __ATOMIC_RELAXED);
	return !n && (!c->type->back || __atomic_load_n(&h->handles.count, __ATOMIC_RELAXED) < 2);
}

void session_sync_size(struct ipcfs_obj *c)
{
	uint32_t pids[PIDS_LOOK] = { fast_pid(c) };
	struct session s;
	int n;

	if (pids[0]) {
		if (!lives(c, pids[0]))
			session_sync(c);
		return;
	}
	if (c->type->traits & TYPE_LASTING || nobody(c))
		return;
	n = -1;
	if (session_begin(c, &s, 0) == IPC_DONE) {
		n = who_matters(s.o, s.hd, pids);
		session_end(&s);
	}
	if (n < 0 || !all_live(c, pids, n))
		session_sync(c);
}

/* Without the lock: what others take from the handle meanwhile may be seen late, and is no harm. */
bool direct_holds_nothing(const struct ipcfs_obj *c)
{
	const struct ipc_handle *hd = handle_at((struct ipc_obj *)(uintptr_t)&c->map, c->at.handle);

	if (c->fast && fast_held(c->fast))
		return false;
	return !hd->holds && !hd->waiters && !hd->rests && !hd->leases && !hd->companion &&
	       hd->hand.kind == ANSWER_NONE;
}
