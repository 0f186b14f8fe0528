// SPDX-License-Identifier: MIT
/*
 * ipcctl check: is every object sound? For a mount, the daemon knows (a damaged object's files give
 * EIO); a state directory without a daemon is checked and repaired in repair/.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "repair/check_state.h"
#include "ipcctl.h"
#include "object.h"

/* Asks the daemon for the object's status, and says what is wrong. */
static void check_object(int at, const char *name, const char *path, struct check_result *ret)
{
	char *status CLEANUP(free_string) = str("%s.ctl/status", name);
	char *text CLEANUP(free_string) = printable(path, false);
	struct facts facts CLEANUP(facts_free) = { .n = 0 };
	int r = facts_read(at, status, &facts);

	if (r == -ENOENT)
		return; /* removed meanwhile */
	ret->objects++;
	if (r < 0) {
		ret->damaged++;
		printf("%s: %s\n", text,
		       r == -EIO ? "damaged; the daemon's log says why" : strerror(-r));
	} else if (facts_get(&facts, "stalled")) {
		ret->stalled++;
		printf("%s: stalled: %s\n", text, facts_get(&facts, "stalled"));
	}
}

/* Checks every object below this folder of a mount. */
static int check_folder(int at, const char *name, const char *shown, struct check_result *ret)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		int r = -errno;

		complain(shown, "%s", strerror(errno));
		close_fd(&fd);
		return r;
	}
	while ((errno = 0, e = readdir(dir))) {
		char *path CLEANUP(free_string) = str("%s/%s", shown, e->d_name);

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
		    ends_with(e->d_name, ".ctl"))
			continue;
		if (type_of(e->d_name))
			check_object(fd, e->d_name, path, ret);
		else if (e->d_type == DT_DIR)
			check_folder(fd, e->d_name, path, ret);
	}
	closedir(dir);
	return 0;
}

static int run_check(const struct command *cmd, int argc, char **argv)
{
	struct check_result result = { 0 };
	char *status CLEANUP(free_string) = NULL;
	bool repair = false;
	int r;

	while (next_option(cmd, argc, argv) != -1)
		repair = true;
	if (optind + 1 != argc)
		usage_error(cmd, "needs one state directory or mount point");
	status = str("%s/.ctl/status", argv[optind]);
	if (access(status, F_OK) == 0) {
		if (repair) {
			complain(argv[optind],
				 "is mounted; unmount it first, then repair its state directory");
			return EXIT_FAILURE;
		}
		r = check_folder(AT_FDCWD, argv[optind], argv[optind], &result);
	} else {
		guard_wait(-1); /* a large one takes long */
		r = check_state(argv[optind], repair, &result);
	}
	if (r < 0 && r != -EIO)
		return EXIT_FAILURE;
	printf("%llu objects, %llu damaged", (unsigned long long)result.objects,
	       (unsigned long long)result.damaged);
	if (result.stalled)
		printf(", %llu stalled", (unsigned long long)result.stalled);
	if (repair)
		printf(", %llu repaired", (unsigned long long)result.repaired);
	printf("\n");
	return r < 0 || result.damaged > result.repaired ? EXIT_FAILURE : EXIT_SUCCESS;
}

static const struct opt check_options[] = {
	{ 'R', "repair", NULL, "repair what can be repaired, and say what is lost" },
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_check = {
	.name = "check",
	.args = "STATE|MOUNT",
	.summary = "Checks that every object is sound, and repairs damage",
	.details = "A state directory can be checked and repaired while no daemon uses it.\n"
		   "Damaged files are kept as objects/ID.damaged.\n",
	.options = check_options,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_check,
};
