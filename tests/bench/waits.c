/* SPDX-License-Identifier: MIT */
/*
 * What a crew can wait for: an event or semaphore of ipcfs (through libipcfs with one handle for
 * all threads or one for each, or through the file, one open for each), futex words (one for each
 * thread, or one for all), a pthread condition, the parked reads of the empty FUSE file system.
 * Those that end in -line are served one by one.
 */
#include <errno.h>
#include <fcntl.h>
#include <ipcfs.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crew.h"

static char path[4096];
static int *fds;
static int control; /* writes to the event, semaphore or "go" */
static int n_waiters;

static void check(int r, const char *what)
{
	if (r < 0)
		die("%s: %s", what, strerror(-r));
}

static int open_file(const char *name)
{
	int fd = open(name, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die_errno(name);
	return fd;
}

/* ---- ipcfs ---- */

static ipcfs_obj *shared, **own;

static void make_object(int n, const char *name)
{
	strcpy(path, path_in("BENCH_IPC", name));
	control = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (control < 0)
		die_errno(path);
	n_waiters = n;
	fds = calloc((size_t)n, sizeof(*fds));
	own = calloc((size_t)n, sizeof(*own));
}

static void make_event(int n)
{
	make_object(n, "wait.event");
}

static void make_sem(int n)
{
	make_object(n, "wait.sem");
}

static void drop_object(void)
{
	unlink(path);
}

static ipcfs_obj *attach(void)
{
	ipcfs_obj *o = ipcfs_open(path, O_RDWR, 0);

	if (!o)
		die_errno(path);
	if (!ipcfs_is_direct(o))
		die("%s: not attached directly", path);
	return o;
}

static void make_direct(int n)
{
	make_event(n);
	shared = attach();
}

static void make_direct_sem(int n)
{
	make_sem(n);
	shared = attach();
}

static void open_own(int i)
{
	own[i] = attach();
}

static void open_fd(int i)
{
	fds[i] = open_file(path);
}

static void direct_wait(int i)
{
	check(ipcfs_wait(shared, IPCFS_FOREVER), "wait");
}

static void own_wait(int i)
{
	check(ipcfs_wait(own[i], IPCFS_FOREVER), "wait");
}

static void shared_acquire(int i)
{
	check(ipcfs_acquire(shared, IPCFS_FOREVER), "acquire");
}

static void direct_set(void)
{
	check(ipcfs_set(shared), "set");
}

static void direct_clear(void)
{
	check(ipcfs_clear(shared), "clear");
}

static void direct_release(void)
{
	check(ipcfs_release(shared, 1), "release");
}

static void fd_wait(int i)
{
	char buf[16];

	if (read(fds[i], buf, sizeof(buf)) <= 0)
		die_errno("read");
}

static void put(const char *text)
{
	if (write(control, text, strlen(text)) != (ssize_t)strlen(text))
		die_errno("write");
}

static void fd_set_event(void)
{
	put("1\n");
}

static void fd_clear_event(void)
{
	put("0\n");
}

/* "waiters: N" of ctl/status */
static long object_waiting(void)
{
	char name[4200], buf[4096], *line;
	int fd;
	ssize_t n;

	snprintf(name, sizeof(name), "%s.ctl/status", path);
	fd = open(name, O_RDONLY);
	n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	if (n <= 0)
		die_errno(name);
	close(fd);
	buf[n] = 0;
	line = strstr(buf, "waiters: ");
	if (!line)
		die("%s: no number of waiters", name);
	return strtol(line + 9, NULL, 10);
}

/* ---- the empty FUSE file system ---- */

static int parked;

static void make_parked(int n, const char *waker)
{
	char name[4096];

	n_waiters = n;
	fds = calloc((size_t)n, sizeof(*fds));
	snprintf(path, sizeof(path), "%s/park", need_env("BENCH_NULL"));
	snprintf(name, sizeof(name), "%s/%s", need_env("BENCH_NULL"), waker);
	control = open_file(name);
	snprintf(name, sizeof(name), "%s/parked", need_env("BENCH_NULL"));
	parked = open_file(name);
}

static void make_null(int n)
{
	make_parked(n, "go");
}

static void make_null_line(int n)
{
	make_parked(n, "next");
}

static long null_waiting(void)
{
	char buf[16];
	ssize_t n = read(parked, buf, sizeof(buf) - 1);

	if (n <= 0)
		die_errno("parked");
	buf[n] = 0;
	return strtol(buf, NULL, 10);
}

/* ---- futex, pthread ---- */

struct word {
	uint32_t value;
	char pad[60];
};

static struct word *words;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static bool is_set;

static sem_t sem;

static void sem_line_wait(int i)
{
	while (sem_wait(&sem) < 0)
		if (errno != EINTR)
			die_errno("sem_wait");
}

static void sem_line_post(void)
{
	sem_post(&sem);
}

static void make_words(int n)
{
	n_waiters = n;
	words = shared_memory((size_t)n * sizeof(*words));
}

static void wait_word(uint32_t *word)
{
	while (!__atomic_load_n(word, __ATOMIC_ACQUIRE))
		futex_wait(word, 0);
}

static void word_wait(int i)
{
	wait_word(&words[i].value);
}

static void word_line_wait(int i)
{
	wait_word(&words[i].value);
	words[i].value = 0;
}

/* Who was served goes to the end of the line: so the next one is always the same. */
static void word_line_set(void)
{
	static int next;

	__atomic_store_n(&words[next].value, 1, __ATOMIC_RELEASE);
	futex_wake(&words[next].value, 1);
	next = (next + 1) % n_waiters;
}

static void first_word_wait(int i)
{
	wait_word(&words[0].value);
}

static void words_set(void)
{
	for (int i = 0; i < n_waiters; i++) {
		__atomic_store_n(&words[i].value, 1, __ATOMIC_RELEASE);
		futex_wake(&words[i].value, 1);
	}
}

static void first_word_set(void)
{
	__atomic_store_n(&words[0].value, 1, __ATOMIC_RELEASE);
	futex_wake(&words[0].value, INT_MAX);
}

static void words_clear(void)
{
	for (int i = 0; i < n_waiters; i++)
		words[i].value = 0;
}

static void cond_wait(int i)
{
	pthread_mutex_lock(&mutex);
	while (!is_set)
		pthread_cond_wait(&cond, &mutex);
	pthread_mutex_unlock(&mutex);
}

static void cond_set(void)
{
	pthread_mutex_lock(&mutex);
	is_set = true;
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&mutex);
}

