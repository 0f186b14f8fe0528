/* SPDX-License-Identifier: MIT */
/* Preloaded into ipcctl doctor: a machine that lacks what the variable LACK names. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static bool lacks(const char *what)
{
	const char *lack = getenv("LACK");

	if (!lack || strcmp(lack, what))
		return false;
	errno = ENOSYS;
	return true;
}

long syscall(long number, ...)
{
	long (*real)(long, ...) = dlsym(RTLD_NEXT, "syscall");
	long a[6];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if ((number == SYS_futex && lacks("futex")) || (number == SYS_pidfd_open && lacks("pidfd")))
		return -1;
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int memfd_create(const char *name, unsigned int flags)
{
	int (*real)(const char *, unsigned int) = dlsym(RTLD_NEXT, "memfd_create");

	return lacks("memfd") ? -1 : real(name, flags);
}

static int allocate(const char *symbol, int fd, int mode, off_t off, off_t len)
{
	int (*real)(int, int, off_t, off_t) = dlsym(RTLD_NEXT, symbol);

	return lacks(mode ? "holes" : "fallocate") ? -1 : real(fd, mode, off, len);
}

int fallocate64(int fd, int mode, off_t off, off_t len);
int fallocate64(int fd, int mode, off_t off, off_t len)
{
	return allocate("fallocate64", fd, mode, off, len);
}

int fallocate(int fd, int mode, off_t off, off_t len);
int fallocate(int fd, int mode, off_t off, off_t len)
{
	return allocate("fallocate", fd, mode, off, len);
}

int pthread_mutexattr_setrobust(pthread_mutexattr_t *attr, int robustness)
{
	int (*real)(pthread_mutexattr_t *, int) = dlsym(RTLD_NEXT, "pthread_mutexattr_setrobust");

	return lacks("robust mutexes") ? ENOTSUP : real(attr, robustness);
}
