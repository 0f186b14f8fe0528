// SPDX-License-Identifier: MIT
/*
 * ipcctl create: an object with all its settings, or no object at all.
 *
 * The settings are made one by one through NAME.ctl/, so another process may see the object before
 * the last one; but if one is refused, nothing remains.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "ipcctl.h"
#include "object.h"
#include "verb.h"

struct new_object {
	char *name; /* without the trailing slash */
	const struct ipc_type *type;
	bool two_way;
	struct stat st; /* to remove only what we have made */
	mode_t mode;
	bool has_mode;
};

static int make(struct new_object *o)
{
	/* With -m nobody else has access until all is set. */
	mode_t mode = o->has_mode ? 0700 : 0777;
	int fd CLEANUP(close_fd) = -1;

	if (o->two_way) {
		if (mkdir(o->name, mode) < 0)
			return -errno;
		return lstat(o->name, &o->st) < 0 ? -errno : 0;
	}
	/* A handle that only looks does not count as a reader or a writer. */
	fd = open(o->name,
		  O_CREAT | O_EXCL | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
		  mode & 0666);
	if (fd < 0)
		return -errno;
	return fstat(fd, &o->st) < 0 ? -errno : 0;
}

static void unmake(const struct new_object *o)
{
	struct stat st;

	if (lstat(o->name, &st) < 0 || st.st_ino != o->st.st_ino || st.st_dev != o->st.st_dev)
		return;
	if ((o->two_way ? rmdir(o->name) : unlink(o->name)) < 0)
		complain(o->name, "cannot be removed again: %s", strerror(errno));
}

static int set(const struct new_object *o, const char *key, const char *value)
{
	char *path CLEANUP(free_string) = NULL;
	uint64_t n;

	if (strcmp(key, "value") || !(o->type->traits & TYPE_SETTABLE)) {
		path = str("%s.ctl/%s", o->name, key);
		return write_text(path, value);
	}
	/* A new semaphore has 0 permits, and giving 0 is an error. */
	if (o->type->verbs & VERB(CMD_ADD) && !parse_u64(value, &n) && !n)
		return 0;
	return write_text(o->name, value);
}

static void complain_setting(const struct new_object *o, const char *pair, int error)
{
	char *what CLEANUP(free_string) = str("%s: %s", o->name, pair);
	struct target t CLEANUP(target_close) = TARGET_INIT;
	struct facts settings CLEANUP(facts_free) = { .n = 0 };
	char *known CLEANUP(free_string) = NULL;

	switch (error) {
	case -ENOENT:
		if (!target_open(o->name, &t))
			settings_read(&t, &settings);
		known = settings_names(&settings);
		complain(what, "no such setting; there are: %s; nothing was created", known);
		break;
	case -EACCES:
	case -EPERM:
		complain(what, "a fact, not a setting; nothing was created");
		break;
	default:
		complain(what, "refused: %s; nothing was created", strerror(-error));
	}
}

/*
 * The order of settings. 0: `typecode`, on which the others depend; 1: the others, as given; 2:
 * `value`, which `bound` and `typecode` restrict.
 */
static int turn_of(const char *pair)
{
	if (!strncmp(pair, "typecode=", strlen("typecode=")))
		return 0;
	return strncmp(pair, "value=", strlen("value=")) ? 1 : 2;
}

static int set_all(const struct new_object *o, int n, char *const pairs[])
{
	for (int turn = 0; turn < 3; turn++) {
		for (int i = 0; i < n; i++) {
			char *key CLEANUP(free_string) = NULL;
			const char *equals = strchr(pairs[i], '=');
			int r;

			if (turn_of(pairs[i]) != turn)
				continue;
			key = str("%.*s", (int)(equals - pairs[i]), pairs[i]);
			r = set(o, key, equals + 1);
			if (r < 0) {
				complain_setting(o, pairs[i], r);
				return r;
			}
		}
	}
	return 0;
}

static void complain_make(const struct new_object *o, int error)
{
	char *suffixes CLEANUP(free_string) = type_suffixes();

	if (error == -EINVAL || !o->type)
		complain(o->name, "not a name for an object; names end in one of %s", suffixes);
	else
		complain(o->name, "%s", strerror(-error));
}

/* In a plain directory this would create a meaningless file. */
static int check_ctl(const struct new_object *o)
{
	char *ctl CLEANUP(free_string) = str("%s.ctl", o->name);

	if (!access(ctl, F_OK))
		return 0;
	complain(o->name, "its directory is not on an ipcfs mount; nothing was created");
	return -ENOTTY;
}

static int create(struct new_object *o, int n_pairs, char *const pairs[])
{
	int r = o->type ? make(o) : -EINVAL;

	if (r < 0) {
		complain_make(o, r);
		return r;
	}
	r = check_ctl(o);
	if (r >= 0)
		r = set_all(o, n_pairs, pairs);
	/* Last, so that -m 0444 does not prevent the settings. */
	if (r >= 0 && o->has_mode && chmod(o->name, o->mode) < 0) {
		r = -errno;
		complain(o->name, "mode: %s; nothing was created", strerror(-r));
	}
	if (r < 0)
		unmake(o);
	return r;
}

static int run_create(const struct command *cmd, int argc, char **argv)
{
	char *name CLEANUP(free_string) = NULL;
	struct new_object o = { .mode = 0 };
	size_t n;
	char *end;
	int r;

	while (next_option(cmd, argc, argv) != -1) {
		o.has_mode = true;
		o.mode = strtoul(optarg, &end, 8);
		if (end == optarg || *end || o.mode > 07777)
			usage_error(cmd, "not an octal mode: %s", optarg);
	}
	if (optind == argc)
		usage_error(cmd, "needs a name");
	for (int i = optind + 1; i < argc; i++) {
		const char *equals = strchr(argv[i], '=');

		if (!equals || equals == argv[i] || strcspn(argv[i], "/") < strcspn(argv[i], "="))
			usage_error(cmd, "not KEY=VALUE: %s", argv[i]);
	}
	name = xstrdup(argv[optind]);
	for (n = strlen(name); n > 1 && name[n - 1] == '/'; n--) {
		name[n - 1] = '\0';
		o.two_way = true;
	}
	o.name = name;
	o.type = type_of(name);
	if (o.two_way && !(o.type && o.type->folder))
		usage_error(cmd, "only NAME.pipe/ may end in a slash; use mkdir for directories");
	r = create(&o, argc - optind - 1, argv + optind + 1);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static const struct opt create_options[] = {
	{ 'm', "mode", "MODE", "its permissions in octal, whatever the umask" },
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_create = {
	.name = "create",
	.args = "NAME [KEY=VALUE]...",
	.summary = "Creates an object with its settings, or nothing if one is refused",
	.details = "The keys are the settings in NAME.ctl/, and `value` of a sem, event or value.\n"
		   "NAME.pipe/ with a slash makes a two-way pipe.\n\n"
		   "  ipcctl create jobs.queue maxsize=100 framing=record\n"
		   "  ipcctl create gpu.sem value=3 bound=3\n",
	.options = create_options,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_create,
};
