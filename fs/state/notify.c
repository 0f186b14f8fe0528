/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "state/fs.h"
#include "state/notify.h"

#define NOTIFY_RESEND 7 /* Linux 6.9 */

static ssize_t write_message(int fd, uint64_t unique, int code, const void *data, size_t len,
			     const char *tail, size_t tail_len)
{
	struct fuse_out_header h = {
		.len = (uint32_t)(sizeof(h) + len + tail_len),
		.error = code,
		.unique = unique,
	};
	struct iovec iov[3] = { { &h, sizeof(h) },
				{ (void *)data, len },
				{ (void *)tail, tail_len } };

	return writev(fd, iov, tail_len ? 3 : len ? 2 : 1);
}

void kernel_send(uint64_t unique, int code, const void *data, size_t len, const char *tail,
		 size_t tail_len)
{
	int fd = fuse_session_fd(fs.se);

	if (write_message(fd, unique, code, data, len, tail, tail_len) < 0 && errno != ENOENT)
		log_line(LOG_WARNING, unique ? "reply: %m" : "notification: %m");
}

/* As fuse_lowlevel_notify_poll() does, but for a kh that a dead worker was given. */
void notify_poll(uint64_t kh)
{
	kernel_send(0, FUSE_NOTIFY_POLL, &kh, sizeof(kh), NULL, 0);
}

void notify_attr(uint64_t nodeid)
{
	/* Attributes alone: that takes no lock. */
	struct fuse_notify_inval_inode_out out = { .ino = nodeid, .off = -1 };

	kernel_send(0, FUSE_NOTIFY_INVAL_INODE, &out, sizeof(out), NULL, 0);
}

pid_t notify_name_apart(uint64_t parent, const char *name, size_t len)
{
	struct fuse_notify_inval_entry_out out = { .parent = parent, .namelen = (uint32_t)len };
	int fd = fuse_session_fd(fs.se);
	pid_t pid = fork();

	if (pid)
		return pid;
	/* It may outlive the worker, so it must keep no other descriptor open. */
	dup2(fd, 0);
	syscall(SYS_close_range, 1, ~0u, 0);
	write_message(0, 0, FUSE_NOTIFY_INVAL_ENTRY, &out, sizeof(out), name, len + 1);
	_exit(0);
}

void notify_resend(void)
{
	kernel_send(0, NOTIFY_RESEND, NULL, 0, NULL, 0);
}
