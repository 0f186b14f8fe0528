/* SPDX-License-Identifier: MIT */
/*
 * libipcfs in the engine file itself: the calls. What each begins and ends with: client_session.c.
 */
#include <string.h>

#include "client/client_session.h"
#include "object/damage.h"
#include "object/number.h"
#include "types/queue.h"

/* ---- reading ---- */

static void keep_rest(struct session *s, struct ipc_answer *got, size_t used)
{
	struct ipc_obj *o = s->o;

	if (used >= got->len) {
		answer_drop(o, got);	/* commits: with it, it is taken */
		return;
	}
	got->off = used;
	answer_move(o, &s->hd->hand, got);
	commit(o);
}

static ssize_t copy_out(struct session *s, const struct ipc_answer *a, size_t off, char *buf,
			size_t size)
{
	if (a->kind == ANSWER_END)
		return -EPIPE;
	return (ssize_t)answer_copy(s->o, a, off, buf, size);
}

/* The rest of a message that was read in part. */
static bool take_rest(struct session *s, char *buf, size_t size, ssize_t *ret)
{
	struct ipc_answer *hand = &s->hd->hand;

	if (s->hd->rests)
		ipc_next_rest(s->o, s->hd);
	if (answer_left(hand)) {
		*ret = (ssize_t)answer_copy(s->o, hand, hand->off, buf, size);
		ipc_advance(s->o, s->hd, (uint64_t)*ret);
		return true;
	}
	if (hand->kind != ANSWER_NONE)
		answer_drop(s->o, hand);
	return false;
}

/* A granted waiter's answer. */
static ssize_t pick_up(struct session *s, char *buf, size_t size, int64_t *number)
{
	struct ipc_waiter *w = waiter_at(s->o, s->c.waiter);
	struct ipc_call c = { .max = size };
	ssize_t n = (ssize_t)w->result;

	if (n >= 0 && number)
		*number = w->got.number;
	else if (n >= 0)
		n = copy_out(s, &w->got, 0, buf, size);
	if (number)
		c.max = SIZE_MAX;
	ipc_finish(s->o, s->c.waiter, &c);
	return n;
}

/* One read; locked before and after, unless it says USE_FILE. number: instead of bytes. */
static ssize_t read_one(struct ipcfs_obj *c, struct session *s, char *buf, size_t size,
			int64_t *number)
{
	struct ipc_obj *o = s->o;
	int64_t result;
	ssize_t n;
	int r;

	if (!number && take_rest(s, buf, size, &n))
		return n;
	s->c.max = size;
	for (;;) {
		s->c.waiter = 0;
		s->c.got = (struct ipc_answer){ 0 };
		r = o->ops->read(o, s->hd, &s->c);
		if (r != -ENOMEM || o->damage)
			break;
		obj_rollback(o);
		r = session_grow(c, s);
		if (r < 0)
			return r == USE_FILE ? USE_FILE : r;
	}
	if (o->damage)
		return -EIO;
	if (r < 0) {
		obj_rollback(o);
		return r;
	}
	if (r == 0) {
		if (number) {
			*number = s->c.got.number;
			commit(o);
			return 0;
		}
		n = copy_out(s, &s->c.got, 0, buf, size);
		keep_rest(s, &s->c.got, n < 0 ? SIZE_MAX : (size_t)n);
		return n;
	}
	commit(o);
	if (session_wait_for(c, s, &result) == GONE)
		return (ssize_t)result;
	return pick_up(s, buf, size, number);
}

/* ---- queues: short messages while nobody waits ---- */

static unsigned int get_now(struct ipcfs_obj *c, struct session *s, struct iovec *bufs, int n)
{
	if (!(c->type->traits & TYPE_SHORT_CUT) || s->hd->hand.kind != ANSWER_NONE || s->hd->rests)
		return 0;
	return queue_get_now(s->o, bufs, (unsigned int)n);
}

