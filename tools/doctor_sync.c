// SPDX-License-Identifier: MIT
/* What the engine's crash safety stands on, tried out rather than looked up. */
#include "doctor.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "probe.h"

static int init_robust(pthread_mutex_t *m)
{
	pthread_mutexattr_t attr;
	int r = pthread_mutexattr_init(&attr);

	if (r)
		return r;
	r = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	if (!r)
		r = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	if (!r)
		r = pthread_mutex_init(m, &attr);
	pthread_mutexattr_destroy(&attr);
	return r;
}

/* A process that dies with the mutex: does the next one hear of it? An errno, 0 if so. */
static int try_robust(pthread_mutex_t *m)
{
	int r = init_robust(m);
	pid_t pid;

	if (r)
		return r;
	pid = fork();
	if (pid < 0)
		return errno;
	if (!pid)
		_exit(pthread_mutex_lock(m) != 0);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	r = pthread_mutex_trylock(m);
	return r == EOWNERDEAD ? 0 : r ? r : EINVAL;
}

static void check_robust(struct table *t)
{
	void *m = mmap(NULL, sizeof(pthread_mutex_t), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int r = m == MAP_FAILED ? errno : try_robust(m);

	if (r)
		finding(t, VERDICT_FAIL, "robust mutexes", str("do not work (%s): a process that "
			"dies inside an object would block it", strerror(r)),
			xstrdup("emulators and some sandboxes lack set_robust_list(2): run on a "
				"Linux kernel"));
	else
		finding(t, VERDICT_OK, "robust mutexes", xstrdup("a dead owner is noticed"), NULL);
	if (m != MAP_FAILED)
		munmap(m, sizeof(pthread_mutex_t));
}

static void check_pidfd(struct table *t)
{
	int fd CLEANUP(close_fd) = probe_pidfd_open(getpid());

	if (fd < 0)
		finding(t, VERDICT_WARN, "pidfd", str("%s: scope=process and ipcctl restart do "
			"not work", strerror(-fd)),
			xstrdup("use Linux 5.3 or newer; a sandbox must allow pidfd_open(2)"));
	else
		finding(t, VERDICT_OK, "pidfd", xstrdup("the end of a process is noticed"), NULL);
}

void doctor_sync(struct table *t)
{
	check_robust(t);
	check_pidfd(t);
}
