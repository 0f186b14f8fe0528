/* SPDX-License-Identifier: MIT */
#include "base/census.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"

#ifndef AT_HANDLE_FID
#define AT_HANDLE_FID 0x200
#endif
#define PF_KTHREAD 0x00200000u

struct census_mount {
	int id;
	bool ours;
};

static ssize_t read_at(int dir, const char *path, char *buf, size_t size)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (fd >= 0)
		close(fd);
	buf[n < 0 ? 0 : n] = 0;
	return n;
}

/* ---- processes ---- */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* false: it is gone, or a kernel thread. */
static bool read_process(int dir, struct census_process *p)
{
	unsigned long long start;
	unsigned int flags;
	struct stat st;
	char buf[1024], *s;

	if (read_at(dir, "stat", buf, sizeof(buf)) <= 0 || !(s = strrchr(buf, ')')) ||
	    sscanf(s + 1,
		   " %c %u %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %u %*d %llu",
		   &p->state, &p->parent, &flags, &p->threads, &start) != 5)
		return false;
	p->start = start * (1000000000 / (uint64_t)sysconf(_SC_CLK_TCK));
	p->uid = fstat(dir, &st) == 0 ? st.st_uid : 0;
	return !(flags & PF_KTHREAD);
}

/* ---- waiting for a child ---- */

/*
 * Does the thread sleep until a child ends? *ret: which one; 0: whichever. Where the kernel does not
 * tell which (that takes the right to trace it), any.
 */
static bool waits_for_child(int task, const char *tid, uint32_t *ret)
{
	unsigned long long call, first, second;
	char path[64], buf[256];

	*ret = 0;
	snprintf(path, sizeof(path), "%.16s/syscall", tid);
	if (read_at(task, path, buf, sizeof(buf)) > 0 &&
	    sscanf(buf, "%llu %llx %llx", &call, &first, &second) == 3) {
		if (call == SYS_wait4 && (int32_t)first > 0)
			*ret = (uint32_t)first;
		if (call == SYS_waitid && first == P_PID)
			*ret = (uint32_t)second;
		return call == SYS_wait4 || call == SYS_waitid;
	}
	snprintf(path, sizeof(path), "%.16s/wchan", tid);
	return read_at(task, path, buf, sizeof(buf)) > 0 && strcmp(buf, "do_wait") == 0;
}

uint32_t census_waits_for_child(uint32_t pid, uint32_t *ret_child)
{
	struct dirent *e;
	char path[32];
	uint32_t n = 0, child;
	DIR *task;

	*ret_child = 0;
	snprintf(path, sizeof(path), "/proc/%u/task", pid);
	task = opendir(path);
	while (task && (e = readdir(task)))
		if (isdigit((unsigned char)e->d_name[0]) &&
		    waits_for_child(dirfd(task), e->d_name, &child)) {
			*ret_child = n++ ? 0 : child;
		}
	if (task)
		closedir(task);
	return n;
}

/* ---- pipes ---- */

/* The number of the pipe that a descriptor is; 0: it is none. */
static uint64_t pipe_of(int dir, const char *path)
{
	char link[64];
	ssize_t n = readlinkat(dir, path, link, sizeof(link) - 1);

	link[n < 0 ? 0 : n] = 0;
	return strncmp(link, "pipe:[", 6) == 0 ? strtoull(link + 6, NULL, 10) : 0;
}

bool census_reads_pipe(uint32_t pid, uint64_t *ret_pipe)
{
	unsigned long long call, fd;
	char path[64], buf[256];

	snprintf(path, sizeof(path), "/proc/%u/syscall", pid);
	if (read_at(AT_FDCWD, path, buf, sizeof(buf)) <= 0 ||
	    sscanf(buf, "%llu %llx", &call, &fd) != 2 || call != SYS_read)
		return false;
	snprintf(path, sizeof(path), "/proc/%u/fd/%llu", pid, fd);
	*ret_pipe = pipe_of(AT_FDCWD, path);
	return *ret_pipe != 0;
}

