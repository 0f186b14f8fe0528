/* SPDX-License-Identifier: MIT */
/*
 * ipcfs.h - the objects of an ipcfs mount, from C.
 *
 * A program that can open a file needs none of this: reading takes, writing gives, flock borrows.
 * libipcfs (pkg-config: ipcfs) opens the same path and does the same to the same object, but where
 * it can it works in the object's shared memory, without the daemon in the way: some tens of
 * nanoseconds instead of as many microseconds. Where it cannot (no permission to read and write,
 * another user's state directory, another pid namespace, IPCFS_NO_DIRECT set in the environment) it
 * goes through the file and behaves the same. Either way a put here wakes a `read` in a shell.
 *
 *	ipcfs_obj *q = ipcfs_open("/ipc/jobs.queue", O_RDWR | O_CREAT, 0666);
 *	ipcfs_put(q, "resize cat.jpg", 14, IPCFS_FOREVER);
 *	n = ipcfs_get(q, buf, sizeof(buf), 2500000000);		// waits 2.5 s at the most
 *
 * Results. A call returns 0 or more, or a negative errno; it does not touch errno, unless it
 * returns a pointer or a value. A call that is refused changes nothing.
 *
 * Waiting. timeout_ns is in nanoseconds: IPCFS_FOREVER (any negative number) waits for ever; 0
 * only tries, and gives -EAGAIN; otherwise -ETIMEDOUT when the time has passed. Who waits is
 * served first come, first served, together with those who wait through files. A signal handler
 * that runs ends the wait with -EINTR and nothing is taken, also with SA_RESTART; calls that take
 * no timeout_ns do not wait. Two exceptions that the kernel makes, where it goes through the file:
 * SA_RESTART goes on waiting for the lock of a cond, value or array; and ipcfs_put with a time
 * limit, or of an empty message, fails under a limit of the size of files (ulimit -f) as any write
 * behind it does (-EFBIG, SIGXFSZ).
 *
 * Errors of any call: -EBADF the object was not opened for that (O_RDONLY, O_WRONLY), -EINVAL not
 * of that type (-EOPNOTSUPP: there is nothing to acquire or release), -ECANCELED the wait was
 * cancelled (ctl/cancel, unmount), -EIO the engine file is damaged, -ENOTCONN the mount is gone.
 *
 * Ownership. Permits, locks, levels and leases belong to the ipcfs_obj, as they belong to an open
 * file: they return when it is closed, by whatever death of the process, kill -9 in the middle of a
 * call included. (Semaphores only with ctl/undo set, as for files.) ipcfs_close has returned them
 * when it returns. What another process had is free before any call that is made after its close,
 * exec or death: so a call that is about to give -EAGAIN or -ETIMEDOUT, and ipcfs_value, first ask
 * the daemon whether a close is on its way, if another handle has something that would return with
 * it. Such a refusal costs as much as a file operation, and a microsecond where that handle is one
 * of this library, in a process that lives.
 *
 * Threads may share an ipcfs_obj, and share what it holds: a lock that two threads shall exclude
 * each other with needs an ipcfs_obj each. Close it when no other call uses it.
 *
 * Fork. A child may use what its parent opened: with its first call it gets a handle of its own,
 * so it holds nothing of what the parent holds. A child that does not use it should ipcfs_close it:
 * until then the parent's handle does not close with the parent. exec closes (O_CLOEXEC).
 *
 * No call may be made from a signal handler.
 */
#ifndef IPCFS_H
#define IPCFS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- ioctls on an object that was opened as a file ---- */

/* Nanoseconds that each later operation of this open file may wait; 0 not at all, -1 for ever. */
#define IPCFS_IOC_TIMEOUT	_IOW('i', 1, int64_t)
/* CLOCK_MONOTONIC nanoseconds at which every later operation ends its wait; -1: never. */
#define IPCFS_IOC_DEADLINE	_IOW('i', 2, int64_t)
/* Gives the length of what the next read would give, or -1 if it would wait. */
#define IPCFS_IOC_NEXT		_IOR('i', 3, int64_t)

/* ---- libipcfs ---- */

#define IPCFS_FOREVER	((int64_t)-1)
#define IPCFS_ALL	(~0u)

#ifndef IPCFS_API
#define IPCFS_API
#endif

typedef struct ipcfs_obj ipcfs_obj;

/*
 * As open(2): O_RDONLY, O_WRONLY or O_RDWR, O_CREAT, O_EXCL; O_CLOEXEC is always set, other flags
 * mean nothing. PATH@SECONDS is a time limit for all calls. NULL and errno: open(2)'s, EINVAL for
 * what is no object of an ipcfs.
 */
