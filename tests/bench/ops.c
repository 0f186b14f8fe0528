/* SPDX-License-Identifier: MIT */
/*
 * ops WHAT COUNT - nanoseconds of one operation by a single process, for questions of scale:
 *
 *	files		write a message of 64 bytes to a queue, and read it
 *	direct		the same through libipcfs
 *	direct-many	the same with 64 a call, for each message
 *	direct-sem	take a permit through libipcfs, and give it back
 *	direct-event	set an event through libipcfs, wait for it, clear it
 *	create		create a queue and remove it
 *	name		make a queue's name, without opening it, and remove it
 *	folder		make a folder and remove it
 *	null-create, null-name, null-folder	the same in the empty FUSE file system
 *	event		set an event through its file
 *	event-direct	through libipcfs
 *	null		a write to the empty FUSE file system
 *
 * ops fill FOLDER COUNT - make COUNT queues or (not on an ipcfs) files.
 */
#include <fcntl.h>
#include <ipcfs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define SIZE 64
#define MANY 64

static char path[4096], msg[SIZE];
static int fd;
static ipcfs_obj *obj;

static void make(const char *name)
{
	strcpy(path, path_in("BENCH_IPC", name));
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		die_errno(path);
}

static void make_queue(void)
{
	char ctl[4200];

	make("ops.queue");
	snprintf(ctl, sizeof(ctl), "%s.ctl/framing", path);
	write_text(ctl, "record");
	close(fd); /* the framing counts from the next open */
	fd = open(path, O_RDWR);
	if (fd < 0)
		die_errno(path);
}

static void attach(void)
{
	obj = ipcfs_open(path, O_RDWR, 0);
	if (!obj)
		die_errno(path);
	if (!ipcfs_is_direct(obj))
		die("%s: not attached directly", path);
}

static void files(void)
{
	if (write(fd, msg, SIZE) != SIZE || read(fd, msg, SIZE) != SIZE)
		die_errno("write, read");
}

static void make_direct(void)
{
	make_queue();
	attach();
}

static void direct(void)
{
	if (ipcfs_put(obj, msg, SIZE, 0) < 0 || ipcfs_get(obj, msg, SIZE, 0) != SIZE)
		die("put, get");
}

static void direct_many(void)
{
	static char space[MANY][SIZE];
	static struct iovec iov[MANY];
	static int n; /* so that it is one for each message */

	if (n++ % MANY)
		return;
	for (int i = 0; i < MANY; i++)
		iov[i] = (struct iovec){ space[i], SIZE };
	if (ipcfs_put_many(obj, iov, MANY, 0) != MANY || ipcfs_get_many(obj, iov, MANY, 0) != MANY)
		die("put_many, get_many");
}

static void make_direct_sem(void)
{
	make("ops.sem");
	write_text(path, "1\n");
	attach();
}

static void direct_sem(void)
{
	if (ipcfs_acquire(obj, 0) < 0 || ipcfs_release(obj, 1) < 0)
		die("acquire, release");
}

static void direct_event(void)
{
	if (ipcfs_set(obj) < 0 || ipcfs_wait(obj, 0) < 0 || ipcfs_clear(obj) < 0)
		die("set, wait, clear");
}

static void make_path(void)
{
	strcpy(path, path_in("BENCH_IPC", "made.queue"));
}

static void create(void)
{
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0 || close(fd) < 0 || unlink(path) < 0)
		die_errno(path);
}

static void name_only(void)
{
	if (mknod(path, S_IFREG | 0600, 0) < 0 || unlink(path) < 0)
		die_errno(path);
}

static void make_folder_path(void)
{
	strcpy(path, path_in("BENCH_IPC", "folder"));
}

static void folder(void)
{
	if (mkdir(path, 0700) < 0 || rmdir(path) < 0)
		die_errno(path);
}

static void make_null_path(void)
{
	snprintf(path, sizeof(path), "%s/made.queue", need_env("BENCH_NULL"));
}

static void make_event(void)
{
	make("ops.event");
}

static void event(void)
{
	if (write(fd, "1\n", 2) != 2)
		die_errno("write");
}

static void make_null(void)
{
	snprintf(path, sizeof(path), "%s/null", need_env("BENCH_NULL"));
	fd = open(path, O_RDWR);
	if (fd < 0)
		die_errno(path);
}

static void make_event_direct(void)
{
	make("ops.event");
	attach();
}

static void event_direct(void)
{
	if (ipcfs_set(obj) < 0)
		die("set");
}

static const struct op {
	const char *name;
	void (*make)(void);
	void (*run)(void);
	bool drop;
} ops[] = {
	{ "files", make_queue, files, true },
	{ "direct", make_direct, direct, true },
	{ "direct-many", make_direct, direct_many, true },
	{ "direct-sem", make_direct_sem, direct_sem, true },
	{ "direct-event", make_event_direct, direct_event, true },
	{ "create", make_path, create, false },
	{ "name", make_path, name_only, false },
	{ "folder", make_folder_path, folder, false },
	{ "null-create", make_null_path, create, false },
	{ "null-name", make_null_path, name_only, false },
	{ "null-folder", make_null_path, folder, false },
	{ "event", make_event, event, true },
	{ "event-direct", make_event_direct, event_direct, true },
	{ "null", make_null, event, false },
};

static int fill(const char *dir, long count)
{
	for (long i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/object-%06ld.queue", dir, i);
		fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
		if (fd < 0 || close(fd) < 0)
			die_errno(path);
	}
	return 0;
}

static int measure(const struct op *op, long count)
{
	uint64_t start;

	op->make();
	for (long i = 0; i < count / 10; i++)
		op->run();
	start = now_ns();
	for (long i = 0; i < count; i++)
		op->run();
	printf("{\"ns\": %.2f}\n", (double)(now_ns() - start) / (double)count);
	if (op->drop)
		unlink(path);
	return 0;
}

int main(int argc, char **argv)
{
	bench_start();
	if (argc == 4 && !strcmp(argv[1], "fill"))
		return fill(argv[2], number(argv[3]));
	if (argc != 3)
		die("usage: ops WHAT COUNT | ops fill FOLDER COUNT");
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (!strcmp(ops[i].name, argv[1]))
			return measure(&ops[i], number(argv[2]));
	die("no such operation: %s", argv[1]);
}
