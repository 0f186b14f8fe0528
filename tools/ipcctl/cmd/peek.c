// SPDX-License-Identifier: MIT
/* ipcctl peek: what a handle that only looks is shown, of any type; nothing is taken. */
#include <fcntl.h>
#include <stdio.h>

#include "object.h"
#include "verb.h"

static int peek(const char *path)
{
	int fd CLEANUP(close_fd) = -1;
	char chunk[65536];
	ssize_t n;

	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		guard_progress();
		if (n > 0)
			fwrite(chunk, 1, n, stdout);
	}
	return 0;
}

static int run_peek(const struct command *cmd, int argc, char **argv)
{
	int status = EXIT_SUCCESS;

	while (next_option(cmd, argc, argv) != -1)
		;
	if (optind == argc)
		usage_error(cmd, "needs a name");
	for (; optind < argc; optind++) {
		int s = verb_status(argv[optind],
				    type_of(argv[optind]) ? peek(argv[optind]) : -ENOTTY);

		status = s ? s : status;
	}
	return status;
}

static const struct opt peek_options[] = {
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_peek = {
	.name = "peek",
	.args = "NAME...",
	.summary = "Shows what is in an object, and takes nothing",
	.details =
		"Messages one a line (without added newlines in record framing), a value's text,\n"
		"an array's bytes, the state of all others as a number.\n",
	.options = peek_options,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_peek,
};
