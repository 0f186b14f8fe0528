/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into a daemon, for tests/mount/test_start.py: workers that die of what they find.
 *
 * While the file that IPCFS_DIE names exists, a worker dies of SIGSEGV as it sets itself up when
 * the file is empty; when it holds a word, as it answers the request that wrote that word.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

static unsigned long long deadly; /* the request's unique, without the bit of one sent again */

/* What the file holds; -1: there is none. */
static long word(char *buf, size_t size)
{
	const char *name = getenv("IPCFS_DIE");
	int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t (*real)(int, void *, size_t) = dlsym(RTLD_NEXT, "read");
	long n;

	if (fd < 0)
		return -1;
	n = real(fd, buf, size);
	close(fd);
	return n;
}

int epoll_create1(int flags)
{
	int (*real)(int) = dlsym(RTLD_NEXT, "epoll_create1");
	char buf[64];

	if (word(buf, sizeof(buf)) == 0)
		raise(SIGSEGV);
	return real(flags);
}

ssize_t read(int fd, void *buf, size_t size)
{
	ssize_t (*real)(int, void *, size_t) = dlsym(RTLD_NEXT, "read");
	ssize_t n = real(fd, buf, size);
	const struct fuse_in_header *h = buf;
	const char *data = (const char *)buf + sizeof(*h) + sizeof(struct fuse_write_in);
	char want[64];
	long len;

	if (size < 8192 || n <= data - (const char *)buf || h->len != n || h->opcode != FUSE_WRITE)
		return n;
	len = word(want, sizeof(want));
	if (len > 0 && n - (data - (const char *)buf) >= len && !memcmp(data, want, (size_t)len))
		deadly = h->unique & ~(1ull << 63);
	return n;
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
	ssize_t (*real)(int, const struct iovec *, int) = dlsym(RTLD_NEXT, "writev");
	const struct fuse_out_header *h = iov[0].iov_base;

	if (deadly && iov[0].iov_len == sizeof(*h) && (h->unique & ~(1ull << 63)) == deadly)
		raise(SIGSEGV);
	return real(fd, iov, count);
}
