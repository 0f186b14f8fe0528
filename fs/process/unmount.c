/* SPDX-License-Identifier: MIT */
/* Taking away mounts that libfuse does not know of: another supervisor's, and dead ones. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mounted.h"
#include "process/unmount.h"

static int unmount_lazily(const char *path)
{
	sigset_t none;
	int status;
	pid_t pid;

	if (umount2(path, MNT_DETACH) == 0)
		return 0;
	pid = fork();
	if (pid == 0) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execlp("fusermount3", "fusermount3", "-u", "-q", "-z", "--", path, NULL);
		_exit(127);
	}
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return status ? -EPERM : 0;
}

void unmount_inherited(int fuse_fd, const char *mountpoint)
{
	struct pollfd p = { .fd = fuse_fd };
	bool gone = poll(&p, 1, 0) == 1 && p.revents & POLLERR;

	close(fuse_fd); /* or whoever looks at the mount now would wait for us */
	if (!gone && unmount_lazily(mountpoint) < 0)
		log_line(LOG_ERR, "cannot unmount %s", mountpoint);
}

static bool write_abort(unsigned int connection)
{
	char path[64];
	bool done;
	int fd;

	snprintf(path, sizeof(path), "/sys/fs/fuse/connections/%u/abort", connection);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	done = write(fd, "1", 1) == 1;
	close(fd);
	return done;
}

/*
 * Whoever waits in the kernel gets an error when the last descriptor of /dev/fuse is closed; but a process
 * that a worker made (state/expire.c) may have one, and wait for a lock whose holder waits for us, both
 * unkillably.
 *
 * Where sysfs has no connections, a forced umount aborts as well. The mount is in use meanwhile, so it stays.
 */
void unmount_abort(const char *mountpoint, unsigned int connection)
{
	dev_t dev;
	int fd;

	if (!connection || write_abort(connection))
		return;
	fd = open(mountpoint, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (mount_is_ours(mountpoint, &dev) && minor(dev) == connection)
		umount2(mountpoint, MNT_FORCE | UMOUNT_NOFOLLOW);
	close(fd);
}

int unmount_dead(const char *mountpoint)
{
	struct statfs st;
	dev_t dev;
	int r;

	/* stat() may know the answer from before; statfs() asks. */
	while (mount_is_ours(mountpoint, &dev) && statfs(mountpoint, &st) < 0 &&
	       errno == ENOTCONN) {
		r = unmount_lazily(mountpoint);
		if (r < 0)
			return r;
		log_line(LOG_NOTICE, "%s: removed the mount of a dead ipcfs", mountpoint);
	}
	return 0;
}
