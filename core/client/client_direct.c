/* SPDX-License-Identifier: MIT */
/*
 * libipcfs in the engine file itself: attaching, and the calls. The steps of an operation are the
 * daemon's (object/engine.h); what each begins and ends with, and how it waits: client_session.c.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/client_session.h"
#include "object/damage.h"
#include "object/number.h"
#include "object/type.h"

/* ---- attaching ---- */

static bool same_pid_namespace(const struct ipcfs_obj *o)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == o->at.pid_ns &&
	       o->at.pid == (uint32_t)getpid();
}

static int attach(struct ipcfs_obj *o)
{
	struct stat st;
	int fd, r;

	if (!o->at.path[0] || !same_pid_namespace(o))
		return -EXDEV;
	fd = open(o->at.path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	r = fstat(fd, &st) < 0 ? -errno : 0;
	if (r == 0 && (st.st_dev != o->at.dev || st.st_ino != o->at.ino))
		r = -EXDEV;
	o->env.dirfd = -1;
	if (r == 0)
		r = ipc_map(&o->env, fd, &o->map);
	close(fd);
	if (r < 0)
		return r;
	o->map.freed = false;
	o->map.env = &o->env;
	if (o->map.id == o->at.id && o->map.type == o->at.type)
		return 0;
	obj_unmap(&o->map);
	return -EXDEV;
}

void direct_opened(struct ipcfs_obj *o)
{
	o->own = handle_at(&o->map, o->at.handle);
	living_enter(o);
}

int direct_open(struct ipcfs_obj *o)
{
	int r = attach(o);

	if (r == 0 && o->map.ops->count.at)
		*(is_permits(o->map.ops) ? &o->permits : &o->event) =
			(uint64_t *)(void *)(o->map.base + o->map.ops->count.at);
	else if (r == 0 && o->map.ops->leaving)
		o->fast = &o->map.h->b.sem;
	o->short_cut = r == 0 && o->map.ops->put_now;
	if (r == 0)
		direct_opened(o);
	return r;
}

/* ---- reading ---- */

int session_waited(struct session *s, int r)
{
	if (r != IPC_WAIT)
		return r;
	r = session_wait(s);
	return r == IPC_DONE && s->c.waiter ? ipc_pick_up(s->o, &s->c) : r;
}

/* Short messages while nobody waits: how many. */
static int get_now(struct session *s, struct iovec *bufs, int n)
{
	int k, done = 0;

	while (done < n &&
	       (k = (int)ipc_get_now(s->o, s->hd, bufs + done, (unsigned int)(n - done))) > 0)
		done += k;
	return done;
}

int direct_get(struct ipcfs_obj *c, struct iovec *bufs, int n, int64_t deadline, int *ret_got)
{
	bool spun = look_before_reading(c, OP_READ, deadline);
	struct session s;
	int r = session_begin(c, &s, deadline), got;

	*ret_got = 0;
	if (r != IPC_DONE)
		return r;
	s.spun = spun;
	got = get_now(&s, bufs, n);
	if (got < n)
		session_call(&s, OP_READ, got ? 0 : deadline);
	s.c.begins = session_begins(&s);
	while (got < n) {
		s.c.buf = bufs[got].iov_base;
		s.c.max = bufs[got].iov_len;
		r = session_waited(&s, ipc_read(s.o, &s.c));
		if (!got && session_again(&s, &r))
			continue;
		if (r == IPC_DONE && s.c.begun)
			r = session_get_long(&s, bufs + got);
		if (r != IPC_DONE)
			break;
		bufs[got++].iov_len = (size_t)s.c.result;
		s.c.deadline = 0; /* only the first is waited for */
		if (!s.hd)
			break;
	}
	session_end(&s);
	*ret_got = got;
	return r;
}

int direct_number(struct ipcfs_obj *c, uint32_t op, int64_t deadline, int64_t *ret)
{
	bool spun = look_before_reading(c, op, deadline);
	struct session s;
	int r = session_begin(c, &s, deadline);

	if (r != IPC_DONE)
		return r;
	s.spun = spun;
	session_call(&s, op, deadline);
	do
		r = session_elsewhere(&s) ? IPC_ELSEWHERE : session_waited(&s, ipc_read(s.o, &s.c));
	while (session_again(&s, &r));
	session_end(&s);
	*ret = s.c.got.number;
	return r;
}

/* ---- putting ---- */

static int put_now(struct session *s, const struct iovec *msgs, int n)
{
	size_t limit = s->client->at.message_limit;
	int k, done = 0;

	while (done < n &&
	       (k = (int)ipc_put_now(s->o, limit, msgs + done, (unsigned int)(n - done))) > 0)
		done += k;
	return done;
}

/* Poll once more before joining the wait queue: others take many at a time, too. false: it has. */
static bool look_again(struct session *s, int64_t deadline, int *r)
{
	if (s->spun || !deadline || !is_full(s->client))
		return false;
	session_leave(s);
	look_before_putting(s->client, deadline);
	s->spun = true;
	*r = session_lock(s, deadline);
	return true;
}

/* *ret_part: bytes of the message after those that went in. */
int direct_put(struct ipcfs_obj *c, const struct iovec *msgs, int n, bool atomic, int64_t deadline,
	       int *ret_done, size_t *ret_part)
{
	bool spun = look_before_putting(c, deadline);
	struct session s;
	int r = session_begin(c, &s, deadline), i;

	*ret_done = 0;
	*ret_part = 0;
	if (r != IPC_DONE)
		return r;
	s.spun = spun;
	i = put_now(&s, msgs, n);
	if (i < n)
		session_call(&s, OP_WRITE, deadline);
	s.c.atomic = atomic;
	while (i < n) {
		if (look_again(&s, deadline, &r)) {
			if (r != IPC_DONE)
				break;
		} else {
			r = session_is_long(&s, msgs[i].iov_len) ?
				    session_put_long(&s, msgs + i) :
				    session_put(&s, msgs[i].iov_base, msgs[i].iov_len);
			*ret_part = s.c.done < s.c.len ? s.c.done : 0;
			if (r == IPC_DONE && s.c.done == s.c.len)
				i++;
			else if (i || s.c.done || !session_again(&s, &r))
				break;
		}
		i += put_now(&s, msgs + i, n - i);
	}
	session_end(&s);
	*ret_done = i;
	return r;
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

	if (r == IPC_DONE) {
		session_call(&s, OP_WRITE, 0);
		s.c.whole = ret_value != NULL;
		r = ipc_give(s.o, &s.c, cmd);
	}
	if (r == -EAGAIN && !s.hd) /* another process keeps the lock: the daemon may wait for it */
		r = IPC_ELSEWHERE;
	if (r == IPC_DONE && ret_value)
		*ret_value = s.c.got.number;
	session_end(&s);
	return r;
}

int direct_flock(struct ipcfs_obj *c, int how, int64_t deadline)
{
	struct session s;
	int r = session_begin(c, &s, deadline);

	if (r != IPC_DONE)
		return r;
	session_call(&s, OP_FLOCK, deadline);
	do
		r = session_elsewhere(&s) ? IPC_ELSEWHERE :
					    session_waited(&s, ipc_flock(s.o, &s.c, how));
	while (session_again(&s, &r));
	session_end(&s);
	return r;
}

int direct_done(struct ipcfs_obj *c, unsigned int n)
{
	struct session s;
	int r = session_begin(c, &s, IPC_NEVER);

	if (r != IPC_DONE)
		return r;
	r = ipc_done(s.o, 0, n);
	session_end(&s);
	return r;
}

int direct_value(struct ipcfs_obj *c, int64_t *ret)
{
	struct session s;
	int r;

	if (!c->direct)
		return IPC_ELSEWHERE;
	if (damage_marked(&c->map))
		return -EIO;
	if (!(c->type->traits & TYPE_TEXT)) {
		session_sync_size(c);
		*ret = (int64_t)ipc_size(&c->map); /* one word, atomic */
		return 0;
	}
	r = session_begin(c, &s, 0);
	if (r != IPC_DONE)
		return r;
	r = value_number(s.o, ret);
	session_end(&s);
	return r;
}
