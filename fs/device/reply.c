/* SPDX-License-Identifier: MIT */
/* Replies: the only place that sends them. */
#include <fuse_lowlevel.h>
#include <linux/fuse.h>

#include "device/request.h"
#include "object/answer.h"
#include "state/notify.h"

static _Alignas(16) char buffer[MAX_IO];

char *reply_buffer(void)
{
	return buffer;
}

void reply_read(struct reply *r, struct object *ob, const struct ipc_handle *hd,
		const struct ipc_answer *a, size_t size)
{
	if (a->kind == ANSWER_END && hd->flags & HANDLE_LIB) /* 0 bytes are an empty message */
		*r = (struct reply){ .error = EPIPE };
	else
		*r = (struct reply){ .kind = REPLY_ANSWER, .ob = ob, .answer = a, .len = size };
}

void reply_result(struct reply *r, int64_t result, bool written)
{
	*r = (struct reply){ .kind = written ? REPLY_WRITTEN : REPLY_DONE,
			     .error = error_of(result),
			     .number = (uint64_t)result };
}

/*
 * Copied, although a message in one block could be sent from where it is: its file may be truncated
 * at that moment, and then the kernel could not read the reply.
 */
static int send_answer(fuse_req_t req, const struct reply *r)
{
	size_t n = answer_copy(&r->ob->o, r->answer, r->off, buffer,
			       r->len < sizeof(buffer) ? r->len : sizeof(buffer));

	return r->ob->o.damage ? fuse_reply_err(req, EIO) : fuse_reply_buf(req, buffer, n);
}

#ifndef FOPEN_NOFLUSH
#define FOPEN_NOFLUSH (1 << 5)
#endif

static uint32_t fopen_flags(const struct reply *r)
{
	return (r->open_flags & OPEN_UNCACHED ? FOPEN_DIRECT_IO : 0) |
	       (r->open_flags & OPEN_STREAM ? FOPEN_STREAM : 0) |
	       (r->open_flags & OPEN_NO_FLUSH ? FOPEN_NOFLUSH : 0);
}

/* fuse_reply_open() and fuse_reply_create() of libfuse 3.14 cannot say FOPEN_STREAM. */
static int send_open(fuse_req_t req, const struct reply *r)
{
	struct fuse_open_out out = { .fh = r->fh, .open_flags = fopen_flags(r) };

	return fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

static struct fuse_attr attr_of(const struct stat *st)
{
	return (struct fuse_attr){
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.blocks = (uint64_t)st->st_blocks,
		.atime = (uint64_t)st->st_atim.tv_sec,
		.atimensec = (uint32_t)st->st_atim.tv_nsec,
		.mtime = (uint64_t)st->st_mtim.tv_sec,
		.mtimensec = (uint32_t)st->st_mtim.tv_nsec,
		.ctime = (uint64_t)st->st_ctim.tv_sec,
		.ctimensec = (uint32_t)st->st_ctim.tv_nsec,
		.mode = st->st_mode,
		.nlink = (uint32_t)st->st_nlink,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.blksize = (uint32_t)st->st_blksize,
	};
}

static int send_create(fuse_req_t req, const struct reply *r)
{
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out = {
		.entry = { .nodeid = r->entry.ino,
			   .entry_valid = (uint64_t)r->entry.entry_timeout,
			   .attr = attr_of(&r->entry.attr) },
		.open = { .fh = r->fh, .open_flags = fopen_flags(r) },
	};

	return fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

static struct fuse_entry_param entry_of(const struct entry *e)
{
	return (struct fuse_entry_param){
		.ino = e->ino,
		.attr = e->attr,
		.entry_timeout = e->entry_timeout,
		.attr_timeout = e->attr_timeout,
	};
}

/* What names lead to. */
static int send_name(fuse_req_t req, const struct reply *r)
{
	struct fuse_entry_param e;

	switch (r->kind) {
	case REPLY_ENTRY:
		e = entry_of(&r->entry);
		return fuse_reply_entry(req, &e);
	case REPLY_ATTR:
		return fuse_reply_attr(req, &r->entry.attr, r->entry.attr_timeout);
	case REPLY_LINK:
		return fuse_reply_readlink(req, r->data);
	case REPLY_CREATE:
		return send_create(req, r);
	default:
		return fuse_reply_statfs(req, &r->statfs);
	}
}

int reply_send(struct asker *a, const struct reply *r)
{
	fuse_req_t req = (fuse_req_t)a;

	if (r->error)
		return fuse_reply_err(req, r->error);
	switch (r->kind) {
	case REPLY_DONE:
		return fuse_reply_err(req, 0);
	case REPLY_NOTHING:
		fuse_reply_none(req);
		return 0;
	case REPLY_DATA:
		return fuse_reply_buf(req, r->data, r->len);
	case REPLY_ANSWER:
		return send_answer(req, r);
	case REPLY_WRITTEN:
		return fuse_reply_write(req, r->number);
	case REPLY_READY:
		return fuse_reply_poll(req, (unsigned int)r->number);
	case REPLY_PLACE:
		return fuse_reply_lseek(req, (off_t)r->number);
	case REPLY_IOCTL:
		return fuse_reply_ioctl(req, 0, r->len ? r->data : NULL, r->len);
	case REPLY_OPEN:
		return send_open(req, r);
	default:
		return send_name(req, r);
	}
}

int reply_error(struct asker *a, int error)
{
	return reply_send(a, &(struct reply){ .error = error });
}

void reply_drop(struct asker *a)
{
	reply_send(a, &(struct reply){ .kind = REPLY_NOTHING });
}

void reply_to(uint64_t unique, int error, const void *data, size_t len)
{
	kernel_send(unique, -error, data, len, NULL, 0);
}

size_t reply_add_entry(char *buf, size_t size, const char *name, const struct entry *e,
		       uint64_t cookie, bool plus)
{
	struct fuse_entry_param f = entry_of(e);

	/* (Neither looks at its first argument.) */
	return plus ? fuse_add_direntry_plus(NULL, buf, size, name, &f, (off_t)cookie) :
		      fuse_add_direntry(NULL, buf, size, name, &f.attr, (off_t)cookie);
}

void reply_result_to(uint64_t unique, int64_t result, bool written)
{
	struct fuse_write_out out = { .size = (uint32_t)result };

	if (result >= 0 && written)
		reply_to(unique, 0, &out, sizeof(out));
	else
		reply_to(unique, error_of(result), NULL, 0);
}

/* ---- who waits for them ---- */

bool asker_interrupted(struct asker *a)
{
	return fuse_req_interrupted((fuse_req_t)a);
}

bool request_in_group(const struct request *rq, gid_t group)
{
	gid_t groups[256];
	int n = fuse_req_getgroups((fuse_req_t)rq->asker, 256, groups);

	for (int i = 0; i < n && i < 256; i++)
		if (groups[i] == group)
			return true;
	return false;
}
