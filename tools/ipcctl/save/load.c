// SPDX-License-Identifier: MIT
/*
 * An object from its file. It is made under a name of its own beside the one that it is to have, so
 * whoever looks sees it whole or not at all, and nobody else changes it meanwhile.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "object.h"
#include "save/copy.h"
#include "save/loading.h"
#include "verb.h"

#define PASSING ".ipcctl-load-" /* and the pid: how it is called until it is whole */

int loading_setting(const struct loading *l, const char *key, const char *value)
{
	char *path CLEANUP(free_string) = str("%s.ctl/%s", l->path, key);

	return write_text(path, value);
}

/* Before the first record that needs it. */
static int make(struct loading *l)
{
	int fd;

	if (l->two_way)
		return mkdir(l->path, 0700) < 0 ? -errno : 0;
	fd = open(l->path, O_CREAT | O_EXCL | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int remember_setting(struct loading *l, const char *pair)
{
	const char *equals = strchr(pair, '=');
	char *key CLEANUP(free_string) = NULL;

	if (!equals)
		return -EBADMSG;
	key = str("%.*s", (int)(equals - pair), pair);
	if (strchr(key, '/'))
		return -EBADMSG;
	/* What the content depends on comes before it. */
	if (!strcmp(key, "typecode") || !strcmp(key, "framing"))
		return loading_setting(l, key, equals + 1);
	if (!strcmp(key, "lock")) {
		free(l->lock);
		l->lock = strcmp(equals + 1, "own") ? xstrdup(equals + 1) : NULL;
		return 0;
	}
	l->settings = xrealloc(l->settings, (l->n_settings + 1) * sizeof(*l->settings));
	l->settings[l->n_settings++] = (struct setting){ xstrdup(key), xstrdup(equals + 1) };
	return 0;
}

static int make_settings(const struct loading *l)
{
	for (size_t i = 0; i < l->n_settings; i++) {
		const struct setting *s = &l->settings[i];
		int r;

		/* A barrier's parties that are not set cannot be. */
		if (!strcmp(s->key, "parties") && !strcmp(s->value, "0"))
			continue;
		r = loading_setting(l, s->key, s->value);
		if (r == -ENOENT)
			complain(l->path, "no setting %s in this version: left out", s->key);
		else if (r < 0)
			return r;
	}
	return 0;
}

static int load_data(const struct loading *l, const struct record *rec)
{
	int fd CLEANUP(close_fd) = open(l->path, O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 || ftruncate(fd, rec->bytes.len) < 0)
		return -errno;
	for (size_t at = 0; at < rec->bytes.len;) {
		size_t left = rec->bytes.len - at;
		ssize_t n = pwrite(fd, rec->bytes.data + at, left < 65536 ? left : 65536, at);

		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? n : 0;
		guard_progress();
	}
	return 0;
}

/* Permits are given; a lock that was taken for good, by reading without undo, is taken again. */
static int load_permits(const struct loading *l, const struct record *rec)
{
	char byte[16];
	uint64_t n;
	int fd, r;

	if (record_value(rec, &n) < 0)
		return -EBADMSG;
	if (!(l->type->traits & TYPE_LOCK))
		return n ? write_text(l->path, rec->bytes.data) : 0;
	if (n || l->type->traits & TYPE_OWNED)
		return 0;
	r = loading_setting(l, "undo", "0");
	if (r < 0)
		return r;
	fd = open(l->path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	r = read(fd, byte, sizeof(byte)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

/* In one write, whatever bytes it has. */
static int load_text(const struct loading *l, const struct record *rec)
{
	int fd CLEANUP(close_fd) = open(l->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	struct iovec text[] = {
		{ .iov_base = rec->bytes.data, .iov_len = rec->bytes.len },
		{ .iov_base = "\n", .iov_len = 1 },
	};

	if (!rec->bytes.len)
		return 0;
	if (fd < 0 || writev(fd, text, ARRAY_SIZE(text)) < 0)
		return -errno;
	return 0;
}

static int load_word(const struct loading *l, const struct record *rec, const char *word)
{
	uint64_t n;

	if (record_value(rec, &n) < 0)
		return -EBADMSG;
	return n ? write_text(l->path, word) : 0;
}

static int load_number(struct loading *l, const struct record *rec)
{
	uint64_t n;

	if (record_value(rec, &n) < 0)
		return -EBADMSG;
	if (!strcmp(rec->kind, "uid"))
		l->uid = n;
	else if (!strcmp(rec->kind, "gid"))
		l->gid = n;
	else if (!strcmp(rec->kind, "closed"))
		l->closed = n;
	else if (!strcmp(rec->kind, "unfinished"))
		l->counts.unfinished = n;
	else if (!strcmp(rec->kind, "last-id"))
		l->counts.last_id = n;
	else
		return -EBADMSG;
	return 0;
}

static int load_record(struct loading *l, const struct record *rec)
{
	static const char *const places[] = {
		[SAVED_WAITING] = "message", [SAVED_DELAYED] = "delayed", [SAVED_DEAD] = "dead",
		[SAVED_BYTES] = "bytes",     [SAVED_BACK] = "back",
	};
	const char *kind = rec->kind, *text = rec->bytes.data;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (!strcmp(kind, places[i]))
			return load_message(l, rec, i);
	}
	if (!strcmp(kind, "setting"))
		return remember_setting(l, text);
	if (!strcmp(kind, "text"))
		return load_text(l, rec);
	if (!strcmp(kind, "data"))
		return load_data(l, rec);
	if (!strcmp(kind, "permits"))
		return load_permits(l, rec);
	if (!strcmp(kind, "set"))
		return load_word(l, rec, "set");
	if (!strcmp(kind, "broken"))
		return load_word(l, rec, "abort");
	if (!strcmp(kind, "mode"))
		l->mode = strtoul(text, NULL, 8) & 07777;
	else
		return load_number(l, rec);
	return 0;
}

/* Type and mode stand before all else; `end` says that the file is whole. */
static int load_records(struct loading *l, FILE *in)
{
	struct record rec CLEANUP(record_free) = { .kind = "" };
	bool made = false;
	int r;

	while ((r = record_read(in, &rec)) > 0) {
		if (!strcmp(rec.kind, "end"))
			return made ? 0 : -EBADMSG;
		if (!strcmp(rec.kind, "type")) {
			if (strcmp(rec.bytes.data, l->type->name))
				return -EBADMSG;
			continue;
		}
		if (!strcmp(rec.kind, "two-way")) {
			l->two_way = true;
			continue;
		}
		if (!made)
			r = make(l);
		made = true;
		if (r >= 0)
			r = load_record(l, &rec);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : -EBADMSG;
}

static int check_first_line(FILE *in)
{
	char line[32];

	return fgets(line, sizeof(line), in) && !strcmp(line, SAVE_FIRST_LINE) ? 0 : -EBADMSG;
}

/* Only root may give things away; for all others they are their own, as with cp -a. */
static int give_owner(const char *path, const struct loading *l)
{
	if (chown(path, l->uid, l->gid) < 0 && geteuid() == 0)
		return -errno;
	return chmod(path, l->mode) < 0 ? -errno : 0;
}

static void unmake(const struct loading *l)
{
	if (unlink(l->path) < 0 && errno == EISDIR)
		rmdir(l->path);
}

static void loading_free(struct loading *l)
{
	ipcfs_close(l->o);
	for (size_t i = 0; i < l->n_settings; i++) {
		free(l->settings[i].key);
		free(l->settings[i].value);
	}
	free(l->settings);
	free(l->lock);
	free(l->path);
}

void load_sweep(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		struct loading l = { .type = type_of(e->d_name) };
		char *path CLEANUP(free_string) = str("%s/%s", folder, e->d_name);
		int pid = strncmp(e->d_name, PASSING, strlen(PASSING)) ?
				  0 :
				  atoi(e->d_name + strlen(PASSING));

		l.path = path;
		if (pid > 0 && l.type && kill(pid, 0) < 0 && errno == ESRCH)
			unmake(&l);
	}
	if (dir)
		closedir(dir);
}

int load_object(const char *path, FILE *in, bool force, char **ret_lock)
{
	struct loading l CLEANUP(loading_free) = { .type = type_of(path) };
	const char *base = base_name(path);
	int r;

	if (!l.type)
		return -ENOTTY;
	l.path =
		str("%.*s" PASSING "%d%s", (int)(base - path), path, (int)getpid(), l.type->suffix);
	r = check_first_line(in);
	if (r >= 0)
		r = load_records(&l, in);
	if (r >= 0)
		r = end_messages(&l);
	if (r >= 0)
		r = make_settings(&l);
	ipcfs_close(l.o);
	l.o = NULL;
	if (r >= 0)
		r = give_owner(l.path, &l);
	if (r >= 0 && renameat2(AT_FDCWD, l.path, AT_FDCWD, path, force ? 0 : RENAME_NOREPLACE) < 0)
		r = -errno;
	if (r < 0) {
		unmake(&l);
		return r;
	}
	*ret_lock = l.lock;
	l.lock = NULL;
	return 0;
}

int load_lock(const char *path, const char *lock)
{
	struct loading l = { .path = (char *)path };

	return loading_setting(&l, "lock", lock);
}

int load_directory(const char *path, FILE *in)
{
	struct record rec CLEANUP(record_free) = { .kind = "" };
	struct loading l = { .mode = 0755, .uid = getuid(), .gid = getgid() };
	int r = check_first_line(in);

	while (r >= 0 && (r = record_read(in, &rec)) > 0) {
		if (!strcmp(rec.kind, "end"))
			return give_owner(path, &l);
		if (strcmp(rec.kind, "type"))
			r = load_record(&l, &rec);
	}
	return r < 0 ? r : -EBADMSG;
}
