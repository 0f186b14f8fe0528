// SPDX-License-Identifier: MIT
#include "doctor/probe.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PROBE_LIMIT (256 * 1024 * 1024)

/* Milliseconds until END, rounded up, for poll(). */
static int left_ms(int64_t end)
{
	int64_t left = end - now_ns();

	return left <= 0 ? 0 : (int)((left + 999999) / 1000000);
}

static void __attribute__((noreturn)) child(const char *path, int out)
{
	struct buf b = { .data = NULL };
	int r;

	/* If it hangs, it must not keep our caller's pipeline open. */
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	close(STDERR_FILENO);
	r = read_file_at(AT_FDCWD, path, 0, PROBE_LIMIT - sizeof(r), &b);
	if (write(out, &r, sizeof(r)) != sizeof(r))
		_exit(1);
	for (size_t done = 0; done < b.len;) {
		ssize_t n = write(out, b.data + done, b.len - done);

		if (n < 0 && errno != EINTR)
			_exit(1);
		done += n > 0 ? (size_t)n : 0;
	}
	_exit(0);
}

/* All that the child sends until it ends. */
static int receive(int in, int64_t end, struct buf *b)
{
	for (;;) {
		struct pollfd p = { .fd = in, .events = POLLIN };
		char chunk[4096];
		ssize_t n;

		n = poll(&p, 1, left_ms(end));
		if (n == 0)
			return -ETIMEDOUT;
		if (n > 0)
			n = read(in, chunk, sizeof(chunk));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return 0;
		if (n > 0)
			buf_add(b, chunk, n);
	}
}

int probe_read(const char *path, int64_t limit_ns, struct buf *ret)
{
	int in CLEANUP(close_fd) = -1;
	struct buf b CLEANUP(buf_free) = { .data = NULL };
	int ends[2], r, result;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	in = ends[0];
	pid = fork();
	if (!pid)
		child(path, ends[1]);
	r = pid < 0 ? -errno : 0;
	close(ends[1]);
	if (r < 0)
		return r;
	r = receive(in, now_ns() + limit_ns, &b);
	kill(pid, SIGKILL);
	/* A child that hangs is left to init. */
	waitpid(pid, NULL, r < 0 ? WNOHANG : 0);
	if (r < 0)
		return r;
	if (b.len < sizeof(result))
		return -EIO;
	memcpy(&result, b.data, sizeof(result));
	if (result < 0)
		return result;
	buf_add(ret, b.data + sizeof(result), b.len - sizeof(result));
	return 0;
}

int probe_wait_pidfd(int pidfd, int64_t limit_ns)
{
	int64_t end = now_ns() + limit_ns;

	for (;;) {
		struct pollfd p = { .fd = pidfd, .events = POLLIN };
		int n = poll(&p, 1, left_ms(end));

		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

int probe_pidfd_open(pid_t pid)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}
