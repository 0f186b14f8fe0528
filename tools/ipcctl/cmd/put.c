// SPDX-License-Identifier: MIT
/*
 * ipcctl put: writing gives. Messages to a queue or pipe, by libipcfs, for which an empty message is
 * one, too, and any bytes are; to all other types the commands that echo would write.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "frames.h"
#include "object.h"
#include "verb.h"

struct put {
	const char *path;
	int64_t end;
	enum frame frame;
	bool bytes; /* a byte pipe, in which a message is what ends like one */
	ipcfs_obj *to;
	unsigned long long done;
};

/* All of it, however often it is interrupted, and however a byte pipe takes it. */
static int put_all(struct put *p, const char *data, size_t len)
{
	for (;;) {
		int64_t left = limit_left(p->end);
		int r;

		guard_wait(left);
		r = ipcfs_put(p->to, data, len, left);
		guard_progress();
		if (r == -EINTR)
			continue;
		if (r <= 0 || (size_t)r >= len)
			return r < 0 ? r : 0;
		data += r; /* a time limit has ended it: the next one says so */
		len -= r;
	}
}

static int put_one(struct put *p, const char *data, size_t len)
{
	struct buf b CLEANUP(buf_free) = { .data = NULL };
	int r;

	if (p->bytes && p->frame != FRAME_RECORD) {
		buf_add(&b, data, len);
		if (p->frame != FRAME_NETSTRING)
			buf_add(&b, p->frame == FRAME_LINE ? "\n" : "", 1);
		r = put_all(p, b.data, b.len);
	} else {
		r = put_all(p, data, len);
	}
	p->done += r == 0;
	return r;
}

static int put_input(struct put *p)
{
	struct buf b CLEANUP(buf_free) = { .data = NULL };
	int r;

	while ((r = frame_read(stdin, p->frame, &b)) > 0) {
		r = put_one(p, b.data, b.len);
		if (r < 0)
			return r;
	}
	return r;
}

static int put_command(const char *path, const char *text, int64_t limit_ns)
{
	int fd CLEANUP(close_fd) = verb_open_file(path, O_WRONLY, limit_ns);
	char *line CLEANUP(free_string) = str("%s\n", text);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = write(fd, line, strlen(line));
	return n < 0 ? -errno : (size_t)n == strlen(line) ? 0 : -EIO;
}

static bool is_byte_pipe(const char *path)
{
	struct target t CLEANUP(target_close) = TARGET_INIT;
	struct facts f CLEANUP(facts_free) = { .n = 0 };
	const char *framing;

	if (target_open(path, &t) < 0 || facts_read(t.ctl, "status", &f) < 0)
		return false;
	framing = facts_get(&f, "framing");
	return framing && !strcmp(framing, "bytes");
}

static int put_messages(struct put *p, const struct ipc_type *type, int64_t limit_ns, int n,
			char **messages)
{
	/* Libipcfs works directly in a queue that it may also read. */
	int r = type->traits & TYPE_JOIN ? verb_open(p->path, O_RDWR, limit_ns, &p->to) : -EACCES;

	if (r == -EACCES)
		r = verb_open(p->path, O_WRONLY, limit_ns, &p->to);
	if (r < 0)
		return verb_status(p->path, r);
	p->bytes = is_byte_pipe(p->path);
	for (int i = 0; i < n && r >= 0; i++)
		r = put_one(p, messages[i], strlen(messages[i]));
	if (!n)
		r = put_input(p);
	ipcfs_close(p->to);
	if (r < 0 && p->done)
		complain(p->path, "%llu %s put before that", p->done,
			 p->done == 1 ? "was" : "were");
	if (r == -EBADMSG) {
		complain("standard input", "not a netstring");
		return EXIT_FAILURE;
	}
	return verb_status(p->path, r);
}

static int run_put(const struct command *cmd, int argc, char **argv)
{
	struct put p = { .frame = FRAME_LINE };
	int64_t limit_ns = FOR_EVER;
	struct target t CLEANUP(target_close) = TARGET_INIT;
	int c, r;

	while ((c = next_option(cmd, argc, argv)) != -1) {
		if (c != 'f')
			wait_option(cmd, c, &limit_ns);
		else if (frame_parse(optarg, &p.frame) < 0)
			usage_error(cmd, "not a framing: %s", optarg);
	}
	if (optind == argc)
		usage_error(cmd, "needs a name");
	p.path = argv[optind++];
	p.end = limit_end(limit_ns);
	r = target_open(p.path, &t);
	if (r < 0 || t.kind != TARGET_OBJECT)
		return verb_status(p.path, r < 0 ? r : -ENOTTY);
	if (ipc_is_stream(t.type))
		return put_messages(&p, t.type, limit_ns, argc - optind, argv + optind);
	if (optind == argc)
		usage_error(cmd, "a %s needs what to write to it", t.type->name);
	for (; optind < argc && r >= 0; optind++)
		r = put_command(p.path, argv[optind], limit_ns);
	return verb_status(p.path, r);
}

static const struct opt put_options[] = {
	WAIT_OPTIONS,
	FRAME_OPTION,
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_put = {
	.name = "put",
	.args = "NAME [MESSAGE]...",
	.summary = "Puts messages into a queue or pipe, or writes a command to an object",
	.details = "Without a MESSAGE, those of standard input.\n\n"
		   "  ipcctl put jobs.queue 'resize cat.jpg'\n"
		   "  find . -print0 | ipcctl put -f null jobs.queue\n"
		   "  ipcctl put slots.sem 3\n",
	.options = put_options,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_put,
};
