// SPDX-License-Identifier: MIT
#include "work/job.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "ipcctl.h"
#include "work/output.h"

#define LONGEST_DELAY (3600 * NSEC_PER_SEC)
#define STUCK_AGAIN   (NSEC_PER_SEC / 5) /* a queue whose lock a stopped process keeps */

struct job *job_new(int lease, const char *data, size_t len)
{
	const char *tab = memchr(data, '\t', len);
	struct job *j;

	if (!tab)
		return NULL;
	j = xrealloc(NULL, sizeof(*j));
	*j = (struct job){
		.lease = lease, .out = -1, .err = -1, .kill_at = NEVER, .touch_at = NEVER
	};
	j->id = str("%.*s", (int)(tab - data), data);
	j->len = len - (tab + 1 - data);
	j->message = xrealloc(NULL, j->len + 1);
	memcpy(j->message, tab + 1, j->len);
	j->message[j->len] = '\0';
	return j;
}

void job_free(struct job *j)
{
	close_fd(&j->lease);
	close_fd(&j->out);
	close_fd(&j->err);
	free(j->id);
	free(j->message);
	free(j);
}

/* ---- its process ---- */

/* ARG with the message for each "{}". */
static char *fill(const char *arg, const char *message)
{
	struct buf b = { .data = NULL };
	const char *at;

	while ((at = strstr(arg, "{}"))) {
		buf_add(&b, arg, at - arg);
		buf_puts(&b, message);
		arg = at + 2;
	}
	buf_puts(&b, arg);
	return buf_steal(&b);
}

static bool has_place(char **command)
{
	for (; *command; command++) {
		if (strstr(*command, "{}"))
			return true;
	}
	return false;
}

static void free_arguments(char ***argv)
{
	for (char **a = *argv; *a; a++)
		free(*a);
	free(*argv);
}

static char **arguments(const struct job *j, const struct job_options *o)
{
	bool append = !o->message_on_stdin && !has_place(o->command);
	size_t n = 0;
	char **argv;

	while (o->command[n])
		n++;
	argv = xrealloc(NULL, (n + 2) * sizeof(*argv));
	for (size_t i = 0; i < n; i++)
		argv[i] = o->message_on_stdin ? xstrdup(o->command[i]) :
						fill(o->command[i], j->message);
	if (append)
		argv[n++] = xstrdup(j->message);
	argv[n] = NULL;
	return argv;
}

