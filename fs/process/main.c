/* SPDX-License-Identifier: MIT */
/* ipcfs: options, mounting, going into the background. */
#include <dirent.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <limits.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "base/proc.h"
#include "file/statedir.h"
#include "ops/observer.h"
#include "ops/dispatch.h"
#include "base/logind.h"
#include "state/state.h"
#include "object/text.h"
#include "object/type.h"
#include "process/worker.h"
#include "wait/unfinished.h"

struct fs fs = { .lock = PTHREAD_MUTEX_INITIALIZER, .state_fd = -1, .objects_fd = -1 };

#define OPT(text, field)                                 \
	{                                                \
		text, offsetof(struct options, field), 0 \
	}

enum { KEY_KEEP = 100 };

static const struct fuse_opt option_table[] = {
	OPT("state=%s", state),
	OPT("memory=%s", memory),
	OPT("objects=%s", objects),
	OPT("message=%s", message),
	OPT("framing=%s", framing),
	OPT("take=%s", take),
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
	       "    -o take=any|rw         rw: read-only handles of new objects only look (default: any)\n\n"
	       "FUSE options:\n",
	       name, IPC_MESSAGE_MAX);
	fuse_cmdline_help();
	fuse_lowlevel_help();
}

/* mount(8) says "ipcfs SOURCE MOUNTPOINT -o …": the last one without a dash is the mount point. */
static int keep_last(void *data, const char *arg, int key, struct fuse_args *out)
{
	if (key != FUSE_OPT_KEY_NONOPT)
		return 1;
	fs.mountpoint = arg;
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

/* A line for each sysctl that would end long waits. */
static void warn_timeouts(void)
{
	static const char *const names[] = { "default_request_timeout", "max_request_timeout" };

	for (int i = 0; i < 2; i++) {
		char path[80], buf[32] = "0";
		int fd;

		snprintf(path, sizeof(path), "/proc/sys/fs/fuse/%s", names[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (read(fd, buf, sizeof(buf) - 1) > 0 && strtoul(buf, NULL, 10))
			log_line(LOG_WARNING,
				 "fs.fuse.%s is %lu s: the kernel will abort this mount "
				 "if a process waits longer",
				 names[i], strtoul(buf, NULL, 10));
		close(fd);
	}
}

/* What was there is out of reach as long as the mount lives: mostly somebody was too early. */
static void say_what_is_hidden(const char *mountpoint)
{
	struct dirent *e;
	DIR *dir = opendir(mountpoint);

	if (!dir)
		return;
	while ((e = readdir(dir)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) {
			log_line(
				LOG_WARNING,
				"%s is not empty: its files (such as %s) are hidden while ipcfs is "
				"mounted over them",
				mountpoint, e->d_name);
			break;
		}
	closedir(dir);
}

/* A line if the objects will not outlive this user's last session. */
static void warn_logout(void)
{
	const struct passwd *pw = getpwuid(geteuid());
	struct stat st, shm;

	if (fstat(fs.state_fd, &st) < 0 || stat(STATE_SHM, &shm) < 0 || st.st_dev != shm.st_dev ||
	    !logind_removes("", geteuid(), pw ? pw->pw_name : NULL))
		return;
	log_line(LOG_WARNING,
		 "%s: systemd-logind will remove this state directory at your last logout; "
		 "see RemoveIPC in ipcfs(1), or run: loginctl enable-linger",
		 fs.opt.state);
}

/*
 * A dead mount of ours is taken away, but only when nothing else speaks against the new one: till
 * then it keeps others from writing into the folder below.
 */
static int check_mountpoint(const char *path, bool may_be_dead)
{
	struct stat st;

	if (!may_be_dead && resume_clear_dead(path) < 0)
		return fail(path, "a dead mount is in the way and cannot be removed");
	if (stat(path, &st) < 0)
		return may_be_dead && errno == ENOTCONN ? 0 : fail(path, strerror(errno));
	return S_ISDIR(st.st_mode) ? 0 : fail(path, strerror(ENOTDIR));
}

/* A mount begins: handles of the last one are dead, and memory is counted anew. */
static int begin(void)
{
	const char *why = "";
	struct rlimit files;

	if (state_open(&fs.opt, fs.mountpoint, &why) < 0 || store_load(&observer, &why) < 0) {
		fprintf(stderr, "ipcfs: %s\n", why);
		return 1;
	}
	mount_body()->epoch++;
	/* Inode numbers of an earlier mount mean nothing to this one's kernel side. */
	names_forget_aliases(&fs.mount);
	mount_body()->memory = store_recount();
	store_unload();
	/* Those that a supervisor starts later have it from this one. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	return 0;
}

/* A new supervisor of a mount that goes on. It must not end a worker that it cannot replace. */
static void take_over(struct resume *r)
{
	const char *why = "";
	struct ipc_obj m;
	int fd, e;

	fs.state_fd = r->state_fd;
	if (!r->restart)
		return;
	fd = state_open_files(&why);
	e = fd < 0 ? fd : ipc_map(&fs.mount_env, fd, &m);
	if (fd >= 0)
		close(fd);
	if (fd >= 0 && e < 0)
		state_refuse_mount_file(e, NULL, &why);
	if (e == 0) {
		obj_unmap(&m);
		return;
	}
	log_line(LOG_ERR, "%s; worker %d keeps running", why, r->worker);
	r->restart = false;
}

int main(int argc, char **argv)
{
	struct resume res = { .fuse_fd = -1, .state_fd = -1, .worker_fd = -1 };
	int resumed;
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	struct fuse_cmdline_opts opts = { 0 };
	struct worker_shared *sh;
	struct fuse_session *se = NULL;
	int r = 1;

	resume_init(argv);
	resumed = resume_take(&res, &sh);
	if (resumed < 0) {
		log_line(LOG_ERR, "cannot take over the mount from another version of ipcfs");
		return 1;
	}
	if (fuse_opt_parse(&args, &fs.opt, option_table, keep_last) < 0 ||
	    (fs.mountpoint && !resumed && fuse_opt_add_arg(&args, fs.mountpoint) < 0) ||
	    fuse_parse_cmdline(&args, &opts) < 0)
		goto out;
	if (opts.show_help) {
		usage(argv[0]);
		r = 0;
		goto out;
	}
	if (opts.show_version) {
		printf("ipcfs version %s\n", IPCFS_VERSION);
		printf("FUSE library version %s\n", fuse_pkgversion());
		fuse_lowlevel_version();
		r = 0;
		goto out;
	}
	if (resumed) /* looking at the path might ask a worker that there is not */
		opts.mountpoint = strdup(sh->mountpoint);
	if (!opts.mountpoint) {
		fprintf(stderr, "usage: %s [options] MOUNTPOINT\n       %s --help\n", argv[0],
			argv[0]);
		goto out;
	}
	if (!resumed && check_mountpoint(opts.mountpoint, true))
		goto out;
	log_init(false);
	fs.mountpoint = opts.mountpoint;
	fs.opt.debug = opts.debug;
	fs.opt.foreground = opts.foreground;
	if (parse_limits(&fs.opt))
		goto out;
	if (resumed) {
		free(fs.opt.state);
		fs.opt.state = strdup(sh->state);
	}
	if (find_state(&fs.opt))
		goto out;
	if (fuse_opt_add_arg(&args, "-osubtype=ipcfs,default_permissions") < 0 ||
	    fuse_opt_insert_arg(&args, 1, "-ofsname=ipcfs") < 0)
		goto out;
	se = fuse_session_new(&args, &fuse_ops, sizeof(fuse_ops), NULL);
	if (!se)
		goto out;
	if (resumed) {
		if (!opts.foreground)
			log_init(true);
		take_over(&res);
		r = supervise(se, sh, &res);
		resume_unmount(res.fuse_fd, opts.mountpoint);
		goto out;
	}
	sh = resume_shared_new(&res.shared_fd);
	if (!sh || unfinished_init() < 0 || begin() || check_mountpoint(opts.mountpoint, false))
		goto out;
	snprintf(sh->mountpoint, sizeof(sh->mountpoint), "%s", opts.mountpoint);
	snprintf(sh->state, sizeof(sh->state), "%s", fs.opt.state);
	say_what_is_hidden(opts.mountpoint);
	if (fuse_session_mount(se, opts.mountpoint) < 0)
		goto out;
	warn_timeouts();
	warn_logout();
	if (fuse_daemonize(opts.foreground) < 0)
		goto unmount;
	if (!opts.foreground)
		log_init(true);
	sh->started = ipc_now();
	res.fuse_fd = fuse_session_fd(se);
	res.state_fd = fs.state_fd;
	r = supervise(se, sh, &res);
unmount:
	fuse_session_unmount(se);
out:
	if (se)
		fuse_session_destroy(se);
	state_close();
	free(opts.mountpoint);
	fuse_opt_free_args(&args);
	return r;
}
