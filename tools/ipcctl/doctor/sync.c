// SPDX-License-Identifier: MIT
/* What the engine and the daemon ask of the kernel, tried out rather than looked up. */
#include "doctor/doctor.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "doctor/probe.h"

#define LIMIT (2 * NSEC_PER_SEC)

static long futex(uint32_t *word, int op, uint32_t value)
{
	const struct timespec limit = { .tv_sec = LIMIT / NSEC_PER_SEC };

	return syscall(SYS_futex, word, op, value, op == FUTEX_WAIT ? &limit : NULL, NULL, 0);
}

/* Can a process that sleeps on a word in shared memory be woken by another one? 0, or an errno. */
static int try_futex(uint32_t *word)
{
	int64_t end = now_ns() + LIMIT;
	long woken = 0;
	int status = -1;
	pid_t pid = fork();

	if (pid < 0)
		return errno;
	if (!pid)
		_exit(futex(word, FUTEX_WAIT, 0) < 0 ? errno : 0);
	/* It can be woken only once it sleeps; it may have ended for another reason. */
	while (!woken && waitpid(pid, &status, WNOHANG) == 0 && now_ns() < end) {
		woken = futex(word, FUTEX_WAKE, 1);
		if (woken < 0)
			break;
		sched_yield();
	}
	if (woken < 0)
		kill(pid, SIGKILL);
	if (status == -1)
		waitpid(pid, &status, 0);
	return woken > 0                                ? 0 :
	       WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) :
							  EINVAL;
}

static void check_futex(struct table *t)
{
	void *word = mmap(NULL, sizeof(uint32_t), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int r = word == MAP_FAILED ? errno : try_futex(word);

	if (r)
		finding(t, VERDICT_FAIL, "futex",
			str("does not work between processes (%s): programs "
			    "that attach directly could not wait",
			    strerror(r)),
			xstrdup("emulators and some sandboxes lack futex(2): run on a Linux kernel"));
	else
		finding(t, VERDICT_OK, "futex", xstrdup("wakes a sleeper in another process"),
			NULL);
	if (word != MAP_FAILED)
		munmap(word, sizeof(uint32_t));
}

static void check_memfd(struct table *t)
{
	int fd CLEANUP(close_fd) = memfd_create("ipcctl", MFD_CLOEXEC);
	int r = fd < 0 || ftruncate(fd, 4096) < 0 ? errno : 0;

	if (r)
		finding(t, VERDICT_FAIL, "memfd", str("%s: ipcfs cannot start", strerror(r)),
			xstrdup("a sandbox must allow memfd_create(2)"));
	else
		finding(t, VERDICT_OK, "memfd", xstrdup("survives the daemon's worker"), NULL);
}

static void check_pidfd(struct table *t)
{
	int fd CLEANUP(close_fd) = probe_pidfd_open(getpid());
	int r = fd < 0 ? -fd : syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) < 0 ? errno : 0;

	if (r)
		finding(t, VERDICT_WARN, "pidfd",
			str("%s: scope=process, ipcctl restart and recovery "
			    "from the supervisor's death do not work",
			    strerror(r)),
			xstrdup("use Linux 5.3 or newer; a sandbox must allow pidfd_open(2)"));
	else
		finding(t, VERDICT_OK, "pidfd", xstrdup("the end of a process is noticed"), NULL);
}

/* Process 1 exists, and may be another user's. */
static bool hides_processes(void)
{
	return (kill(1, 0) == 0 || errno == EPERM) && access("/proc/1/status", F_OK) < 0;
}

static void check_proc(struct table *t)
{
	if (access("/proc/self/status", R_OK) < 0)
		finding(t, VERDICT_FAIL, "/proc",
			str("%s: clients' process ids are unknown, and a "
			    "process that died inside an object is noticed late",
			    strerror(errno)),
			xstrdup("mount -t proc proc /proc (as root)"));
	else if (hides_processes())
		finding(t, VERDICT_WARN, "/proc",
			xstrdup("hides other users' processes: waiters and "
				"holders are shown without their commands"),
			xstrdup("mount /proc without hidepid=, or run ipcfs as root"));
	else
		finding(t, VERDICT_OK, "/proc", xstrdup("shows all processes"), NULL);
}

void doctor_sync(struct table *t)
{
	check_futex(t);
	check_memfd(t);
	check_pidfd(t);
	check_proc(t);
}
