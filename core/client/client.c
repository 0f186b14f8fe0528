/* SPDX-License-Identifier: MIT */
/* libipcfs: what each call is for each type, in the engine file or through the mount. See client.h. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

#include "client/client.h"
#include "object/count.h"
#include "object/stats.h"
#include "object/type.h"

/* ---- messages ---- */

static bool too_long(const struct ipcfs_obj *o, size_t len)
{
	return o->type->traits & TYPE_MESSAGES && len > IPC_MESSAGE_MAX;
}

/* (Not inlined, so that the usual case needs no frame for it.) */
static __attribute__((noinline)) int put(ipcfs_obj *o, const void *msg, size_t len,
					 int64_t timeout_ns)
{
	struct iovec v = { (void *)(uintptr_t)msg, len };
	int64_t deadline;
	size_t part;
	int r, done;

	if (!ipc_is_stream(o->type))
		return -EINVAL;
	if (too_long(o, len))
		return -EMSGSIZE;
	deadline = deadline_of(timeout_ns);
	r = direct_put(o, &v, 1, false, deadline, &done, &part);
	if (part)
		return (int)part;
	return r != IPC_ELSEWHERE ? r : file_put(o, msg, len, false, deadline);
}

int ipcfs_put(ipcfs_obj *o, const void *msg, size_t len, int64_t timeout_ns)
{
	int r = client_enter(o, O_WRONLY);

	if (r < 0)
		return r;
	return direct_put_now(o, msg, len) ? 0 : put(o, msg, len, timeout_ns);
}

int ipcfs_put_many(ipcfs_obj *o, const struct iovec *msgs, int n, int64_t timeout_ns)
{
	int64_t deadline;
	int r = client_enter(o, O_WRONLY), done = 0, some = 0;
	size_t part;

	if (r < 0)
		return r;
	if (!ipc_is_stream(o->type) || n < 0)
		return -EINVAL;
	deadline = deadline_of(timeout_ns);
	while (done < n && r == 0) {
		r = direct_put(o, msgs + done, n - done, true, deadline, &some, &part);
		done += some;
		if (r != IPC_ELSEWHERE)
			break;
		/* For example, one message that has to wait for memory; the next ones go directly again. */
		r = msgs[done].iov_len > IPC_MESSAGE_MAX ?
			    -EMSGSIZE :
			    file_put(o, msgs[done].iov_base, msgs[done].iov_len, true, deadline);
		if (r == 0)
			done++;
	}
	return done ? done : r;
}

static __attribute__((noinline)) ssize_t get(ipcfs_obj *o, void *buf, size_t size,
					     int64_t timeout_ns)
{
	struct iovec v = { buf, size };
	int64_t deadline;
	int r, got;

	if (!ipc_is_stream(o->type) || !size)
		return -EINVAL;
	deadline = deadline_of(timeout_ns);
	r = direct_get(o, &v, 1, deadline, &got);
	if (r == IPC_ELSEWHERE)
		return file_read(o, buf, size, deadline, false);
	return r < 0 ? r : (ssize_t)v.iov_len;
}

ssize_t ipcfs_get(ipcfs_obj *o, void *buf, size_t size, int64_t timeout_ns)
{
	int r = client_enter(o, O_RDONLY);
	ssize_t n;

	if (r < 0)
		return r;
	n = size ? direct_get_now(o, buf, size) : -1;
	return n >= 0 ? n : get(o, buf, size, timeout_ns);
}

int ipcfs_get_many(ipcfs_obj *o, struct iovec *bufs, int n, int64_t timeout_ns)
{
	int64_t deadline;
	int r = client_enter(o, O_RDONLY), got = 0;
	ssize_t len;

	if (r < 0)
		return r;
	if (!ipc_is_stream(o->type) || n < 0)
		return -EINVAL;
	for (int i = 0; i < n; i++)
		if (!bufs[i].iov_len)
			return -EINVAL;
	if (!n)
		return 0;
	deadline = deadline_of(timeout_ns);
	r = direct_get(o, bufs, n, deadline, &got);
	if (r != IPC_ELSEWHERE)
		return got ? got : r;
	for (; got < n; got++) {
		len = file_read(o, bufs[got].iov_base, bufs[got].iov_len, got ? 0 : deadline,
				false);
		if (len < 0)
			return got ? got : (int)len;
		bufs[got].iov_len = (size_t)len;
	}
	return got;
}

int ipcfs_done(ipcfs_obj *o, unsigned int n)
{
	int r = client_enter(o, O_RDONLY);

	if (r < 0)
		return r;
	if (!(o->type->traits & TYPE_JOIN))
		return -EINVAL;
	r = direct_done(o, n);
	return r != IPC_ELSEWHERE ? r : file_done(o, n);
}

