/* SPDX-License-Identifier: MIT */
/* ipcfs: mounting, going into the background. */
#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mounted.h"
#include "names/names.h"
#include "ops/dispatch.h"
#include "ops/observer.h"
#include "process/options.h"
#include "process/resume.h"
#include "process/shared.h"
#include "process/supervisor.h"
#include "process/unmount.h"
#include "process/warn.h"
#include "state/fs.h"
#include "state/state.h"
#include "state/store.h"
#include "wait/unfinished.h"

/* libfuse says some sentences in pieces. */
static void fuse_log_line(enum fuse_log_level level, const char *fmt, va_list ap)
{
	static char line[1024];
	size_t len = strlen(line);

	vsnprintf(line + len, sizeof(line) - len, fmt, ap);
	if (!strchr(line, '\n') && strlen(line) < sizeof(line) - 1)
		return;
	line[strcspn(line, "\n")] = 0;
	if (*line)
		log_line(level < FUSE_LOG_DEBUG ? (int)level : LOG_DEBUG, "%s", line);
	*line = 0;
}

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "ipcfs: %s: %s\n", what, why);
	return 1;
}

/*
 * A dead mount of ours is removed, but only once nothing else prevents the new one: until then it
 * keeps others from writing to the folder below.
 */
static int check_mountpoint(const char *path, bool may_be_dead)
{
	struct stat st;

	if (!may_be_dead && unmount_dead(path) < 0)
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

	if (state_open(&fs.opt, &why) < 0 || store_load(&observer, true, &why) < 0) {
		fprintf(stderr, "ipcfs: %s\n", why);
		return 1;
	}
	mount_body()->epoch++;
	/* Inode numbers of an earlier mount mean nothing to this one's kernel side. */
	names_forget_aliases(&fs.mount);
	mount_body()->memory = store_recount();
	store_unload();
	/* Inherited by supervisors that are started later. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	return 0;
}

/* The mount is made: go on in the background, and keep it served. The exit status. */
static int run(struct fuse_session *se, struct worker_shared *sh, struct resume *res)
{
	warn_timeouts();
	warn_logout();
	if (fuse_daemonize(fs.opt.foreground) < 0)
		return 1;
	if (!fs.opt.foreground)
		log_init(true);
	sh->started = ipc_now();
	res->fuse_fd = fuse_session_fd(se);
	res->state_fd = fs.state_fd;
	return supervise(se, sh, res);
}

static int mount_anew(struct fuse_session *se, struct resume *res)
{
	const char *path = fs.opt.mountpoint;
	dev_t dev;
	struct worker_shared *sh = resume_shared_new(&res->shared_fd);
	int r;

	if (!sh || unfinished_init() < 0 || begin() || check_mountpoint(path, false))
		return 1;
	snprintf(sh->mountpoint, sizeof(sh->mountpoint), "%s", path);
	snprintf(sh->state, sizeof(sh->state), "%s", fs.opt.state);
	warn_hidden(path);
	if (fuse_session_mount(se, path) < 0)
		return 1;
	if (mount_is_ours(path, &dev))
		sh->connection = minor(dev);
	r = run(se, sh, res);
	fuse_session_unmount(se);
	return r;
}

/* A new supervisor for a running mount must not end a worker that it cannot replace. */
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

static int go_on(struct fuse_session *se, struct worker_shared *sh, struct resume *res)
{
	int r;

	if (!fs.opt.foreground)
		log_init(true);
	take_over(res);
	r = supervise(se, sh, res);
	unmount_inherited(res->fuse_fd, fs.opt.mountpoint);
	return r;
}

static int serve(struct fuse_args *args, struct worker_shared *sh, struct resume *res)
{
	struct fuse_session *se;
	int r;

	/* (If the mount is running already, looking at its path could block: it may have no worker.) */
	if (!sh && check_mountpoint(fs.opt.mountpoint, true))
		return 1;
	se = fuse_session_new(args, &fuse_ops, sizeof(fuse_ops), NULL);
	if (!se)
		return 1;
	r = sh ? go_on(se, sh, res) : mount_anew(se, res);
	fuse_session_destroy(se);
	return r;
}

int main(int argc, char **argv)
{
	struct resume res = { .fuse_fd = -1, .state_fd = -1, .worker_fd = -1 };
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	struct worker_shared *sh = NULL;
	int r;

	fuse_set_log_func(fuse_log_line);
	resume_init(argv);
	if (resume_take(&res, &sh) < 0) {
		log_line(LOG_ERR, "cannot take over the mount from another version of ipcfs");
		return 1;
	}
	log_init(false);
	r = options_parse(&args, sh, &fs.opt);
	if (r == OPTIONS_FINE)
		r = serve(&args, sh, &res);
	state_close();
	options_free(&fs.opt);
	fuse_opt_free_args(&args);
	return r;
}
