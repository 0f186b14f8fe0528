// SPDX-License-Identifier: MIT
/* ipcctl get and drain: reading takes. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "client/client.h"
#include "frames.h"
#include "object.h"
#include "verb.h"

struct get {
	const char *path;
	int64_t limit_ns;
	enum frame frame;
	uint64_t count;   /* messages; UINT64_MAX: until it is closed, or */
	bool while_there; /* for as long as there are any */
};

/* A queue is opened as a stream, whatever ctl/take says; of a pipe that would make us a writer. */
static int open_source(const struct get *g, const struct ipc_type *type, ipcfs_obj **ret)
{
	int r = -EACCES;

	if (type->traits & TYPE_JOIN)
		r = verb_open(g->path, O_RDWR, g->limit_ns, ret);
	if (r == -EACCES)
		r = verb_open(g->path, O_RDONLY, g->limit_ns, ret);
	return r;
}

/* What is left of the time limit, or none; the guard waits as long. */
static int64_t begin(const struct get *g, int64_t end)
{
	int64_t left = g->while_there ? 0 : limit_left(end);

	guard_wait(left);
	return left;
}

/* A message counts as taken when it was printed: before that, our end puts it back. */
static int get_message(ipcfs_obj *from, const struct get *g, int64_t end)
{
	const void *message;
	ssize_t n;
	int r;

	do
		n = ipcfs_get_begin(from, &message, begin(g, end));
	while (n == -EINTR);
	guard_progress();
	if (n < 0)
		return n;
	frame_write(stdout, g->frame, message, n);
	r = guard_printed();
	return r < 0 ? r : ipcfs_get_end(from, message);
}

static int get_bytes(ipcfs_obj *from, const struct get *g, int64_t end)
{
	size_t size = from->at.message_limit + 1; /* so no message fills it */
	char *buf CLEANUP(free_string) = xrealloc(NULL, size);
	ssize_t n;

	do
		n = ipcfs_get(from, buf, size, begin(g, end));
	while (n == -EINTR);
	guard_progress();
	if (n < 0)
		return n;
	fwrite(buf, 1, n, stdout);
	return guard_printed(); /* before more is taken */
}

static int get_messages(const struct get *g, const struct ipc_type *type)
{
	int64_t end = limit_end(g->limit_ns);
	ipcfs_obj *from;
	int r = open_source(g, type, &from);

	if (r < 0)
		return r;
	for (uint64_t i = 0; i < g->count && r == 0; i++)
		r = type->traits & TYPE_JOIN ? get_message(from, g, end) : get_bytes(from, g, end);
	ipcfs_close(from);
	if (g->count == UINT64_MAX && (r == -EPIPE || (g->while_there && r == -EAGAIN)))
		return 0;
	return r;
}

/* The answer of a type that gives one: to its end, as cat(1) has it. */
static int get_answer(const struct get *g)
{
	int fd CLEANUP(close_fd) = verb_open_file(g->path, O_RDONLY, g->limit_ns);
	char chunk[65536];
	ssize_t n;

	if (fd < 0)
		return fd;
	guard_wait(g->limit_ns);
	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			fwrite(chunk, 1, n, stdout);
	}
	guard_progress();
	return 0;
}

static int get(const struct get *g, bool streams_only)
{
	struct target t CLEANUP(target_close) = TARGET_INIT;
	int r = target_open(g->path, &t);

	if (r >= 0 && t.kind != TARGET_OBJECT)
		r = -ENOTTY;
	if (r >= 0 && ipc_is_stream(t.type)) {
		r = get_messages(g, t.type);
	} else if (r >= 0 && streams_only) {
		complain(g->path, "has no messages");
		return EXIT_FAILURE;
	} else if (r >= 0) {
		r = get_answer(g);
	}
	return verb_status(g->path, r);
}

static void get_option(const struct command *cmd, struct get *g, int c)
{
	switch (c) {
	case 'f':
		if (frame_parse(optarg, &g->frame) < 0)
			usage_error(cmd, "not a framing: %s", optarg);
		break;
	case 'c':
		if (parse_u64(optarg, &g->count) < 0)
			usage_error(cmd, "not a number of messages: %s", optarg);
		break;
	case 'a':
		g->count = UINT64_MAX;
		break;
	default:
		wait_option(cmd, c, &g->limit_ns);
	}
}

static int run_get(const struct command *cmd, int argc, char **argv)
{
	struct get g = { .limit_ns = FOR_EVER, .frame = FRAME_LINE, .count = 1 };
	int c;

	while ((c = next_option(cmd, argc, argv)) != -1)
		get_option(cmd, &g, c);
	if (optind + 1 != argc)
		usage_error(cmd, "needs one name");
	g.path = argv[optind];
	return get(&g, false);
}

static int run_drain(const struct command *cmd, int argc, char **argv)
{
	struct get g = { .frame = FRAME_LINE, .count = UINT64_MAX, .while_there = true };
	int c, status = EXIT_SUCCESS;

	while ((c = next_option(cmd, argc, argv)) != -1)
		get_option(cmd, &g, c);
	if (optind == argc)
		usage_error(cmd, "needs a name");
	for (; optind < argc; optind++) {
		g.path = argv[optind];
		status = get(&g, true) ? EXIT_FAILURE : status;
	}
	return status;
}

static const struct opt get_options[] = {
	WAIT_OPTIONS,
	FRAME_OPTION,
	{ 'c', "count", "N", "take so many messages (default 1)" },
	{ 'a', "all", NULL, "take messages until it is closed" },
	{ 0, NULL, NULL, NULL },
};

static const struct opt drain_options[] = {
	FRAME_OPTION,
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_get = {
	.name = "get",
	.args = "NAME",
	.summary = "Takes the next message, or reads what else an object gives",
	.details = "A message that cannot be printed goes back. Byte pipes give what is there.\n",
	.options = get_options,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_get,
};

const struct command cmd_drain = {
	.name = "drain",
	.args = "NAME...",
	.summary = "Takes all messages that are there, and does not wait for more",
	.options = drain_options,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_drain,
};
