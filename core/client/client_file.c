/* SPDX-License-Identifier: MIT */
/*
 * libipcfs through the mount: each operation is one pread, pwrite, flock or ioctl on the handle.
 * Time limits go with the offset: see lib.h.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "client/client.h"
#include "object/number.h"

#define PIECE (8u << 20) /* bytes of one call: more would not fit into the offset */

/*
 * The time limit that ended a call was not the caller's, so the call must be repeated: there is
 * no room for a longer one in the offset, or it was the one that flock_limited() lends to the
 * handle. Else it was the handle's own (NAME@SECONDS, ioctl).
 */
static bool too_early(struct ipcfs_obj *o, int64_t left, unsigned int lent)
{
	return left > (int64_t)LIB_TIME_MOST * 1000 - 1000 ||
	       lent != __atomic_load_n(&o->lent, __ATOMIC_ACQUIRE) || lent % 2;
}

static ssize_t read_from(struct ipcfs_obj *o, int fd, void *buf, size_t size, int64_t deadline,
			 uint64_t how)
{
	unsigned int lent;
	int64_t left;
	ssize_t n;

	do {
		lent = __atomic_load_n(&o->lent, __ATOMIC_ACQUIRE);
		left = left_of(deadline);
		n = pread(fd, buf, size < PIECE ? size : PIECE, (off_t)(lib_offset(left, 0) | how));
	} while (n < 0 && errno == ETIMEDOUT && too_early(o, left, lent));
	return n < 0 ? -errno : n;
}

ssize_t file_read(struct ipcfs_obj *o, void *buf, size_t size, int64_t deadline, bool join)
{
	return read_from(o, o->fd, buf, size, deadline, join ? LIB_SPECIAL : 0);
}

ssize_t file_keep(struct ipcfs_obj *o, int fd, void *buf, size_t size, int64_t deadline)
{
	return read_from(o, fd, buf, size, deadline, LIB_KEEP);
}

static ssize_t write_to(struct ipcfs_obj *o, int fd, const void *data, size_t len, bool atomic,
			int64_t deadline)
{
	unsigned int lent;
	int64_t left;
	ssize_t n;

	do {
		lent = __atomic_load_n(&o->lent, __ATOMIC_ACQUIRE);
		left = left_of(deadline);
		n = pwrite(fd, len ? data : "", len ? len : 1,
			   (off_t)lib_offset(left, !len || (atomic && len > 1)));
	} while (n < 0 && errno == ETIMEDOUT && too_early(o, left, lent));
	return n < 0 ? -errno : n;
}

static int put_all(struct ipcfs_obj *o, int fd, const char *msg, size_t len, bool atomic,
		   int64_t deadline)
{
	size_t done = 0;
	ssize_t n = 0;

	do {
		size_t k = len - done < PIECE ? len - done : PIECE;

		n = write_to(o, fd, msg + done, k, atomic, deadline);
		if (n > 0)
			done += (size_t)n;
		if (n < (ssize_t)k)
			break;
	} while (done < len);
	if (done == len && n >= 0)
		return 0;
	return done ? (int)(done < INT_MAX ? done : INT_MAX) : (int)n;
}

int file_put(struct ipcfs_obj *o, const void *msg, size_t len, bool atomic, int64_t deadline)
{
	int fd, r;

	/*
	 * The kernel makes a second writer of one descriptor wait for the first, unkillably. So a
	 * thread that finds another in here writes through a handle of its own.
	 */
	if (!__atomic_exchange_n(&o->writing, true, __ATOMIC_ACQUIRE)) {
		r = put_all(o, o->fd, msg, len, atomic, deadline);
		__atomic_store_n(&o->writing, false, __ATOMIC_RELEASE);
		return r;
	}
	fd = client_reopen(o);
	if (fd < 0)
		return fd;
	r = put_all(o, fd, msg, len, atomic, deadline);
	close(fd);
	return r;
}

