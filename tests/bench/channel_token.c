/* SPDX-License-Identifier: MIT */
/*
 * Channels without content, for pingpong: eventfd, a POSIX semaphore, a bare futex word, and the
 * token file of the empty FUSE file system, which costs just the requests that a queue of ipcfs
 * costs: one WRITE, and one READ that may wait.
 */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "channel.h"

struct fd_channel {
	int fd;
};

static void *make_fd(int fd, const char *what)
{
	struct fd_channel *c = shared_memory(sizeof(*c));

	if (fd < 0)
		die_errno(what);
	c->fd = fd;
	return c;
}

static void *make_eventfd(int id, size_t size)
{
	return make_fd(eventfd(0, EFD_SEMAPHORE), "eventfd");
}

static void *make_null(int id, size_t size)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/token%d", need_env("BENCH_NULL"), id);
	return make_fd(open(path, O_RDWR), path);
}

static void eventfd_put(void *channel, const char *msgs, size_t size, int n)
{
	if (eventfd_write(((struct fd_channel *)channel)->fd, 1) < 0)
		die_errno("eventfd_write");
}

static int eventfd_get(void *channel, char *msgs, size_t size, int n)
{
	eventfd_t value;

	if (eventfd_read(((struct fd_channel *)channel)->fd, &value) < 0)
		die_errno("eventfd_read");
	return 1;
}

static void null_put(void *channel, const char *msgs, size_t size, int n)
{
	if (write(((struct fd_channel *)channel)->fd, msgs, size) != (ssize_t)size)
		die_errno("write");
}

static int null_get(void *channel, char *msgs, size_t size, int n)
{
	if (read(((struct fd_channel *)channel)->fd, msgs, size) <= 0)
		die_errno("read");
	return 1;
}

static void *make_sem(int id, size_t size)
{
	sem_t *sem = shared_memory(sizeof(*sem));

	if (sem_init(sem, 1, 0) < 0)
		die_errno("sem_init");
	return sem;
}

static void sem_put(void *channel, const char *msgs, size_t size, int n)
{
	sem_post(channel);
}

static int sem_get(void *channel, char *msgs, size_t size, int n)
{
	while (sem_wait(channel) < 0)
		if (errno != EINTR)
			die_errno("sem_wait");
	return 1;
}

static void *make_futex(int id, size_t size)
{
	return shared_memory(sizeof(uint32_t));
}

static void futex_put(void *channel, const char *msgs, size_t size, int n)
{
	__atomic_store_n((uint32_t *)channel, 1, __ATOMIC_RELEASE);
	futex_wake(channel, 1);
}

static int futex_get(void *channel, char *msgs, size_t size, int n)
{
	while (!__atomic_exchange_n((uint32_t *)channel, 0, __ATOMIC_ACQUIRE))
		futex_wait(channel, 0);
	return 1;
}

const struct channel_type token_channels[] = {
	{ "eventfd", 1, true, make_eventfd, NULL, eventfd_put, eventfd_get, NULL },
	{ "null", 1, true, make_null, NULL, null_put, null_get, NULL },
	{ "sem", 1, true, make_sem, NULL, sem_put, sem_get, NULL },
	{ "futex", 1, true, make_futex, NULL, futex_put, futex_get, NULL },
	{ NULL },
};