IPCFS_API ipcfs_obj *ipcfs_open(const char *path, int oflags, mode_t mode);
/* Returns what it holds, before it returns itself. NULL is allowed; errno stays as it is. */
IPCFS_API void ipcfs_close(ipcfs_obj *o);
/* 1: it works in the shared memory; 0: through the file. */
IPCFS_API int ipcfs_is_direct(const ipcfs_obj *o);
/* The open file, for poll(2). It stays the object's: do not read, write or close it. */
IPCFS_API int ipcfs_fd(const ipcfs_obj *o);

/*
 * queue, pipe: put a message of `len` bytes, also none. Waits while there is no room. 0; where a
 * byte pipe took only the first part until the time limit or signal: how many bytes.
 * -EPIPE queue closed or no reader, -EMSGSIZE larger than allowed, -ENOSPC no memory.
 */
IPCFS_API int ipcfs_put(ipcfs_obj *o, const void *msg, size_t len, int64_t timeout_ns);
/*
 * queue, pipe: take the next message, or what a byte pipe has; its length, 0 for an empty message.
 * Of a longer message the first `size` bytes (1 at least), the next get gives the rest; closing
 * before its end puts it back whole. Waits while there is none; -EPIPE at the end (queue closed and
 * empty; every writer gone).
 */
IPCFS_API ssize_t ipcfs_get(ipcfs_obj *o, void *buf, size_t size, int64_t timeout_ns);
/* queue: n messages are dealt with. -ERANGE: more than were put. */
IPCFS_API int ipcfs_done(ipcfs_obj *o, unsigned n);
/* queue: wait until none is unfinished. */
IPCFS_API int ipcfs_join(ipcfs_obj *o, int64_t timeout_ns);

/*
 * sem, lock, rlock: take a permit, the lock, a level of it. cond, value, array: take their lock
 * (once more by who has it changes nothing).
 */
IPCFS_API int ipcfs_acquire(ipcfs_obj *o, int64_t timeout_ns);
/*
 * Give n permits or levels back (lock: 1); cond, value, array: unlock, whatever n. -ERANGE more
 * than may be, -EPERM rlock of another.
 */
IPCFS_API int ipcfs_release(ipcfs_obj *o, unsigned n);
/*
 * event: wait until set: 0. cond: wait for a notify, giving up the lock meanwhile, which is held
 * again afterwards (but not after -EINTR: then wait again): 0. barrier: wait for the others, gives
 * the index of arrival; -ECANCELED broken.
 */
IPCFS_API int ipcfs_wait(ipcfs_obj *o, int64_t timeout_ns);
IPCFS_API int ipcfs_set(ipcfs_obj *o);				/* event */
IPCFS_API int ipcfs_clear(ipcfs_obj *o);			/* event */
IPCFS_API int ipcfs_notify(ipcfs_obj *o, unsigned n);		/* cond; IPCFS_ALL */

/* Put n messages in order, waiting for each. How many went in; an error only if none did. */
IPCFS_API int ipcfs_put_many(ipcfs_obj *o, const struct iovec *msgs, int n, int64_t timeout_ns);
/*
 * Wait for one message and take what there is, up to n, one in each buffer; iov_len becomes its
 * length. How many came.
 */
IPCFS_API int ipcfs_get_many(ipcfs_obj *o, struct iovec *bufs, int n, int64_t timeout_ns);

/*
 * value: add; *ret_value (may be NULL) is what it made, without what is behind the point. -EINVAL
 * it is no number; -ERANGE the result is beyond its type, or no int64_t and asked for.
 */
IPCFS_API int ipcfs_add(ipcfs_obj *o, int64_t n, int64_t *ret_value);
/* value: set it to new_value if it is `old`. -EAGAIN it is not. */
IPCFS_API int ipcfs_cas(ipcfs_obj *o, int64_t old, int64_t new_value);
/*
 * The size column of `ls -l`: messages, bytes, permits free, 1 for set, waiters. A value's number
 * (what is behind the point is cut off). INT64_MIN and errno when there is none: EINVAL it is no
 * number, ERANGE it is larger than an int64_t, EAGAIN somebody who is stopped keeps it.
 */
IPCFS_API int64_t ipcfs_value(const ipcfs_obj *o);
/*
 * array: its memory, shared with all who map it, opened O_RDWR. NULL and errno (ENODATA: it is
 * empty; EACCES: it cannot be mapped, use pread(2)). Valid until the close; call again after it
 * was made longer. Do not touch what was cut off.
 */
IPCFS_API void *ipcfs_data(ipcfs_obj *o, size_t *length);

#ifdef __cplusplus
}
#endif

#endif
