// SPDX-License-Identifier: MIT
#include "work/output.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* A file without a name; in memory where there is no place for one. */
static int scratch(void)
{
	const char *dir = getenv("TMPDIR");
	int fd = open(dir && *dir ? dir : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		fd = memfd_create("ipcctl work", MFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* RESULTS/ID/FILE, for writing and reading. */
static int result_file(const struct job *j, const struct job_options *o, const char *file)
{
	char *dir CLEANUP(free_string) = str("%s/%s", o->results, j->id);
	char *path CLEANUP(free_string) = str("%s/%s", dir, file);
	int fd;

	if ((mkdir(o->results, 0777) < 0 && errno != EEXIST) ||
	    (mkdir(dir, 0777) < 0 && errno != EEXIST))
		return -errno;
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
	return fd < 0 ? -errno : fd;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= n;
	}
	return 0;
}

static int keep_message(const struct job *j, const struct job_options *o)
{
	int fd CLEANUP(close_fd) = result_file(j, o, "message");
	char *status CLEANUP(free_string) = str("%s/%s/status", o->results, j->id);

	/* (Of an earlier attempt: this one has not ended yet.) */
	if (unlink(status) < 0 && errno != ENOENT)
		return -errno;
	return fd < 0 ? fd : write_all(fd, j->message, j->len);
}

int output_open(struct job *j, const struct job_options *o)
{
	int r = o->results ? keep_message(j, o) : 0;

	if (r < 0 || (o->ungroup && !o->results))
		return r;
	j->out = o->results ? result_file(j, o, "stdout") : scratch();
	if (j->out < 0)
		return j->out;
	j->err = o->results ? result_file(j, o, "stderr") : scratch();
	return j->err < 0 ? j->err : 0;
}

/* Line by line, each with the message in front. */
static void copy_tagged(const struct job *j, FILE *from, FILE *to)
{
	char *tag CLEANUP(free_string) = printable(j->message, false);
	char *line CLEANUP(free_string) = NULL;
	size_t size = 0;
	ssize_t n;

	while ((n = getline(&line, &size, from)) > 0) {
		fprintf(to, "%s\t", tag);
		fwrite(line, 1, n, to);
		if (line[n - 1] != '\n')
			fputc('\n', to);
	}
}

static void copy(FILE *from, FILE *to)
{
	char chunk[16384];
	size_t n;

	while ((n = fread(chunk, 1, sizeof(chunk), from)) > 0)
		fwrite(chunk, 1, n, to);
}

static int print(const struct job *j, const struct job_options *o, int fd, FILE *to)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0), r = 0;
	FILE *from = own < 0 ? NULL : fdopen(own, "r");

	if (!from)
		return -errno;
	rewind(from);
	if (o->tag)
		copy_tagged(j, from, to);
	else
		copy(from, to);
	if (ferror(from) || fflush(to) || ferror(to))
		r = -(errno ? errno : EIO);
	fclose(from);
	return r;
}

int output_print(struct job *j, const struct job_options *o)
{
	int r = 0;

	if (j->out >= 0)
		r = print(j, o, j->out, stdout);
	if (j->err >= 0)
		print(j, o, j->err, stderr); /* if nobody reads that, nobody hears of it */
	close_fd(&j->out);
	close_fd(&j->err);
	j->out = j->err = -1;
	return r;
}

int output_status(const struct job *j, const struct job_options *o)
{
	char *text CLEANUP(free_string) = NULL;
	char *new CLEANUP(free_string) = str("%s/%s/status.new", o->results, j->id);
	char *path CLEANUP(free_string) = str("%s/%s/status", o->results, j->id);
	double seconds = (double)(j->ended - j->started) / NSEC_PER_SEC;
	int r;

	{
		int fd CLEANUP(close_fd) = result_file(j, o, "status.new");

		if (WIFSIGNALED(j->status))
			text = str("exit: %d\nsignal: %d\nseconds: %.3f\ntimeout: %d\n",
				   128 + WTERMSIG(j->status), WTERMSIG(j->status), seconds,
				   j->timed_out);
		else
			text = str("exit: %d\nsignal: 0\nseconds: %.3f\ntimeout: %d\n",
				   WEXITSTATUS(j->status), seconds, j->timed_out);
		r = fd < 0 ? fd : write_all(fd, text, strlen(text));
	}
	if (r == 0 && rename(new, path) < 0)
		r = -errno;
	return r;
}
