/* SPDX-License-Identifier: MIT */
/*
 * Who wrote the lines that are unfinished.
 *
 * The last close of a handle completes its line, unless a signal ended the process that wrote it.
 * RELEASE does not say who closed, and by then that process may be gone, and another one have its
 * number. So when a WRITE ends in mid-line, a pidfd of the writer is opened: by that the kernel tells
 * how it ended (fs.told_ends). Where it does not, and where FLUSH is requested (ops/close.c), there is no
 * need.
 *
 * The next worker has to know them, too, and a process may end while there is none. So each pidfd is
 * also sent through a socket to which nobody listens, and of which the supervisor keeps both ends:
 * the next worker receives them. From time to time those in use are sent anew and the old ones
 * received, so that the socket holds hardly more than what is in use.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/proc.h"
#include "state/fs.h"
#include "state/nodeid.h"
#include "state/object.h"
#include "state/store.h"
#include "wait/unfinished.h"

#define BATCH     200 /* pidfds in one message: the kernel takes 253 */
#define SENT_MOST 100 /* messages: the socket holds some more */

int unfinished_fds[2] = { -1, -1 };

struct place {
	uint64_t id; /* the object's */
	uint64_t fh;
};

struct writer {
	struct place place;
	uint32_t pid;
	int fd;
	UT_hash_handle hh;
};

static struct writer *writers;
static unsigned int sent; /* messages that are in the socket */

static struct writer *find(uint64_t id, uint64_t fh)
{
	struct place key = { id, fh };
	struct writer *w = NULL;

	if (writers)
		HASH_FIND(hh, writers, &key, sizeof(key), w);
	return w;
}

static void drop(struct writer *w)
{
	HASH_DEL(writers, w);
	close(w->fd);
	free(w);
}

static struct writer *add(const struct place *place, uint32_t pid, int fd)
{
	struct writer *w = must_alloc(sizeof(*w));

	*w = (struct writer){ .place = *place, .pid = pid, .fd = fd };
	HASH_ADD(hh, writers, place, sizeof(w->place), w);
	return w;
}

/* ---- for the next worker ---- */

struct batch {
	unsigned int n;
	struct {
		struct place place;
		uint64_t pid;
	} of[BATCH];
	union {
		struct cmsghdr h;
		char bytes[CMSG_SPACE(BATCH * sizeof(int))];
	} fds;
};

static int *fds_of(struct batch *b)
{
	return (int *)CMSG_DATA(&b->fds.h);
}

static struct msghdr message(struct batch *b, struct iovec *iov)
{
	*iov = (struct iovec){ b->of, sizeof(b->of) };
	return (struct msghdr){
		.msg_iov = iov,
		.msg_iovlen = 1,
		.msg_control = &b->fds,
		.msg_controllen = sizeof(b->fds),
	};
}

