// SPDX-License-Identifier: MIT
/* ipcctl ls: a line for each object, or a tree of them. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "ipcctl.h"
#include "mounts.h"
#include "object.h"
#include "state.h"

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

/* What wants a look, so that it stands out on a terminal. */
static const char *state_color(const char *state)
{
	if (!strncmp(state, "stalled", 7) || !strcmp(state, "damaged") || !strcmp(state, "broken"))
		return "red";
	return !strcmp(state, "held") || strstr(state, ", full") ? "yellow" : NULL;
}

static const struct column ls_columns[N_LS] = {
	[LS_TYPE] = { "TYPE", COLUMN_TEXT, 0, "queue, pipe, event, ..." },
	[LS_NAME] = { "NAME", COLUMN_TEXT, COLUMN_TREE, "where it is" },
	[LS_STATE] = { "STATE", COLUMN_TEXT, COLUMN_CUT, "what the size in ls -l means",
		       state_color },
	[LS_SIZE] = { "SIZE", COLUMN_NUMBER, COLUMN_EXTRA, "the size in ls -l" },
	[LS_WAITERS] = { "WAITERS", COLUMN_NUMBER, 0, "operations that are waiting" },
	[LS_HOLDERS] = { "HOLDERS", COLUMN_NUMBER, 0, "handles that hold a lock or lease" },
	[LS_HANDLES] = { "HANDLES", COLUMN_NUMBER, COLUMN_EXTRA, "open handles" },
	[LS_MEMORY] = { "MEMORY", COLUMN_BYTES, 0, "memory in use" },
};

struct listing {
	struct table table;
	struct table_options options;
	const char *types, *states; /* the words of --type and --state, or NULL for all */
	size_t parent;              /* the row of the directory that is being listed */
};

/* Is the word of LEN bytes in LIST, whose words have commas or blanks between them? */
static bool in_list(const char *list, const char *word, size_t len)
{
	while (*list) {
		size_t n = strcspn(list, ", ");

		if (n == len && !strncasecmp(list, word, n))
			return true;
		list += n;
		list += strspn(list, ", :");
	}
	return false;
}

/* Is one of the words asked for in the state, in which a colon may follow a word? */
static bool has_state(const char *asked, const char *state)
{
	while (*state) {
		size_t n = strcspn(state, ", :");

		if (in_list(asked, state, n))
			return true;
		state += n;
		state += strspn(state, ", :");
	}
	return false;
}

/* A number from the status as a cell, which is unknown if the status does not have it. */
static char *fact_cell(const struct facts *f, const char *key)
{
	const char *value = facts_get(f, key);

	return value ? xstrdup(value) : NULL;
}

/* In a tree a name is that of its branch; scripts get the whole path. */
static char *name_cell(const struct listing *l, const char *shown)
{
	bool branch = l->options.tree && l->parent != TABLE_NO_PARENT;

	return xstrdup(branch ? base_name(shown) : shown);
}

static void add_object(struct listing *l, int dirfd, const char *name, const char *shown,
		       const struct stat *st)
{
	struct facts facts CLEANUP(facts_free) = { .n = 0 };
	char *status CLEANUP(free_string) = str("%s.ctl/status", name);
	const struct ipc_type *type = type_of(name);
	char **row;
	int r;

	guard_progress();
	if (l->types && !in_list(l->types, type->name, strlen(type->name)))
		return;
	r = facts_read(dirfd, status, &facts);
	if (r == -ENOENT && faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW))
		return; /* removed since the directory was read */
	row = table_add_below(&l->table, l->parent);
	row[LS_TYPE] = xstrdup(type->name);
	row[LS_NAME] = name_cell(l, shown);
	row[LS_STATE] = state_text(dirfd, name, type, st, r == -EIO ? NULL : &facts);
	row[LS_SIZE] = S_ISREG(st->st_mode) ? str("%lld", (long long)st->st_size) : NULL;
	row[LS_WAITERS] = fact_cell(&facts, "waiters");
	row[LS_HOLDERS] = fact_cell(&facts, "holders");
	row[LS_HANDLES] = fact_cell(&facts, "handles");
	row[LS_MEMORY] = fact_cell(&facts, "memory");
	if (l->states && !has_state(l->states, row[LS_STATE]))
		table_drop(&l->table);
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

