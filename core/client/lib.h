/* SPDX-License-Identifier: MIT */
/*
 * What libipcfs and the daemon agree on beyond the contract. Private: it may change with any
 * version, and both come from the same build (else ATTACH is refused).
 *
 * libipcfs opens with O_ASYNC, which means nothing for a file here: that makes the handle a
 * HANDLE_LIB. Such a handle is no stream and has no position, so pread(2) and pwrite(2) work on it
 * and nobody waits for the kernel's position lock. Their offset carries what read(2) has no room
 * for, because an ioctl before each of them would be one request more, and would not belong to
 * the calling thread alone:
 *
 *	bits 0..22	as for every handle: how far this call has come, when the kernel splits it
 *	bit 23		read: the message stays in hand, as if nothing of it had been read, until TAKE
 *	bit 24		write: all of it or nothing, even to a byte pipe; and one byte, whatever it is,
 *			is an empty message. read: wait until nothing is unfinished (join)
 *	bits 25..62	0: wait for ever; 1: not at all; n: n - 2 microseconds
 *
 * A queue's handle is in record framing; at the end, a read gets EPIPE, for 0 is an empty message.
 */
#ifndef IPC_LIB_H
#define IPC_LIB_H

#include <stdint.h>
#include <sys/ioctl.h>

#define LIB_OFFSET     ((1ull << 23) - 1)
#define LIB_KEEP       (1ull << 23)
#define LIB_SPECIAL    (1ull << 24)
#define LIB_TIME_SHIFT 25
#define LIB_TIME_MOST  (1ull << 37) /* microseconds: 38 hours; the library asks again */
#define LIB_MAGIC      0x6c696202u

static inline uint64_t lib_offset(int64_t timeout_ns, int special)
{
	uint64_t us = 0;

	if (timeout_ns >= 0) {
		us = timeout_ns ? ((uint64_t)timeout_ns + 999) / 1000 + 2 : 1;
		if (us > LIB_TIME_MOST)
			us = LIB_TIME_MOST;
	}
	return us << LIB_TIME_SHIFT | (special ? LIB_SPECIAL : 0);
}

/* Nanoseconds, 0, or -1 for ever. */
static inline int64_t lib_timeout(uint64_t off)
{
	uint64_t us = off >> LIB_TIME_SHIFT;

	return us > 1 ? (int64_t)(us - 2) * 1000 + 1 : us ? 0 : -1;
}

/* What a handle is, and where its engine file is. */
struct lib_attach {
	uint32_t magic;       /* in: LIB_MAGIC */
	uint32_t direct;      /* in: the caller wants to work with the engine file */
	uint32_t handle, gen; /* its record there */
	uint32_t type;        /* enum ipc_type_id */
	uint32_t pid, uid;    /* the caller, as the daemon knows it */
	uint32_t twoway;
	uint64_t id;
	uint64_t dev, ino; /* of the engine file: who finds another has another namespace */
	uint64_t pid_ns;   /* inode of the daemon's */
	uint64_t message_limit;
	char path[1024]; /* the engine file; STATE_DATA behind it: an array's memory */
};

#define LIB_IOC_ATTACH _IOWR('i', 16, struct lib_attach)
/* The daemon is to look at the object: it may answer somebody. */
#define LIB_IOC_KICK _IO('i', 17)
/*
 * Nothing: but when it is answered, every close that was made before it has been dealt with, for
 * the daemon deals with all requests in their order. Never waits for the object's lock.
 */
#define LIB_IOC_SYNC _IO('i', 21)
/* All that the handle holds returns; 1: and it is closed, for nobody shares the descriptor. */
#define LIB_IOC_CLOSE _IOW('i', 22, int64_t)
/* Let the heap grow by a block of that many pages (a power of two: the exponent). */
#define LIB_IOC_GROW _IOW('i', 18, int64_t)
/* So many messages of the queue are done. */
#define LIB_IOC_DONE _IOW('i', 19, int64_t)
/* Add to a value, and say what that made: a write and a read would not be one request. */
struct lib_add {
	int64_t n;
	int64_t made; /* out, if wants_value */
	uint32_t wants_value;
	uint32_t pad;
};

/* The message in hand was read in full: it is taken. */
#define LIB_IOC_TAKE _IO('i', 23)
#define LIB_IOC_ADD  _IOWR('i', 20, struct lib_add)

#endif
