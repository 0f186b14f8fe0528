/* SPDX-License-Identifier: MIT */
/*
 * floor BLOCKS - requests to ipcfs and to the empty FUSE file system, in turns of 100 each, from
 * one CPU (BENCH_CPU) on which both daemons run as well. So a change of the machine's pace hits
 * both alike, and a ratio near 1 can be told from 1.
 *
 * Prints nanoseconds for each, the median of the blocks: read of a set event, of a value, a write
 * of 2 bytes followed by a read (queue), flock and unlock; `null` is the same request or pair of
 * requests of the empty one.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "bench.h"

#define TURN 100

static int open_in(const char *env, const char *name, const char *text)
{
	const char *path = text ? path_in(env, name) : NULL;
	char null[4096];
	int fd;

	snprintf(null, sizeof(null), "%s/null", need_env("BENCH_NULL"));
	fd = open(path ? path : null, O_RDWR | (path ? O_CREAT : 0), 0600);
	if (fd < 0)
		die_errno(path ? path : null);
	if (path && *text)
		write_text(path, text);
	return fd;
}

static void read_one(int fd)
{
	char buf[64];

	if (read(fd, buf, sizeof(buf)) != 2)
		die_errno("read");
}

/* A value is a seekable file: read() would go on to its end. */
static void read_start(int fd)
{
	char buf[64];

	if (pread(fd, buf, sizeof(buf), 0) != 2)
		die_errno("pread");
}

static void write_read(int fd)
{
	if (write(fd, "1\n", 2) != 2)
		die_errno("write");
	read_one(fd);
}

static void lock_unlock(int fd)
{
	if (flock(fd, LOCK_EX) < 0 || flock(fd, LOCK_UN) < 0)
		die_errno("flock");
}

static struct row {
	const char *name;
	const char *file, *text; /* of ipcfs; NULL: the empty one */
	void (*op)(int fd);
	int fd;
	double *ns;
} rows[] = {
	{ "event", "floor.event", "1\n", read_one, 0, NULL },
	{ "value", "floor.value", "7\n", read_start, 0, NULL },
	{ "null-read", NULL, NULL, read_one, 0, NULL },
	{ "queue", "floor.queue", "", write_read, 0, NULL },
	{ "null-write-read", NULL, NULL, write_read, 0, NULL },
	{ "lock", "floor.lock", "", lock_unlock, 0, NULL },
	{ "null-flock", NULL, NULL, lock_unlock, 0, NULL },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double turn(const struct row *r)
{
	uint64_t start = now_ns();

	for (int i = 0; i < TURN; i++)
		r->op(r->fd);
	return (double)(now_ns() - start) / TURN;
}

int main(int argc, char **argv)
{
	long blocks;

	bench_start();
	if (argc != 2)
		die("usage: floor BLOCKS");
	blocks = number(argv[1]);
	for (size_t i = 0; i < ROWS; i++) {
		rows[i].fd = open_in("BENCH_IPC", rows[i].file, rows[i].text);
		rows[i].ns = calloc((size_t)blocks, sizeof(double));
		turn(&rows[i]);
	}
	for (long b = 0; b < blocks; b++)
		for (size_t i = 0; i < ROWS; i++)
			rows[i].ns[b] = turn(&rows[i]);
	for (size_t i = 0; i < ROWS; i++) {
		qsort(rows[i].ns, (size_t)blocks, sizeof(double), by_size);
		printf("%s\"%s\": {\"ns\": %.2f}", i ? ", " : "{", rows[i].name,
		       rows[i].ns[blocks / 2]);
		if (rows[i].file)
			unlink(path_in("BENCH_IPC", rows[i].file));
	}
	puts("}");
	return 0;
}
