/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib.h"

/* ---- queue and pipe ---- */

static void is_next(ipcfs_obj *q, const char *text)
{
	char buf[64];
	ssize_t n = ipcfs_get(q, buf, sizeof(buf), AMPLE);

	CHECK_INT(n, strlen(text));
	if (memcmp(buf, text, (size_t)n))
		FAIL("got %.*s, not %s", (int)n, buf, text);
}

TEST(queue)
{
	ipcfs_obj *q = make("queue");
	char buf[64];
	double t;

	CHECK_INT(ipcfs_get(q, buf, sizeof(buf), 0), -EAGAIN);
	t = seconds();
	CHECK_INT(ipcfs_get(q, buf, sizeof(buf), SECOND / 10), -ETIMEDOUT);
	if (seconds() - t < 0.099 || seconds() - t > 1)
		FAIL("timed out after %f s", seconds() - t);
	CHECK_INT(ipcfs_put(q, "one", 3, IPCFS_FOREVER), 0);
	CHECK_INT(ipcfs_put(q, "a\nb\n", 4, IPCFS_FOREVER), 0);
	CHECK_INT(ipcfs_put(q, "", 0, IPCFS_FOREVER), 0);
	CHECK_INT(ipcfs_put(q, "four", 4, 0), 0);
	CHECK_INT(ipcfs_value(q), 4);
	is_next(q, "one");
	is_next(q, "a\nb\n");
	is_next(q, "");
	CHECK_INT(ipcfs_get(q, buf, 3, 0), 3); /* and its rest */
	CHECK_INT(ipcfs_join(q, 0), -EAGAIN);
	CHECK_INT(ipcfs_get(q, buf, 3, 0), 1);
	CHECK_INT(buf[0], 'r');
	CHECK_INT(ipcfs_join(q, SECOND / 20), -ETIMEDOUT);
	CHECK_INT(ipcfs_done(q, 3), 0);
	CHECK_INT(ipcfs_done(q, 2), -ERANGE);
	CHECK_INT(ipcfs_done(q, 1), 0);
	CHECK_INT(ipcfs_join(q, IPCFS_FOREVER), 0);
	CHECK_INT(ipcfs_get(q, buf, 0, 0), -EINVAL);
	CHECK_INT(ipcfs_acquire(q, 0), -EOPNOTSUPP);
	CHECK_INT(ipcfs_set(q), -EINVAL);
	setting(q, "closed", "1");
	CHECK_INT(ipcfs_put(q, "x", 1, IPCFS_FOREVER), -EPIPE);
	CHECK_INT(ipcfs_get(q, buf, 8, IPCFS_FOREVER), -EPIPE);
	ipcfs_close(q);
}

TEST(full)
{
	static char big[3 << 20];
	ipcfs_obj *q = make("queue");
	char *buf = malloc(1 << 20);

	setting(q, "maxsize", "2");
	CHECK_INT(ipcfs_put(q, "1", 1, 0), 0);
	CHECK_INT(ipcfs_put(q, "2", 1, 0), 0);
	CHECK_INT(ipcfs_put(q, "3", 1, 0), -EAGAIN);
	CHECK_INT(ipcfs_put(q, "3", 1, SECOND / 20), -ETIMEDOUT);
	CHECK_INT(ipcfs_put(q, "", 0, SECOND / 20), -ETIMEDOUT);
	is_next(q, "1");
	CHECK_INT(ipcfs_put(q, "3", 1, SECOND / 20), 0);
	is_next(q, "2");
	is_next(q, "3");
	CHECK_INT(ipcfs_put(q, big, sizeof(big), 0), -EMSGSIZE);
	memset(big, 'x', 1 << 20);
	CHECK_INT(ipcfs_put(q, big, (1 << 20) - 4096, 0), 0);
	CHECK_INT(ipcfs_get(q, buf, 1 << 20, 0), (1 << 20) - 4096);
	CHECK_INT(memcmp(buf, big, (1 << 20) - 4096), 0);
	free(buf);
	ipcfs_close(q);
}