static bool is_for_writing(int dir, const char *fd)
{
	char path[32], info[1024];
	const char *flags;

	snprintf(path, sizeof(path), "../fdinfo/%.16s", fd);
	if (read_at(dir, path, info, sizeof(info)) <= 0)
		return true;
	flags = strstr(info, "\nflags:");
	return !flags || (strtoul(flags + 7, NULL, 8) & O_ACCMODE) != O_RDONLY;
}

bool census_writes_pipe(uint32_t pid, uint64_t pipe)
{
	struct dirent *e;
	bool found = false;
	char path[32];
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%u/fd", pid);
	fds = opendir(path);
	while (fds && !found && (e = readdir(fds)))
		found = isdigit((unsigned char)e->d_name[0]) &&
			pipe_of(dirfd(fds), e->d_name) == pipe &&
			is_for_writing(dirfd(fds), e->d_name);
	if (fds)
		closedir(fds);
	return found;
}

/* ---- their files ---- */

/* Of a mount that the process sees: is it one of this filesystem? */
static bool mount_is_of(const struct census *c, int dir, int id)
{
	int fd = openat(dir, "mountinfo", O_RDONLY | O_CLOEXEC), this;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	unsigned int major, minor;
	bool ours = false;
	char *line = NULL;
	size_t size = 0;

	if (!f && fd >= 0)
		close(fd);
	while (f && getline(&line, &size, f) > 0)
		if (sscanf(line, "%d %*d %u:%u", &this, &major, &minor) == 3 && this == id)
			ours = makedev(major, minor) == c->dev;
	free(line);
	if (f)
		fclose(f);
	return ours;
}

static bool is_ours(struct census *c, int dir, int id)
{
	for (size_t i = 0; i < c->n_mounts; i++)
		if (c->mounts[i].id == id)
			return c->mounts[i].ours;
	MORE(c->mounts, c->n_mounts);
	c->mounts[c->n_mounts - 1] = (struct census_mount){ id, mount_is_of(c, dir, id) };
	return c->mounts[c->n_mounts - 1].ours;
}

/*
 * As the kernel calls the inode when it asks the daemon. It is part of the handle that is made for
 * NFS servers; the daemon is not asked for it.
 */
static uint64_t nodeid_of(int dir, const char *path)
{
	struct {
		struct file_handle h;
		uint32_t words[MAX_HANDLE_SZ / 4];
	} f = { .h.handle_bytes = MAX_HANDLE_SZ };
	int id;

	if (name_to_handle_at(dir, path, &f.h, &id, AT_SYMLINK_FOLLOW | AT_HANDLE_FID) < 0 &&
	    (errno != EINVAL ||
	     name_to_handle_at(dir, path, &f.h, &id, AT_SYMLINK_FOLLOW) < 0)) /* before 6.5 */
		return 0;
	return f.h.handle_bytes < 8 ? 0 : (uint64_t)f.words[0] << 32 | f.words[1];
}

static const char *field(const char *text, const char *key)
{
	const char *s = strstr(text, key);

	return s ? s + strlen(key) : NULL;
}

/* Most descriptors lead to no file: sockets, pipes, devices. */
static bool may_be_file(const char *link)
{
	return *link == '/' && strncmp(link, "/dev/", 5) != 0 && strncmp(link, "/memfd:", 7) != 0;
}

/* false: it is not for this user to see. */
static bool look_at_file(struct census *c, uint32_t pid, int dir, const char *fd)
{
	char path[32], link[16], info[1024];
	const char *mount, *flags, *ino;
	ssize_t n;

	snprintf(path, sizeof(path), "fd/%.16s", fd);
	n = readlinkat(dir, path, link, sizeof(link) - 1);
	link[n < 0 ? 0 : n] = 0;
	if (n < 0 || !may_be_file(link))
		return n >= 0 || (errno != EACCES && errno != EPERM);
	snprintf(path, sizeof(path), "fdinfo/%.16s", fd);
	if (read_at(dir, path, info, sizeof(info)) <= 0)
		return errno != EACCES && errno != EPERM;
	mount = field(info, "\nmnt_id:");
	flags = field(info, "\nflags:");
	ino = field(info, "\nino:");
	if (!mount || !flags || !is_ours(c, dir, (int)strtol(mount, NULL, 10)))
		return true;
	snprintf(path, sizeof(path), "fd/%.16s", fd);
	MORE(c->files, c->n_files);
	c->files[c->n_files - 1] = (struct census_file){
		.pid = pid,
		.fd = atoi(fd),
		.nodeid = nodeid_of(dir, path),
		.ino = ino ? strtoull(ino, NULL, 10) : 0,
		.flags = (uint32_t)strtoul(flags, NULL, 8),
	};
	return true;
}