ssize_t direct_get(struct ipcfs_obj *c, struct iovec *bufs, int n, int64_t deadline, int *ret_got)
{
	bool spun = look_before_reading(c, OP_READ, deadline);
	struct session s;
	ssize_t r = session_begin(c, &s, deadline);

	*ret_got = 0;
	if (r < 0)
		return r;
	s.spun = spun;
	while (*ret_got < n && (r = get_now(c, &s, bufs + *ret_got, n - *ret_got)) > 0)
		*ret_got += (int)r;
	if (*ret_got < n)
		session_call(c, &s, OP_READ, *ret_got ? 0 : deadline);
	while (*ret_got < n) {
		r = read_one(c, &s, bufs[*ret_got].iov_base, bufs[*ret_got].iov_len, NULL);
		if (!*ret_got && session_again(c, &s, &r))
			continue;
		if (r < 0)
			break;
		bufs[(*ret_got)++].iov_len = (size_t)r;
		s.c.deadline = 0;	/* only the first is waited for */
	}
	session_end(c, &s);
	return r < 0 ? r : 0;
}

/* Operations that the daemon must know of as they happen, or that need more than one object. */
static bool for_file(const struct session *s)
{
	const struct ipc_obj *o = s->o;

	return ipc_scope(o) != SCOPE_HANDLE || ipc_lock_id(o);
}

int direct_number(struct ipcfs_obj *c, uint32_t op, int64_t deadline, int64_t *ret)
{
	bool spun = look_before_reading(c, op, deadline);
	struct session s;
	ssize_t r = session_begin(c, &s, deadline);

	if (r < 0)
		return (int)r;
	s.spun = spun;
	session_call(c, &s, op, deadline);
	do
		r = for_file(&s) ? USE_FILE : read_one(c, &s, NULL, 0, ret);
	while (session_again(c, &s, &r));
	session_end(c, &s);
	return r < 0 ? (int)r : 0;
}

/* ---- putting ---- */

static unsigned int put_now(struct ipcfs_obj *c, struct session *s, const struct iovec *msgs, int n)
{
	unsigned int k, done = 0;

	if (!(c->type->traits & TYPE_SHORT_CUT))
		return 0;
	while (done < (unsigned int)n &&
	       (k = queue_put_now(s->o, c->at.message_limit, msgs + done, (unsigned int)n - done)))
		done += k;
	return done;
}

int direct_put(struct ipcfs_obj *c, const struct iovec *msgs, int n, int64_t deadline, int *ret_done)
{
	bool spun = look_before_putting(c, deadline);
	struct session s;
	int64_t result = 0;
	ssize_t r = session_begin(c, &s, deadline);
	unsigned int k;
	int i;

	*ret_done = 0;
	if (r < 0)
		return (int)r;
	s.spun = spun;
	i = (int)put_now(c, &s, msgs, n);
	if (i < n)
		session_call(c, &s, OP_WRITE, deadline);
	while (i < n) {
		k = s.c.waiter || s.c.done ? 0 : put_now(c, &s, msgs + i, n - i);
		if (k) {
			i += (int)k;
			continue;
		}
		/* Poll once more before joining the wait queue: others take many at a time, too. */
		if (!s.spun && !s.c.waiter && !s.c.done && deadline && is_full(c)) {
			session_leave(c, &s);
			look_before_putting(c, deadline);
			r = session_take_lock(c, &s, deadline);
			if (r < 0)
				break;
			s.spun = true;
			continue;
		}
		s.c.data = msgs[i].iov_base;
		s.c.len = msgs[i].iov_len;
		r = s.o->ops->put(s.o, s.hd, &s.c);
		if (s.o->damage) {
			r = -EIO;
			break;
		}
		if (r == IPC_WAIT) {
			if (session_wait_for(c, &s, &result) == GONE) {
				r = (int)result;
				break;
			}
			if (waiter_at(s.o, s.c.waiter)->state != WAITER_GRANTED)
				continue;	/* our turn */
			r = (int)waiter_at(s.o, s.c.waiter)->result;	/* cancelled */
			ipc_finish(s.o, s.c.waiter, &s.c);
			break;
		}
		if (r < 0)
			obj_rollback(s.o);
		if (r == -ENOMEM) {
			r = session_grow(c, &s);
			if (r == 0)
				continue;
			/*
			 * No memory: what waits for it waits as a file's writer, at the end of the
			 * line.
			 */
			if (s.c.waiter && session_take_lock(c, &s, IPC_NEVER) == 0)
				ipc_leave(s.o, s.c.waiter, -ENOSPC, &result);
			if (r == USE_FILE && s.c.done)	/* the first part of it is in */
				r = -ENOSPC;
			break;
		}
		if (!i && !s.c.done && session_again(c, &s, &r))
			continue;
		if (r < 0)
			break;
		if (s.c.done < s.c.len)		/* a pipe's bytes */
			break;
		i++;
		s.c.done = 0;
		s.c.waiter = 0;
	}
	session_end(c, &s);
	*ret_done = i;
	if (i == n || r == USE_FILE)
		return (int)r;
	if (s.c.done || r > 0)			/* of a stream of bytes: how many */
		return (int)(r > 0 ? (size_t)r : s.c.done);
	return (int)r;
}

