/* SPDX-License-Identifier: MIT */
/* libipcfs: opening, and what each call is for each type. See client.h. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/client.h"

struct old_data { /* earlier mappings of an array, until the close */
	struct old_data *next;
	void *data;
	size_t len;
};

/* Forks between the first process that used the library and this one; forks of this process. */
static unsigned int client_forks, own_forks;
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

/* ---- opening ---- */

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
		living_enter(o);
	o->writing = false;
	pthread_mutex_init(&o->lock, NULL);
	pthread_mutex_init(&o->limited, NULL);
	__atomic_store_n(&o->forks, client_forks, __ATOMIC_RELEASE);
	return 0;
}

/* Begin an operation that reads or writes (`mode`; O_RDWR: either is enough). */
static int enter(struct ipcfs_obj *o, int mode)
{
	int have = o->oflags & O_ACCMODE, r = 0;

	if (mode != O_RDWR && have != O_RDWR && have != mode)
		return -EBADF;
	if (__builtin_expect(__atomic_load_n(&o->forks, __ATOMIC_ACQUIRE) == client_forks, 1))
		return 0;
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
	if (o->data)
		munmap(o->data, o->data_len);
	while (o->old_data) {
		struct old_data *d = o->old_data;

		o->old_data = d->next;
		munmap(d->data, d->len);
		free(d);
	}
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

/* ---- messages ---- */

static bool too_long(const struct ipcfs_obj *o, size_t len)
{
	return o->type->traits & TYPE_MESSAGES && len > IPC_MESSAGE_MAX;
}

int ipcfs_put(ipcfs_obj *o, const void *msg, size_t len, int64_t timeout_ns)
{
	struct iovec v = { (void *)(uintptr_t)msg, len };
	int64_t deadline;
	int r = enter(o, O_WRONLY), done;
	size_t part;

	if (r < 0)
		return r;
	if (!ipc_is_stream(o->type))
		return -EINVAL;
	if (too_long(o, len))
		return -EMSGSIZE;
	deadline = deadline_of(timeout_ns);
	r = direct_put(o, &v, 1, deadline, &done, &part);
	if (part)
		return (int)part;
	return r != IPC_ELSEWHERE ? r : file_put(o, msg, len, deadline);
}

int ipcfs_put_many(ipcfs_obj *o, const struct iovec *msgs, int n, int64_t timeout_ns)
{
	int64_t deadline;
	int r = enter(o, O_WRONLY), done = 0, some = 0;
	size_t part = 0;

	if (r < 0)
		return r;
	if (!ipc_is_stream(o->type) || n < 0)
		return -EINVAL;
	deadline = deadline_of(timeout_ns);
	while (done < n && r == 0) {
		r = direct_put(o, msgs + done, n - done, deadline, &some, &part);
		done += some;
		if (r != IPC_ELSEWHERE || part)
			break;
		/* For example, one message that has to wait for memory; the next ones go directly again. */
		r = too_long(o, msgs[done].iov_len) ?
			    -EMSGSIZE :
			    file_put(o, msgs[done].iov_base, msgs[done].iov_len, deadline);
		if (r == 0)
			done++;
	}
	if (done)
		return done;
	return part ? (int)part : r;
}

ssize_t ipcfs_get(ipcfs_obj *o, void *buf, size_t size, int64_t timeout_ns)
{
	struct iovec v = { buf, size };
	int64_t deadline;
	int r = enter(o, O_RDONLY), got;

	if (r < 0)
		return r;
	if (!ipc_is_stream(o->type) || !size)
		return -EINVAL;
	deadline = deadline_of(timeout_ns);
	r = direct_get(o, &v, 1, deadline, &got);
	if (r == IPC_ELSEWHERE)
		return file_read(o, buf, size, deadline, false);
	return r < 0 ? r : (ssize_t)v.iov_len;
}

int ipcfs_get_many(ipcfs_obj *o, struct iovec *bufs, int n, int64_t timeout_ns)
{
	int64_t deadline;
	int r = enter(o, O_RDONLY), got = 0;
	ssize_t len;

	if (r < 0)
		return r;
	if (!ipc_is_stream(o->type) || n < 0)
		return -EINVAL;
	for (int i = 0; i < n; i++)
		if (!bufs[i].iov_len)
			return -EINVAL;
	if (!n)
		return 0;
	deadline = deadline_of(timeout_ns);
	r = direct_get(o, bufs, n, deadline, &got);
	if (r != IPC_ELSEWHERE)
		return got ? got : r;
	for (; got < n; got++) {
		len = file_read(o, bufs[got].iov_base, bufs[got].iov_len, got ? 0 : deadline,
				false);
		if (len < 0)
			return got ? got : (int)len;
		bufs[got].iov_len = (size_t)len;
	}
	return got;
}

int ipcfs_done(ipcfs_obj *o, unsigned int n)
{
	int r = enter(o, O_RDONLY);

	if (r < 0)
		return r;
	if (!(o->type->traits & TYPE_JOIN))
		return -EINVAL;
	r = direct_done(o, n);
	return r != IPC_ELSEWHERE ? r : file_done(o, n);
}

int ipcfs_join(ipcfs_obj *o, int64_t timeout_ns)
{
	int64_t deadline, zero;
	char buf[8];
	int r = enter(o, O_RDONLY);

	if (r < 0)
		return r;
	if (!(o->type->traits & TYPE_JOIN))
		return -EINVAL;
	deadline = deadline_of(timeout_ns);
	r = direct_number(o, OP_JOIN, deadline, &zero);
	if (r == IPC_ELSEWHERE)
		r = (int)file_read(o, buf, sizeof(buf), deadline, true);
	return r < 0 ? r : 0;
}

/* ---- locks, permits, waiting ---- */

static int read_number(struct ipcfs_obj *o, int64_t timeout_ns, int64_t *ret)
{
	int64_t deadline = deadline_of(timeout_ns);
	int r = direct_number(o, OP_READ, deadline, ret);

	return r != IPC_ELSEWHERE ? r : file_number(o, deadline, ret);
}

int ipcfs_acquire(ipcfs_obj *o, int64_t timeout_ns)
{
	int64_t deadline, depth;
	int r = enter(o, is_permits(o->type) ? O_RDONLY : O_RDWR);

	if (r < 0)
		return r;
	if (o->fast && direct_take(o, timeout_ns != 0))
		return 0;
	if (is_permits(o->type))
		return read_number(o, timeout_ns, &depth);
	deadline = deadline_of(timeout_ns);
	r = direct_flock(o, LOCK_EX, deadline);
	return r != IPC_ELSEWHERE ? r : file_flock(o, LOCK_EX, deadline);
}

/* word: what to write to the file, if it is not a number. */
static int command(struct ipcfs_obj *o, const struct ipc_cmd *cmd, const char *word)
{
	char text[24];
	int r = enter(o, O_WRONLY);

	if (r < 0)
		return r;
	r = direct_give(o, cmd, NULL);
	if (r != IPC_ELSEWHERE)
		return r;
	if (!word)
		snprintf(text, sizeof(text), "%lld", (long long)cmd->n);
	return file_command(o, word ? word : text);
}

int ipcfs_release(ipcfs_obj *o, unsigned int n)
{
	int r;

	if (o->fast && (n == 1 || !is_permits(o->type)) && enter(o, O_WRONLY) == 0 &&
	    direct_release(o))
		return 0;
	if (is_permits(o->type))
		return command(o, &(struct ipc_cmd){ .verb = CMD_ADD, .n = n }, NULL);
	r = enter(o, O_RDWR);
	if (r < 0)
		return r;
	r = direct_flock(o, LOCK_UN, IPC_NEVER);
	return r != IPC_ELSEWHERE ? r : file_flock(o, LOCK_UN, IPC_NEVER);
}

int ipcfs_wait(ipcfs_obj *o, int64_t timeout_ns)
{
	int64_t n;
	int r = enter(o, O_RDONLY);

	if (r < 0)
		return r;
	if (!(o->type->traits & TYPE_WAITED_FOR))
		return -EINVAL;
	r = read_number(o, timeout_ns, &n);
	return r < 0 || !(o->type->traits & TYPE_INDEX) ? r : (int)n;
}

static bool understands(const struct ipcfs_obj *o, enum ipc_verb verb)
{
	return o->type->verbs & VERB(verb);
}

int ipcfs_set(ipcfs_obj *o)
{
	if (!understands(o, CMD_SET))
		return -EINVAL;
	return command(o, &(struct ipc_cmd){ .verb = CMD_SET }, "set");
}

int ipcfs_clear(ipcfs_obj *o)
{
	if (!understands(o, CMD_CLEAR))
		return -EINVAL;
	return command(o, &(struct ipc_cmd){ .verb = CMD_CLEAR }, "clear");
}

int ipcfs_notify(ipcfs_obj *o, unsigned int n)
{
	if (!understands(o, CMD_NOTIFY))
		return -EINVAL;
	if (n == IPCFS_ALL)
		return command(o, &(struct ipc_cmd){ .verb = CMD_NOTIFY, .n = CMD_ALL }, "all");
	return command(o, &(struct ipc_cmd){ .verb = CMD_NOTIFY, .n = n }, NULL);
}

/* ---- value and array ---- */

/* The result of a change is read, so a caller that asks for it needs read access. */
static int enter_value(struct ipcfs_obj *o, const int64_t *ret)
{
	int r;

	if (!(o->type->traits & TYPE_TEXT))
		return -EINVAL;
	r = enter(o, ret ? O_RDONLY : O_WRONLY);
	return r < 0 ? r : enter(o, O_WRONLY);
}

int ipcfs_add(ipcfs_obj *o, int64_t n, int64_t *ret_value)
{
	int r = enter_value(o, ret_value);

	if (r < 0)
		return r;
	r = direct_give(o, &(struct ipc_cmd){ .verb = CMD_PLUS, .n = n }, ret_value);
	return r != IPC_ELSEWHERE ? r : file_add(o, n, ret_value);
}

int ipcfs_cas(ipcfs_obj *o, int64_t old, int64_t new_value)
{
	char text[64], was[24], is[24];
	struct ipc_cmd cmd = { .verb = CMD_CAS, .old = was, .text = is };
	int r = enter_value(o, NULL);

	if (r < 0)
		return r;
	cmd.old_len = (size_t)snprintf(was, sizeof(was), "%lld", (long long)old);
	cmd.text_len = (size_t)snprintf(is, sizeof(is), "%lld", (long long)new_value);
	snprintf(text, sizeof(text), "cas %s %s", was, is);
	r = direct_give(o, &cmd, NULL);
	return r != IPC_ELSEWHERE ? r : file_cas(o, text);
}

int64_t ipcfs_value(const ipcfs_obj *object)
{
	struct ipcfs_obj *o = (struct ipcfs_obj *)(uintptr_t)object; /* the lock is in it */
	struct stat st;
	int64_t n = 0;
	int r = enter(o, o->type->traits & TYPE_TEXT ? O_RDONLY : O_RDWR);

	if (r == 0)
		r = direct_value(o, &n);
	if (r == IPC_ELSEWHERE) {
		if (o->type->traits & TYPE_TEXT)
			r = file_value(o, &n);
		else if ((r = fstat(o->fd, &st) < 0 ? -errno : 0) == 0)
			n = st.st_size;
	}
	if (r < 0) {
		errno = -r;
		return INT64_MIN;
	}
	return n;
}

/* With o->lock. An earlier mapping stays: the caller may still use it. */
static int map_data(struct ipcfs_obj *o)
{
	char path[sizeof(o->at.path) + 8];
	struct old_data *old = NULL;
	struct stat st, named;
	void *p = NULL;
	int fd, r = 0;

	snprintf(path, sizeof(path), "%s.data", o->at.path);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || stat(o->at.path, &named) < 0 || named.st_dev != o->at.dev ||
	    named.st_ino != o->at.ino)
		r = -EACCES; /* another mount namespace's */
	else if (o->data && o->data_len == (size_t)st.st_size)
		goto out;
	if (r == 0 && o->data && !(old = malloc(sizeof(*old))))
		r = -ENOMEM;
	if (r == 0 && st.st_size) {
		p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		r = p == MAP_FAILED ? -errno : 0;
	} else if (r == 0) {
		r = -ENODATA; /* there is nothing to map yet */
	}
	if (r < 0) {
		free(old);
		goto out;
	}
	if (old) {
		*old = (struct old_data){ o->old_data, o->data, o->data_len };
		o->old_data = old;
	}
	o->data = p;
	o->data_len = (size_t)st.st_size;
out:
	close(fd);
	return r;
}

void *ipcfs_data(ipcfs_obj *o, size_t *length)
{
	void *data;
	int r = enter(o, O_RDWR);

	if (r == 0 && !(o->type->traits & TYPE_MEMORY))
		r = -EINVAL;
	if (r == 0 && (o->oflags & O_ACCMODE) != O_RDWR)
		r = -EBADF;
	if (r < 0) {
		errno = -r;
		return NULL;
	}
	pthread_mutex_lock(&o->lock);
	r = map_data(o);
	data = r < 0 ? NULL : o->data;
	if (data && length)
		*length = o->data_len;
	pthread_mutex_unlock(&o->lock);
	if (r < 0)
		errno = -r;
	return data;
}
