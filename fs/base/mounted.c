/* SPDX-License-Identifier: MIT */
/* Which mount is at a path, as /proc/self/mountinfo says: nothing here waits for the mount itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/mounted.h"

/* Undo the escapes of /proc/self/mountinfo: blanks and the like are \ooo there. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; to++) {
		unsigned int c;

		if (*s == '\\' && sscanf(s + 1, "%3o", &c) == 1) {
			*to = (char)c;
			s += 4;
		} else {
			*to = *s++;
		}
	}
	*to = 0;
}

bool mount_is_ours(const char *mountpoint, dev_t *ret_dev)
{
	unsigned int major, minor;
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, user[32];
	bool ours = false;
	size_t size = 0;

	snprintf(user, sizeof(user), ",user_id=%u,", geteuid());
	while (f && getline(&line, &size, f) > 0) {
		char *path = line, *rest = strstr(line, " - ");

		if (sscanf(line, "%*s %*s %u:%u", &major, &minor) != 2)
			continue;
		for (int i = 0; i < 4 && path; i++)
			path = strchr(path, ' ') ? strchr(path, ' ') + 1 : NULL;
		if (!path || !rest || rest < path)
			continue;
		path[strcspn(path, " ")] = 0;
		unescape(path);
		if (strcmp(path, mountpoint))
			continue;
		/* the last one is on top */
		ours = !strncmp(rest, " - fuse.ipcfs ", 14) && strstr(rest, user);
		*ret_dev = makedev(major, minor);
	}
	free(line);
	if (f)
		fclose(f);
	return ours;
}
