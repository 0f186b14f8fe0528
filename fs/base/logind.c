/* SPDX-License-Identifier: MIT */
/*
 * Will systemd-logind remove the state directory? With RemoveIPC=yes, its default, it removes
 * everything that a user has in /dev/shm when the user's last session ends, in use or not; system
 * users and users who linger are spared. It can only be asked over D-Bus, so this reads the files
 * that it reads.
 */
#include "base/logind.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYSTEM_UID_MAX 999

/* Where its settings are, in order of precedence. */
static const char *const folders[] = {
	"/etc/systemd",     "/run/systemd", "/usr/local/lib/systemd",
	"/usr/lib/systemd", "/lib/systemd",
};

#define FOLDERS (sizeof(folders) / sizeof(*folders))

static bool exists(const char *root, const char *path, const char *name)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s%s%s", root, path, name);
	return access(full, F_OK) == 0;
}

/* "RemoveIPC = yes", or the comment that shows the default; false: another line. */
static bool understand(const char *line, const char *begin, bool *ret)
{
	static const char *const no[] = { "no", "n", "false", "f", "off", "0" };
	char value[16];

	if (strncmp(line, begin, strlen(begin)))
		return false;
	line += strlen(begin);
	line += strspn(line, " \t");
	if (*line++ != '=' || sscanf(line, "%15s", value) != 1)
		return false;
	*ret = true;
	for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
		if (!strcasecmp(value, no[i]))
			*ret = false;
	return true;
}

/* The last setting wins, and any setting wins over the comment that shows the default. */
static void read_settings(const char *path, bool *ret)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	bool set = false;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0)
		if (understand(line, "RemoveIPC", ret))
			set = true;
		else if (!set)
			understand(line, "#RemoveIPC", ret);
	free(line);
	if (f)
		fclose(f);
}

static int is_drop_in(const struct dirent *e)
{
	size_t n = strlen(e->d_name);

	return n > 5 && !strcmp(e->d_name + n - 5, ".conf");
}

/* The files of all folders, by name; a file hides those of the same name with lower precedence. */
static void read_drop_ins(const char *root, bool *ret)
{
	char last[NAME_MAX + 1] = "", dir[PATH_MAX], path[PATH_MAX + NAME_MAX + 2];

	for (;;) {
		char next[NAME_MAX + 1] = "";

		for (size_t i = 0; i < FOLDERS; i++) {
			struct dirent **list;
			int n;

			snprintf(dir, sizeof(dir), "%s%s/logind.conf.d", root, folders[i]);
			n = scandir(dir, &list, is_drop_in, NULL);
			for (int k = 0; k < n; k++) {
				const char *name = list[k]->d_name;

				if (strcmp(name, last) > 0 && (!*next || strcmp(name, next) < 0)) {
					snprintf(next, sizeof(next), "%s", name);
					snprintf(path, sizeof(path), "%s/%s", dir, name);
				}
				free(list[k]);
			}
			if (n >= 0)
				free(list);
		}
		if (!*next)
			return;
		read_settings(path, ret);
		strcpy(last, next);
	}
}

bool logind_removes(const char *root, uid_t uid, const char *user)
{
	bool removes = true;
	char path[PATH_MAX];

	if (uid <= SYSTEM_UID_MAX || !exists(root, "/run/systemd/system", "") ||
	    !exists(root, "/run/systemd/seats", "") ||
	    (user && exists(root, "/var/lib/systemd/linger/", user)))
		return false;
	for (size_t i = 0; i < FOLDERS; i++) {
		snprintf(path, sizeof(path), "%s%s/logind.conf", root, folders[i]);
		if (access(path, R_OK) < 0)
			continue;
		read_settings(path, &removes);
		break;
	}
	read_drop_ins(root, &removes);
	return removes;
}
