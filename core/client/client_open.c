/* SPDX-License-Identifier: MIT */
/* libipcfs: opening and closing, and what becomes of both in a child process. See client.h. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/client.h"
#include "object/type.h"

unsigned int client_forks;
static unsigned int own_forks; /* forks of this process */
static pthread_mutex_t fork_lock = PTHREAD_MUTEX_INITIALIZER;

static void forks(void)
{
	__atomic_add_fetch(&own_forks, 1, __ATOMIC_RELAXED);
}

static void forked(void)
{
	client_forks++;
	living_forked();
	pthread_mutex_init(&fork_lock, NULL); /* a thread that the fork left behind may hold it */
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(forks, NULL, forked);
}

static int attach(int fd, struct lib_attach *a)
{
	memset(a, 0, sizeof(*a));
	a->magic = LIB_MAGIC;
	a->direct = !getenv("IPCFS_NO_DIRECT");
	if (ioctl(fd, LIB_IOC_ATTACH, a) < 0)
		return -errno;
	return ipc_type_of(a->type) ? 0 : -EPROTO;
}

int client_reopen(const struct ipcfs_obj *o)
{
	char path[40];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", o->fd);
	fd = open(path, (o->oflags & ~(O_CREAT | O_EXCL)) | O_ASYNC | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int reattach(struct ipcfs_obj *o)
{
	struct lib_attach at;
	int fd, r;

	fd = client_reopen(o);
	if (fd < 0)
		return fd;
	r = attach(fd, &at);
	if (r == 0 && dup3(fd, o->fd, O_CLOEXEC) < 0) /* the parent's handle is not ours any more */
		r = -errno;
	close(fd);
	if (r < 0)
		return r;
	o->at = at;
	o->pid = getpid();
	o->copied = __atomic_load_n(&own_forks, __ATOMIC_RELAXED);
	if (o->direct)
		direct_opened(o);
	o->writing = false;
	client_forget_begun(o); /* the parent's */
	pthread_mutex_init(&o->lock, NULL);
	pthread_mutex_init(&o->limited, NULL);
	__atomic_store_n(&o->forks, client_forks, __ATOMIC_RELEASE);
	return 0;
}

int client_enter_child(struct ipcfs_obj *o)
{
	int r = 0;

	pthread_mutex_lock(&fork_lock);
	if (o->forks != client_forks)
		r = reattach(o);
	pthread_mutex_unlock(&fork_lock);
	return r;
}

ipcfs_obj *ipcfs_open(const char *path, int oflags, mode_t mode)
{
	struct ipcfs_obj *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return NULL;
	/* Each call's time limit says what these would, or they have no effect from here on. */
	o->oflags = oflags & ~(O_NONBLOCK | O_APPEND | O_TRUNC | O_NOFOLLOW | O_ASYNC);
	o->forks = client_forks;
	o->pid = getpid();
	o->copied = __atomic_load_n(&own_forks, __ATOMIC_RELAXED);
	o->spin = 20;
	pthread_mutex_init(&o->lock, NULL);
	pthread_mutex_init(&o->limited, NULL);
	o->fd = open(path, o->oflags | (oflags & O_NONBLOCK) | O_ASYNC | O_CLOEXEC, mode);
	r = o->fd < 0 ? -errno : attach(o->fd, &o->at);
	if (r == 0 && oflags & O_NONBLOCK) /* that was for the open alone */
		r = fcntl(o->fd, F_SETFL, o->oflags | O_ASYNC) < 0 ? -errno : 0;
	o->type = r == 0 ? ipc_type_of(o->at.type) : NULL;
	if (r < 0) {
		if (o->fd >= 0)
			close(o->fd);
		free(o);
		errno = r == -ENOTTY ? EINVAL : -r; /* no object of ipcfs */
		return NULL;
	}
	o->direct = o->at.direct && direct_open(o) == 0;
	return o;
}

/*
 * RELEASE arrives when the kernel gets around to it, and only when no process has the descriptor
 * open. What the handle holds is this process's, unless a fork made a copy that was never used.
 */
static void give_back(ipcfs_obj *o)
{
	/* An end of a pipe is open as long as any process has it. */
	int64_t whole = o->type->closed &&
			o->copied == __atomic_load_n(&own_forks, __ATOMIC_RELAXED);

	if (o->forks != client_forks || o->pid != getpid() ||
	    (o->direct && !whole && direct_holds_nothing(o)))
		return;
	while (ioctl(o->fd, LIB_IOC_CLOSE, &whole) < 0 && errno == EINTR)
		;
}

void ipcfs_close(ipcfs_obj *o)
{
	int saved = errno;

	if (!o)
		return;
	give_back(o);
	if (o->direct)
		obj_unmap(&o->map);
	living_leave(o);
	client_drop_data(o);
	client_forget_begun(o);
	close(o->fd);
	free(o);
	errno = saved;
}

int ipcfs_is_direct(const ipcfs_obj *o)
{
	return o->direct;
}

int ipcfs_fd(const ipcfs_obj *o)
{
	return o->fd;
}
