/* SPDX-License-Identifier: MIT */
/* The daemon refuses memory, and somebody else takes the object's lock meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "format/format.h"
#include "../../core/client/lib.h"
#include "lib.h"

static uint32_t *lock_word; /* of the object whose growth is refused; NULL: none */

/* The library's too, for it calls what the program has. */
int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (lock_word && request == LIB_IOC_GROW) {
		__atomic_store_n(lock_word, (uint32_t)getppid(), __ATOMIC_RELEASE);
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_ioctl, fd, request, arg);
}

static struct ipc_header *engine_of(ipcfs_obj *o)
{
	char path[600], file[1024];
	struct ipc_header *h;
	ssize_t n;
	int fd;

	name_of(o, path, sizeof(path));
	strcat(path, ".ctl/shm");
	n = readlink(path, file, sizeof(file) - 1);
	if (n < 0)
		FAIL("%s: %s", path, strerror(errno));
	file[n] = 0;
	fd = open(file, O_RDWR | O_CLOEXEC);
	h = mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || h == MAP_FAILED)
		FAIL("%s: %s", file, strerror(errno));
	close(fd);
	return h;
}

/* Whoever has asked for memory in vain gives no lock back: it has done so before. */
TEST(grow_refused)
{
	ipcfs_obj *q = make("queue");
	static char large[200000];

	if (ipcfs_is_direct(q)) {
		lock_word = &engine_of(q)->m.lock;
		CHECK_INT(ipcfs_put(q, large, sizeof(large), 0), -EAGAIN);
		CHECK_INT(__atomic_load_n(lock_word, __ATOMIC_ACQUIRE) & 0x3fffffff, getppid());
		__atomic_store_n(lock_word, 0, __ATOMIC_RELEASE);
		lock_word = NULL;
	}
	CHECK_INT(ipcfs_put(q, large, sizeof(large), IPCFS_FOREVER), 0);
	CHECK_INT(ipcfs_value(q), 1);
	ipcfs_close(q);
}