TEST(many)
{
	enum { N = 1000 };
	static char in[N][8], out[N + 1][8];
	struct iovec v[N + 1];
	ipcfs_obj *q = make("queue");

	for (int i = 0; i < N; i++) {
		int n = snprintf(in[i], 8, "%d", i);

		v[i] = (struct iovec){ in[i], (size_t)(i % 10 ? n : 0) };
	}
	CHECK_INT(ipcfs_put_many(q, v, N, IPCFS_FOREVER), N);
	CHECK_INT(ipcfs_value(q), N);
	for (int i = 0; i <= N; i++)
		v[i] = (struct iovec){ out[i], 8 };
	CHECK_INT(ipcfs_get_many(q, v, 10, 0), 10);
	CHECK_INT(ipcfs_get_many(q, v + 10, N - 9, IPCFS_FOREVER), N - 10);
	for (int i = 0; i < N; i++)
		if (v[i].iov_len != (i % 10 ? strlen(in[i]) : 0) ||
		    memcmp(in[i], out[i], v[i].iov_len))
			FAIL("message %d is wrong", i);
	v[0].iov_len = 8;
	CHECK_INT(ipcfs_get_many(q, v, 1, SECOND / 20), -ETIMEDOUT);
	setting(q, "maxsize", "3");
	v[0].iov_len = v[1].iov_len = v[2].iov_len = v[3].iov_len = 2;
	CHECK_INT(ipcfs_put_many(q, v, 4, 0), 3);
	CHECK_INT(ipcfs_put_many(q, v, 4, 0), -EAGAIN);
	ipcfs_close(q);
}

TEST(pipes)
{
	ipcfs_obj *w = make("pipe"), *r;
	char buf[64];

	r = again(w, O_RDONLY);
	ipcfs_close(w);
	w = again(r, O_WRONLY);
	CHECK_INT(ipcfs_put(r, "x", 1, 0), -EBADF);
	CHECK_INT(ipcfs_get(w, buf, 1, 0), -EBADF);
	CHECK_INT(ipcfs_put(w, "hello", 5, 0), 0);
	CHECK_INT(ipcfs_put(w, " world", 6, 0), 0);
	CHECK_INT(ipcfs_value(r), 11);
	CHECK_INT(ipcfs_get(r, buf, 8, 0), 8);
	CHECK_INT(ipcfs_get(r, buf, 8, 0), 3);
	CHECK_INT(ipcfs_get(r, buf, 8, 0), -EAGAIN);
	ipcfs_close(w);
	CHECK_INT(ipcfs_get(r, buf, 8, IPCFS_FOREVER), -EPIPE);
	ipcfs_close(r);
}

static void puts_8000(ipcfs_obj *w)
{
	static char text[8000];
	struct iovec v = { text, sizeof(text) };

	CHECK_INT(ipcfs_put_many(w, &v, 1, AMPLE), 1);
}

/* Of many messages each goes in whole or not at all, also into a byte pipe. */
TEST(many_bytes)
{
	static char text[20000], buf[sizeof(text)];
	ipcfs_obj *p = make("pipe");
	struct iovec v[2] = { { text, 6000 }, { text, 6000 } };
	pid_t pid;

	setting(p, "maxbytes", "10000");
	CHECK_INT(ipcfs_put_many(p, v, 2, 0), 1);
	CHECK_INT(ipcfs_value(p), 6000);
	CHECK_INT(ipcfs_put_many(p, v, 2, 0), -EAGAIN);
	CHECK_INT(ipcfs_put_many(p, v, 2, SECOND / 20), -ETIMEDOUT);
	CHECK_INT(ipcfs_value(p), 6000);
	v[0].iov_len = v[1].iov_len = 2000;
	CHECK_INT(ipcfs_put_many(p, v, 2, 0), 2);
	pid = in_child(puts_8000, p); /* and while it waits nothing of it is there */
	await_waiters(p, 1);
	CHECK_INT(ipcfs_get(p, buf, 7000, 0), 7000);
	CHECK_INT(ipcfs_value(p), 3000);
	await_waiters(p, 1);
	CHECK_INT(ipcfs_get(p, buf, 1000, 0), 1000);
	ends_well(pid);
	CHECK_INT(ipcfs_value(p), 10000);
	CHECK_INT(ipcfs_get(p, buf, sizeof(buf), 0), 10000);
	v[0].iov_len = sizeof(text); /* more than the pipe takes: once it is empty */
	CHECK_INT(ipcfs_put_many(p, v, 2, 0), 1);
	CHECK_INT(ipcfs_get(p, buf, sizeof(buf), 0), sizeof(text));
	v[0].iov_len = 2 << 20;
	CHECK_INT(ipcfs_put_many(p, v, 1, 0), -EMSGSIZE);
	ipcfs_close(p);
}

/* ---- the others ---- */