static void cond_clear(void)
{
	is_set = false;
}

const struct wait_type wait_types[] = {
	{ "direct", make_direct, NULL, direct_wait, direct_set, direct_clear, object_waiting,
	  drop_object },
	{ "direct-own", make_direct, open_own, own_wait, direct_set, direct_clear, object_waiting,
	  drop_object },
	{ "files", make_event, open_fd, fd_wait, fd_set_event, fd_clear_event, object_waiting,
	  drop_object },
	{ "direct-line", make_direct_sem, NULL, shared_acquire, direct_release, NULL,
	  object_waiting, drop_object },
	{ "files-line", make_sem, open_fd, fd_wait, fd_set_event, NULL, object_waiting,
	  drop_object },
	{ "null", make_null, open_fd, fd_wait, fd_set_event, NULL, null_waiting, NULL },
	{ "null-line", make_null_line, open_fd, fd_wait, fd_set_event, NULL, null_waiting, NULL },
	{ "sem-line", NULL, NULL, sem_line_wait, sem_line_post, NULL, NULL, NULL },
	{ "futex-each", make_words, NULL, word_wait, words_set, words_clear, NULL, NULL },
	{ "futex-line", make_words, NULL, word_line_wait, word_line_set, NULL, NULL, NULL },
	{ "futex-one", make_words, NULL, first_word_wait, first_word_set, words_clear, NULL, NULL },
	{ "cond", NULL, NULL, cond_wait, cond_set, cond_clear, NULL, NULL },
	{ NULL },
};

const struct wait_type *wait_type(const char *name)
{
	for (const struct wait_type *t = wait_types; t->name; t++)
		if (!strcmp(t->name, name))
			return t;
	die("no such peer: %s", name);
}
