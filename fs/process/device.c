/* SPDX-License-Identifier: MIT */
/*
 * A worker's side of /dev/fuse, which it reads and writes for libfuse.
 *
 * The kernel copies each request into memory that the supervisor keeps, so a request is known even if
 * it kills the worker. The next worker finds the kernel's first request there too, which tells libfuse
 * what it needs to know; its reply to that one is swallowed.
 */
#include <errno.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "process/device.h"
#include "process/shared.h"

static struct worker_shared *shared;
static struct fuse_buf buf; /* where libfuse has messages read to */
static bool replaying;      /* the INIT being handled is the stored one */
static bool fresh = true;   /* no request has been read yet */
static uint64_t dealing;    /* the request in shared->request, until it is answered */
static size_t left_over;    /* the request in shared->request is to be handled again, … */
static bool again;          /* … and now is */

/*
 * The kernel copies a request page by page, and faults in what this process has not mapped. A fault
 * fails if SIGKILL is pending; the caller then gets EIO, and no other worker gets the request. Pages
 * that are mapped and writable need no fault. So the whole buffer is mapped before anything is read,
 * and stays mapped (if it cannot be locked, then until memory runs short).
 */
static void map_request_buffer(void)
{
	volatile char *p = shared->request;

	mlock(shared->request, sizeof(shared->request));
	for (size_t i = 0; i < sizeof(shared->request); i += 4096)
		p[i] = p[i];
}

static void no_request(void)
{
	*(uint32_t *)shared->request = 0;
}

static void keep_init(const void *msg, size_t n)
{
	memcpy(shared->init, msg, n);
	__atomic_store_n(&shared->init_len, (uint32_t)n, __ATOMIC_RELEASE);
}

/* The first worker died holding the kernel's first request, the only one that it had read. */
static void find_init(void)
{
	const struct fuse_in_header *h = (const void *)shared->request;

	if (!shared->init_len && h->len && h->len <= sizeof(shared->init))
		keep_init(h, h->len);
}

static ssize_t device_read(int fd, void *mem, size_t len, void *userdata)
{
	const struct fuse_in_header *h = mem;
	ssize_t n;

	again = false;
	if (fresh && shared->init_len) {
		n = shared->init_len;
		memcpy(mem, shared->init, (size_t)n);
		replaying = true;
	} else if (left_over) { /* `mem` is where it is */
		n = (ssize_t)left_over;
		left_over = 0;
		again = true;
	} else {
		no_request();
		n = read(fd, mem, len);
	}
	if (n < (ssize_t)sizeof(*h))
		return n;
	if (fresh && h->opcode == FUSE_INIT && !replaying && (size_t)n <= sizeof(shared->init))
		keep_init(mem, (size_t)n);
	fresh = false;
	return n;
}

static ssize_t length(const struct iovec *iov, int count)
{
	ssize_t n = 0;

	for (int i = 0; i < count; i++)
		n += (ssize_t)iov[i].iov_len;
	return n;
}

static ssize_t device_writev(int fd, struct iovec *iov, int count, void *userdata)
{
	ssize_t n;

	/*
	 * The kernel has this reply already, unless a worker died just before sending it. Sending it
	 * twice does no harm.
	 */
	if (replaying && !shared->begun && writev(fd, iov, count) < 0 && errno != ENOENT)
		log_line(LOG_ERR, "cannot answer the kernel's first request: %m");
	if (replaying)
		shared->begun = true;
	if (replaying)
		return length(iov, count);
	n = writev(fd, iov, count);
	shared->begun = true;
	/*
	 * Answered: no other worker must handle it (and what is recorded next is not about
	 * it).
	 */
	if (dealing && ((const struct fuse_out_header *)iov[0].iov_base)->unique == dealing) {
		no_request();
		dealing = 0;
	}
	return n;
}

static const struct fuse_custom_io device = { .read = device_read, .writev = device_writev };

int device_begin(struct fuse_session *se, int fd, struct worker_shared *sh)
{
	shared = sh;
	fresh = true;
	find_init();
	map_request_buffer();
	/* A replayed INIT must not overwrite what may be left over there. */
	buf = (struct fuse_buf){ .mem = shared->init_len ? NULL : shared->request };
	return fuse_session_custom_io(se, &device, fd);
}

void device_end(void)
{
	if (buf.mem != shared->request)
		free(buf.mem);
}

int device_next(struct fuse_session *se, struct message *ret)
{
	int r = fuse_session_receive_buf(se, &buf);

	*ret = (struct message){ .data = buf.mem, .stored = replaying, .again = again };
	if (r > 0)
		ret->len = (size_t)r;
	return r;
}

void device_take(const struct message *m)
{
	const struct fuse_in_header *h = m->data;

	dealing = m->data == shared->request ? h->unique : 0;
}

void device_done(const struct message *m)
{
	dealing = 0;
	replaying = false;
	if (m->data == shared->request) {
		no_request();
	} else {
		free(buf.mem);
		buf.mem = shared->request;
	}
}

void device_put_back(size_t len)
{
	left_over = len;
}
