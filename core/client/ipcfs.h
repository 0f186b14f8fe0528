/* SPDX-License-Identifier: MIT */
/*
 * ipcfs.h - the objects of an ipcfs mount, from C.
 *
 * Programs that can open a file do not need this library: reading takes, writing gives, flock
 * borrows. libipcfs (pkg-config: ipcfs) opens the same path and does the same to the same object,
 * but works directly in the object's shared memory where it can: tens of nanoseconds instead of
 * tens of microseconds. Where it cannot (no permission to read and write, another user's state
 * directory, another pid namespace, IPCFS_NO_DIRECT set in the environment) it goes through the
 * file and behaves the same. Either way, a put here wakes a `read` in a shell.
 *
 *	ipcfs_obj *q = ipcfs_open("/ipc/jobs.queue", O_RDWR | O_CREAT, 0666);
 *	ipcfs_put(q, "resize cat.jpg", 14, IPCFS_FOREVER);
 *	n = ipcfs_get(q, buf, sizeof(buf), 2500000000);		// waits at most 2.5 s
 *
 * Every call has a manual page (ipcfs_put(3)); libipcfs(3) is the overview.
 *
 * Results. A call returns 0 or more, or a negative errno, and leaves errno alone. Calls that return
 * a pointer or a value set errno on failure. A call that fails changes nothing.
 *
 * Waiting. timeout_ns is a relative time in nanoseconds. IPCFS_FOREVER (any negative number) waits
 * without limit; 0 only tries, and fails with -EAGAIN; otherwise the call fails with -ETIMEDOUT
 * once the time has passed. Waiters are served in order of arrival, together with those that wait
 * through files. If a signal handler runs, the wait ends with -EINTR and nothing has been taken,
 * even with SA_RESTART. Calls without timeout_ns do not wait, except for an object that is stalled
 * ("Stalled objects" in ipcfs(5)).
 *
 * The kernel makes two exceptions for calls that go through the file: SA_RESTART resumes a wait
 * for the lock of a cond, value or array; and ipcfs_put with a time limit or an empty message is
 * subject to the file size limit (ulimit -f: -EFBIG, SIGXFSZ).
 *
 * Errors of any call: -EBADF not opened for this access (O_RDONLY, O_WRONLY); -EINVAL the object's
 * type does not have this call (-EOPNOTSUPP from ipcfs_acquire and ipcfs_release); -ECANCELED the
 * wait was cancelled (ctl/cancel, unmount); -EIO the engine file is damaged; -ENOTCONN the mount is
 * gone.
 *
 * Ownership. Permits, locks, levels and leases belong to the ipcfs_obj, as they would to an open
 * file. They are returned when it is closed or the process dies, even by kill -9 in the middle of a
 * call. (Permits of a semaphore only if ctl/undo is 1, as for files.) By the time ipcfs_close
 * returns, they have been returned.
 *
 * What another process held is free before any call made after its close, exec or death. To keep
 * that promise, ipcfs_value and a call that is about to fail with -EAGAIN or -ETIMEDOUT first ask
 * the daemon whether a close is on its way, if another handle holds something that the close would
 * return. Such a failure costs as much as a file operation, or a microsecond if that handle belongs
 * to this library in a live process.
 *
 * Threads may share an ipcfs_obj, and then share what it holds: to exclude each other with a lock,
 * each thread needs an ipcfs_obj of its own. Close one only when no other call is using it.
 *
 * Fork. A child may use what its parent opened: its first call gives it a handle of its own, which
 * holds nothing that the parent holds. A child that does not use an object should close it;
 * otherwise the parent's handle stays open after the parent ends. exec closes it (O_CLOEXEC).
 *
 * Crashes. A call that is killed at any instruction has happened completely or not at all.
 *
 * Signals. No call is async-signal-safe: make none from a signal handler.
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

/* Time limit in nanoseconds of each later operation of this open file; 0: try only, -1: none. */
#define IPCFS_IOC_TIMEOUT _IOW('i', 1, int64_t)
/* CLOCK_MONOTONIC time in nanoseconds at which all later operations stop waiting; -1: never. */
#define IPCFS_IOC_DEADLINE _IOW('i', 2, int64_t)
/* Stores the length of what the next read would return, or -1 if it would wait. */
#define IPCFS_IOC_NEXT _IOR('i', 3, int64_t)