TEST(sem)
{
	ipcfs_obj *s = make("sem");

	CHECK_INT(ipcfs_acquire(s, 0), -EAGAIN);
	CHECK_INT(ipcfs_acquire(s, SECOND / 20), -ETIMEDOUT);
	CHECK_INT(ipcfs_release(s, 2), 0);
	CHECK_INT(ipcfs_value(s), 2);
	CHECK_INT(ipcfs_acquire(s, IPCFS_FOREVER), 0);
	CHECK_INT(ipcfs_acquire(s, 0), 0);
	CHECK_INT(ipcfs_acquire(s, 0), -EAGAIN);
	setting(s, "bound", "1");
	CHECK_INT(ipcfs_release(s, 2), -ERANGE);
	ipcfs_close(s);
}

static void take_permit(ipcfs_obj *s)
{
	CHECK_INT(ipcfs_acquire(s, AMPLE), 0);
}

/* What one instruction gives or takes (count.h) is there for files and for those that wait, at once. */
TEST(permits)
{
	ipcfs_obj *s = make("sem"), *other = again(s, O_RDWR), *reader = again(s, O_RDONLY);
	pid_t pid;

	setting(s, "bound", "4");
	CHECK_INT(ipcfs_release(s, 3), 0);
	CHECK_INT(ipcfs_acquire(other, 0), 0);
	CHECK_INT(ipcfs_acquire(reader, 0), 0);
	CHECK_INT(ipcfs_release(reader, 1), -EBADF);
	write_text(s, "2\n");
	CHECK_INT(ipcfs_value(s), 3);
	CHECK_INT(ipcfs_release(s, 2), -ERANGE);
	CHECK_INT(ipcfs_release(s, 1), 0);
	CHECK_INT(ipcfs_release(s, 1), -ERANGE);
	for (int i = 0; i < 4; i++)
		CHECK_INT(ipcfs_acquire(i % 2 ? s : other, 0), 0);
	CHECK_INT(ipcfs_acquire(s, 0), -EAGAIN);
	pid = in_child(take_permit, s);
	await_waiters(s, 1);
	CHECK_INT(ipcfs_release(other, 1), 0);
	ends_well(pid);
	CHECK_INT(ipcfs_value(other), 0);
	CHECK_INT(ipcfs_release(s, 1), 0);
	setting(s, "undo", "1"); /* from here on a permit is its handle's */
	CHECK_INT(ipcfs_acquire(other, 0), 0);
	ipcfs_close(other);
	CHECK_INT(ipcfs_acquire(s, AMPLE), 0);
	ipcfs_close(s);
	ipcfs_close(reader);
}

TEST(lock)
{
	ipcfs_obj *a = make("lock"), *b = again(a, O_RDWR);

	CHECK_INT(ipcfs_acquire(a, 0), 0);
	CHECK_INT(ipcfs_value(a), 0);
	CHECK_INT(ipcfs_acquire(b, 0), -EAGAIN);
	CHECK_INT(ipcfs_acquire(b, SECOND / 20), -ETIMEDOUT);
	CHECK_INT(ipcfs_release(a, 1), 0);
	CHECK_INT(ipcfs_release(a, 1), -ERANGE);
	CHECK_INT(ipcfs_acquire(b, 0), 0);
	ipcfs_close(b); /* which gives it back */
	CHECK_INT(ipcfs_acquire(a, AMPLE), 0);
	setting(a, "scope", "process"); /* not directly from here on */
	CHECK_INT(ipcfs_release(a, 1), 0);
	CHECK_INT(ipcfs_acquire(a, AMPLE), 0);
	ipcfs_close(a);
	a = make("rlock");
	b = again(a, O_RDWR);
	CHECK_INT(ipcfs_acquire(a, 0), 0);
	CHECK_INT(ipcfs_acquire(a, 0), 0);
	CHECK_INT(ipcfs_release(b, 1), -EPERM);
	CHECK_INT(ipcfs_acquire(b, SECOND / 20), -ETIMEDOUT);
	CHECK_INT(ipcfs_release(a, 1), 0);
	CHECK_INT(ipcfs_acquire(b, 0), -EAGAIN);
	CHECK_INT(ipcfs_release(a, 1), 0);
	CHECK_INT(ipcfs_acquire(b, 0), 0);
	ipcfs_close(a);
	ipcfs_close(b);
}

static void wait_event(ipcfs_obj *o)
{
	CHECK_INT(ipcfs_wait(o, AMPLE), 0);
}

