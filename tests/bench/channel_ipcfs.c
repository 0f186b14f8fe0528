/* SPDX-License-Identifier: MIT */
/*
 * Channels that are objects of an ipcfs: a queue through libipcfs (one by one, 64 a call, without a
 * bound, in place), a queue through the file, and a semaphore through libipcfs for pingpong. Each process
 * opens the name itself, as the README advises.
 */
#include <errno.h>
#include <fcntl.h>
#include <ipcfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"

#define MANY 64

struct ipcfs_channel {
	char path[4096];
	ipcfs_obj *obj;
	int fd;
};

static void *make(int id, const char *suffix)
{
	struct ipcfs_channel *c = calloc(1, sizeof(*c));
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "channel-%d.%s", id, suffix);
	strcpy(c->path, path_in("BENCH_IPC", name));
	fd = open(c->path, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		die_errno(c->path);
	close(fd);
	return c;
}

static void set(struct ipcfs_channel *c, const char *what, const char *value)
{
	char path[4096 + 32];

	snprintf(path, sizeof(path), "%s.ctl/%s", c->path, what);
	write_text(path, value);
}

static void *make_unbounded(int id, size_t size)
{
	struct ipcfs_channel *c = make(id, "queue");

	set(c, "framing", "record");
	return c;
}

static void *make_queue(int id, size_t size)
{
	struct ipcfs_channel *c = make_unbounded(id, size);
	char bound[16];

	snprintf(bound, sizeof(bound), "%d", BOUND(size));
	set(c, "maxsize", bound);
	return c;
}

static void *make_sem(int id, size_t size)
{
	return make(id, "sem");
}

static void drop(void *channel)
{
	struct ipcfs_channel *c = channel;

	unlink(c->path);
}

/* ---- direct ---- */

static void direct_open(void *channel, bool putter)
{
	struct ipcfs_channel *c = channel;

	c->obj = ipcfs_open(c->path, O_RDWR, 0);
	if (!c->obj)
		die_errno(c->path);
	if (!ipcfs_is_direct(c->obj))
		die("%s: not attached directly", c->path);
}

static void check(int r, const char *what)
{
	if (r < 0)
		die("%s: %s", what, strerror(-r));
}

static void direct_put(void *channel, const char *msgs, size_t size, int n)
{
	check(ipcfs_put(((struct ipcfs_channel *)channel)->obj, msgs, size, IPCFS_FOREVER), "put");
}

static int direct_get(void *channel, char *msgs, size_t size, int n)
{
	ssize_t r = ipcfs_get(((struct ipcfs_channel *)channel)->obj, msgs, size, IPCFS_FOREVER);

	check((int)r, "get");
	if ((size_t)r != size)
		die("got %zd bytes of %zu", r, size);
	return 1;
}

/* Nothing is copied: the message is written and read where it is. */
static void lent_put(void *channel, const char *msgs, size_t size, int n)
{
	struct ipcfs_channel *c = channel;
	uint64_t *msg = ipcfs_put_begin(c->obj, size);

	if (!msg)
		die_errno("put_begin");
	*msg = *(const uint64_t *)msgs;
	check(ipcfs_put_commit(c->obj, msg, size, IPCFS_FOREVER), "put_commit");
}

static int lent_get(void *channel, char *msgs, size_t size, int n)
{
	struct ipcfs_channel *c = channel;
	const void *msg;
	ssize_t r = ipcfs_get_begin(c->obj, &msg, IPCFS_FOREVER);

	check((int)r, "get_begin");
	if ((size_t)r != size)
		die("got %zd bytes of %zu", r, size);
	*(uint64_t *)msgs = *(const uint64_t *)msg;
	check(ipcfs_get_end(c->obj, msg), "get_end");
	return 1;
}

static void many_put(void *channel, const char *msgs, size_t size, int n)
{
	struct iovec iov[MANY];
	int r;

	for (int i = 0; i < n; i++)
		iov[i] = (struct iovec){ (char *)msgs + (size_t)i * size, size };
	for (int done = 0; done < n; done += r) {
		r = ipcfs_put_many(((struct ipcfs_channel *)channel)->obj, iov + done, n - done,
				   IPCFS_FOREVER);
		check(r, "put_many");
	}
}

static int many_get(void *channel, char *msgs, size_t size, int n)
{
	struct iovec iov[MANY];
	int r;

	for (int i = 0; i < n; i++)
		iov[i] = (struct iovec){ msgs + (size_t)i * size, size };
	r = ipcfs_get_many(((struct ipcfs_channel *)channel)->obj, iov, n, IPCFS_FOREVER);
	check(r, "get_many");
	return r;
}

static void sem_put(void *channel, const char *msgs, size_t size, int n)
{
	check(ipcfs_release(((struct ipcfs_channel *)channel)->obj, 1), "release");
}

static int sem_get(void *channel, char *msgs, size_t size, int n)
{
	check(ipcfs_acquire(((struct ipcfs_channel *)channel)->obj, IPCFS_FOREVER), "acquire");
	return 1;
}

/* ---- the file ---- */

static void files_open(void *channel, bool putter)
{
	struct ipcfs_channel *c = channel;

	c->fd = open(c->path, O_RDWR);
	if (c->fd < 0)
		die_errno(c->path);
}

static void files_put(void *channel, const char *msgs, size_t size, int n)
{
	if (write(((struct ipcfs_channel *)channel)->fd, msgs, size) != (ssize_t)size)
		die_errno("write");
}

static int files_get(void *channel, char *msgs, size_t size, int n)
{
	ssize_t r = read(((struct ipcfs_channel *)channel)->fd, msgs, size);

	if (r < 0)
		die_errno("read");
	if ((size_t)r != size)
		die("read %zd bytes of %zu", r, size);
	return 1;
}

const struct channel_type ipcfs_channels[] = {
	{ "direct", 1, false, make_queue, direct_open, direct_put, direct_get, drop },
	{ "direct-many", MANY, false, make_queue, direct_open, many_put, many_get, drop },
	{ "direct-unbounded", 1, false, make_unbounded, direct_open, direct_put, direct_get, drop },
	{ "direct-lent", 1, false, make_queue, direct_open, lent_put, lent_get, drop },
	{ "direct-sem", 1, true, make_sem, direct_open, sem_put, sem_get, drop },
	{ "files", 1, false, make_queue, files_open, files_put, files_get, drop },
	{ NULL },
};
