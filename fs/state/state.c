/* SPDX-License-Identifier: MIT */
/*
 * The state directory as a whole: where it is, whose it is, that no other mount uses it, and that
 * it is complete. What its files contain is store.c's business.
 *
 * The mount file and the folder of engine files (core/file/statedir.h) are made when the directory
 * is empty, and never later: if one of them is missing the other is worthless, and a new one would
 * hide that everything is lost. Each refusal is a sentence that begins with the path in question.
 *
 * The directory itself is locked: a file in it could be removed and made again, and a second mount
 * would lock the new one. Its descriptor is passed from one supervisor to the next, so neither the
 * lock nor the directory is ever looked up by name again.
 */
#include "state/state.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file/statedir.h"
#include "object/type.h"
#include "state/fs.h"
#include "state/options.h"

struct fs fs = { .lock = PTHREAD_MUTEX_INITIALIZER, .state_fd = -1, .objects_fd = -1 };

int state_refuse(int error, const char **ret_why, const char *fmt, ...)
{
	static char text[PATH_MAX + 256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	*ret_why = text;
	return error;
}

/* ---- where it is ---- */

/* One folder for each user, and in it one for each mount point. */
static void default_folder(char *buf, size_t size)
{
	snprintf(buf, size, STATE_SHM "/ipcfs-%u", geteuid());
}

/* The mount point as one name; a hash of it (FNV-1a) where that is too long for a directory. */
static char *default_path(const char *mountpoint)
{
	uint64_t hash = 14695981039346656037u;
	char path[PATH_MAX + 64];
	size_t start, n;

	default_folder(path, sizeof(path));
	start = n = strlen(path);
	path[n++] = '/';
	for (const char *p = mountpoint; *p && n + 4 < sizeof(path); p++) {
		if (*p == '/' && p == mountpoint)
			continue;
		if (*p == '/' || *p == '%')
			n += (size_t)snprintf(path + n, sizeof(path) - n, "%%%02X", *p);
		else
			path[n++] = *p;
	}
	path[n] = 0;
	if (n > 250) {
		for (const char *p = mountpoint; *p; p++)
			hash = (hash ^ (unsigned char)*p) * 1099511628211u;
		snprintf(path + start, sizeof(path) - start, "/%016llx", (unsigned long long)hash);
	}
	return strdup(path);
}

/* ---- whose it is ---- */

static int is_private(const char *path, const struct stat *st, const char **ret_why)
{
	if (S_ISLNK(st->st_mode))
		return state_refuse(-ENOTDIR, ret_why,
				    "%s: is a symbolic link, which could be "
				    "pointed elsewhere; choose a directory with -o state=DIR",
				    path);
	if (!S_ISDIR(st->st_mode))
		return state_refuse(-ENOTDIR, ret_why,
				    "%s: is not a directory; choose one with -o state=DIR", path);
	if (st->st_uid != geteuid())
		return state_refuse(-EPERM, ret_why,
				    "%s: belongs to uid %u, not to you (uid %u); "
				    "choose another directory with -o state=DIR",
				    path, st->st_uid, geteuid());
	if (st->st_mode & 077)
		return state_refuse(
			-EPERM, ret_why,
			"%s: is accessible to others (mode %03o); run "
			"chmod 700 on it, or choose another directory with -o state=DIR",
			path, st->st_mode & 07777);
	return 0;
}

/* A private directory, made if there is none. */
static int open_dir(const char *path, const char **ret_why)
{
	struct stat st;
	int fd, r;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return state_refuse(-errno, ret_why, "%s: cannot be created: %s", path,
				    strerror(errno));
	/*
	 * By its name first: one that belongs to somebody else cannot be opened, and "denied" would
	 * not say why.
	 */
	if (lstat(path, &st) < 0)
		return state_refuse(-errno, ret_why, "%s: %s", path, strerror(errno));
	r = is_private(path, &st, ret_why);
	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return state_refuse(-errno, ret_why, "%s: cannot be opened: %s", path,
				    strerror(errno));
	r = fstat(fd, &st) < 0 ? -errno : is_private(path, &st, ret_why);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

/* ---- what is in it ---- */

static bool is_there(const char *name)
{
	return faccessat(fs.state_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool has_objects(void)
{
	int fd =
		openat(fs.state_fd, STATE_OBJECTS, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	bool found = false;

	while (dir && !found && (e = readdir(dir)))
		found = e->d_name[0] != '.';
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	return found;
}

/* Under another name first: a mount file is either complete or missing. */
static int make_mount_file(void)
{
	struct ipc_env env = { .dirfd = fs.state_fd };
	int r;

	unlinkat(fs.state_fd, STATE_NEW, 0);
	r = ipc_create(&env, fs.state_fd, STATE_NEW, 0, &ipc_mount_type,
		       ipc_reserve(&ipc_mount_type, 4ull << 30), NULL);
	if (r == 0 && renameat(fs.state_fd, STATE_NEW, fs.state_fd, STATE_MOUNT) < 0)
		r = -errno;
	return r;
}

static int make_files(const char *path, const char **ret_why)
{
	int r;

	if (is_there(STATE_MOUNT))
		return 0;
	if (has_objects())
		return state_refuse(-ENOENT, ret_why,
				    "%s/" STATE_MOUNT ": is missing, and with it the names of "
				    "the objects; restore it, or give them new names with: "
				    "ipcctl check --repair %s",
				    path, path);
	if (mkdirat(fs.state_fd, STATE_OBJECTS, 0700) < 0 && errno != EEXIST)
		return state_refuse(-errno, ret_why, "%s/" STATE_OBJECTS ": cannot be created: %s",
				    path, strerror(errno));
	r = make_mount_file();
	if (r < 0)
		return state_refuse(r, ret_why, "%s/" STATE_MOUNT ": cannot be created: %s", path,
				    strerror(-r));
	return 0;
}

int state_open(struct options *opt, const char **ret_why)
{
	char folder[64];
	int fd;

	if (!opt->state) {
		default_folder(folder, sizeof(folder));
		fd = open_dir(folder, ret_why);
		if (fd < 0)
			return fd;
		close(fd);
		opt->state = default_path(opt->mountpoint);
		if (!opt->state)
			return state_refuse(-ENOMEM, ret_why, "%s: out of memory", folder);
	}
	fd = open_dir(opt->state, ret_why);
	if (fd < 0)
		return fd;
	fs.state_fd = fd;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ?
			       state_refuse(-EBUSY, ret_why, "%s: is in use by another mount",
					    opt->state) :
			       state_refuse(-errno, ret_why, "%s: cannot be locked: %s", opt->state,
					    strerror(errno));
	return make_files(opt->state, ret_why);
}

void state_close(void)
{
	if (fs.objects_fd >= 0)
		close(fs.objects_fd);
	if (fs.state_fd >= 0)
		close(fs.state_fd);
	fs.objects_fd = fs.state_fd = -1;
}

/* Each worker opens it anew: an earlier one's may have been removed since. */
static int open_objects(const char **ret_why)
{
	const char *path = fs.opt.state;
	int fd =
		openat(fs.state_fd, STATE_OBJECTS, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd < 0 && errno == ENOENT && !is_there(STATE_MOUNT) &&
	    (fstat(fs.state_fd, &st) < 0 || !st.st_nlink || lstat(path, &st) < 0))
		return state_refuse(-ENOENT, ret_why, "%s: the state directory has been removed",
				    path);
	if (fd < 0 && errno == ENOENT)
		return state_refuse(-ENOENT, ret_why,
				    "%s/" STATE_OBJECTS ": is missing, and with it all objects; "
				    "restore it, or remove %s/" STATE_MOUNT " to start afresh",
				    path, path);
	if (fd < 0)
		return state_refuse(-errno, ret_why, "%s/" STATE_OBJECTS ": cannot be opened: %s",
				    path, strerror(errno));
	if (fs.objects_fd >= 0)
		close(fs.objects_fd);
	fs.objects_fd = fd;
	return 0;
}

int state_open_files(const char **ret_why)
{
	int r = open_objects(ret_why), fd;

	if (r < 0)
		return r;
	fd = openat(fs.state_fd, STATE_MOUNT, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return state_refuse(-ENOENT, ret_why,
				    "%s/" STATE_MOUNT ": is missing, and with it the names of "
				    "the objects",
				    fs.opt.state);
	if (fd < 0)
		return state_refuse(-errno, ret_why, "%s/" STATE_MOUNT ": cannot be opened: %s",
				    fs.opt.state, strerror(errno));
	return fd;
}

int state_refuse_mount_file(int error, const char *damage, const char **ret_why)
{
	const char *path = fs.opt.state;

	if (error == -EPROTO)
		return state_refuse(error, ret_why,
				    "%s/" STATE_MOUNT ": was made by another version of ipcfs",
				    path);
	if (error == -EIO)
		return state_refuse(error, ret_why,
				    "%s/" STATE_MOUNT ": is damaged (%s); restore a sound copy, or "
				    "give the objects new names with: ipcctl check --repair %s",
				    path,
				    damage ? damage : "its header is invalid, or it was truncated",
				    path);
	return state_refuse(error, ret_why, "%s/" STATE_MOUNT ": cannot be used: %s", path,
			    strerror(-error));
}