TEST(event)
{
	ipcfs_obj *e = make("event");
	pid_t pids[8];

	CHECK_INT(ipcfs_wait(e, 0), -EAGAIN);
	CHECK_INT(ipcfs_wait(e, SECOND / 20), -ETIMEDOUT);
	for (int i = 0; i < 8; i++)
		pids[i] = in_child(wait_event, e);
	await_waiters(e, 8);
	CHECK_INT(ipcfs_set(e), 0);
	CHECK_INT(ipcfs_clear(e), 0);
	for (int i = 0; i < 8; i++)
		ends_well(pids[i]);
	CHECK_INT(ipcfs_value(e), 0);
	CHECK_INT(ipcfs_set(e), 0);
	CHECK_INT(ipcfs_wait(e, IPCFS_FOREVER), 0);
	CHECK_INT(ipcfs_wait(e, 0), 0);
	ipcfs_close(e);
}

/* The same of an event, and of those that poll it. */
TEST(event_and_files)
{
	ipcfs_obj *e = make("event"), *other = again(e, O_RDWR), *reader = again(e, O_RDONLY);
	struct pollfd p = { .fd = ipcfs_fd(other), .events = POLLIN };

	CHECK_INT(ipcfs_set(reader), -EBADF);
	CHECK_INT(ipcfs_clear(reader), -EBADF);
	CHECK_INT(ipcfs_set(e), 0);
	CHECK_INT(ipcfs_wait(reader, 0), 0);
	write_text(e, "0\n");
	CHECK_INT(ipcfs_wait(other, 0), -EAGAIN);
	CHECK_INT(ipcfs_value(e), 0);
	write_text(e, "1\n");
	CHECK_INT(ipcfs_wait(reader, 0), 0);
	CHECK_INT(poll(&p, 1, -1), 1);
	CHECK_INT(ipcfs_wait(e, 0), 0);
	CHECK_INT(ipcfs_clear(e), 0);
	CHECK_INT(ipcfs_value(e), 0);
	CHECK_INT(poll(&p, 1, 0), 0);
	CHECK_INT(ipcfs_set(reader), -EBADF);
	CHECK_INT(ipcfs_set(e), 0);
	CHECK_INT(poll(&p, 1, patience(20) * 1000), 1);
	ipcfs_close(e);
	ipcfs_close(other);
	ipcfs_close(reader);
}

static void wait_notified(ipcfs_obj *c)
{
	CHECK_INT(ipcfs_acquire(c, IPCFS_FOREVER), 0);
	CHECK_INT(ipcfs_wait(c, AMPLE), 0);
	CHECK_INT(ipcfs_release(c, 1), 0);
}

TEST(cond)
{
	ipcfs_obj *c = make("cond");
	pid_t pids[4];

	CHECK_INT(ipcfs_acquire(c, 0), 0);
	CHECK_INT(ipcfs_acquire(c, 0), 0);
	CHECK_INT(ipcfs_wait(c, SECOND / 20), -ETIMEDOUT);
	for (int i = 0; i < 4; i++)
		pids[i] = in_child(wait_notified, c);
	CHECK_INT(ipcfs_release(c, 1), 0);
	await_value(c, 4);
	CHECK_INT(ipcfs_notify(c, 1), 0);
	await_value(c, 3);
	CHECK_INT(ipcfs_notify(c, IPCFS_ALL), 0);
	for (int i = 0; i < 4; i++)
		ends_well(pids[i]);
	CHECK_INT(ipcfs_acquire(c, AMPLE), 0);
	ipcfs_close(c);
}

static void arrive(ipcfs_obj *b)
{
	int i = ipcfs_wait(b, AMPLE);

	if (i < 0 || i > 2)
		FAIL("index %d", i);
	_exit(0);
}

TEST(barrier)
{
	ipcfs_obj *b = make("barrier");
	pid_t pids[2];

	setting(b, "parties", "3");
	for (int i = 0; i < 2; i++)
		pids[i] = in_child(arrive, b);
	await_value(b, 2);
	CHECK_INT(ipcfs_wait(b, AMPLE), 2);
	for (int i = 0; i < 2; i++)
		ends_well(pids[i]);
	CHECK_INT(ipcfs_wait(b, SECOND / 20), -ETIMEDOUT);
	CHECK_INT(ipcfs_wait(b, AMPLE), -ECANCELED);
	ipcfs_close(b);
}

