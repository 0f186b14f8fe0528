/* SPDX-License-Identifier: MIT */
/* The command line. */
#include <fuse_lowlevel.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/proc.h"
#include "object/engine.h"
#include "object/text.h"
#include "process/options.h"
#include "process/shared.h"
#include "state/options.h"

#define OPT(text, field)                                 \
	{                                                \
		text, offsetof(struct options, field), 0 \
	}

static const struct fuse_opt option_table[] = {
	OPT("state=%s", state),
	OPT("memory=%s", memory),
	OPT("objects=%s", objects),
	OPT("message=%s", message),
	OPT("framing=%s", framing),
	OPT("take=%s", take),
	OPT("deadlock=%s", deadlock),
	{ "no_resend", offsetof(struct options, no_resend), true }, /* for tests */
	{ "no_ends", offsetof(struct options, no_ends), true },     /* for tests */
	FUSE_OPT_END,
};

static void usage(const char *name)
{
	printf("usage: %s [options] MOUNTPOINT\n\n"
	       "Mount a file system whose files are inter-process objects.\n\n"
	       "ipcfs options:\n"
	       "    -o state=DIR           where the objects are kept (default: a folder in /dev/shm)\n"
	       "    -o memory=SIZE         memory limit of all objects together: K, M, G or %% (default: 25%%)\n"
	       "    -o objects=N           limit on the number of objects (default: 1048576)\n"
	       "    -o message=SIZE        size limit of one message (default and maximum: %u)\n"
	       "    -o framing=line|record framing of new queues (default: line)\n"
	       "    -o take=any|rw         rw: read-only handles of new objects only look (default: any)\n"
	       "    -o deadlock=wait|error error: a lock that would be waited for for ever is EDEADLK (default: wait)\n\n"
	       "FUSE options:\n",
	       name, IPC_MESSAGE_MAX);
	fuse_cmdline_help();
	fuse_lowlevel_help();
}

static const char *last; /* word without a dash */

/* mount(8) says "ipcfs SOURCE MOUNTPOINT -o …": the last one without a dash is the mount point. */
static int keep_last(void *data, const char *arg, int key, struct fuse_args *out)
{
	if (key != FUSE_OPT_KEY_NONOPT)
		return 1;
	last = arg;
	return 0;
}

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "ipcfs: %s: %s\n", what, why);
	return 1;
}

static int parse_limits(struct options *o)
{
	uint64_t total = proc_memory_total();

	o->memory_limit = total / 4;
	o->object_limit = 1 << 20;
	o->message_limit = IPC_MESSAGE_MAX;
	o->new_framing = FRAMING_LINE;
	if (o->memory &&
	    (text_size(o->memory, total, &o->memory_limit) < 0 || o->memory_limit < 256 * 1024))
		return fail("memory", "must be a size of at least 256K");
	if (o->objects && (text_size(o->objects, 0, &o->object_limit) < 0 || !o->object_limit))
		return fail("objects", "must be a number of at least 1");
	if (o->message && (text_size(o->message, 0, &o->message_limit) < 0 || !o->message_limit ||
			   o->message_limit > IPC_MESSAGE_MAX))
		return fail("message", "must be a size of at most 1 MiB - 4096 bytes");
	if (o->framing && !strcmp(o->framing, "record"))
		o->new_framing = FRAMING_RECORD;
	else if (o->framing && strcmp(o->framing, "line"))
		return fail("framing", "must be line or record");
	if (o->take && !strcmp(o->take, "rw"))
		o->new_take = TAKE_RW;
	else if (o->take && strcmp(o->take, "any"))
		return fail("take", "must be any or rw");
	if (o->deadlock && !strcmp(o->deadlock, "error"))
		o->refuse_deadlocks = true;
	else if (o->deadlock && strcmp(o->deadlock, "wait"))
		return fail("deadlock", "must be wait or error");
	return 0;
}

/* The supervisor leaves this folder. */
static int find_state(struct options *o)
{
	char *cwd, *path;

	if (!o->state || *o->state == '/')
		return 0;
	if (!*o->state)
		return fail("state", "the name of the directory is missing");
	cwd = getcwd(NULL, 0);
	if (!cwd || asprintf(&path, "%s/%s", cwd, o->state) < 0) {
		free(cwd);
		return fail(o->state, "cannot be resolved: the current directory has no path");
	}
	free(cwd);
	free(o->state);
	o->state = path;
	return 0;
}

/* What is asked for beside mounting: its exit status, or OPTIONS_FINE. */
static int show(const struct fuse_cmdline_opts *opts, const char *name)
{
	if (opts->show_help) {
		usage(name);
		return 0;
	}
	if (opts->show_version) {
		printf("ipcfs version %s\n", IPCFS_VERSION);
		printf("FUSE library version %s\n", fuse_pkgversion());
		fuse_lowlevel_version();
		return 0;
	}
	return OPTIONS_FINE;
}

/* As the supervisor before this one had them: it may have been started in another folder. */
static void take_over(struct options *o, const struct worker_shared *resumed)
{
	free(o->mountpoint);
	free(o->state);
	o->mountpoint = strdup(resumed->mountpoint);
	o->state = strdup(resumed->state);
}

int options_parse(struct fuse_args *args, const struct worker_shared *resumed, struct options *o)
{
	const char *name = args->argv[0];
	struct fuse_cmdline_opts opts = { 0 };
	int r;

	if (fuse_opt_parse(args, o, option_table, keep_last) < 0 ||
	    (last && !resumed && fuse_opt_add_arg(args, last) < 0) ||
	    fuse_parse_cmdline(args, &opts) < 0)
		return 1;
	o->mountpoint = opts.mountpoint;
	o->debug = opts.debug;
	o->foreground = opts.foreground;
	r = show(&opts, name);
	if (r != OPTIONS_FINE)
		return r;
	if (resumed)
		take_over(o, resumed);
	if (!o->mountpoint) {
		fprintf(stderr, "usage: %s [options] MOUNTPOINT\n       %s --help\n", name, name);
		return 1;
	}
	if (parse_limits(o) || find_state(o) ||
	    fuse_opt_add_arg(args, "-osubtype=ipcfs,default_permissions") < 0 ||
	    fuse_opt_insert_arg(args, 1, "-ofsname=ipcfs") < 0)
		return 1;
	return OPTIONS_FINE;
}

void options_free(struct options *o)
{
	free(o->mountpoint);
}
