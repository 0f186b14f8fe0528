// SPDX-License-Identifier: MIT
/* ipcctl ls: a line for each object. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "ipcctl.h"
#include "mounts.h"
#include "object.h"
#include "repair/state.h"

enum {
	LS_TYPE,
	LS_NAME,
	LS_STATE,
	LS_SIZE,
	LS_WAITERS,
	LS_HOLDERS,
	LS_HANDLES,
	LS_MEMORY,
	N_LS,
};

static const struct column ls_columns[N_LS] = {
	[LS_TYPE] = { "TYPE", COLUMN_TEXT, 0, "queue, pipe, event, ..." },
	[LS_NAME] = { "NAME", COLUMN_TEXT, 0, "where it is" },
	[LS_STATE] = { "STATE", COLUMN_TEXT, 0, "what the size in ls -l means" },
	[LS_SIZE] = { "SIZE", COLUMN_NUMBER, COLUMN_EXTRA, "the size in ls -l" },
	[LS_WAITERS] = { "WAITERS", COLUMN_NUMBER, 0, "operations that are waiting" },
	[LS_HOLDERS] = { "HOLDERS", COLUMN_NUMBER, 0, "handles that hold a lock or lease" },
	[LS_HANDLES] = { "HANDLES", COLUMN_NUMBER, COLUMN_EXTRA, "open handles" },
	[LS_MEMORY] = { "MEMORY", COLUMN_BYTES, 0, "memory in use" },
};

/* A number from the status as a cell, which is unknown if the status does not have it. */
static char *fact_cell(const struct facts *f, const char *key)
{
	const char *value = facts_get(f, key);

	return value ? xstrdup(value) : NULL;
}

static void add_object(struct table *table, int dirfd, const char *name, const char *shown,
		       const struct stat *st)
{
	struct facts facts CLEANUP(facts_free) = { .n = 0 };
	char *status CLEANUP(free_string) = str("%s.ctl/status", name);
	const struct ipc_type *type = type_of(name);
	int r = facts_read(dirfd, status, &facts);
	char **row;

	if (r == -ENOENT && faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW))
		return; /* removed since the directory was read */
	row = table_add(table);
	row[LS_TYPE] = xstrdup(type->name);
	row[LS_NAME] = xstrdup(shown);
	row[LS_STATE] = state_text(dirfd, name, type, st, r == -EIO ? NULL : &facts);
	row[LS_SIZE] = S_ISREG(st->st_mode) ? str("%lld", (long long)st->st_size) : NULL;
	row[LS_WAITERS] = fact_cell(&facts, "waiters");
	row[LS_HOLDERS] = fact_cell(&facts, "holders");
	row[LS_HANDLES] = fact_cell(&facts, "handles");
	row[LS_MEMORY] = fact_cell(&facts, "memory");
}

static int name_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a directory, sorted, without those that are not objects. */
static int read_names(int dirfd, char ***ret, size_t *ret_n)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char **names = NULL;
	size_t n = 0, size = 0;
	struct dirent *e;

	if (!dir) {
		close_fd(&fd);
		return -errno;
	}
	while ((errno = 0, e = readdir(dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
		    ends_with(e->d_name, ".ctl"))
			continue;
		if (n == size) {
			size = size ? size * 2 : 64;
			names = xrealloc(names, size * sizeof(*names));
		}
		names[n++] = xstrdup(e->d_name);
	}
	if (errno)
		complain("directory", "%s", strerror(errno));
	closedir(dir);
	if (n)
		qsort(names, n, sizeof(*names), name_order);
	*ret = names;
	*ret_n = n;
	return 0;
}

static int list_directory(struct table *table, int dirfd, const char *shown);

static int list_entry(struct table *table, int dirfd, const char *name, const char *shown)
{
	int fd CLEANUP(close_fd) = -1;
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		int r = -errno;

		if (r == -ENOENT)
			return 0;
		complain(shown, "%s", strerror(-r));
		return r;
	}
	if (type_of(name)) { /* a directory too: the two-way pipe */
		add_object(table, dirfd, name, shown, &st);
		return 0;
	}
	if (!S_ISDIR(st.st_mode))
		return 0;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		int r = -errno;

		complain(shown, "%s", strerror(-r));
		return r;
	}
	return list_directory(table, fd, shown);
}

static int list_directory(struct table *table, int dirfd, const char *shown)
{
	char **names = NULL;
	size_t n = 0;
	int r = read_names(dirfd, &names, &n);

	if (r < 0)
		complain(shown, "%s", strerror(-r));
	for (size_t i = 0; i < n; i++) {
		char *path CLEANUP(free_string) =
			str("%s%s%s", shown, ends_with(shown, "/") ? "" : "/", names[i]);
		int q = list_entry(table, dirfd, names[i], path);

		if (q < 0)
			r = q;
		free(names[i]);
	}
	free(names);
	return r;
}

static int list_path(struct table *table, const char *path)
{
	int fd CLEANUP(close_fd) = -1;
	char *name CLEANUP(free_string) = xstrdup(path);
	size_t n = strlen(name);
	struct statfs fs;
	struct stat st;

	while (n > 1 && name[n - 1] == '/')
		name[--n] = '\0';
	if (type_of(name) && !lstat(name, &st)) {
		add_object(table, AT_FDCWD, name, path, &st);
		return 0;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		int r = errno == ENOTDIR ? -ENOTTY : -errno;

		target_complain(path, r);
		return r;
	}
	if (fstatfs(fd, &fs) == 0 && fs.f_type != FUSE_SUPER_MAGIC) {
		target_complain(path, -ENOTTY);
		return -ENOTTY;
	}
	return list_directory(table, fd, name);
}

static int run_ls(const struct command *cmd, int argc, char **argv)
{
	struct table table CLEANUP(table_free) = { .columns = ls_columns, .n_columns = N_LS };
	struct mounts mounts CLEANUP(mounts_free) = { .n = 0 };
	struct table_options options = { .json = false };
	struct json json = JSON_INIT(stdout);
	int c, failed = 0;

	while ((c = next_option(cmd, argc, argv)) != -1)
		table_option(cmd, &options, c);
	for (int i = optind; i < argc; i++)
		failed |= list_path(&table, argv[i]) < 0;
	if (optind == argc)
		failed |= mounts_read_or_complain(&mounts) < 0;
	for (size_t i = 0; i < mounts.n; i++)
		failed |= list_path(&table, mounts.list[i].path) < 0;
	if (options.json) {
		json_open(&json, NULL, '{');
		table_json(&table, &options, &json, "objects");
		json_close(&json, '}');
	} else if (table.n_rows || !failed) {
		table_print(&table, &options, stdout);
	}
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static const struct opt ls_options[] = {
	TABLE_OPTIONS,
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_ls = {
	.name = "ls",
	.args = "[NAME|DIRECTORY]...",
	.summary = "Lists objects, and directories with everything below them",
	.details = "Without arguments, lists the objects of every ipcfs mount.\n",
	.options = ls_options,
	.columns = ls_columns,
	.n_columns = N_LS,
	.usage_status = EXIT_USAGE,
	.run = run_ls,
};