TEST(value)
{
	ipcfs_obj *v = make("value");
	int64_t n = 0;

	CHECK_INT(ipcfs_value(v), 0);
	CHECK_INT(ipcfs_add(v, 5, &n), 0);
	CHECK_INT(n, 5);
	CHECK_INT(ipcfs_add(v, -7, NULL), 0);
	CHECK_INT(ipcfs_value(v), -2);
	CHECK_INT(ipcfs_cas(v, 0, 1), -EAGAIN);
	CHECK_INT(ipcfs_cas(v, -2, INT64_MAX), 0);
	CHECK_INT(ipcfs_add(v, 1, &n), -ERANGE);
	CHECK_INT(ipcfs_value(v), INT64_MAX);
	CHECK_INT(ipcfs_acquire(v, AMPLE), 0);
	CHECK_INT(ipcfs_release(v, 1), 0);
	ipcfs_close(v);
}

/* Numbers that are not whole, and what no int64_t can say: told, and nothing is changed. */
TEST(numbers)
{
	ipcfs_obj *v = make("value"), *r = again(v, O_RDONLY), *w = again(v, O_WRONLY);
	int64_t n = 0;

	write_text(v, "41.5");
	CHECK_INT(ipcfs_value(v), 41);
	CHECK_INT(ipcfs_add(v, 1, &n), 0);
	CHECK_INT(n, 42);
	CHECK_INT(ipcfs_value(r), 42);
	CHECK_INT(ipcfs_cas(v, 42, 7), -EAGAIN);
	CHECK_INT(ipcfs_add(w, 1, NULL), 0);
	CHECK_INT(ipcfs_add(w, 1, &n), -EBADF);
	CHECK_INT(ipcfs_add(r, 1, NULL), -EBADF);
	CHECK_INT(ipcfs_value(v), 43);
	n = 99;
	write_text(v, "1e300");
	CHECK_INT(ipcfs_add(v, 1, &n), -ERANGE);
	CHECK_INT(ipcfs_value(v), INT64_MIN);
	CHECK_INT(errno, ERANGE);
	CHECK_INT(ipcfs_add(v, 1, NULL), 0);
	write_text(v, "41,5");
	CHECK_INT(ipcfs_add(v, 1, &n), -EINVAL);
	CHECK_INT(ipcfs_value(v), INT64_MIN);
	CHECK_INT(errno, EINVAL);
	CHECK_INT(ipcfs_cas(v, 41, 7), -EAGAIN);
	write_text(v, "0");
	setting(v, "typecode", "Q");
	write_text(v, "9223372036854775807");
	CHECK_INT(ipcfs_add(v, 1, &n), -ERANGE);
	CHECK_INT(ipcfs_value(v), INT64_MAX);
	CHECK_INT(ipcfs_add(v, 1, NULL), 0);
	CHECK_INT(ipcfs_value(v), INT64_MIN);
	CHECK_INT(errno, ERANGE);
	CHECK_INT(n, 99);
	CHECK_INT(ipcfs_add(v, -1, &n), 0);
	CHECK_INT(n, INT64_MAX);
	ipcfs_close(v);
	ipcfs_close(r);
	ipcfs_close(w);
}

TEST(array)
{
	ipcfs_obj *a = make("array"), *b = again(a, O_RDWR);
	size_t n = 0, m = 0;
	char *p, *q;

	CHECK_INT(ipcfs_data(a, &n) == NULL, 1);
	CHECK_INT(errno, ENODATA);
	setting(a, "length", "5000");
	p = ipcfs_data(a, &n);
	q = ipcfs_data(b, &m);
	if (!p || !q)
		FAIL("data: %s", strerror(errno));
	CHECK_INT(n, 5000);
	CHECK_INT(m, 5000);
	p[4999] = 'z';
	CHECK_INT(q[4999], 'z');
	CHECK_INT(ipcfs_value(a), 5000);
	CHECK_INT(ipcfs_acquire(a, 0), 0);
	CHECK_INT(ipcfs_acquire(b, SECOND / 20), -ETIMEDOUT);
	CHECK_INT(ipcfs_release(a, 1), 0);
	ipcfs_close(a);
	ipcfs_close(b);
}

/* ---- signals, forks, threads ---- */

static void ignore(int sig)
{
	(void)sig;
}

