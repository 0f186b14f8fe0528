/* SPDX-License-Identifier: MIT */
/*
 * libipcfs against a real mount: IPCFS_MOUNT=DIR. With IPCFS_NO_DIRECT=1 the same through files.
 * lib -COMMAND is a client for tests/mount/test_lib.py.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib.h"

static const char *mount_dir;
static const char *test_name;

const char *path_of(const char *name)
{
	static __thread char path[4][512];
	static __thread unsigned int n;

	n = (n + 1) % 4;
	snprintf(path[n], sizeof(path[n]), "%s/%s", mount_dir, name);
	return path[n];
}

ipcfs_obj *make(const char *type)
{
	char name[128];
	ipcfs_obj *o;

	snprintf(name, sizeof(name), "%s-%d.%s", test_name, (int)getpid(), type);
	unlink(path_of(name));
	o = ipcfs_open(path_of(name), O_RDWR | O_CREAT, 0600);
	if (!o) {
		perror(path_of(name));
		exit(1);
	}
	if (ipcfs_is_direct(o) == !!getenv("IPCFS_NO_DIRECT")) {
		fprintf(stderr, "%s: is_direct is %d\n", name, ipcfs_is_direct(o));
		exit(1);
	}
	return o;
}

/* The kernel forgets the name of an inode that got a second writer, and calls it deleted then. */
void name_of(ipcfs_obj *o, char *path, size_t size)
{
	char link[40], *end;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", ipcfs_fd(o));
	n = readlink(link, path, size - 1);
	path[n > 0 ? n : 0] = 0;
	end = strstr(path, " (deleted)");
	if (end)
		*end = 0;
}

ipcfs_obj *again(ipcfs_obj *o, int oflags)
{
	char path[512];
	ipcfs_obj *p;

	name_of(o, path, sizeof(path));
	p = ipcfs_open(path, oflags, 0);
	if (!p) {
		perror(path);
		exit(1);
	}
	return p;
}

void setting(ipcfs_obj *o, const char *file, const char *value)
{
	char path[560];
	size_t n;
	int fd;

	name_of(o, path, 500);
	n = strlen(path);
	snprintf(path + n, sizeof(path) - n, ".ctl/%s", file);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, value, strlen(value)) < 0) {
		perror(path);
		exit(1);
	}
	close(fd);
}

void write_text(ipcfs_obj *o, const char *text)
{
	char path[512];
	int fd;

	name_of(o, path, sizeof(path));
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, text, strlen(text)) < 0) {
		perror(path);
		exit(1);
	}
	close(fd);
}

double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

void await_value(ipcfs_obj *o, int64_t n)
{
	double end = seconds() + patience(10);

	while (ipcfs_value(o) != n) {
		if (seconds() > end)
			FAIL("value is %lld, not %lld", (long long)ipcfs_value(o), (long long)n);
		usleep(500);
	}
}

void await_waiters(ipcfs_obj *o, int n)
{
	double end = seconds() + patience(10);
	char name[512], path[600], line[512];

	name_of(o, name, sizeof(name));
	snprintf(path, sizeof(path), "%s.ctl/waiters", name);
	for (;;) {
		FILE *f = fopen(path, "re");
		int found = 0;

		while (f && fgets(line, sizeof(line), f))
			found++;
		if (f)
			fclose(f);
		if (found >= n)
			return;
		if (seconds() > end)
			FAIL("%d waiters, not %d", found, n);
		usleep(500);
	}
}

pid_t in_child(void (*f)(ipcfs_obj *o), ipcfs_obj *o)
{
	pid_t pid = fork();

	if (pid == 0) {
		alarm((unsigned int)patience(30));
		f(o);
		_exit(0);
	}
	return pid;
}

void ends_well(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status)
		FAIL("child %d: status %x", (int)pid, status);
}

/* A mount, or a client's command. */
static int program(int argc, char **argv)
{
	if (argc > 1 && argv[1][0] == '-')
		return client(argc - 1, argv + 1);
	mount_dir = getenv("IPCFS_MOUNT");
	if (mount_dir)
		return -1;
	puts("IPCFS_MOUNT is not set: skipped");
	return EXIT_SKIPPED;
}

static void begin(const char *test)
{
	test_name = test;
}

const struct fixture fixture = { .program = program, .begin = begin, .limit = 40 };
