// SPDX-License-Identifier: MIT
/*
 * ipcctl save and load: a copy of a mount, or of a folder in one, while everything runs. doc/save.md
 * says what it looks like and why.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "object.h"
#include "save/copy.h"
#include "verb.h"

struct save {
	unsigned long long saved, left_out;
	int fatal; /* the copy itself cannot be written: a negative errno */
};

static FILE *create_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? NULL : fdopen(fd, "w");
}

/* Closes it, and says whether all of it could be written. */
static int finish_file(FILE *f, const char *path)
{
	int r = fflush(f) || ferror(f) ? -errno : 0;

	if (fclose(f) && r == 0)
		r = -errno;
	if (r < 0)
		complain(path, "%s", strerror(-r));
	return r;
}

static void save_one(struct save *s, const char *from, const char *to)
{
	FILE *out = create_file(to);
	int r;

	guard_progress();
	if (!out) {
		s->fatal = -errno;
		complain(to, "%s", strerror(errno));
		return;
	}
	r = save_object(from, out);
	s->fatal = finish_file(out, to);
	if (s->fatal < 0)
		return;
	if (r >= 0) {
		s->saved++;
		return;
	}
	unlink(to);
	if (r == -ENOENT)
		return; /* removed meanwhile */
	s->left_out++;
	if (r == -EBUSY || r == -EAGAIN)
		complain(from, "left out: stalled");
	else if (r == -EXDEV)
		complain(from, "left out: its messages cannot be read from another pid namespace");
	else
		complain(from, "left out: %s", strerror(-r));
}

static void save_folder(struct save *s, const char *from, const char *to)
{
	char *own CLEANUP(free_string) = str("%s/" SAVE_DIR, to);
	int fd = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	FILE *out;

	if (!dir) {
		complain(from, "left out: %s", strerror(errno));
		s->left_out++;
		close_fd(&fd);
		return;
	}
	out = mkdir(to, 0700) < 0 ? NULL : create_file(own);
	if (out) {
		save_directory(fd, out);
		s->fatal = finish_file(out, own);
	} else {
		s->fatal = -errno;
		complain(to, "%s", strerror(errno));
	}
	while (!s->fatal && (e = readdir(dir))) {
		char *path CLEANUP(free_string) = str("%s/%s", from, e->d_name);
		char *copy CLEANUP(free_string) = str("%s/%s", to, e->d_name);

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
		    ends_with(e->d_name, ".ctl"))
			continue;
		if (type_of(e->d_name))
			save_one(s, path, copy);
		else if (e->d_type == DT_DIR)
			save_folder(s, path, copy);
	}
	closedir(dir);
}

/* The mark, by which a whole copy is known, is there only when all else is on the disk. */
static int write_mark(const struct save *s, const char *dir)
{
	char *mark CLEANUP(free_string) = str("%s/" SAVE_MARK, dir);
	int fd CLEANUP(close_fd) = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	FILE *out;
	int r;

	guard_wait(-1); /* a disk may be slow */
	if (fd < 0 || syncfs(fd) < 0)
		return -errno;
	out = create_file(mark);
	if (!out)
		return -errno;
	fprintf(out, SAVE_MARK_LINE "objects %llu\nleft-out %llu\n", s->saved, s->left_out);
	r = finish_file(out, mark);
	return r < 0 ? r : syncfs(fd) < 0 ? -errno : 0;
}

static int empty_folder(const char *path)
{
	DIR *dir;
	struct dirent *e;
	int r = 0;

	if (!mkdir(path, 0700))
		return 0;
	dir = errno == EEXIST ? opendir(path) : NULL;
	if (!dir)
		return -errno;
	while ((e = readdir(dir))) {
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			r = -ENOTEMPTY;
	}
	closedir(dir);
	return r;
}

static int run_save(const struct command *cmd, int argc, char **argv)
{
	struct target t CLEANUP(target_close) = TARGET_INIT;
	char *tree CLEANUP(free_string) = NULL;
	struct save s = { .saved = 0 };
	const char *to;
	int r;

	while (next_option(cmd, argc, argv) != -1)
		;
	if (optind + 2 != argc)
		usage_error(cmd, "needs a mount and a directory for the copy");
	to = argv[optind + 1];
	r = target_open(argv[optind], &t);
	if (r < 0 || t.kind == TARGET_OBJECT)
		return verb_status(argv[optind], r < 0 ? r : -ENOTDIR);
	r = empty_folder(to);
	if (r < 0) {
		complain(to, "%s", strerror(-r));
		return EXIT_FAILURE;
	}
	tree = str("%s/" SAVE_TREE, to);
	save_folder(&s, t.name, tree);
	if (!s.fatal) {
		s.fatal = write_mark(&s, to);
		if (s.fatal)
			complain(to, "%s", strerror(-s.fatal));
	}
	if (s.fatal) {
		complain(to, "the copy is incomplete, and 'ipcctl load' will refuse it");
		return EXIT_FAILURE;
	}
	printf("%llu objects saved", s.saved);
	printf(s.left_out ? ", %llu left out\n" : "\n", s.left_out);
	return s.left_out ? EXIT_FAILURE : EXIT_SUCCESS;
}

static const struct opt save_options[] = {
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_save = {
	.name = "save",
	.args = "MOUNT|DIRECTORY DIR",
	.summary = "Copies the objects of a mount to a directory, while everything runs",
	.details = "Each object is copied under its own lock. Holders and waiters are not copied:\n"
		   "what they have is free in the copy. DIR must be empty, or not exist.\n",
	.options = save_options,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_save,
};
