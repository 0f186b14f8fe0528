/* SPDX-License-Identifier: MIT */
/*
 * What a request is told: data, until reply.c sends it. Nothing else sends replies.
 */
#ifndef IPCFS_REPLY_H
#define IPCFS_REPLY_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "object/engine.h"

#define MAX_IO (1024u * 1024) /* bytes of one READ or WRITE */

struct object;
struct asker; /* whoever waits for a reply, as the transport knows them */

/* What a name leads to. */
struct entry {
	uint64_t ino; /* the nodeid */
	struct stat attr;
	double entry_timeout, attr_timeout; /* how long (s) the kernel may keep them */
};

/* How the kernel is to treat an open file. */
enum {
	OPEN_UNCACHED = 1, /* every read and write is a request, and no page is kept */
	OPEN_STREAM = 2,   /* it has no position */
	OPEN_NO_FLUSH = 4, /* no FLUSH at each close */
};

enum reply_kind {
	REPLY_DONE,    /* it is done; there is nothing to say */
	REPLY_NOTHING, /* FORGET: the kernel wants no reply */
	REPLY_DATA,    /* data, len */
	REPLY_ANSWER,  /* the answer's text, from off: copied when it is sent */
	REPLY_WRITTEN, /* number: bytes */
	REPLY_READY,   /* number: POLLIN, … */
	REPLY_PLACE,   /* number: an offset */
	REPLY_IOCTL,   /* data, len: what the ioctl gives back */
	REPLY_LINK,    /* data: a string */
	REPLY_ENTRY,   /* entry */
	REPLY_ATTR,    /* entry.attr, entry.attr_timeout */
	REPLY_OPEN,    /* fh, open_flags */
	REPLY_CREATE,  /* entry, fh, open_flags */
	REPLY_STATFS,  /* statfs */
};

struct reply {
	enum reply_kind kind;
	int error; /* errno: this, and nothing else; 0 */
	uint64_t number;
	const char *data;
	size_t len; /* ANSWER: at the most so many bytes */
	struct object *ob;
	const struct ipc_answer *answer;
	size_t off;
	uint64_t fh;
	uint32_t open_flags; /* OPEN_* */
	union {
		struct entry entry;
		struct statvfs statfs;
	};
};

/* MAX_IO bytes, where a reply's data may stand until it is sent. */
char *reply_buffer(void);
/* What was read: a's text, or that there is no more. */
void reply_read(struct reply *r, struct object *ob, const struct ipc_handle *hd,
		const struct ipc_answer *a, size_t size);
/*
 * The result of an operation, as an engine file has it, as an error number that the kernel accepts.
 * (It refuses any other, and the caller would wait for ever.)
 */
static inline int error_of(int64_t result)
{
	return result >= 0 ? 0 : result > -512 ? (int)-result : EIO;
}
/* The same as a reply: an error, or, if `written`, a number of bytes. */
void reply_result(struct reply *r, int64_t result, bool written);

/*
 * Send it; the asker is gone then. -ENOENT: nobody waits for it any more. No lock of an engine file is
 * held meanwhile: the kernel copies it to the caller, who may want that lock at once.
 */
int reply_send(struct asker *a, const struct reply *r);
int reply_error(struct asker *a, int error); /* 0: it is done */
/* Send no reply to this request, now or later. */
void reply_drop(struct asker *a);
/*
 * Reply to a request of which only the number is known. (If the kernel no longer knows it, that
 * does no harm.)
 */
void reply_to(uint64_t unique, int error, const void *data, size_t len);
void reply_result_to(uint64_t unique, int64_t result, bool written);

/*
 * Add a directory entry, with its attributes (plus) or without, to a reply's data. Returns its
 * size; if that is more than `size` it was not added. cookie: where a later call continues.
 */
size_t reply_add_entry(char *buf, size_t size, const char *name, const struct entry *e,
		       uint64_t cookie, bool plus);

#endif
