/* SPDX-License-Identifier: MIT */
/*
 * libipcfs in the engine file: messages whose bytes are written and read in place, without the
 * object's lock (object/begun.c): those that the caller begins, and all long ones. While one process
 * copies a long message in, another can copy one out, and nobody waits for either.
 */
#include <stdlib.h>
#include <string.h>

#include "client/client_session.h"
#include "object/begun.h"
#include "object/msg.h"
#include "types/queue.h"

#define LONG_LEAST 8192 /* bytes: to take the lock twice costs as much as to copy some 4 KiB */

/* ---- long messages, copied ---- */

bool session_is_long(const struct session *s, size_t len)
{
	/* Whoever has to wait copies later: many that wait are to need no memory. */
	return s->client->type->traits & TYPE_MESSAGES && len >= LONG_LEAST && len <= MSG_LENT &&
	       !s->o->h->waitqs[WAITQ_PUT].count && !is_full(s->client);
}

size_t session_begins(const struct session *s)
{
	return s->client->type->traits & TYPE_MESSAGES ? LONG_LEAST : 0;
}

/* What was begun will not be put, or was read: with the lock, or if it cannot be had without. */
static void done_with(struct session *s, ref_t begun)
{
	const struct lib_attach *at = &s->client->at;

	if (s->hd)
		ipc_begun_end(s->o, begun);
	else if (ipc_handle(s->o, at->handle, at->gen))
		ipc_begun_done(s->o, begun);
}

int session_put(struct session *s, const void *bytes, size_t len)
{
	int r;

	s->c.data = bytes;
	s->c.len = len;
	s->c.done = 0;
	s->c.waiter = 0;
	while ((r = ipc_put(s->o, &s->c)) == IPC_WAIT)
		if ((r = session_wait(s)) != IPC_DONE)
			break;
	return r;
}

int session_put_long(struct session *s, const struct iovec *msg)
{
	size_t len;
	char *to;
	int r;

	s->c.len = msg->iov_len;
	s->c.done = 0;
	r = ipc_put_begin(s->o, &s->c);
	if (r != IPC_DONE)
		return r;
	to = ipc_begun_bytes(s->o, s->c.begun, &len);
	if (to && len == msg->iov_len) {
		session_leave(s);
		memcpy(to, msg->iov_base, len);
		r = session_lock(s, s->c.deadline);
		if (r == IPC_DONE)
			r = session_put(s, to, len);
	} else {
		r = -EIO;
	}
	if (s->c.begun)
		done_with(s, s->c.begun);
	s->c.begun = 0;
	return r;
}

int session_get_long(struct session *s, struct iovec *buf)
{
	ref_t begun = s->c.begun;
	size_t len;
	const char *from = ipc_begun_bytes(s->o, begun, &len);

	if (!from || len > buf->iov_len)
		return -EIO;
	session_leave(s);
	memcpy(buf->iov_base, from, len);
	s->c.result = (int64_t)len;
	session_lock(s, 0); /* it is the caller's, whether we get it or not */
	done_with(s, begun);
	return IPC_DONE;
}

/* ---- messages that the caller begins ---- */

int direct_put_begin(struct ipcfs_obj *c, size_t len, ref_t *ret_begun, void **ret_bytes)
{
	struct session s;
	size_t n;
	int r = len > MSG_LENT ? IPC_ELSEWHERE : session_begin(c, &s, 0);

	if (r == IPC_DONE) {
		session_call(&s, OP_WRITE, 0);
		s.c.len = len;
		r = ipc_put_begin(s.o, &s.c);
		if (r == IPC_DONE) {
			*ret_begun = s.c.begun;
			*ret_bytes = ipc_begun_bytes(s.o, s.c.begun, &n);
			r = *ret_bytes && n == len ? IPC_DONE : -EIO;
		}
		session_end(&s);
	}
	/* Another process keeps the lock: there is time, before the message is put. */
	return r == -EAGAIN ? IPC_ELSEWHERE : r;
}

int direct_put_commit(struct ipcfs_obj *c, ref_t begun, const void *bytes, size_t len,
		      int64_t deadline)
{
	bool spun = look_before_putting(c, deadline);
	struct session s;
	int r = session_begin(c, &s, deadline);

	if (r != IPC_DONE)
		return r;
	s.spun = spun;
	session_call(&s, OP_WRITE, deadline);
	s.c.begun = begun;
	do
		r = session_put(&s, bytes, len);
	while (session_again(&s, &r));
	session_end(&s);
	return r;
}

/* Of one that is not in one piece: a copy. */
static int copy_of(struct session *s, void **ret_bytes, size_t len)
{
	*ret_bytes = malloc(len + !len);
	if (!*ret_bytes) {
		ipc_begun_back(s->o, s->c.begun);
		return -ENOMEM;
	}
	return ipc_begun_copy(s->o, s->c.begun, *ret_bytes, len) == len ? IPC_DONE : -EIO;
}

int direct_get_begin(struct ipcfs_obj *c, int64_t deadline, ref_t *ret_begun, void **ret_bytes,
		     size_t *ret_len, bool *ret_copied)
{
	bool spun = look_before_reading(c, OP_READ, deadline);
	struct session s;
	int r = session_begin(c, &s, deadline);

	if (r != IPC_DONE)
		return r;
	s.spun = spun;
	session_call(&s, OP_READ, deadline);
	s.c.max = SIZE_MAX;
	s.c.begins = 1;
	do
		r = session_waited(&s, ipc_read(s.o, &s.c));
	while (session_again(&s, &r));
	if (r == IPC_DONE) {
		*ret_begun = s.c.begun;
		*ret_bytes = ipc_begun_bytes(s.o, s.c.begun, ret_len);
		*ret_copied = !*ret_bytes;
		if (*ret_copied)
			r = copy_of(&s, ret_bytes, *ret_len);
	}
	session_end(&s);
	return r;
}

int direct_begun_end(struct ipcfs_obj *c, ref_t begun)
{
	struct session s;
	int r = session_begin(c, &s, 0);

	if (r != IPC_DONE && r != -EAGAIN)
		return r == IPC_ELSEWHERE ? -ENOTCONN : r;
	done_with(&s, begun);
	session_end(&s);
	return 0;
}