static int list_directory(struct listing *l, int dirfd, const char *shown);

static int list_entry(struct listing *l, int dirfd, const char *name, const char *shown)
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
		add_object(l, dirfd, name, shown, &st);
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
	return list_directory(l, fd, shown);
}

/* In a tree a directory has a row of its own, but none if the filters leave nothing below it. */
static int list_directory(struct listing *l, int dirfd, const char *shown)
{
	size_t above = l->parent, own = l->table.n_rows, n = 0;
	char **names = NULL;
	int r = read_names(dirfd, &names, &n);

	if (r < 0)
		complain(shown, "%s", strerror(-r));
	if (l->options.tree) {
		char **row = table_add_below(&l->table, above);

		row[LS_TYPE] = xstrdup("dir");
		row[LS_NAME] = name_cell(l, shown);
		l->parent = own;
	}
	for (size_t i = 0; i < n; i++) {
		char *path CLEANUP(free_string) =
			str("%s%s%s", shown, ends_with(shown, "/") ? "" : "/", names[i]);
		int q = list_entry(l, dirfd, names[i], path);

		if (q < 0)
			r = q;
		free(names[i]);
	}
	free(names);
	l->parent = above;
	if (l->options.tree && l->table.n_rows == own + 1 && (l->types || l->states))
		table_drop(&l->table);
	return r;
}

static int list_path(struct listing *l, const char *path)
{
	int fd CLEANUP(close_fd) = -1;
	char *name CLEANUP(free_string) = xstrdup(path);
	size_t n = strlen(name);
	struct statfs fs;
	struct stat st;

	while (n > 1 && name[n - 1] == '/')
		name[--n] = '\0';
	if (type_of(name) && !lstat(name, &st)) {
		add_object(l, AT_FDCWD, name, path, &st);
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
	return list_directory(l, fd, name);
}

static void check_types(const struct command *cmd, const char *list)
{
	while (*list) {
		size_t n = strcspn(list, ", ");
		char *word CLEANUP(free_string) = str("x.%.*s", (int)n, list);

		if (!type_of(word))
			usage_error(cmd, "not a type: %s", word + 2);
		list += n;
		list += strspn(list, ", ");
	}
}

static void ls_option(const struct command *cmd, struct listing *l, int c)
{
	switch (c) {
	case 't':
		check_types(cmd, optarg);
		l->types = optarg;
		break;
	case 's':
		l->states = optarg;
		break;
	case 'T':
		l->options.tree = true;
		break;
	default:
		table_option(cmd, &l->options, c);
	}
}

static int run_ls(const struct command *cmd, int argc, char **argv)
{
	struct listing l = {
		.table = { .columns = ls_columns, .n_columns = N_LS },
		.parent = TABLE_NO_PARENT,
	};
	struct mounts mounts CLEANUP(mounts_free) = { .n = 0 };
	int c, failed = 0;

	while ((c = next_option(cmd, argc, argv)) != -1)
		ls_option(cmd, &l, c);
	/* Raw text and JSON are lists with whole paths. */
	l.options.tree = l.options.tree && !l.options.json && !l.options.raw;
	for (int i = optind; i < argc; i++)
		failed |= list_path(&l, argv[i]) < 0;
	if (optind == argc)
		failed |= mounts_read_or_complain(&mounts) < 0;
	for (size_t i = 0; i < mounts.n; i++)
		failed |= list_path(&l, mounts.list[i].path) < 0;
	table_output(&l.table, &l.options, "objects");
	table_free(&l.table);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static const struct opt ls_options[] = {
	{ 'T', "tree", NULL, "a tree of directories and objects" },
	{ 't', "type", "TYPES", "only these types: queue,sem" },
	{ 's', "state", "STATES", "only if a word of STATE is one of these: held,closed" },
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
	.guard = GUARD_OUTPUT,
	.run = run_ls,
};
