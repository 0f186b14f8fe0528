// SPDX-License-Identifier: MIT
#include "object.h"

#include "object/text.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

/* A status is a few hundred bytes; the limit only keeps a wrong file from filling memory. */
#define STATUS_LIMIT (1024 * 1024)

const struct ipc_type *type_of(const char *name)
{
	const char *base = base_name(name);

	return ipc_type_by_name(base, strlen(base));
}

char *type_suffixes(void)
{
	struct buf b CLEANUP(buf_free) = { .data = NULL };

	for (uint32_t id = 0; id < IPC_DIR; id++) { /* (all objects are below) */
		const struct ipc_type *t = ipc_type_of(id);

		if (!t)
			continue;
		buf_puts(&b, b.len ? " " : "");
		buf_puts(&b, t->suffix);
	}
	return buf_steal(&b);
}

void facts_parse(struct facts *f, char *text)
{
	char *line = text;

	*f = (struct facts){ .text = text };
	while (line && *line) {
		char *end = strchr(line, '\n'), *colon;

		if (end)
			*end++ = '\0';
		colon = strchr(line, ':');
		if (colon) {
			char *value = colon + 1;

			*colon = '\0';
			value += *value == ' ';
			f->list = xrealloc(f->list, (f->n + 1) * sizeof(*f->list));
			f->list[f->n++] = (struct fact){ line, value };
		}
		line = end;
	}
}

int facts_read(int dirfd, const char *path, struct facts *ret)
{
	struct buf b CLEANUP(buf_free) = { .data = NULL };
	int r = read_file_at(dirfd, path, 0, STATUS_LIMIT, &b);

	if (r < 0)
		return r;
	facts_parse(ret, buf_steal(&b));
	return 0;
}

const char *facts_get(const struct facts *f, const char *key)
{
	for (size_t i = 0; i < f->n; i++) {
		if (!strcmp(f->list[i].key, key))
			return f->list[i].value;
	}
	return NULL;
}

uint64_t facts_number(const struct facts *f, const char *key)
{
	const char *value = facts_get(f, key);
	uint64_t n;

	return value && !parse_u64(value, &n) ? n : 0;
}

void facts_free(struct facts *f)
{
	free(f->text);
	free(f->list);
	*f = (struct facts){ .text = NULL };
}

/* PATH without trailing slashes, and an object's without its @SECONDS. */
static char *clean_name(const char *path)
{
	char *name = xstrdup(path), *at;
	size_t n = strlen(name);
	int64_t ns;

	while (n > 1 && name[n - 1] == '/')
		name[--n] = '\0';
	at = strrchr(base_name(name), '@');
	if (at && !text_limit(at + 1, strlen(at + 1), &ns)) {
		*at = '\0';
		if (!type_of(name))
			*at = '@';
	}
	return name;
}

/* The ends of a two-way pipe share one ctl directory: NAME.pipe/a becomes NAME.pipe. */
static void end_to_pipe(char *name)
{
	const char *base = base_name(name);

	if (base == name || (strcmp(base, "a") && strcmp(base, "b")))
		return;
	name[base - name - 1] = '\0';
	if (!type_of(name) || !type_of(name)->folder)
		name[base - name - 1] = '/';
}