/* The message, or nothing. */
static int input(const struct job *j, const struct job_options *o)
{
	int fd;

	if (!o->message_on_stdin)
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	else
		fd = memfd_create("message", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (o->message_on_stdin &&
	    (write(fd, j->message, j->len) != (ssize_t)j->len ||
	     (o->newline && write(fd, "\n", 1) != 1) || lseek(fd, 0, SEEK_SET) < 0)) {
		int r = -(errno ? errno : ENOSPC);

		close(fd);
		return r;
	}
	return fd;
}

/* In the new process; REPORT tells the old one why the command cannot be run. */
static void __attribute__((noreturn)) become(const struct job *j, const struct job_options *o,
					     char **argv, int in, int report, pid_t parent)
{
	sigset_t none;
	int saved;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0);
	/* The lease goes with this process; but the one that would acknowledge it is gone. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(128 + SIGTERM);
	setenv("IPCFS_QUEUE", o->queue, 1);
	setenv("IPCFS_JOB", j->id, 1);
	if (dup2(in, 0) < 0 || (!o->ungroup && (dup2(j->out, 1) < 0 || dup2(j->err, 2) < 0)) ||
	    fcntl(j->lease, F_SETFD, 0) < 0)
		goto failed;
	execvp(argv[0], argv);
failed:
	saved = errno;
	if (write(report, &saved, sizeof(saved)) < 0)
		_exit(EXIT_NO_EXEC);
	_exit(saved == ENOENT ? EXIT_NO_COMMAND : EXIT_NO_EXEC);
}

/* The pipe is closed by a successful exec. */
static int await_exec(int fd)
{
	int error = 0;
	ssize_t n;

	do
		n = read(fd, &error, sizeof(error));
	while (n < 0 && errno == EINTR);
	return n == sizeof(error) ? error : 0;
}

static int spawn(struct job *j, const struct job_options *o)
{
	char **argv CLEANUP(free_arguments) = arguments(j, o);
	int in CLEANUP(close_fd) = input(j, o);
	int report[2];
	pid_t self;

	if (in < 0)
		return in;
	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	self = getpid();
	j->pid = fork();
	if (j->pid == 0)
		become(j, o, argv, in, report[1], self);
	close(report[1]);
	if (j->pid > 0) {
		setpgid(j->pid, j->pid); /* whoever of the two comes first */
		j->exec_error = await_exec(report[0]);
	}
	close(report[0]);
	return j->pid < 0 ? -errno : 0;
}

/* When a third of the time is over for which the lease lasts. */
static int64_t next_touch(const struct job_options *o)
{
	struct buf text CLEANUP(buf_free) = { .data = NULL };
	int64_t ns;

	if (read_file_at(o->ctl, "ttr", 0, 64, &text) < 0)
		return NEVER;
	text.data[strcspn(text.data, "\n")] = '\0';
	if (parse_seconds(text.data, &ns) < 0 || ns <= 0)
		return NEVER;
	return now_ns() + ns / 3;
}

int job_start(struct job *j, const struct job_options *o)
{
	int r;

	j->started = now_ns();
	j->touch_at = next_touch(o);
	if (!o->message_on_stdin && strlen(j->message) != j->len) {
		complain(j->id,
			 "the message has a NUL byte, so it cannot be an argument (--stdin)");
		r = -EINVAL;
	} else {
		r = output_open(j, o);
		if (r == 0)
			r = spawn(j, o);
		if (r < 0)
			complain(j->id, "%s", strerror(-r));
	}
	if (r < 0) {
		j->state = JOB_ENDED;
		j->ended = now_ns();
		j->status = W_EXITCODE(EXIT_RUN_FAILED, 0);
	} else if (o->timeout_ns != NEVER) {
		j->kill_at = j->started + o->timeout_ns;
		j->kill_signal = SIGTERM;
	}
	return r;
}

void job_kill(struct job *j, const struct job_options *o, int signal)
{
	if (j->state != JOB_RUNNING)
		return;
	kill(-j->pid, signal);
	kill(-j->pid, SIGCONT); /* one that is stopped would not hear it */
	j->kill_signal = SIGKILL;
	j->kill_at = signal == SIGKILL ? NEVER : now_ns() + o->kill_after_ns;
}

int job_ended(struct job *j, const struct job_options *o, int status)
{
	int r;

	j->state = JOB_ENDED;
	j->ended = now_ns();
	j->status = status;
	j->kill_at = NEVER;
	r = output_print(j, o);
	if (j->exec_error)
		complain(o->command[0], "%s", strerror(j->exec_error));
	if (o->results) {
		int e = output_status(j, o);

		if (e < 0)
			complain(o->results, "%s", strerror(-e));
	}
	return r;
}

bool job_failed(const struct job *j)
{
	return j->timed_out || j->exec_error || !WIFEXITED(j->status) || WEXITSTATUS(j->status);
}

/* ---- its lease ---- */

static int tell(const struct job_options *o, const char *file, const char *text)
{
	int fd CLEANUP(close_fd) =
		openat(o->ctl, file, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static void touch(struct job *j, const struct job_options *o)
{
	int r = tell(o, "touch", j->id);

	j->touch_at = next_touch(o);
	if (r == -EINVAL) {
		complain(j->id, "its lease has ended before the job; others may run it, too");
		j->touch_at = NEVER;
	} else if (r == -EAGAIN) {
		j->touch_at = now_ns() + STUCK_AGAIN;
	}
}

/* How often its message was leased, by `leased`: ID, attempt, … */
static uint64_t attempts(const struct job *j, const struct job_options *o)
{
	struct buf text CLEANUP(buf_free) = { .data = NULL };
	char *save = NULL, *line, *rest;
	uint64_t n;

	if (read_file_at(o->ctl, "leased", 0, 1 << 30, &text) < 0)
		return 1;
	for (line = strtok_r(text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		size_t len = strcspn(line, "\t");

		if (len != strlen(j->id) || memcmp(line, j->id, len) || !line[len])
			continue;
		rest = line + len + 1;
		rest[strcspn(rest, "\t")] = '\0';
		return parse_u64(rest, &n) < 0 || !n ? 1 : n;
	}
	return 1;
}

/* ID and the seconds after which it comes back: twice as many with each failure. */
static char *give_back_text(const struct job *j, const struct job_options *o)
{
	int64_t delay = o->retry_delay_ns;

	for (uint64_t n = attempts(j, o); n > 1 && delay < LONGEST_DELAY; n--)
		delay *= 2;
	if (delay > LONGEST_DELAY)
		delay = LONGEST_DELAY;
	if (!delay)
		return xstrdup(j->id);
	return str("%s %lld.%09lld", j->id, (long long)(delay / NSEC_PER_SEC),
		   (long long)(delay % NSEC_PER_SEC));
}

int job_settle(struct job *j, const struct job_options *o)
{
	bool failed = job_failed(j);
	char *text CLEANUP(free_string) = failed ? give_back_text(j, o) : xstrdup(j->id);
	int r = tell(o, failed ? "nack" : "ack", text);

	if (r == -EAGAIN) {
		j->retry_at = now_ns() + STUCK_AGAIN;
		return r;
	}
	j->state = JOB_SETTLED;
	if (r == -EINVAL)
		complain(j->id, "its lease had ended before the job; others may have run it, too");
	else if (r < 0)
		complain(j->id, "cannot be %s: %s", failed ? "given back" : "acknowledged",
			 strerror(-r));
	return r;
}

/* ---- time ---- */

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t job_tick(struct job *j, const struct job_options *o)
{
	int64_t now = now_ns();

	if (j->state == JOB_RUNNING && j->kill_at <= now) {
		if (j->kill_signal == SIGTERM) {
			j->timed_out = true;
			complain(j->id, "takes too long, and is ended");
		}
		job_kill(j, o, j->kill_signal);
	}
	if (j->state == JOB_RUNNING && j->touch_at <= now)
		touch(j, o);
	if (j->state == JOB_ENDED)
		return earlier(j->retry_at, j->touch_at);
	return earlier(j->kill_at, j->touch_at);
}
