/* SPDX-License-Identifier: MIT */
/*
 * The worker watches its supervisor: when that dies, nobody would start another worker, nor unmount. So
 * the worker starts another supervisor, which adopts it (resume.c).
 */
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "base/log.h"
#include "file/clock.h"
#include "process/guard.h"
#include "process/resume.h"
#include "state/fs.h"

static struct {
	const struct worker_shared *shared;
	int fuse_fd;
	int fd;      /* the supervisor's pidfd */
	pid_t child; /* if this worker started it */
	uint64_t born;
	unsigned int quick; /* how many died at once, one after the other */
} guard = { .fd = -1 };

void guard_begin(const struct worker_shared *sh, int fuse_fd, int supervisor)
{
	guard.shared = sh;
	guard.fuse_fd = fuse_fd;
	guard.fd = supervisor;
}

int guard_fd(void)
{
	return guard.fd;
}

/* Alternate: if the program on disk fails, try the one that is running. */
static pid_t start_another(void)
{
	int delay_ms = guard.quick > 7 ? 10000 : guard.quick ? 50 << guard.quick : 0;

	return resume_spawn(guard.shared, guard.fuse_fd, guard.quick % 2, delay_ms);
}

void guard_ended(void)
{
	pid_t pid;

	close(guard.fd);
	guard.fd = -1;
	if (guard.child)
		waitpid(guard.child, NULL, WNOHANG);
	guard.quick = guard.child && ipc_now() - guard.born < 1000000000 ? guard.quick + 1 : 0;
	pid = start_another();
	if (pid < 0) {
		log_line(LOG_ERR, "supervisor %d is gone, and cannot start another: %s",
			 fs.supervisor, strerror(-pid));
		return;
	}
	log_line(LOG_WARNING, "supervisor %d is gone; process %d takes its place", fs.supervisor,
		 pid);
	guard.child = pid;
	guard.born = ipc_now();
	fs.supervisor = pid;
	guard.fd = (int)syscall(SYS_pidfd_open, pid, 0);
}
