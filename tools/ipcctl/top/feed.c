// SPDX-License-Identifier: MIT
#include "top/feed.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

/* Before what it is about, in either direction. */
struct head {
	int32_t ask, number, status;
	uint32_t len, len2;
};

/* ---- the process that reads ---- */

static bool all(ssize_t (*fn)(int, void *, size_t), int fd, void *data, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = fn(fd, (char *)data + done, len - done);

		if (n == 0 || (n < 0 && errno != EINTR))
			return false;
		done += n > 0 ? (size_t)n : 0;
	}
	return true;
}

static ssize_t put(int fd, void *data, size_t len)
{
	return write(fd, data, len);
}

static int read_stats(const char *mount, struct buf *ret)
{
	char *path CLEANUP(free_string) = str("%s/.ctl/stats", mount);

	return read_file_at(AT_FDCWD, path, 0, SIZE_MAX, ret);
}

/* The files have pid, start, uid, operation, seconds, command, and perhaps a remark. */
static int read_who(const char *name, const char *which, struct buf *ret)
{
	char *path CLEANUP(free_string) = str("%s.ctl/%s", name, which);
	struct buf b CLEANUP(buf_free) = { .data = NULL };
	int r = read_file_at(AT_FDCWD, path, 0, SIZE_MAX, &b);
	char *line, *save;

	if (r < 0)
		return r;
	buf_puts(ret, *which == 'w' ? "Waiting:\n" : "Holding:\n");
	for (line = strtok_r(b.data ? b.data : (char[]){ "" }, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *field[7] = { NULL };
		char *text CLEANUP(free_string) = NULL;

		for (size_t i = 0; i < ARRAY_SIZE(field) && line; i++)
			field[i] = strsep(&line, "\t");
		if (!field[5])
			continue;
		text = str("%9s  %-12s %12s s  %s%s%s\n", field[0], field[3], field[4], field[5],
			   field[6] ? ", " : "", field[6] ? field[6] : "");
		buf_puts(ret, text);
	}
	return 0;
}

static int cancel(const char *name, const char *who)
{
	char *path CLEANUP(free_string) = str("%s.ctl/cancel", name);
	int fd CLEANUP(close_fd) = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, who, strlen(who)) < 0 ? -errno : 0;
}

static int serve(enum ask ask, const char *what, const char *who, struct buf *ret)
{
	int r;

	switch (ask) {
	case ASK_STATS:
		return read_stats(what, ret);
	case ASK_WHO:
		r = read_who(what, "waiters", ret);
		return r < 0 ? r : read_who(what, "holders", ret);
	default:
		return cancel(what, who);
	}
}

static void __attribute__((noreturn)) work(int in, int out)
{
	struct head h;

	while (all(read, in, &h, sizeof(h))) {
		struct buf b CLEANUP(buf_free) = { .data = NULL };
		char *what CLEANUP(free_string) = xrealloc(NULL, h.len + 1);
		char *who CLEANUP(free_string) = xrealloc(NULL, h.len2 + 1);

		if ((h.len && !all(read, in, what, h.len)) ||
		    (h.len2 && !all(read, in, who, h.len2)))
			break;
		what[h.len] = who[h.len2] = '\0';
		h.status = serve(h.ask, what, who, &b);
		h.len = h.status < 0 ? 0 : (uint32_t)b.len;
		if (!all(put, out, &h, sizeof(h)) || (h.len && !all(put, out, b.data, h.len)))
			break;
	}
	_exit(0);
}

/* ---- the other side ---- */

int feed_start(struct feed *f)
{
	int to[2], from[2];
	pid_t parent = getpid();

	*f = (struct feed){ .to = -1, .from = -1 };
	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
		return -errno;
	f->pid = fork();
	if (f->pid < 0)
		return -errno;
	if (!f->pid) {
		/* (Signals of the terminal are for the other one, who ends this one.) */
		signal(SIGINT, SIG_IGN);
		signal(SIGQUIT, SIG_IGN);
		signal(SIGTSTP, SIG_IGN);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		close(to[1]);
		close(from[0]);
		work(to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	fcntl(from[0], F_SETFL, O_NONBLOCK);
	f->to = to[1];
	f->from = from[0];
	return 0;
}

void feed_ask(struct feed *f, enum ask ask, int number, const char *what, const char *who)
{
	struct head h = { .ask = ask,
			  .number = number,
			  .len = (uint32_t)strlen(what),
			  .len2 = (uint32_t)strlen(who) };

	/* A pipe has room for many such questions, and there are never more than a few. */
	if (!all(put, f->to, &h, sizeof(h)) || !all(put, f->to, (char *)(uintptr_t)what, h.len) ||
	    !all(put, f->to, (char *)(uintptr_t)who, h.len2))
		return;
	if (!f->asked++)
		f->since = now_ns();
}

int feed_read(struct feed *f)
{
	char chunk[65536];
	ssize_t n;

	while ((n = read(f->from, chunk, sizeof(chunk))) > 0)
		buf_add(&f->in, chunk, (size_t)n);
	return n == 0 ? -EPIPE : errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

bool feed_next(struct feed *f, struct answer *ret)
{
	struct head h;

	free(f->last);
	f->last = NULL;
	if (f->in.len < sizeof(h))
		return false;
	memcpy(&h, f->in.data, sizeof(h));
	if (f->in.len < sizeof(h) + h.len)
		return false;
	f->last = xrealloc(NULL, h.len + 1);
	memcpy(f->last, f->in.data + sizeof(h), h.len);
	f->last[h.len] = '\0';
	f->in.len -= sizeof(h) + h.len;
	memmove(f->in.data, f->in.data + sizeof(h) + h.len, f->in.len);
	if (--f->asked)
		f->since = now_ns();
	*ret = (struct answer){ h.ask, h.number, h.status, f->last };
	return true;
}

void feed_end(struct feed *f)
{
	if (f->pid > 0)
		kill(f->pid, SIGKILL);
	close_fd(&f->to);
	close_fd(&f->from);
	free(f->last);
	buf_free(&f->in);
}