/* ---- libipcfs ---- */

#define IPCFS_FOREVER ((int64_t)-1)
#define IPCFS_ALL     (~0u)

#ifndef IPCFS_API
#define IPCFS_API
#endif

typedef struct ipcfs_obj ipcfs_obj;

/*
 * Like open(2): O_RDONLY, O_WRONLY or O_RDWR, with O_CREAT and O_EXCL. O_CLOEXEC is always set.
 * With O_NONBLOCK the open itself does not wait for a stalled object (EAGAIN); it does not affect
 * later calls. Other flags have no effect. PATH@SECONDS sets a time limit for all calls. Returns
 * NULL and sets errno on failure: the errors of open(2), and EINVAL if it is not an ipcfs object.
 */
IPCFS_API ipcfs_obj *ipcfs_open(const char *path, int oflags, mode_t mode);
/* Gives back what the object holds and frees it. Does not wait. NULL is allowed; keeps errno. */
IPCFS_API void ipcfs_close(ipcfs_obj *o);
/* 1 if the object works directly in shared memory, 0 if it goes through the file. Never fails. */
IPCFS_API int ipcfs_is_direct(const ipcfs_obj *o);
/* The open file, for poll(2) only. The object owns it: do not read, write or close it. */
IPCFS_API int ipcfs_fd(const ipcfs_obj *o);

/*
 * queue, pipe: put one message of `len` bytes, which may be 0. Waits while there is no room.
 * Returns 0; or, if a time limit or signal stops a byte pipe part way, the number of bytes put.
 * -EPIPE queue closed, or no reader; -EMSGSIZE larger than allowed; -ENOSPC out of memory.
 */
IPCFS_API int ipcfs_put(ipcfs_obj *o, const void *msg, size_t len, int64_t timeout_ns);
/*
 * queue, pipe: take the next message, or whatever a byte pipe has. Waits while there is none.
 * Returns its length, 0 for an empty message. If it is longer than `size` (at least 1), the next
 * get returns the rest; closing before its end puts the whole message back. -EPIPE at the end: the
 * queue is closed and empty, or every writer of the pipe is gone.
 */
IPCFS_API ssize_t ipcfs_get(ipcfs_obj *o, void *buf, size_t size, int64_t timeout_ns);
/*
 * queue, pipe: put n messages in order, waiting for room for each, which goes in whole or not at all.
 * Returns how many were put; fails only if none was.
 */
IPCFS_API int ipcfs_put_many(ipcfs_obj *o, const struct iovec *msgs, int n, int64_t timeout_ns);
/*
 * queue, pipe: wait for one message, then take up to n of those that are there, one to a buffer;
 * each iov_len becomes the length of its message. Returns how many were taken.
 */
IPCFS_API int ipcfs_get_many(ipcfs_obj *o, struct iovec *bufs, int n, int64_t timeout_ns);
/*
 * queue: write a message in place. Returns memory for `len` bytes, the message's own if possible: in
 * shared memory, up to 64 KiB; otherwise a buffer, which the commit copies. Does not wait. Nobody
 * else sees the message until it is committed; if the object is closed before, or the process dies,
 * it is gone. Any number may be begun at once, by any thread; a child process has none of its
 * parent's. NULL and errno on failure: EMSGSIZE larger than allowed, ENOMEM.
 */
IPCFS_API void *ipcfs_put_begin(ipcfs_obj *o, size_t len);
/*
 * Put what was begun: its first `len` bytes, no more than were asked for. Waits and fails as
 * ipcfs_put does. After 0 the memory is no longer the caller's; after a failure it still is: try
 * again, or cancel. -EINVAL: msg was not begun by this process, or is shorter.
 */