static bool send_batch(struct batch *b)
{
	struct iovec iov;
	struct msghdr m = message(b, &iov);

	iov.iov_len = b->n * sizeof(b->of[0]);
	b->fds.h = (struct cmsghdr){
		.cmsg_len = CMSG_LEN(b->n * sizeof(int)),
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	};
	m.msg_controllen = CMSG_SPACE(b->n * sizeof(int));
	if (sendmsg(unfinished_fds[0], &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return false;
	sent++;
	return true;
}

/* One of those that were sent before; its descriptors go. */
static bool take_back(unsigned int *old)
{
	char byte;

	if (!*old || recv(unfinished_fds[1], &byte, 1, MSG_DONTWAIT) < 0)
		return false;
	--*old;
	sent--;
	return true;
}

static void put_in(struct batch *b, const struct writer *w)
{
	b->of[b->n].place = w->place;
	b->of[b->n].pid = w->pid;
	fds_of(b)[b->n++] = w->fd;
}

/* (If there is no room at all, the next worker has to do without some.) */
static void send_anew(struct batch *b, unsigned int *old)
{
	while (!send_batch(b) && take_back(old))
		;
	b->n = 0;
}

/* First the new ones, then away with the old: who dies in between leaves too much. */
static void send_all(struct batch *b)
{
	unsigned int old = sent;

	b->n = 0;
	for (const struct writer *w = writers; w; w = w->hh.next) {
		put_in(b, w);
		if (b->n == BATCH)
			send_anew(b, &old);
	}
	if (b->n)
		send_anew(b, &old);
	while (take_back(&old))
		;
}

static void keep(const struct writer *w)
{
	static struct batch b;

	b.n = 0;
	put_in(&b, w);
	if (!send_batch(&b) || sent > SENT_MOST)
		send_all(&b);
}

int unfinished_init(void)
{
	int size = 1 << 20; /* the kernel makes of it what is allowed */

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, unfinished_fds) < 0)
		return -errno;
	setsockopt(unfinished_fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return 0;
}

/* The handle is there, and its line is not another process's. */
static bool is_still_there(const struct place *place, uint32_t pid)
{
	struct node *n = tree_by_id(place->id);
	struct ipc_handle *hd;
	struct object *ob;
	int e;

	ob = n && n->type != IPC_DIR ? object_of(n, &e) : NULL;
	hd = ob && !ob->o.damage ? fh_handle(&ob->o, place->fh) : NULL;
	return hd && (!hd->line || hd->line_pid == pid);
}

static void load(const struct place *place, uint32_t pid, int fd)
{
	struct writer *w = find(place->id, place->fh);

	if (!is_still_there(place, pid)) {
		close(fd);
		return;
	}
	if (w) { /* an older one */
		close(w->fd);
		w->pid = pid;
		w->fd = fd;
		return;
	}
	add(place, pid, fd);
}

static void load_batch(struct batch *b, size_t len, const struct msghdr *m)
{
	size_t n = 0;

	if (CMSG_FIRSTHDR(m) && b->fds.h.cmsg_type == SCM_RIGHTS)
		n = (b->fds.h.cmsg_len - CMSG_LEN(0)) / sizeof(int);
	for (size_t i = 0; i < n; i++)
		if ((i + 1) * sizeof(b->of[0]) <= len)
			load(&b->of[i].place, (uint32_t)b->of[i].pid, fds_of(b)[i]);
		else
			close(fds_of(b)[i]);
}

void unfinished_load(void)
{
	static struct batch b;
	struct iovec iov;
	struct msghdr m = message(&b, &iov);
	ssize_t n;

	while ((n = recvmsg(unfinished_fds[1], &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) >= 0) {
		load_batch(&b, (size_t)n, &m);
		m = message(&b, &iov);
	}
	sent = 0;
	send_all(&b);
}

void unfinished_unload(void)
{
	while (writers)
		drop(writers);
}

/* ---- of a handle ---- */

static bool has_ended(const struct writer *w)
{
	struct pollfd p = { .fd = w->fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

void unfinished_by(uint64_t id, uint64_t fh, uint32_t pid)
{
	struct writer *w = find(id, fh);
	int fd;

	if (!fs.told_ends || (w && w->pid == pid && !has_ended(w)))
		return;
	unfinished_closed(id, fh);
	fd = pid ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	if (fd < 0)
		return;
	keep(add(&(struct place){ id, fh }, pid, fd));
}

void unfinished_closed(uint64_t id, uint64_t fh)
{
	struct writer *w = find(id, fh);

	if (w)
		drop(w);
}

/*
 * By a signal, and it is past the point where its files were closed: one that a signal has hit only
 * since then closed as others do.
 */
static bool is_killed(uint32_t pid)
{
	return pid && proc_killed(pid) && !proc_memory(pid);
}

bool unfinished_killed(uint64_t id, uint64_t fh, uint32_t pid)
{
	const struct writer *w = find(id, fh);
	bool killed = is_killed(w ? w->pid : pid);
	int end = w ? proc_end(w->fd) : -1;

	/* If it was not gone just now, its number was its own. */
	return end < 0 ? killed : WIFSIGNALED(end);
}
