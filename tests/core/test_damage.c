/* SPDX-License-Identifier: MIT */
/* The mark of a damaged file, and the waking of those who sleep with it in other processes. */
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file/heap.h"
#include "object/waiter.h"
#include "object/damage.h"
#include "object/fast.h"
#include "test.h"

#define SLEEPERS 40 /* more than one page has waiters */

static int file_of(struct ipc_obj *o)
{
	char name[24];
	int fd;

	snprintf(name, sizeof(name), "%llu", (unsigned long long)o->id);
	fd = openat(env.env.dirfd, name, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

/* A process that sleeps, for ever if nobody wakes it. */
static pid_t sleeper(uint32_t *futex)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (__atomic_load_n(futex, __ATOMIC_ACQUIRE) == 2 &&
	       syscall(SYS_futex, futex, FUTEX_WAIT, 2, NULL, NULL, 0) < 0 && errno == EINTR)
		;
	_exit(0);
}

/* It is in its futex call. */
static void await_sleep(pid_t pid)
{
	char path[40], wchan[64] = "";

	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
	while (strtol(wchan, NULL, 10) != SYS_futex) {
		int fd = open(path, O_RDONLY);
		ssize_t n = read(fd, wchan, sizeof(wchan) - 1);

		CHECK(fd >= 0 && n > 0);
		wchan[n] = 0;
		close(fd);
		sched_yield();
	}
}

static void all_wake(struct ipc_obj *o, const pid_t *pid)
{
	int fd = file_of(o), status;

	damage_mark(o);
	damage_wake(o, fd);
	for (int i = 0; i < SLEEPERS; i++) /* (a test that hangs has failed) */
		CHECK(waitpid(pid[i], &status, 0) == pid[i] && status == 0);
	close(fd);
}

static struct ipc_obj *asleep(pid_t *pid)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o);

	for (int i = 0; i < SLEEPERS; i++) {
		ref_t w = get_waits(o, h, OP_READ, 0);
		uint32_t *futex = &waiter_at(o, w)->futex;

		CHECK(waiter_at(o, w)->flags & WAITER_DIRECT);
		*futex = 2;
		pid[i] = sleeper(futex);
	}
	for (int i = 0; i < SLEEPERS; i++)
		await_sleep(pid[i]);
	return o;
}

TEST(damage_wakes_all_sleepers)
{
	pid_t pid[SLEEPERS];
	struct ipc_obj *o = asleep(pid);

	all_wake(o, pid);
	obj_damage(o, "on purpose");
}

/* Whatever is left of the file. */
TEST(damage_wakes_sleepers_of_a_file_of_zeros)
{
	pid_t pid[SLEEPERS];
	struct ipc_obj *o = asleep(pid);
	int fd = file_of(o);
	struct stat st;

	CHECK(fstat(fd, &st) == 0);
	memset(o->base, 0, (size_t)st.st_size);
	close(fd);
	all_wake(o, pid);
	obj_damage(o, "on purpose");
}

TEST(damage_wakes_sleepers_of_a_file_of_noise)
{
	pid_t pid[SLEEPERS];
	struct ipc_obj *o = asleep(pid);
	int fd = file_of(o);
	struct stat st;

	CHECK(fstat(fd, &st) == 0);
	for (off_t i = 0; i < st.st_size; i++)
		o->base[i] = (char)(i * 7 + 1);
	close(fd);
	all_wake(o, pid);
	obj_damage(o, "on purpose");
}

/* The kernel must not fill holes while it looks for sleepers. */
TEST(damage_wake_makes_no_memory)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE);
	ref_t h = h_open(o);
	struct stat before, after;
	char big[60000] = { 0 };
	int fd = file_of(o);

	for (int i = 0; i < 40; i++)
		put_bytes(o, h, big, sizeof(big));
	while (*get(o, h) != '!')
		;
	heap_trim(o, true);
	CHECK(fstat(fd, &before) == 0 && before.st_blocks * 512 < before.st_size);
	memset(o->base, 0, IPC_PAGE * 2); /* the table as well: every page is looked at */
	damage_wake(o, fd);
	CHECK(fstat(fd, &after) == 0);
	CHECK_INT(after.st_blocks, before.st_blocks);
	close(fd);
	obj_damage(o, "on purpose");
}

/* Who comes meets the mark, and so does who waits for the lock already. */
TEST(damage_mark_ends_the_wait_for_the_lock)
{
	struct ipc_obj *o = obj_new(IPC_QUEUE), *other = obj_again(o);
	pid_t pid = fork();
	int status;

	CHECK(pid >= 0);
	if (pid == 0)
		_exit(obj_lock(other, -1) == -EIO && other->damage ? 0 : 1);
	await_sleep(pid);
	damage_mark(o);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_INT(status, 0);
	obj_unlock(o);
	CHECK_INT(obj_lock(other, -1), -EIO);
	CHECK_INT(obj_lock(o, 0), -EIO);
	damage_unmark(o);
	CHECK_INT(obj_lock(obj_again(o), 0), 0);
}

TEST(damage_mark_ends_the_fast_word)
{
	struct ipc_obj *o = obj_new(IPC_LOCK);
	ref_t h = h_open(o);
	uint64_t me = fast_holder(h, handle_at(o, h)->gen);

	fast_attached(o);
	obj_unlock(o);
	CHECK(fast_take(&o->h->b.sem, me) && fast_release(&o->h->b.sem, me));
	CHECK_INT(obj_lock(o, 0), 0);
	damage_mark(o);
	obj_unlock(o);
	CHECK(!fast_take(&o->h->b.sem, me));
	obj_damage(o, "on purpose");
}
