/* SPDX-License-Identifier: MIT */
/*
 * A worker: takes jobs from a queue, no more than the machine allows at once.
 *
 *	cc worker.c -o worker $(pkg-config --cflags --libs ipcfs)
 *	echo 2 > /ipc/slots.sem; ./worker /ipc & echo "resize cat.jpg" > /ipc/jobs.queue
 */
#include <fcntl.h>
#include <ipcfs.h>
#include <stdio.h>
#include <string.h>

static ipcfs_obj *open_in(const char *dir, const char *name)
{
	char path[4096];
	ipcfs_obj *o;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	o = ipcfs_open(path, O_RDWR | O_CREAT, 0600);
	if (!o)
		perror(path);
	return o;
}

int main(int argc, char **argv)
{
	const char *dir = argc > 1 ? argv[1] : "/ipc";
	ipcfs_obj *jobs = open_in(dir, "jobs.queue"), *slots = open_in(dir, "slots.sem");
	char job[4096];
	ssize_t n;

	if (!jobs || !slots)
		return 1;
	while ((n = ipcfs_get(jobs, job, sizeof(job), IPCFS_FOREVER)) >= 0) {
		ipcfs_acquire(slots, IPCFS_FOREVER);
		printf("working on %.*s\n", (int)n, job);
		ipcfs_release(slots, 1);
		ipcfs_done(jobs, 1); /* for readers of jobs.queue.ctl/join */
	}
	if (n != -32) /* -EPIPE: the queue was closed */
		fprintf(stderr, "%s\n", strerror((int)-n));
	ipcfs_close(slots);
	ipcfs_close(jobs);
	return n != -32;
}
