/* SPDX-License-Identifier: MIT */
/*
 * Channels that the kernel has: FIFO, Unix seqpacket sockets, POSIX message queues. The last hold
 * 10 messages, which is what an ordinary user may have; larger messages than 8 KiB only root may.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel.h"

#define MQ_MESSAGES 10

struct unix_channel {
	int in, out;
};

static struct unix_channel *new_channel(int in, int out)
{
	struct unix_channel *c = malloc(sizeof(*c));

	*c = (struct unix_channel){ in, out };
	return c;
}

static void *make_fifo(int id, size_t size)
{
	char name[32];
	const char *path;
	int fd;

	snprintf(name, sizeof(name), "fifo-%d", id);
	path = path_in("BENCH_TMP", name);
	fd = mkfifo(path, 0600) < 0 ? -1 : open(path, O_RDWR);
	if (fd < 0)
		die_errno(path);
	unlink(path);
	return new_channel(fd, fd);
}

static void *make_seqpacket(int id, size_t size)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) < 0)
		die_errno("socketpair");
	return new_channel(fds[0], fds[1]);
}

static void *make_mq(int id, size_t size)
{
	struct mq_attr attr = { .mq_maxmsg = MQ_MESSAGES, .mq_msgsize = (long)size };
	char name[64];
	mqd_t q;

	snprintf(name, sizeof(name), "/ipcfs-bench-%d-%d", (int)getpid(), id);
	q = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	if (q < 0 && (errno == EINVAL || errno == EMFILE) && size > 8192)
		die("not possible: %zu bytes a message are more than fs.mqueue.msgsize_max or "
		    "RLIMIT_MSGQUEUE allow",
		    size);
	if (q < 0)
		die_errno("mq_open");
	mq_unlink(name);
	return new_channel(q, q);
}

static void fd_put(void *channel, const char *msgs, size_t size, int n)
{
	if (write(((struct unix_channel *)channel)->in, msgs, size) != (ssize_t)size)
		die_errno("write");
}

/* A stream may give a part. */
static int fd_get(void *channel, char *msgs, size_t size, int n)
{
	for (size_t got = 0; got < size;) {
		ssize_t r = read(((struct unix_channel *)channel)->out, msgs + got, size - got);

		if (r <= 0)
			die_errno("read");
		got += (size_t)r;
	}
	return 1;
}

static void mq_put(void *channel, const char *msgs, size_t size, int n)
{
	if (mq_send(((struct unix_channel *)channel)->in, msgs, size, 0) < 0)
		die_errno("mq_send");
}

static int mq_get(void *channel, char *msgs, size_t size, int n)
{
	if (mq_receive(((struct unix_channel *)channel)->out, msgs, size, NULL) != (ssize_t)size)
		die_errno("mq_receive");
	return 1;
}

const struct channel_type unix_channels[] = {
	{ "fifo", 1, false, make_fifo, NULL, fd_put, fd_get, NULL },
	{ "seqpacket", 1, false, make_seqpacket, NULL, fd_put, fd_get, NULL },
	{ "mq", 1, false, make_mq, NULL, mq_put, mq_get, NULL },
	{ NULL },
};