IPCFS_API int ipcfs_put_commit(ipcfs_obj *o, void *msg, size_t len, int64_t timeout_ns);
/* Give up what was begun. Does not wait. -EINVAL: nothing was. */
IPCFS_API int ipcfs_put_cancel(ipcfs_obj *o, void *msg);
/*
 * queue: take the next message and read it in place. Waits and fails as ipcfs_get does. Returns its
 * length, and its bytes in *ret_msg: in shared memory the message itself, up to 64 KiB, otherwise
 * a copy. Do not write to it. It is the caller's until ipcfs_get_end; if the object is closed
 * before, or the process dies, it goes back to the head of the queue, as one that was read in part.
 * What is left of one that ipcfs_get read in part is for ipcfs_get. -ENOMEM: nothing is taken.
 */
IPCFS_API ssize_t ipcfs_get_begin(ipcfs_obj *o, const void **ret_msg, int64_t timeout_ns);
/*
 * The message was read: now it is taken, and its memory is free. Does not wait. -EINVAL: msg was
 * not begun by this process.
 */
IPCFS_API int ipcfs_get_end(ipcfs_obj *o, const void *msg);
/* queue: n messages have been processed. Does not wait. -ERANGE: more than are unfinished. */
IPCFS_API int ipcfs_done(ipcfs_obj *o, unsigned n);
/* queue: wait until no message is unfinished. */
IPCFS_API int ipcfs_join(ipcfs_obj *o, int64_t timeout_ns);

/*
 * sem, lock, rlock: take a permit, the lock, or one more level of it. cond, value, array: take the
 * object's lock (a holder that calls it again has no effect). The ipcfs_obj owns what it took, not
 * the thread.
 */
IPCFS_API int ipcfs_acquire(ipcfs_obj *o, int64_t timeout_ns);
/*
 * sem, rlock: give back n permits or levels; lock: n is 1. cond, value, array: unlock, whatever n
 * is. Does not wait. -ERANGE more than can be given back; -EPERM the rlock is not held by this
 * ipcfs_obj.
 */
IPCFS_API int ipcfs_release(ipcfs_obj *o, unsigned n);
/*
 * event: wait until it is set; 0. cond: wait for a notification; 0. The lock, if held, is released
 * during the wait and held again afterwards (but not after -EINTR: wait again, or release).
 * barrier: wait for the other parties; returns the arrival index; -ECANCELED if it is broken.
 */
IPCFS_API int ipcfs_wait(ipcfs_obj *o, int64_t timeout_ns);
IPCFS_API int ipcfs_set(ipcfs_obj *o);                /* event */
IPCFS_API int ipcfs_clear(ipcfs_obj *o);              /* event */
IPCFS_API int ipcfs_notify(ipcfs_obj *o, unsigned n); /* cond: wake n waiters, or IPCFS_ALL */

/*
 * value: add n. Does not wait. Unless ret_value is NULL, *ret_value becomes the result, truncated
 * to an integer. -EINVAL the value is not a number; -ERANGE the result is outside the range of its
 * type, or ret_value is given and cannot hold it; then nothing is added.
 */
IPCFS_API int ipcfs_add(ipcfs_obj *o, int64_t n, int64_t *ret_value);
/* value: set it to new_value if it is `old`, else -EAGAIN. Does not wait. */
IPCFS_API int ipcfs_cas(ipcfs_obj *o, int64_t old, int64_t new_value);
/*
 * The size column of `ls -l`: messages, bytes, free permits, 1 for set, waiters; for a value, its
 * number truncated to an integer. Does not wait. On failure INT64_MIN and errno: EINVAL the value
 * is not a number, ERANGE it does not fit an int64_t, EAGAIN the value is stalled.
 */
IPCFS_API int64_t ipcfs_value(const ipcfs_obj *o);
/*
 * array, opened O_RDWR: its memory, shared with all who map it. Valid until the close; call again
 * after the array has grown. Do not touch memory beyond its present length. NULL and errno on
 * failure: ENODATA the array is empty, EACCES it cannot be mapped (use pread(2)).
 */
IPCFS_API void *ipcfs_data(ipcfs_obj *o, size_t *length);

#ifdef __cplusplus
}
#endif

#endif
