// SPDX-License-Identifier: MIT
/* ipcctl load: puts back what ipcctl save has copied. See save.c. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "object.h"
#include "save/copy.h"
#include "verb.h"

struct load {
	bool force;
	unsigned long long loaded, failed, there;
	/* Which objects use which as their lock: made when all are there. */
	struct lock_of {
		char *path, *lock;
	} * locks;
	size_t n_locks;
};

/* Whole copies alone: the mark is written last. */
static int check_mark(const char *dir, unsigned long long *ret_left_out)
{
	char *mark CLEANUP(free_string) = str("%s/" SAVE_MARK, dir);
	unsigned long long objects;
	FILE *in = fopen(mark, "re");
	char line[64];
	int r = 0;

	*ret_left_out = 0;
	if (!in && errno == ENOENT) {
		complain(dir, access(dir, F_OK) ? strerror(ENOENT) :
						  "no copy, or one that was not finished");
		return -ENOENT;
	}
	if (!in || !fgets(line, sizeof(line), in)) {
		complain(mark, "%s", strerror(errno));
		r = -EIO;
	} else if (strcmp(line, SAVE_MARK_LINE)) {
		complain(mark, "not a copy of a version that is known here");
		r = -EPROTO;
	} else if (fscanf(in, "objects %llu left-out %llu", &objects, ret_left_out) != 2) {
		complain(mark, "damaged");
		r = -EBADMSG;
	}
	if (in)
		fclose(in);
	return r;
}

/* Calls f for each entry of the copy. */
static void each_entry(struct load *l, const char *from, const char *to,
		       void (*f)(struct load *l, const char *from, const char *to, bool folder))
{
	DIR *dir = opendir(from);
	struct dirent *e;

	if (!dir) {
		complain(from, "%s", strerror(errno));
		l->failed++;
		return;
	}
	while ((e = readdir(dir))) {
		char *path CLEANUP(free_string) = str("%s/%s", from, e->d_name);
		char *target CLEANUP(free_string) = str("%s/%s", to, e->d_name);
		struct stat st;

		guard_progress();
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
		    !strcmp(e->d_name, SAVE_DIR) || lstat(path, &st) < 0)
			continue;
		if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
			f(l, path, target, S_ISDIR(st.st_mode));
	}
	closedir(dir);
}

static void look_for(struct load *l, const char *from, const char *to, bool folder)
{
	struct stat st;

	if (folder) {
		each_entry(l, from, to, look_for);
	} else if (!lstat(to, &st)) {
		complain(to, "is there already");
		l->there++;
	}
}

static void fail(struct load *l, const char *path, int error)
{
	complain(path, "%s",
		 error == -EBADMSG ? "the copy is damaged" :
		 error == -EACCES  ? "not loaded: the mount is another user's" :
				     strerror(-error));
	l->failed++;
}

static void load_one(struct load *l, const char *from, const char *to)
{
	FILE *in = fopen(from, "re");
	char *lock = NULL;
	int r = in ? load_object(to, in, l->force, &lock) : -errno;

	if (in)
		fclose(in);
	if (r < 0) {
		fail(l, to, r);
		return;
	}
	l->loaded++;
	if (!lock)
		return;
	l->locks = xrealloc(l->locks, (l->n_locks + 1) * sizeof(*l->locks));
	l->locks[l->n_locks++] = (struct lock_of){ xstrdup(to), lock };
}

static void load_entry(struct load *l, const char *from, const char *to, bool folder)
{
	char *own CLEANUP(free_string) = str("%s/" SAVE_DIR, from);
	FILE *in;
	int r;

	if (!folder) {
		load_one(l, from, to);
		return;
	}
	r = mkdir(to, 0700) < 0 ? -errno : 0;
	if (r < 0 && r != -EEXIST) {
		fail(l, to, r);
		return;
	}
	load_sweep(to);
	each_entry(l, from, to, load_entry);
	if (r == -EEXIST)
		return; /* it keeps its owner and mode */
	in = fopen(own, "re");
	r = in ? load_directory(to, in) : -errno;
	if (in)
		fclose(in);
	if (r < 0)
		fail(l, to, r);
}

static void use_locks(struct load *l)
{
	for (size_t i = 0; i < l->n_locks; i++) {
		int r = load_lock(l->locks[i].path, l->locks[i].lock);

		if (r < 0) {
			complain(l->locks[i].path, "cannot use the lock %s: %s", l->locks[i].lock,
				 strerror(-r));
			l->failed++;
		}
		free(l->locks[i].path);
		free(l->locks[i].lock);
	}
	free(l->locks);
}

static int run_load(const struct command *cmd, int argc, char **argv)
{
	struct target t CLEANUP(target_close) = TARGET_INIT;
	char *tree CLEANUP(free_string) = NULL;
	unsigned long long left_out;
	struct load l = { .loaded = 0 };
	int r;

	while (next_option(cmd, argc, argv) != -1)
		l.force = true;
	if (optind + 2 != argc)
		usage_error(cmd, "needs the directory of the copy, and a mount");
	r = target_open(argv[optind + 1], &t);
	if (r < 0 || t.kind == TARGET_OBJECT)
		return verb_status(argv[optind + 1], r < 0 ? r : -ENOTDIR);
	if (check_mark(argv[optind], &left_out) < 0)
		return EXIT_FAILURE;
	tree = str("%s/" SAVE_TREE, argv[optind]);
	if (!l.force)
		each_entry(&l, tree, t.name, look_for);
	if (l.there) {
		complain(t.name, "nothing was loaded; --force replaces what is there");
		return EXIT_FAILURE;
	}
	load_sweep(t.name);
	each_entry(&l, tree, t.name, load_entry);
	use_locks(&l);
	printf("%llu objects loaded", l.loaded);
	printf(l.failed ? ", %llu failed\n" : "\n", l.failed);
	if (left_out)
		complain(argv[optind], "%llu objects had been left out of the copy", left_out);
	return l.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static const struct opt load_options[] = {
	{ 'f', "force", NULL, "replace objects that are there" },
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_load = {
	.name = "load",
	.args = "DIR MOUNT|DIRECTORY",
	.summary = "Puts back the objects that 'ipcctl save' has copied",
	.details = "Nothing is loaded if one of the names exists; with --force it is replaced.\n",
	.options = load_options,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_load,
};
