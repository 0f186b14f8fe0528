/* SPDX-License-Identifier: MIT */
/* Warnings after a mount, in the log. */
#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "base/logind.h"
#include "file/statedir.h"
#include "process/warn.h"
#include "state/fs.h"

/* Warn about each sysctl that would cut long waits short. */
void warn_timeouts(void)
{
	static const char *const names[] = { "default_request_timeout", "max_request_timeout" };

	for (int i = 0; i < 2; i++) {
		char path[80], buf[32] = "0";
		int fd;

		snprintf(path, sizeof(path), "/proc/sys/fs/fuse/%s", names[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (read(fd, buf, sizeof(buf) - 1) > 0 && strtoul(buf, NULL, 10))
			log_line(LOG_WARNING,
				 "fs.fuse.%s is %lu s: the kernel will abort this mount "
				 "if a process waits longer",
				 names[i], strtoul(buf, NULL, 10));
		close(fd);
	}
}

/* Files below are out of reach while mounted; most often somebody wrote there before the mount. */
void warn_hidden(const char *mountpoint)
{
	struct dirent *e;
	DIR *dir = opendir(mountpoint);

	if (!dir)
		return;
	while ((e = readdir(dir)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) {
			log_line(
				LOG_WARNING,
				"%s is not empty: its files (such as %s) are hidden while ipcfs is "
				"mounted over them",
				mountpoint, e->d_name);
			break;
		}
	closedir(dir);
}

/* Warn if the objects will not outlive this user's last session. */
void warn_logout(void)
{
	const struct passwd *pw = getpwuid(geteuid());
	struct stat st, shm;

	if (fstat(fs.state_fd, &st) < 0 || stat(STATE_SHM, &shm) < 0 || st.st_dev != shm.st_dev ||
	    !logind_removes("", geteuid(), pw ? pw->pw_name : NULL))
		return;
	log_line(LOG_WARNING,
		 "%s: systemd-logind will remove this state directory at your last logout; "
		 "see RemoveIPC in ipcfs(1), or run: loginctl enable-linger",
		 fs.opt.state);
}
