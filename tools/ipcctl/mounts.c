// SPDX-License-Identifier: MIT
#include "mounts.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define FS_TYPE "fuse.ipcfs"

/* Decodes \ooo, as the kernel writes blanks, tabs, newlines and backslashes; in place. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*to++ = (s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0');
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* "36 35 98:0 /root /path options [optional…] - type source options"; false: not ours. */
static bool parse_line(char *line, struct mount *ret)
{
	char *type = strstr(line, " - "), *save, *field[5];
	size_t n = strlen(FS_TYPE);

	if (!type || strncmp(type + 3, FS_TYPE, n) || type[3 + n] != ' ')
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(field); i++) {
		field[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!field[i])
			return false;
	}
	if (sscanf(field[2], "%u:%u", &ret->major, &ret->minor) != 2)
		return false;
	unescape(field[3]);
	unescape(field[4]);
	ret->root = xstrdup(field[3]);
	ret->path = xstrdup(field[4]);
	return true;
}

static void mount_free(struct mount *m)
{
	free(m->root);
	free(m->path);
}

/* Of two mounts of the same filesystem, keep the one whose root is the filesystem's. */
static void add_mount(struct mounts *all, struct mount *m)
{
	for (size_t i = 0; i < all->n; i++) {
		struct mount *old = &all->list[i];

		if (old->major != m->major || old->minor != m->minor)
			continue;
		if (strcmp(old->root, "/") && !strcmp(m->root, "/")) {
			mount_free(old);
			*old = *m;
		} else {
			mount_free(m);
		}
		return;
	}
	all->list = xrealloc(all->list, (all->n + 1) * sizeof(*all->list));
	all->list[all->n++] = *m;
}

int mounts_read(struct mounts *ret)
{
	struct buf b CLEANUP(buf_free) = { .data = NULL };
	struct mounts all = { .n = 0 };
	int r = read_file_at(AT_FDCWD, "/proc/self/mountinfo", 0, SIZE_MAX, &b);

	if (r < 0)
		return r;
	for (char *line = b.data, *end; line && *line; line = end) {
		struct mount m;

		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		if (parse_line(line, &m))
			add_mount(&all, &m);
	}
	*ret = all;
	return 0;
}

void mounts_free(struct mounts *m)
{
	for (size_t i = 0; i < m->n; i++)
		mount_free(&m->list[i]);
	free(m->list);
	*m = (struct mounts){ .n = 0 };
}

int mounts_read_or_complain(struct mounts *ret)
{
	int r = mounts_read(ret);

	if (r < 0)
		complain("/proc/self/mountinfo", "%s", strerror(-r));
	else if (!ret->n)
		complain("no ipcfs is mounted here", "mount one with 'ipcfs MOUNTPOINT'");
	return r < 0 ? r : ret->n ? 0 : -ENOENT;
}