/* ---- the rest ---- */

static int value_number(struct ipc_obj *o, int64_t *ret)
{
	char text[IPC_VALUE_MAX];

	return number_int64(text, ipc_value_text(o, text, sizeof(text)), ret);
}

int direct_give(struct ipcfs_obj *c, const struct ipc_cmd *cmd, int64_t *ret_value)
{
	struct session s;
	int r = session_begin(c, &s, 0);

	if (r < 0)
		return r == -EAGAIN ? USE_FILE : r;
	session_call(c, &s, OP_WRITE, 0);
	s.c.whole = ret_value != NULL;
	for (;;) {
		r = ipc_give(s.o, &s.c, cmd);
		if (r != -ENOMEM)
			break;
		r = session_grow(c, &s);
		if (r == -EAGAIN)
			r = USE_FILE;
		if (r < 0)
			break;
	}
	if (s.hd && ipc_is(s.o, TYPE_TEXT)) {
		/* The result is returned now, and must not be the answer to a later read. */
		if (r == 0 && answer_left(&s.hd->hand))
			answer_drop(s.o, &s.hd->hand);
		if (r == 0 && ret_value)
			*ret_value = s.c.got.number;
	}
	session_end(c, &s);
	return r;
}

int direct_flock(struct ipcfs_obj *c, int how, int64_t deadline)
{
	struct session s;
	int64_t result = 0;
	ssize_t r = session_begin(c, &s, deadline);

	if (r < 0)
		return (int)r;
	session_call(c, &s, OP_FLOCK, deadline);
	for (;;) {
		r = for_file(&s) ? USE_FILE : ipc_flock(s.o, &s.c, how);
		if (r == -ENOMEM && (r = session_grow(c, &s)) == 0)
			continue;
		if (!session_again(c, &s, &r))
			break;
	}
	if (r == IPC_WAIT) {
		if (session_wait_for(c, &s, &result) == GONE)
			r = (ssize_t)result;
		else
			r = pick_up(&s, NULL, 0, &result);
	}
	session_end(c, &s);
	return (int)r;
}

int direct_done(struct ipcfs_obj *c, unsigned int n)
{
	struct session s;
	int r = session_begin(c, &s, IPC_NEVER);

	if (r < 0)
		return r;
	r = ipc_done(s.o, 0, n);
	session_end(c, &s);
	return r;
}

int direct_value(struct ipcfs_obj *c, int64_t *ret)
{
	struct session s;
	int r;

	if (!c->direct)
		return USE_FILE;
	if (damage_marked(&c->map))
		return -EIO;
	if (!(c->type->traits & TYPE_TEXT)) {
		session_sync_size(c);
		*ret = (int64_t)ipc_size(&c->map);	/* one word, atomic */
		return 0;
	}
	r = session_begin(c, &s, 0);
	if (r < 0)
		return r;
	r = value_number(s.o, ret);
	session_end(c, &s);
	return r;
}
