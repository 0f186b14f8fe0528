// SPDX-License-Identifier: MIT
/*
 * ipcctl wait: one object as its own read waits (an event, a condition, a barrier), or any or all of
 * several, by poll. Nothing is taken.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>

#include "object.h"
#include "verb.h"

struct waits {
	int64_t limit_ns;
	bool any, all, join;
};

static int wait_as_reader(const char *path, const struct ipc_type *type, const struct waits *w)
{
	int64_t end = limit_end(w->limit_ns);
	ipcfs_obj *o;
	int r = verb_open(path, O_RDONLY, w->limit_ns, &o);

	if (r < 0)
		return r;
	do {
		int64_t left = limit_left(end);

		guard_wait(left);
		r = w->join ? ipcfs_join(o, left) : ipcfs_wait(o, left);
		guard_progress();
	} while (r == -EINTR);
	ipcfs_close(o);
	if (r >= 0 && type->traits & TYPE_INDEX)
		printf("%d\n", r);
	return r < 0 ? r : 0;
}

/* A value is always there to be read; its `changed` is not. */
static int open_to_poll(const char *path, const struct ipc_type *type, int64_t limit_ns)
{
	char *changed CLEANUP(free_string) = str("%s.ctl/changed", path);

	return verb_open_file(type->traits & TYPE_TEXT ? changed : path, O_RDONLY, limit_ns);
}

static int poll_ms(int64_t end)
{
	int64_t ms;

	if (end <= 0)
		return (int)end; /* -1 and 0 as in poll(2) */
	ms = (limit_left(end) + 999999) / 1000000;
	return ms < INT32_MAX ? (int)ms : INT32_MAX;
}

/* Waits for any one, or until each has been ready once. Prints each that is. */
static int wait_for(struct pollfd *p, char **names, int n, const struct waits *w)
{
	int64_t end = limit_end(w->limit_ns);
	int left = n;

	while (left) {
		int r;

		guard_wait(limit_left(end));
		r = poll(p, n, poll_ms(end));
		guard_progress();
		if (r < 0 && errno != EINTR)
			return -errno;
		if (r == 0 && end >= 0 && (end == 0 || now_ns() >= end))
			return end ? -ETIMEDOUT : -EAGAIN;
		for (int i = 0; r > 0 && i < n; i++) {
			if (!p[i].revents)
				continue;
			puts(names[i]);
			close(p[i].fd);
			p[i].fd = -1; /* poll leaves it out from now on */
			left--;
		}
		fflush(stdout);
		if (w->any && left < n)
			break;
	}
	return 0;
}

static int wait_for_several(char **names, int n, const struct waits *w)
{
	struct pollfd *p = xrealloc(NULL, n * sizeof(*p));
	int i, status = EXIT_SUCCESS;

	for (i = 0; i < n; i++) {
		const struct ipc_type *type = type_of(names[i]);
		int fd = type ? open_to_poll(names[i], type, w->limit_ns) : -ENOTTY;

		if (fd < 0) {
			status = verb_status(names[i], fd);
			break;
		}
		p[i] = (struct pollfd){ .fd = fd, .events = POLLIN };
	}
	if (!status)
		status = verb_status(n > 1 ? "wait" : names[0], wait_for(p, names, n, w));
	while (i--)
		close_fd(&p[i].fd);
	free(p);
	return status;
}

static int wait_for_one(const char *path, const struct waits *w)
{
	struct target t CLEANUP(target_close) = TARGET_INIT;
	int r = target_open(path, &t);
	char *name = t.name;

	if (r >= 0 && t.kind != TARGET_OBJECT)
		r = -ENOTTY;
	if (r < 0)
		return verb_status(path, r);
	if (w->join && !(t.type->traits & TYPE_JOIN)) {
		complain(path, "counts nothing that could be unfinished");
		return EXIT_FAILURE;
	}
	if (w->join || t.type->traits & (TYPE_WAITED_FOR | TYPE_MONITOR))
		return verb_status(path, wait_as_reader(path, t.type, w));
	return wait_for_several(&name, 1, w);
}

static int run_wait(const struct command *cmd, int argc, char **argv)
{
	struct waits w = { .limit_ns = FOR_EVER };
	int c;

	while ((c = next_option(cmd, argc, argv)) != -1) {
		switch (c) {
		case 'A':
			w.any = true;
			break;
		case 'a':
			w.all = true;
			break;
		case 'j':
			w.join = true;
			break;
		default:
			wait_option(cmd, c, &w.limit_ns);
		}
	}
	if (optind == argc)
		usage_error(cmd, "needs a name");
	if (w.any + w.all + w.join > 1)
		usage_error(cmd, "only one of --any, --all and --join");
	if (w.any || w.all)
		return wait_for_several(argv + optind, argc - optind, &w);
	if (optind + 1 != argc)
		usage_error(cmd, "needs --any or --all for several names");
	return wait_for_one(argv[optind], &w);
}

static const struct opt wait_options[] = {
	WAIT_OPTIONS,
	{ 'A', "any", NULL, "until one of them is ready; prints which" },
	{ 'a', "all", NULL, "until each has been ready" },
	{ 'j', "join", NULL, "until no message of a queue is unfinished" },
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_wait = {
	.name = "wait",
	.args = "NAME...",
	.summary = "Waits for an object, or for any or all of several",
	.details =
		"An event until it is set, a condition until it is notified, a barrier until all have\n"
		"come (prints the index); anything else, and with --any and --all these too, until\n"
		"a read would not wait, and a value until it changes. Then the name is printed,\n"
		"and nothing is taken.\n",
	.options = wait_options,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_wait,
};