static bool look_at_files(struct census *c, uint32_t pid, int dir)
{
	int fd = openat(dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *fds = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	bool seen = true;

	if (!fds) {
		if (fd >= 0)
			close(fd);
		return errno != EACCES && errno != EPERM; /* (or it is gone) */
	}
	while (seen && (e = readdir(fds)))
		if (isdigit((unsigned char)e->d_name[0]))
			seen = look_at_file(c, pid, dir, e->d_name);
	closedir(fds);
	return seen;
}

static void look_at(struct census *c, int proc, const char *name)
{
	int dir = openat(proc, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct census_process p = { .pid = (uint32_t)strtoul(name, NULL, 10) };

	if (dir < 0)
		return;
	if (read_process(dir, &p)) {
		p.closed = !look_at_files(c, p.pid, dir);
		MORE(c->processes, c->n_processes);
		c->processes[c->n_processes - 1] = p;
	}
	close(dir);
}

static int by_pid(const void *a, const void *b)
{
	const struct census_process *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

static void sort(struct census *c)
{
	if (c->n_processes)
		qsort(c->processes, c->n_processes, sizeof(*c->processes), by_pid);
}

void census_begin(struct census *c, dev_t dev)
{
	*c = (struct census){
		.dev = dev,
		.slept = clock_ns(CLOCK_BOOTTIME) - clock_ns(CLOCK_MONOTONIC),
	};
}

void census_one(struct census *c, uint32_t pid)
{
	char name[16];
	int proc;

	if (census_find(c, pid))
		return;
	proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	snprintf(name, sizeof(name), "%u", pid);
	if (proc >= 0) {
		look_at(c, proc, name);
		close(proc);
	}
	sort(c);
}

void census_all(struct census *c)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;

	c->n_processes = c->n_files = 0;
	free(c->processes);
	free(c->files);
	c->processes = NULL;
	c->files = NULL;
	if (!proc)
		return;
	while ((e = readdir(proc)))
		if (isdigit((unsigned char)e->d_name[0]))
			look_at(c, dirfd(proc), e->d_name);
	closedir(proc);
	sort(c);
}

void census_free(struct census *c)
{
	free(c->processes);
	free(c->files);
	free(c->mounts);
	*c = (struct census){ 0 };
}

const struct census_process *census_find(const struct census *c, uint32_t pid)
{
	const struct census_process key = { .pid = pid };

	if (!c->n_processes)
		return NULL;
	return bsearch(&key, c->processes, c->n_processes, sizeof(key), by_pid);
}

const struct census_process *census_find_since(const struct census *c, uint32_t pid, uint64_t when)
{
	const struct census_process *p = census_find(c, pid);

	return p && p->start <= when + c->slept ? p : NULL;
}

bool census_first_look(struct census *c, uint32_t pid)
{
	const struct census_process *found = census_find(c, pid);
	struct census_process *p = found ? c->processes + (found - c->processes) : NULL;
	bool first = p && !p->looked_at;

	if (first)
		p->looked_at = true;
	return first;
}

static long compare(const struct census_file *a, const struct census_file *b)
{
	if (a->pid == b->pid && a->fd == b->fd)
		return 0;
	return syscall(SYS_kcmp, a->pid, b->pid, KCMP_FILE, a->fd, b->fd);
}

bool census_same(const struct census_file *a, const struct census_file *b)
{
	return compare(a, b) <= 0;
}

int census_order(const struct census_file *a, const struct census_file *b)
{
	long r = compare(a, b);

	return r == 1 ? -1 : r == 2;
}