int ipcfs_join(ipcfs_obj *o, int64_t timeout_ns)
{
	int64_t deadline, zero;
	char buf[8];
	int r = client_enter(o, O_RDONLY);

	if (r < 0)
		return r;
	if (!(o->type->traits & TYPE_JOIN))
		return -EINVAL;
	deadline = deadline_of(timeout_ns);
	r = direct_number(o, OP_JOIN, deadline, &zero);
	if (r == IPC_ELSEWHERE)
		r = (int)file_read(o, buf, sizeof(buf), deadline, true);
	return r < 0 ? r : 0;
}

/* ---- locks, permits, waiting ---- */

static int read_number(struct ipcfs_obj *o, int64_t timeout_ns, int64_t *ret)
{
	int64_t deadline = deadline_of(timeout_ns);
	int r = direct_number(o, OP_READ, deadline, ret);

	return r != IPC_ELSEWHERE ? r : file_number(o, deadline, ret);
}

int ipcfs_acquire(ipcfs_obj *o, int64_t timeout_ns)
{
	int64_t deadline, depth;
	int r = client_enter(o, is_permits(o->type) ? O_RDONLY : O_RDWR);

	if (r < 0)
		return r;
	if (o->permits) {
		if (direct_current(o) &&
		    (count_take(o->permits) || (timeout_ns && direct_permit_soon(o)))) {
			stat_fast(&o->map.h->b.sem.taken, 1);
			return 0;
		}
	} else if (o->fast && direct_take(o, timeout_ns != 0)) {
		return 0;
	}
	if (is_permits(o->type))
		return read_number(o, timeout_ns, &depth);
	deadline = deadline_of(timeout_ns);
	r = direct_flock(o, LOCK_EX, deadline);
	return r != IPC_ELSEWHERE ? r : file_flock(o, LOCK_EX, deadline);
}

/* word: what to write to the file, if it is not a number. */
static int command(struct ipcfs_obj *o, const struct ipc_cmd *cmd, const char *word)
{
	char text[24];
	int r = client_enter(o, O_WRONLY);

	if (r < 0)
		return r;
	r = direct_give(o, cmd, NULL);
	if (r != IPC_ELSEWHERE)
		return r;
	if (!word)
		snprintf(text, sizeof(text), "%lld", (long long)cmd->n);
	return file_command(o, word ? word : text);
}

int ipcfs_release(ipcfs_obj *o, unsigned int n)
{
	int r;

	if (o->permits && n && client_enter(o, O_WRONLY) == 0 && direct_current(o) &&
	    count_give(o->permits, n)) {
		stat_fast(&o->map.h->b.sem.given, n);
		return 0;
	}
	if (o->fast && (n == 1 || !is_permits(o->type)) && client_enter(o, O_WRONLY) == 0 &&
	    direct_release(o))
		return 0;
	if (is_permits(o->type))
		return command(o, &(struct ipc_cmd){ .verb = CMD_ADD, .n = n }, NULL);
	r = client_enter(o, O_RDWR);
	if (r < 0)
		return r;
	r = direct_flock(o, LOCK_UN, IPC_NEVER);
	return r != IPC_ELSEWHERE ? r : file_flock(o, LOCK_UN, IPC_NEVER);
}

int ipcfs_wait(ipcfs_obj *o, int64_t timeout_ns)
{
	int64_t n;
	int r = client_enter(o, O_RDONLY);

	if (r < 0)
		return r;
	if (!(o->type->traits & TYPE_WAITED_FOR))
		return -EINVAL;
	if (o->event && count_some(o->event) && direct_current(o))
		return 0;
	r = read_number(o, timeout_ns, &n);
	return r < 0 || !(o->type->traits & TYPE_INDEX) ? r : (int)n;
}

static bool understands(const struct ipcfs_obj *o, enum ipc_verb verb)
{
	return o->type->verbs & VERB(verb);
}

/* By the fast count. false: in the usual way. */
static bool set_now(struct ipcfs_obj *o, uint64_t n)
{
	if (!o->event || client_enter(o, O_WRONLY) < 0 || !direct_current(o) ||
	    !count_set(o->event, n))
		return false;
	if (n)
		stat_fast(&o->map.h->b.event.sets, 1);
	return true;
}

int ipcfs_set(ipcfs_obj *o)
{
	if (set_now(o, 1))
		return 0;
	if (!understands(o, CMD_SET))
		return -EINVAL;
	return command(o, &(struct ipc_cmd){ .verb = CMD_SET }, "set");
}

int ipcfs_clear(ipcfs_obj *o)
{
	if (set_now(o, 0))
		return 0;
	if (!understands(o, CMD_CLEAR))
		return -EINVAL;
	return command(o, &(struct ipc_cmd){ .verb = CMD_CLEAR }, "clear");
}

int ipcfs_notify(ipcfs_obj *o, unsigned int n)
{
	if (!understands(o, CMD_NOTIFY))
		return -EINVAL;
	if (n == IPCFS_ALL)
		return command(o, &(struct ipc_cmd){ .verb = CMD_NOTIFY, .n = CMD_ALL }, "all");
	return command(o, &(struct ipc_cmd){ .verb = CMD_NOTIFY, .n = n }, NULL);
}