static int open_object(struct target *t)
{
	char *ctl CLEANUP(free_string) = str("%s.ctl", t->name);
	struct stat st;

	t->kind = TARGET_OBJECT;
	t->ctl = open(ctl, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->ctl >= 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	return lstat(t->name, &st) < 0 ? -errno : -ENOTTY;
}

/* Up from the directory to the root of its mount, which is where `.ctl` is. */
static int open_directory(struct target *t)
{
	char *path CLEANUP(free_string) = realpath(t->name, NULL);
	struct stat st;
	size_t end;

	if (!path || stat(path, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTTY;
	for (end = strlen(path);;) {
		char *ctl CLEANUP(free_string) = str("%.*s/.ctl", (int)end, path);

		t->ctl = open(ctl, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (t->ctl >= 0 && !faccessat(t->ctl, "status", F_OK, 0))
			break;
		close_fd(&t->ctl);
		t->ctl = -1;
		while (end && path[end - 1] != '/')
			end--;
		if (!end)
			return -ENOTTY;
		end--;
	}
	t->kind = path[end] ? TARGET_DIR : TARGET_MOUNT;
	if (path[end])
		t->inside = xstrdup(path + end + 1);
	return 0;
}

int target_open(const char *path, struct target *ret)
{
	struct target t = TARGET_INIT;
	int r;

	t.name = clean_name(path);
	end_to_pipe(t.name);
	t.type = type_of(t.name);
	r = t.type ? open_object(&t) : open_directory(&t);
	if (r < 0) {
		target_close(&t);
		return r;
	}
	*ret = t;
	return 0;
}

void target_close(struct target *t)
{
	close_fd(&t->ctl);
	free(t->name);
	free(t->inside);
	*t = (struct target)TARGET_INIT;
}

void target_complain(const char *path, int error)
{
	if (error == -ENOTTY)
		complain(path, "not an object of an ipcfs mount, nor a directory of one");
	else if (error == -ENOTCONN)
		complain(path, "the daemon of this mount is gone; see 'ipcctl doctor'");
	else
		complain(path, "%s", strerror(-error));
}

/* -errno if that cannot be told. */
static int writable(int dirfd, const char *path)
{
	struct stat st;

	if (fstatat(dirfd, path, &st, 0) < 0)
		return -errno;
	return S_ISREG(st.st_mode) && (st.st_mode & 0222);
}

/* All objects of a type have the same settings, so only the first of many is asked. */
static bool is_setting_of(const struct target *t, const char *key)
{
	static struct known {
		const struct ipc_type *type;
		char *key;
		bool setting;
	} * known;
	static size_t n;
	int r;

	for (size_t i = 0; i < n; i++) {
		if (known[i].type == t->type && !strcmp(known[i].key, key))
			return known[i].setting;
	}
	r = writable(t->ctl, key);
	if (r >= 0) {
		known = xrealloc(known, (n + 1) * sizeof(*known));
		known[n++] = (struct known){ t->type, xstrdup(key), r };
	}
	return r > 0;
}

bool target_is_setting(const struct target *t, const char *key)
{
	char *limit CLEANUP(free_string) = NULL;

	if (strchr(key, '/'))
		return false;
	if (t->kind == TARGET_OBJECT)
		return is_setting_of(t, key);
	if (!ends_with(key, "_limit"))
		return false;
	/* The root's status has `memory_limit` for what limits/memory sets. */
	limit = str("limits/%.*s", (int)(strlen(key) - strlen("_limit")), key);
	return writable(t->ctl, limit) > 0;
}

static int read_limits(const struct target *t, struct facts *ret)
{
	int fd = openat(t->ctl, "limits", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct buf lines = { .data = NULL };
	struct dirent *e;

	if (!dir)
		return -errno;
	while ((e = readdir(dir))) {
		struct buf b CLEANUP(buf_free) = { .data = NULL };
		char *line CLEANUP(free_string) = NULL;

		if (e->d_name[0] == '.' || read_file_at(fd, e->d_name, 0, STATUS_LIMIT, &b) < 0)
			continue;
		line = str("%s: %s%s", e->d_name, b.data, ends_with(b.data, "\n") ? "" : "\n");
		buf_puts(&lines, line);
	}
	closedir(dir);
	facts_parse(ret, buf_steal(&lines));
	return 0;
}

int settings_read(const struct target *t, struct facts *ret)
{
	size_t n = 0;
	int r;

	if (t->kind != TARGET_OBJECT)
		return read_limits(t, ret);
	r = facts_read(t->ctl, "status", ret);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ret->n; i++) {
		if (target_is_setting(t, ret->list[i].key))
			ret->list[n++] = ret->list[i];
	}
	ret->n = n;
	return 0;
}

char *settings_names(const struct facts *settings)
{
	struct buf b CLEANUP(buf_free) = { .data = NULL };

	for (size_t i = 0; i < settings->n; i++) {
		buf_puts(&b, i ? ", " : "");
		buf_puts(&b, settings->list[i].key);
	}
	return buf_steal(&b);
}
