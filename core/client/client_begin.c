/* SPDX-License-Identifier: MIT */
/*
 * libipcfs: messages that are written and read in place: ipcfs_put_begin(), ipcfs_get_begin().
 *
 * Directly, the message is begun in the engine file (object/begun.c) and its bytes are lent. Through
 * the file, of a message that is not in one piece, and when there is no memory for one, they are in a
 * buffer of ours: a put copies it, and a get has filled it. What was got through the file stays in
 * the hand of a handle of its own, so that a death gives it back, until it is ended.
 */
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/client_session.h"

struct begun {
	struct begun *next;
	void *bytes; /* as the caller knows it */
	size_t len;
	bool writes;
	bool ours; /* bytes is to be freed */
	ref_t ref; /* in the engine file; 0: it is not there */
	int fd;    /* has it in hand; -1: none */
};

static struct begun *begun_make(bool writes, size_t len)
{
	struct begun *b = malloc(sizeof(*b));

	if (b)
		*b = (struct begun){ .writes = writes, .len = len, .fd = -1 };
	return b;
}

static void begun_release(struct begun *b)
{
	if (b->ours)
		free(b->bytes);
	if (b->fd >= 0)
		close(b->fd);
	free(b);
}

static void put_in(struct ipcfs_obj *o, struct begun *b)
{
	pthread_mutex_lock(&o->lock);
	b->next = o->begun;
	o->begun = b;
	pthread_mutex_unlock(&o->lock);
}

/* It is the caller's now; NULL: this process has begun nothing there. */
static struct begun *take_out(struct ipcfs_obj *o, const void *bytes, bool writes)
{
	struct begun **at, *b;

	pthread_mutex_lock(&o->lock);
	for (at = &o->begun; (b = *at); at = &b->next)
		if (b->bytes == bytes && b->writes == writes)
			break;
	if (b)
		*at = b->next;
	pthread_mutex_unlock(&o->lock);
	return b;
}

void client_forget_begun(struct ipcfs_obj *o)
{
	while (o->begun) {
		struct begun *b = o->begun;

		o->begun = b->next;
		begun_release(b);
	}
}

static int may_begin(struct ipcfs_obj *o, int mode)
{
	int r = client_enter(o, mode);

	return r == 0 && !(o->type->traits & TYPE_MESSAGES) ? -EINVAL : r;
}

static int in_buffer(struct begun *b, void *buffer)
{
	b->bytes = buffer;
	b->ours = true;
	return buffer ? 0 : -ENOMEM;
}

/* ---- putting ---- */

static int put_begin(struct ipcfs_obj *o, struct begun *b)
{
	int r = direct_put_begin(o, b->len, &b->ref, &b->bytes);

	return r == IPC_ELSEWHERE ? in_buffer(b, malloc(b->len + !b->len)) : r;
}

void *ipcfs_put_begin(ipcfs_obj *o, size_t len)
{
	struct begun *b = NULL;
	int r = may_begin(o, O_WRONLY);

	if (r == 0 && len > IPC_MESSAGE_MAX)
		r = -EMSGSIZE;
	if (r == 0) {
		b = begun_make(true, len);
		r = b ? put_begin(o, b) : -ENOMEM;
	}
	if (r < 0) {
		free(b);
		errno = -r;
		return NULL;
	}
	put_in(o, b);
	return b->bytes;
}

static int put_commit(struct ipcfs_obj *o, struct begun *b, size_t len, int64_t timeout_ns)
{
	int64_t deadline = deadline_of(timeout_ns);
	int r;

	if (len > b->len)
		return -EINVAL;
	if (!b->ref)
		return ipcfs_put(o, b->bytes, len, timeout_ns);
	r = direct_put_commit(o, b->ref, b->bytes, len, deadline);
	if (r != IPC_ELSEWHERE)
		return r;
	r = file_put(o, b->bytes, len, true, deadline);
	if (r >= 0)
		direct_begun_end(o, b->ref);
	return r;
}

int ipcfs_put_commit(ipcfs_obj *o, void *msg, size_t len, int64_t timeout_ns)
{
	int r = may_begin(o, O_WRONLY);
	struct begun *b;

	if (r < 0)
		return r;
	b = take_out(o, msg, true);
	if (!b)
		return -EINVAL;
	r = put_commit(o, b, len, timeout_ns);
	if (r < 0)
		put_in(o, b);
	else
		begun_release(b);
	return r;
}

int ipcfs_put_cancel(ipcfs_obj *o, void *msg)
{
	int r = may_begin(o, O_WRONLY);
	struct begun *b;

	if (r < 0)
		return r;
	b = take_out(o, msg, true);
	if (!b)
		return -EINVAL;
	if (b->ref)
		r = direct_begun_end(o, b->ref);
	begun_release(b);
	return r;
}

/* ---- getting ---- */

static int get_by_file(struct ipcfs_obj *o, struct begun *b, int64_t deadline)
{
	char *buffer = malloc(IPC_MESSAGE_MAX + 1), *fits;
	ssize_t n;
	int r = in_buffer(b, buffer);

	if (r < 0)
		return r;
	b->fd = client_reopen(o);
	if (b->fd < 0)
		return b->fd;
	n = file_keep(o, b->fd, buffer, IPC_MESSAGE_MAX + 1, deadline);
	if (n < 0)
		return (int)n;
	b->len = (size_t)n;
	fits = realloc(buffer, b->len + !b->len);
	b->bytes = fits ? fits : buffer;
	return 0;
}

ssize_t ipcfs_get_begin(ipcfs_obj *o, const void **ret_msg, int64_t timeout_ns)
{
	int64_t deadline;
	int r = may_begin(o, O_RDONLY);
	struct begun *b;

	if (r < 0)
		return r;
	b = begun_make(false, 0);
	if (!b)
		return -ENOMEM;
	deadline = deadline_of(timeout_ns);
	r = direct_get_begin(o, deadline, &b->ref, &b->bytes, &b->len, &b->ours);
	if (r == IPC_ELSEWHERE)
		r = get_by_file(o, b, deadline);
	if (r < 0) {
		begun_release(b);
		return r;
	}
	put_in(o, b);
	*ret_msg = b->bytes;
	return (ssize_t)b->len;
}

int ipcfs_get_end(ipcfs_obj *o, const void *msg)
{
	int r = may_begin(o, O_RDONLY);
	struct begun *b;

	if (r < 0)
		return r;
	b = take_out(o, msg, false);
	if (!b)
		return -EINVAL;
	if (b->ref)
		r = direct_begun_end(o, b->ref);
	else
		while ((r = ioctl(b->fd, LIB_IOC_TAKE) < 0 ? -errno : 0) == -EINTR)
			;
	begun_release(b);
	return r;
}
