/* SPDX-License-Identifier: MIT */
/*
 * One supervisor follows another: because of SIGHUP, when it executes the program on disk, or
 * because it died, when its worker starts a new one.
 *
 * In both cases, what continues is handed over as open descriptors, named in IPCFS_RESUME: /dev/fuse
 * (the mount itself), the shared memory, the state directory with its lock, a pidfd of the worker,
 * which serves on meanwhile, and the sockets of unfinished.c. So a program on disk that cannot even
 * start costs nothing: the worker sees its supervisor end and starts another one.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "process/resume.h"
#include "process/shared.h"
#include "state/fs.h"
#include "wait/unfinished.h"

#define VARIABLE "IPCFS_RESUME"

extern char **environ;
static char **saved_argv;
static int shared_fd = -1;

void resume_init(char **argv)
{
	saved_argv = argv;
}

/* The path by which this program was started: an upgrade may replace a symbolic link in it. */
static void find_program(char *ret, size_t size)
{
	const char *name = saved_argv[0], *path = getenv("PATH");
	char cwd[2048], real[2048];
	ssize_t n;

	if (*name == '/') {
		snprintf(ret, size, "%s", name);
	} else if (strchr(name, '/')) {
		if (getcwd(cwd, sizeof(cwd)))
			snprintf(ret, size, "%s/%.2000s", cwd, name);
	} else {
		for (const char *end; path && *path && !*ret; path = *end ? end + 1 : end) {
			end = strchrnul(path, ':');
			snprintf(ret, size, "%.*s/%s", (int)(end - path), path, name);
			if (*ret != '/' || access(ret, X_OK) < 0)
				*ret = 0;
		}
	}
	if (access(ret, X_OK) == 0)
		return;
	n = readlink("/proc/self/exe", real, sizeof(real) - 1);
	snprintf(ret, size, "%.*s", n > 0 ? (int)n : 0, real);
}

struct worker_shared *resume_shared_new(int *ret_fd)
{
	struct worker_shared *sh;

	shared_fd = memfd_create("ipcfs", MFD_CLOEXEC);
	if (shared_fd < 0 || ftruncate(shared_fd, sizeof(*sh)) < 0)
		return NULL;
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED, shared_fd, 0);
	if (sh == MAP_FAILED)
		return NULL;
	sh->size = sizeof(*sh);
	find_program(sh->exe, sizeof(sh->exe));
	*ret_fd = shared_fd;
	return sh;
}

/* What is handed over. Async-signal-safe: it runs in a child of a process with threads. */
static bool keep_open(const struct resume *r, int flags)
{
	int fds[] = { r->fuse_fd,   r->shared_fd,      r->state_fd,
		      r->worker_fd, unfinished_fds[0], unfinished_fds[1] };
	bool all = true;

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		all &= fcntl(fds[i], F_SETFD, flags) == 0;
	return all;
}

int resume_take(struct resume *r, struct worker_shared **ret_shared)
{
	const char *s = getenv(VARIABLE);
	int worker, restart, n;
	struct stat st;

	if (!s)
		return 0;
	n = sscanf(s, "%d,%d,%d,%d,%d,%d,%d,%d", &r->fuse_fd, &r->shared_fd, &r->state_fd,
		   &r->worker_fd, &worker, &restart, &unfinished_fds[0], &unfinished_fds[1]);
	if (n < 6 || (n < 8 && unfinished_init() < 0)) /* 6: an older version's */
		return -1;
	unsetenv(VARIABLE);
	r->worker = worker;
	r->restart = restart;
	if (!keep_open(r, FD_CLOEXEC))
		return -1;
	/* Another version may lay this memory out differently. */
	if (fstat(r->shared_fd, &st) < 0 || st.st_size != sizeof(**ret_shared))
		return -1;
	*ret_shared = mmap(NULL, sizeof(**ret_shared), PROT_READ | PROT_WRITE, MAP_SHARED,
			   r->shared_fd, 0);
	if (*ret_shared == MAP_FAILED || (*ret_shared)->size != sizeof(**ret_shared))
		return -1;
	shared_fd = r->shared_fd;
	return 1;
}

/* The environment with our variable; before a fork, for it allocates. */
static char **environment(const struct resume *r)
{
	size_t n = 0;
	char **env, *mine;

	while (environ[n])
		n++;
	env = malloc((n + 2) * sizeof(*env));
	if (!env || asprintf(&mine, VARIABLE "=%d,%d,%d,%d,%d,%d,%d,%d", r->fuse_fd, r->shared_fd,
			     r->state_fd, r->worker_fd, (int)r->worker, r->restart,
			     unfinished_fds[0], unfinished_fds[1]) < 0) {
		free(env);
		return NULL;
	}
	memcpy(env, environ, n * sizeof(*env));
	env[n] = mine;
	env[n + 1] = NULL;
	return env;
}

static void free_environment(char **env)
{
	size_t n = 0;

	while (env && env[n + 1])
		n++;
	if (env)
		free(env[n]);
	free(env);
}

int resume_exec(const struct worker_shared *sh, const struct resume *r)
{
	char **env = environment(r);
	int e;

	if (!env)
		return -ENOMEM;
	keep_open(r, 0);
	execve(sh->exe, saved_argv, env);
	e = -errno;
	keep_open(r, FD_CLOEXEC);
	free_environment(env);
	return e;
}

static sigset_t signals_of_supervisor(void)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	return mask;
}

pid_t resume_spawn(const struct worker_shared *sh, int fuse_fd, bool same_program, int delay_ms)
{
	struct resume r = { .fuse_fd = fuse_fd,
			    .shared_fd = shared_fd,
			    .state_fd = fs.state_fd,
			    .worker = getpid() };
	const char *program = same_program ? "/proc/self/exe" : sh->exe;
	char **env;
	sigset_t mask = signals_of_supervisor();
	pid_t pid;

	if (shared_fd < 0)
		return -ENOSYS;
	r.worker_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (r.worker_fd < 0)
		return -errno;
	env = environment(&r);
	if (!env) {
		close(r.worker_fd);
		return -ENOMEM;
	}
	pid = fork();
	if (pid == 0) {
		/* Signals that arrive before it is ready stay pending. */
		sigprocmask(SIG_SETMASK, &mask, NULL);
		poll(NULL, 0, delay_ms);
		keep_open(&r, 0);
		execve(program, saved_argv, env);
		_exit(127);
	}
	close(r.worker_fd);
	free_environment(env);
	return pid < 0 ? -errno : pid;
}
