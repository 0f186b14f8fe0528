/* demo-worker MOUNT REPORT: count lines. Plain POSIX: C needs no library to use a mount. */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static int open_in(const char *dir, const char *name, int flags)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static void count(const char *name, long *lines, long *bytes)
{
	char buf[65536];
	FILE *file = fopen(name, "re");
	size_t n;

	if (!file)
		err(1, "%s", name);
	*lines = *bytes = 0;
	while ((n = fread(buf, 1, sizeof buf, file)) > 0) {
		*bytes += n;
		for (size_t i = 0; i < n; i++)
			*lines += buf[i] == '\n';
	}
	fclose(file);
}

int main(int argc, char **argv)
{
	int go, jobs, done, lock, report;
	char name[4096];
	ssize_t n;

	if (argc != 3)
		errx(2, "usage: demo-worker MOUNT REPORT");
	go = open_in(argv[1], "go.event", O_RDONLY);
	jobs = open_in(argv[1], "jobs.queue", O_RDONLY);
	done = open_in(argv[1], "jobs.queue.ctl/done", O_WRONLY);
	lock = open_in(argv[1], "report.lock", O_RDONLY);
	report = open(argv[2], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (report < 0)
		err(1, "%s", argv[2]);

	if (read(go, name, sizeof name) < 0) /* waits until it is set */
		err(1, "go.event");
	/* reading takes one message; 0 is the end, once the queue is closed */
	while ((n = read(jobs, name, sizeof name)) > 0) {
		long lines, bytes;

		name[n - 1] = '\0';
		count(name, &lines, &bytes);
		if (flock(lock, LOCK_EX) < 0)
			err(1, "report.lock");
		dprintf(report, "C\t%ld\t%ld\t-\t%s\n", lines, bytes, name);
		flock(lock, LOCK_UN);
		if (write(done, "1", 1) < 0)
			err(1, "done");
	}
	if (n < 0)
		err(1, "jobs.queue");
	return 0;
}
