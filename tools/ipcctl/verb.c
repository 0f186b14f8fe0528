// SPDX-License-Identifier: MIT
#include "verb.h"

#include <fcntl.h>
#include <string.h>

#include "object.h"

void wait_option(const struct command *cmd, int code, int64_t *limit_ns)
{
	if (code == 'n')
		*limit_ns = 0;
	else if (parse_seconds(optarg, limit_ns) < 0)
		usage_error(cmd, "not a number of seconds: %s", optarg);
}

int64_t limit_end(int64_t limit_ns)
{
	int64_t end;

	if (limit_ns <= 0)
		return limit_ns;
	return __builtin_add_overflow(now_ns(), limit_ns, &end) ? FOR_EVER : end;
}

int64_t limit_left(int64_t end)
{
	int64_t left = end - now_ns();

	return end <= 0 ? end : left > 0 ? left : 1; /* 1: it times out, and does not just try */
}

int verb_open(const char *path, int oflags, int64_t limit_ns, ipcfs_obj **ret)
{
	guard_wait(limit_ns);
	*ret = ipcfs_open(path, oflags | (limit_ns ? 0 : O_NONBLOCK), 0);
	guard_progress();
	if (*ret)
		return 0;
	return errno == EINVAL ? -ENOTTY : -errno;
}

int verb_open_file(const char *path, int oflags, int64_t limit_ns)
{
	int flags = oflags | O_CLOEXEC | O_NOCTTY | (limit_ns ? 0 : O_NONBLOCK), fd;

	guard_wait(limit_ns);
	fd = open(path, flags);
	if (fd < 0)
		return -errno;
	if (limit_ns > 0 && ioctl(fd, IPCFS_IOC_TIMEOUT, &limit_ns) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

int verb_status(const char *path, int error)
{
	switch (error) {
	case -EAGAIN:
		complain(path, "would have to wait");
		return EXIT_WOULD_WAIT;
	case -ETIMEDOUT:
		complain(path, "the time limit has passed");
		return EXIT_TIME;
	case -EPIPE:
		complain(path, "closed");
		return EXIT_END;
	case -ECANCELED:
		complain(path, "cancelled or broken");
		return EXIT_CANCELED;
	case -ENOENT:
		complain(path, "%s ('ipcctl create' makes one)", strerror(ENOENT));
		return EXIT_FAILURE;
	default:
		if (error < 0)
			target_complain(path, error);
		return error < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	}
}

int write_text(const char *path, const char *text)
{
	int fd CLEANUP(close_fd) = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	char *line CLEANUP(free_string) = str("%s\n", text);
	size_t len = strlen(line);
	ssize_t n;

	if (fd < 0)
		return -errno;
	/* In one write: two would be two settings. */
	n = write(fd, line, len);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}