TEST(signals)
{
	struct sigaction sa = { .sa_handler = ignore, .sa_flags = SA_RESTART };
	ipcfs_obj *q = make("queue"), *s = make("sem");
	pid_t parent = getpid(), pid;
	char buf[8];

	sigaction(SIGUSR1, &sa, NULL);
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 2; i++) {
			await_waiters(i ? s : q, 1);
			kill(parent, SIGUSR1);
		}
		_exit(0);
	}
	CHECK_INT(ipcfs_get(q, buf, 8, IPCFS_FOREVER), -EINTR);
	CHECK_INT(ipcfs_acquire(s, AMPLE), -EINTR);
	CHECK_INT(ipcfs_release(s, 1), 0);
	CHECK_INT(ipcfs_value(s), 1);
	ends_well(pid);
	ipcfs_close(q);
	ipcfs_close(s);
}

static void child_takes(ipcfs_obj *l)
{
	CHECK_INT(ipcfs_acquire(l, 0), -EAGAIN); /* the parent has it */
	CHECK_INT(ipcfs_acquire(l, AMPLE), 0);
	_exit(0); /* with it, which returns it */
}

TEST(forks)
{
	ipcfs_obj *l = make("lock");
	pid_t pid;

	CHECK_INT(ipcfs_acquire(l, 0), 0);
	pid = in_child(child_takes, l);
	await_waiters(l, 1);
	CHECK_INT(ipcfs_release(l, 1), 0);
	ends_well(pid);
	CHECK_INT(ipcfs_acquire(l, AMPLE), 0);
	ipcfs_close(l);
}

enum { THREADS = 8, EACH = 2000 };

static void *work(void *arg)
{
	ipcfs_obj *q = arg;
	int x;

	for (int i = 0; i < EACH; i++) {
		CHECK_INT(ipcfs_put(q, &i, sizeof(i), i % 3 ? IPCFS_FOREVER : 5 * SECOND), 0);
		CHECK_INT(ipcfs_get(q, &x, sizeof(x), i % 2 ? IPCFS_FOREVER : 5 * SECOND),
			  sizeof(x));
	}
	return NULL;
}

TEST(threads)
{
	ipcfs_obj *q = make("queue");
	pthread_t t[THREADS];

	setting(q, "maxsize", "3");
	for (int i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, work, q);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	CHECK_INT(ipcfs_value(q), 0);
	ipcfs_close(q);
}

static void *add(void *arg)
{
	int64_t n;

	for (int i = 0; i < 500; i++)
		CHECK_INT(ipcfs_add(arg, 1, &n), 0);
	return NULL;
}

TEST(adders)
{
	ipcfs_obj *v = make("value");
	pthread_t t[THREADS];

	for (int i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, add, v);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	CHECK_INT(ipcfs_value(v), THREADS * 500);
	ipcfs_close(v);
}

/* ---- deaths ---- */

static void use_for_ever(ipcfs_obj *o)
{
	ipcfs_obj *l = again(o, O_RDWR);

	for (;;) {
		CHECK_INT(ipcfs_acquire(l, IPCFS_FOREVER), 0);
		CHECK_INT(ipcfs_release(l, 1), 0);
	}
}

static void pass_for_ever(ipcfs_obj *o)
{
	ipcfs_obj *q = again(o, O_RDWR);
	char buf[300] = "";

	for (unsigned int i = 0;; i++) {
		CHECK_INT(ipcfs_put(q, buf, i * 7 % sizeof(buf), IPCFS_FOREVER), 0);
		if (ipcfs_get(q, buf, sizeof(buf), IPCFS_FOREVER) < 0)
			FAIL("get");
	}
}

static void kill_some(ipcfs_obj *o, void (*f)(ipcfs_obj *o))
{
	pid_t pids[3];

	for (int i = 0; i < 3; i++)
		pids[i] = in_child(f, o);
	for (int round = 0; round < 60; round++) {
		int i = round % 3, status;

		usleep(3000 + (useconds_t)round * 97);
		kill(pids[i], SIGKILL);
		waitpid(pids[i], &status, 0);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			FAIL("a client ended by itself: %x", status);
		pids[i] = in_child(f, o);
	}
	for (int i = 0; i < 3; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
}

TEST(deaths)
{
	ipcfs_obj *l = make("lock"), *q = make("queue");
	char buf[300];

	kill_some(l, use_for_ever);
	CHECK_INT(ipcfs_acquire(l, AMPLE), 0);
	kill_some(q, pass_for_ever);
	CHECK_INT(ipcfs_put(q, "x", 1, AMPLE), 0);
	while (ipcfs_get(q, buf, sizeof(buf), 0) >= 0)
		;
	CHECK_INT(ipcfs_value(q), 0);
	ipcfs_close(q);
	ipcfs_close(l);
}
