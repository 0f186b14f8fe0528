/* SPDX-License-Identifier: MIT */
/* What /proc knows of a process. FUSE names threads; people want processes. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/proc.h"

static ssize_t read_proc(uint32_t pid, const char *file, char *buf, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/%s", pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n >= 0)
		buf[n] = 0;
	return n;
}

uint32_t proc_pid(uint32_t tid)
{
	char buf[512], *p;
	int fd;

	if (!tid)
		return 0;
	/* The cheap way first: only the thread that leads a process has a pidfd. */
	fd = (int)syscall(SYS_pidfd_open, tid, 0);
	if (fd >= 0) {
		close(fd);
		return tid;
	}
	if (read_proc(tid, "status", buf, sizeof(buf)) < 0 || !(p = strstr(buf, "\nTgid:")))
		return tid;
	return (uint32_t)strtoul(p + 6, NULL, 10);
}

/* Field n (from 3) of /proc/PID/stat; the name before it may contain anything. */
static uint64_t stat_field(uint32_t pid, unsigned int n)
{
	char buf[1024], *p;

	if (read_proc(pid, "stat", buf, sizeof(buf)) < 0 || !(p = strrchr(buf, ')')))
		return 0;
	for (p++; n > 3 && *p; n--)
		p = strchr(p + 1, ' ') ? strchr(p + 1, ' ') : p + strlen(p);
	return strtoull(p, NULL, 10);
}

#define PF_SIGNALED 0x400

bool proc_killed(uint32_t tid)
{
	/* exit_code is the last field: the low bits are the signal that ends it */
	return (stat_field(tid, 9) & PF_SIGNALED) && (stat_field(tid, 52) & 0x7f);
}

bool proc_memory(uint32_t tid)
{
	return stat_field(tid, 23) != 0;
}

#define SIGKILL_BIT (1ull << (SIGKILL - 1))

/* (Whatever signal ends a process without a core dump, the kernel sends SIGKILL to its threads.) */
bool proc_dying(uint32_t tid)
{
	char buf[4096], *p;

	if (read_proc(tid, "status", buf, sizeof(buf)) <= 0)
		return true;
	for (p = buf; (p = strstr(p, "Pnd:\t")); p += 5)
		if (strtoull(p + 5, NULL, 16) & SIGKILL_BIT)
			return true;
	return false;
}

char proc_state(uint32_t tid)
{
	char buf[1024], *p;

	if (read_proc(tid, "stat", buf, sizeof(buf)) < 0 || !(p = strrchr(buf, ')')) || !p[1])
		return 0;
	return p[2];
}

int proc_cpu(uint32_t tid)
{
	return (int)stat_field(tid, 39);
}

uint64_t proc_start(uint32_t pid)
{
	return stat_field(pid, 22);
}

uint32_t proc_uid(uint32_t pid)
{
	struct stat st;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%u", pid);
	return stat(path, &st) < 0 ? 0 : st.st_uid;
}

void proc_command(uint32_t pid, char *buf, size_t size)
{
	char raw_text[256];
	ssize_t n = read_proc(pid, "cmdline", raw_text, sizeof(raw_text));
	size_t out = 0;

	if (n <= 0)
		n = read_proc(pid, "comm", raw_text, sizeof(raw_text));
	for (ssize_t i = 0; i < n && out + 5 < size; i++) {
		unsigned char c = (unsigned char)raw_text[i];

		if (c == 0 || (c == '\n' && i + 1 == n))
			c = ' ';
		if (c < ' ' || c == '\\' || c == 127)
			out += (size_t)snprintf(buf + out, size - out, "\\%03o", c);
		else
			buf[out++] = (char)c;
	}
	while (out && buf[out - 1] == ' ')
		out--;
	buf[out] = 0;
}

uint64_t proc_memory_total(void)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- how it ended ---- */

struct pidfd_end { /* the kernel's struct pidfd_info, which most headers lack */
	uint64_t mask;
	uint64_t cgroup;
	uint32_t ids[11];
	int32_t exit_code;
};

#define PIDFD_END     (1u << 3) /* PIDFD_INFO_EXIT */
#define PIDFD_GET_END _IOWR(0xff, 11, struct pidfd_end)

_Static_assert(sizeof(struct pidfd_end) == 64, "as in its first version");

int proc_end(int pidfd)
{
	struct pidfd_end e = { .mask = PIDFD_END };

	if (ioctl(pidfd, PIDFD_GET_END, &e) < 0 || !(e.mask & PIDFD_END))
		return -1;
	return e.exit_code;
}

/* Of a child that exited with 1 and was reaped. */
bool proc_ends_are_told(void)
{
	int status, end = -1, fd;
	pid_t pid = fork();

	if (pid == 0)
		_exit(1);
	if (pid < 0)
		return false;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (waitpid(pid, &status, 0) == pid && fd >= 0)
		end = proc_end(fd);
	if (fd >= 0)
		close(fd);
	return end >= 0 && WIFEXITED(end) && WEXITSTATUS(end) == 1;
}