int file_number(struct ipcfs_obj *o, int64_t deadline, int64_t *ret)
{
	char buf[NUMBER_TEXT_MAX];
	ssize_t n = file_read(o, buf, sizeof(buf), deadline, false);

	if (n < 0)
		return (int)n;
	return number_int64(buf, (size_t)n, ret);
}

int file_command(struct ipcfs_obj *o, const char *text)
{
	ssize_t n = pwrite(o->fd, text, strlen(text), 0);

	return n < 0 ? -errno : 0;
}

/*
 * flock(2) has no room for a time limit: the handle's own is set around it, by one thread at a
 * time. Others that meanwhile ask for no limit may time out by it, and ask again.
 */
static int flock_limited(struct ipcfs_obj *o, int how, int64_t deadline)
{
	struct timespec ts;
	int64_t ns = left_of(deadline);
	int r;

	clock_gettime(CLOCK_REALTIME, &ts); /* (not clocklock: ThreadSanitizer does not know it) */
	ts.tv_sec += ns / 1000000000;
	ts.tv_nsec += ns % 1000000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	r = pthread_mutex_timedlock(&o->limited, &ts);
	if (r)
		return -r;
	__atomic_add_fetch(&o->lent, 1, __ATOMIC_ACQ_REL);
	do {
		ns = left_of(deadline);
		r = ioctl(o->fd, IPCFS_IOC_TIMEOUT, &ns) < 0 || flock(o->fd, how) < 0 ? -errno : 0;
	} while (r == -ETIMEDOUT && (int64_t)ipc_now() < deadline);
	ns = -1;
	if (ioctl(o->fd, IPCFS_IOC_TIMEOUT, &ns) < 0 && r == 0)
		r = 0; /* the mount is gone: the next call will tell */
	__atomic_add_fetch(&o->lent, 1, __ATOMIC_ACQ_REL);
	pthread_mutex_unlock(&o->limited);
	return r;
}

int file_flock(struct ipcfs_obj *o, int how, int64_t deadline)
{
	unsigned int lent;
	int r;

	if (how != LOCK_UN && deadline && deadline != IPC_NEVER)
		return flock_limited(o, how, deadline);
	do {
		lent = __atomic_load_n(&o->lent, __ATOMIC_ACQUIRE);
		r = flock(o->fd, how | (deadline == 0 && how != LOCK_UN ? LOCK_NB : 0)) < 0 ?
			    -errno :
			    0;
	} while (r == -ETIMEDOUT && deadline && too_early(o, 0, lent));
	return r;
}

int file_done(struct ipcfs_obj *o, unsigned int n)
{
	int64_t v = n;

	return ioctl(o->fd, LIB_IOC_DONE, &v) < 0 ? -errno : 0;
}

/* ---- value ---- */

static int read_value(struct ipcfs_obj *o, int64_t deadline, int64_t *ret)
{
	char buf[IPC_VALUE_MAX + 1];
	ssize_t n = file_read(o, buf, sizeof(buf), deadline, false);

	return n < 0 ? (int)n : number_int64(buf, (size_t)n, ret);
}

int file_value(struct ipcfs_obj *o, int64_t *ret)
{
	int r;

	pthread_mutex_lock(&o->lock);
	r = read_value(o, 0, ret);
	pthread_mutex_unlock(&o->lock);
	return r;
}

int file_add(struct ipcfs_obj *o, int64_t n, int64_t *ret_value)
{
	struct lib_add a = { .n = n, .wants_value = ret_value != NULL };

	if (ioctl(o->fd, LIB_IOC_ADD, &a) < 0)
		return -errno;
	if (ret_value)
		*ret_value = a.made;
	return 0;
}

/* The next read after a write returns its result: read it now, although nobody needs it. */
int file_cas(struct ipcfs_obj *o, const char *text)
{
	int64_t made;
	int r;

	pthread_mutex_lock(&o->lock);
	r = file_command(o, text);
	if (r == 0 && (o->oflags & O_ACCMODE) == O_RDWR)
		read_value(o, IPC_NEVER, &made);
	pthread_mutex_unlock(&o->lock);
	return r;
}
