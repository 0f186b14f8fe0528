/* SPDX-License-Identifier: MIT */
/* Less usual ways to use libipcfs, which must come to the same directly and through files. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib.h"

static ipcfs_obj *open_it(const char *name, int oflags)
{
	ipcfs_obj *o = ipcfs_open(path_of(name), oflags, 0600);

	if (!o)
		FAIL("%s: %s", path_of(name), strerror(errno));
	return o;
}

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

static void says(ssize_t n, const char *buf, const char *text)
{
	CHECK_INT(n, strlen(text));
	if (memcmp(buf, text, (size_t)n))
		FAIL("got %.*s, not %s", (int)n, buf, text);
}

/* ---- pipes ---- */

TEST(twoway)
{
	ipcfs_obj *a, *b;
	char buf[64];

	if (mkdir(path_of("talk.pipe"), 0700) < 0)
		FAIL("mkdir: %s", strerror(errno));
	a = open_it("talk.pipe/a", O_RDWR);
	b = open_it("talk.pipe/b", O_RDWR);
	CHECK_INT(ipcfs_is_direct(a), !getenv("IPCFS_NO_DIRECT"));
	CHECK_INT(ipcfs_put(a, "to b", 4, 0), 0);
	CHECK_INT(ipcfs_put(b, "to a", 4, 0), 0);
	says(ipcfs_get(a, buf, sizeof(buf), AMPLE), buf, "to a");
	says(ipcfs_get(b, buf, sizeof(buf), AMPLE), buf, "to b");
	CHECK_INT(ipcfs_get(a, buf, sizeof(buf), 0), -EAGAIN);
	CHECK_INT(ipcfs_put(a, "last", 4, 0), 0);
	ipcfs_close(a);
	says(ipcfs_get(b, buf, sizeof(buf), AMPLE), buf, "last");
	CHECK_INT(ipcfs_get(b, buf, sizeof(buf), AMPLE), -EPIPE);
	CHECK_INT(ipcfs_put(b, "x", 1, AMPLE), -EPIPE);
	ipcfs_close(b);
}

TEST(records)
{
	ipcfs_obj *p = make("pipe");
	static char big[100000];
	struct iovec v[3];
	char buf[64], two[64];

	setting(p, "framing", "record");
	CHECK_INT(ipcfs_put(p, "one", 3, 0), 0);
	CHECK_INT(ipcfs_put(p, "", 0, 0), 0);
	CHECK_INT(ipcfs_put(p, "three", 5, 0), 0);
	says(ipcfs_get(p, buf, sizeof(buf), 0), buf, "one");
	says(ipcfs_get(p, buf, sizeof(buf), 0), buf, "");
	says(ipcfs_get(p, buf, 2, 0), buf, "th"); /* and its rest */
	says(ipcfs_get(p, buf, sizeof(buf), 0), buf, "ree");
	CHECK_INT(ipcfs_get(p, buf, sizeof(buf), 0), -EAGAIN);
	v[0] = (struct iovec){ big, sizeof(big) };
	v[1] = (struct iovec){ "x", 1 };
	v[2] = (struct iovec){ "yy", 2 };
	CHECK_INT(ipcfs_put_many(p, v, 3, AMPLE), 3);
	CHECK_INT(ipcfs_value(p), sizeof(big) + 3);
	v[0] = (struct iovec){ big, sizeof(big) };
	v[1] = (struct iovec){ buf, sizeof(buf) };
	v[2] = (struct iovec){ two, sizeof(two) };
	CHECK_INT(ipcfs_get_many(p, v, 3, AMPLE), 3);
	CHECK_INT(v[0].iov_len, sizeof(big));
	CHECK_INT(v[1].iov_len, 1);
	CHECK_INT(v[2].iov_len, 2);
	ipcfs_close(p);
}

/* ---- time limits ---- */

static void within(double start, double least, double most)
{
	double t = seconds() - start;

	if (t < least || t > most)
		FAIL("took %f s", t);
}

TEST(limits)
{
	static const char *const names[] = { "l.queue", "l.sem", "l.event", "l.cond" };
	char buf[8], name[32];

	for (int i = 0; i < 4; i++) {
		double t;
		int r;

		ipcfs_obj *o = open_it(names[i], O_RDWR | O_CREAT);

		ipcfs_close(o);
		snprintf(name, sizeof(name), "%s@0.1", names[i]);
		o = open_it(name, O_RDWR);
		t = seconds();
		r = i == 0 ? (int)ipcfs_get(o, buf, 8, IPCFS_FOREVER) :
		    i == 1 ? ipcfs_acquire(o, IPCFS_FOREVER) :
			     ipcfs_wait(o, AMPLE);
		CHECK_INT(r, -ETIMEDOUT);
		within(t, 0.099, 5);
		ipcfs_close(o);
		snprintf(name, sizeof(name), "%s@0", names[i]);
		o = open_it(name, O_RDWR);
		r = i == 0 ? (int)ipcfs_get(o, buf, 8, IPCFS_FOREVER) :
		    i == 1 ? ipcfs_acquire(o, IPCFS_FOREVER) :
			     ipcfs_wait(o, AMPLE);
		CHECK_INT(r, -EAGAIN);
		ipcfs_close(o);
	}
}

TEST(ioctls)
{
	ipcfs_obj *q = make("queue"), *s = make("sem"), *l = make("lock"), *m = again(l, O_RDWR);
	int64_t ns = SECOND / 10, t;
	char buf[8];
	double start = seconds();

	CHECK_INT(ioctl(ipcfs_fd(q), IPCFS_IOC_TIMEOUT, &ns), 0);
	CHECK_INT(ipcfs_get(q, buf, 8, IPCFS_FOREVER), -ETIMEDOUT);
	within(start, 0.099, 5);
	CHECK_INT(ipcfs_get(q, buf, 8, AMPLE), -ETIMEDOUT);
	CHECK_INT(ipcfs_get(q, buf, 8, 0), -EAGAIN);
	ns = 0;
	CHECK_INT(ioctl(ipcfs_fd(q), IPCFS_IOC_TIMEOUT, &ns), 0);
	CHECK_INT(ipcfs_get(q, buf, 8, IPCFS_FOREVER), -EAGAIN);
	CHECK_INT(ipcfs_join(q, IPCFS_FOREVER), 0);
	CHECK_INT(ipcfs_put(q, "x", 1, IPCFS_FOREVER), 0);
	CHECK_INT(ipcfs_join(q, IPCFS_FOREVER), -EAGAIN);
	ns = -1;
	CHECK_INT(ioctl(ipcfs_fd(q), IPCFS_IOC_TIMEOUT, &ns), 0);
	CHECK_INT(ioctl(ipcfs_fd(q), IPCFS_IOC_NEXT, &ns), 0);
	CHECK_INT(ns, 1);
	ns = INT64_MAX; /* longer than any deadline can be */
	CHECK_INT(ioctl(ipcfs_fd(q), IPCFS_IOC_TIMEOUT, &ns), 0);
	start = seconds();
	CHECK_INT(ipcfs_join(q, SECOND / 20), -ETIMEDOUT);
	within(start, 0.049, 5);
	CHECK_INT(ipcfs_get(q, buf, 8, 0), 1);
	CHECK_INT(ioctl(ipcfs_fd(q), IPCFS_IOC_NEXT, &ns), 0);
	CHECK_INT(ns, -1);

	start = seconds();
	t = now() + SECOND / 10;
	CHECK_INT(ioctl(ipcfs_fd(s), IPCFS_IOC_DEADLINE, &t), 0);
	CHECK_INT(ipcfs_acquire(s, AMPLE), -ETIMEDOUT);
	within(start, 0.099, 5);
	CHECK_INT(ipcfs_acquire(s, IPCFS_FOREVER), -ETIMEDOUT); /* it has passed */
	t = -1;
	CHECK_INT(ioctl(ipcfs_fd(s), IPCFS_IOC_DEADLINE, &t), 0);
	CHECK_INT(ipcfs_acquire(s, SECOND / 20), -ETIMEDOUT);
	CHECK_INT(ipcfs_release(s, 1), 0);
	CHECK_INT(ipcfs_acquire(s, IPCFS_FOREVER), 0);

	CHECK_INT(ipcfs_acquire(l, 0), 0);
	t = now() + SECOND / 10;
	CHECK_INT(ioctl(ipcfs_fd(m), IPCFS_IOC_DEADLINE, &t), 0);
	start = seconds();
	CHECK_INT(ipcfs_acquire(m, IPCFS_FOREVER), -ETIMEDOUT);
	within(start, 0.0, 5);
	ipcfs_close(q);
	ipcfs_close(s);
	ipcfs_close(m);
	ipcfs_close(l);
}

/* ---- ctl/lock ---- */

static void wait_with_other_lock(ipcfs_obj *c)
{
	CHECK_INT(ipcfs_acquire(c, AMPLE), 0);
	CHECK_INT(ipcfs_wait(c, AMPLE), 0);
	CHECK_INT(ipcfs_release(c, 1), 0);
}

TEST(otherlock)
{
	static const char *const names[] = { "o.cond", "o.value", "o.array" };
	ipcfs_obj *l = open_it("o.lock", O_RDWR | O_CREAT), *o[3];
	pid_t pid;

	for (int i = 0; i < 3; i++) {
		o[i] = open_it(names[i], O_RDWR | O_CREAT);
		setting(o[i], "lock", "o.lock");
		CHECK_INT(ipcfs_acquire(o[i], AMPLE), 0);
		CHECK_INT(ipcfs_value(l), 0);
		CHECK_INT(ipcfs_acquire(l, 0), -EAGAIN);
		CHECK_INT(ipcfs_acquire(l, SECOND / 20), -ETIMEDOUT);
		CHECK_INT(ipcfs_release(o[i], 1), 0);
		CHECK_INT(ipcfs_value(l), 1);
		CHECK_INT(ipcfs_acquire(l, 0), 0);
		CHECK_INT(ipcfs_acquire(o[i], 0), -EAGAIN);
		CHECK_INT(ipcfs_acquire(o[i], SECOND / 20), -ETIMEDOUT);
		CHECK_INT(ipcfs_release(l, 1), 0);
	}
	pid = in_child(wait_with_other_lock, o[0]);
	await_value(o[0], 1);
	CHECK_INT(ipcfs_acquire(l, AMPLE), 0); /* which it has given up */
	CHECK_INT(ipcfs_notify(o[0], 1), 0);
	await_value(o[0], 0);
	CHECK_INT(ipcfs_release(l, 1), 0);
	ends_well(pid);
	CHECK_INT(ipcfs_acquire(o[0], AMPLE), 0);
	CHECK_INT(ipcfs_wait(o[0], SECOND / 20), -ETIMEDOUT);
	CHECK_INT(ipcfs_value(l), 0); /* with it again */
	ipcfs_close(o[0]);
	CHECK_INT(ipcfs_acquire(l, AMPLE), 0);
	for (int i = 1; i < 3; i++)
		ipcfs_close(o[i]);
	ipcfs_close(l);
}

/* ---- processes ---- */

/* The parent opens, holds and dies; its child goes on with what the parent opened. */
TEST(orphans)
{
	ipcfs_obj *l = make("lock"), *q = make("queue"), *back = make("queue"), *e = make("event");
	pid_t pid = fork();
	char buf[8];

	if (pid == 0) {
		CHECK_INT(ipcfs_acquire(l, 0), 0);
		CHECK_INT(ipcfs_put(q, "a", 1, 0), 0);
		if (fork() == 0) {
			alarm((unsigned int)patience(30));
			CHECK_INT(ipcfs_wait(e, AMPLE), 0);    /* the parent is dead then */
			CHECK_INT(ipcfs_acquire(l, AMPLE), 0); /* which returned it */
			CHECK_INT(ipcfs_get(q, buf, 8, 0), 1);
			CHECK_INT(ipcfs_put(back, "b", 1, 0), 0);
			_exit(0); /* with the lock */
		}
		_exit(0);
	}
	ends_well(pid);
	CHECK_INT(ipcfs_set(e), 0);
	CHECK_INT(ipcfs_get(back, buf, 8, AMPLE), 1);
	CHECK_INT(ipcfs_acquire(l, AMPLE), 0);
	ipcfs_close(l);
	ipcfs_close(q);
	ipcfs_close(back);
	ipcfs_close(e);
}

enum { THREADS = 6, EACH = 300 };

struct shared {
	ipcfs_obj *q, *s, *l, *v, *b;
	int inside, most, together;
};

static void *use_all(void *arg)
{
	struct shared *x = arg;
	char buf[64];
	int64_t n;

	for (int i = 0; i < EACH; i++) {
		int inside;

		CHECK_INT(ipcfs_acquire(x->s, AMPLE), 0);
		inside = __atomic_add_fetch(&x->inside, 1, __ATOMIC_SEQ_CST);
		if (inside > __atomic_load_n(&x->most, __ATOMIC_SEQ_CST))
			__atomic_store_n(&x->most, inside, __ATOMIC_SEQ_CST);
		__atomic_sub_fetch(&x->inside, 1, __ATOMIC_SEQ_CST);
		CHECK_INT(ipcfs_release(x->s, 1), 0);
		CHECK_INT(ipcfs_put(x->q, buf, (size_t)(i % 60), AMPLE), 0);
		if (ipcfs_get(x->q, buf, sizeof(buf), AMPLE) < 0)
			FAIL("get");
		CHECK_INT(ipcfs_add(x->v, 1, &n), 0);
		CHECK_INT(ipcfs_acquire(x->l, AMPLE), 0); /* all threads are its owner */
		CHECK_INT(ipcfs_release(x->l, 1), 0);
		if (i % 100 == 0 && ipcfs_wait(x->b, AMPLE) == 0)
			__atomic_add_fetch(&x->together, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

/* What was got in part goes back when the object is closed, or its process dies. */
TEST(parts)
{
	ipcfs_obj *q = make("queue"), *other;
	struct iovec v[2];
	char buf[16];
	pid_t pid;

	other = again(q, O_RDWR);
	CHECK_INT(ipcfs_put(q, "first", 5, 0), 0);
	CHECK_INT(ipcfs_get(other, buf, 2, 0), 2);
	CHECK_INT(ipcfs_get(q, buf, 16, 0), -EAGAIN);
	ipcfs_close(other);
	CHECK_INT(ipcfs_get(q, buf, 16, AMPLE), 5);

	other = again(q, O_RDWR);
	CHECK_INT(ipcfs_put(q, "whole", 5, 0), 0);
	CHECK_INT(ipcfs_get(other, buf, 2, 0), 2);
	CHECK_INT(ipcfs_get(other, buf, 16, 0), 3);
	CHECK_INT(ipcfs_put(q, "next", 4, 0), 0);
	v[0] = (struct iovec){ buf, 8 };
	v[1] = (struct iovec){ buf + 8, 1 };
	CHECK_INT(ipcfs_put(q, "last", 4, 0), 0);
	CHECK_INT(ipcfs_get_many(other, v, 2, 0), 2);
	ipcfs_close(other);
	CHECK_INT(ipcfs_get(q, buf, 16, AMPLE), 4);
	CHECK_INT(memcmp(buf, "last", 4), 0);
	CHECK_INT(ipcfs_get(q, buf, 16, 0), -EAGAIN);

	CHECK_INT(ipcfs_put(q, "killed", 6, 0), 0);
	pid = fork();
	if (pid == 0) {
		ipcfs_get(q, buf, 2, 0);
		raise(SIGKILL);
	}
	CHECK_INT(waitpid(pid, NULL, 0), pid);
	CHECK_INT(ipcfs_get(q, buf, 16, AMPLE), 6);
	CHECK_INT(memcmp(buf, "killed", 6), 0);
	ipcfs_close(q);
}

TEST(crowd)
{
	struct shared x = {
		make("queue"), make("sem"), make("rlock"), make("value"), make("barrier"), 0, 0, 0
	};
	pthread_t t[THREADS];

	setting(x.b, "parties", "6");
	CHECK_INT(ipcfs_release(x.s, 2), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, use_all, &x);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	CHECK_INT(ipcfs_value(x.v), THREADS * EACH);
	CHECK_INT(ipcfs_value(x.q), 0);
	CHECK_INT(ipcfs_value(x.s), 2);
	CHECK_INT(ipcfs_value(x.l), 1);
	CHECK_INT(x.together, EACH / 100);
	if (x.most > 2)
		FAIL("%d inside at once", x.most);
	ipcfs_close(x.q);
	ipcfs_close(x.s);
	ipcfs_close(x.l);
	ipcfs_close(x.v);
	ipcfs_close(x.b);
}

/* ---- signals ---- */

static void ignore(int sig)
{
	(void)sig;
}

/* Somebody who sends a signal as soon as it waits. */
static pid_t waker(ipcfs_obj *o)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		await_waiters(o, 1);
		kill(parent, SIGUSR1);
		_exit(0);
	}
	return pid;
}

#define INTERRUPTED(o, call)             \
	do {                             \
		pid_t pid_ = waker(o);   \
                                         \
		CHECK_INT(call, -EINTR); \
		ends_well(pid_);         \
	} while (0)

TEST(interrupts)
{
	struct sigaction sa = { .sa_handler = ignore, .sa_flags = SA_RESTART };
	ipcfs_obj *q = make("queue"), *full = make("pipe"), *e = make("event"), *s = make("sem");
	ipcfs_obj *l = make("lock"), *r = make("rlock"), *c = make("cond"), *b = make("barrier");
	ipcfs_obj *l2 = again(l, O_RDWR), *r2 = again(r, O_RDWR), *c2 = again(c, O_RDWR);
	char buf[8];
	struct iovec v = { buf, 8 };

	sigaction(SIGUSR1, &sa, NULL);
	INTERRUPTED(q, ipcfs_get(q, buf, 8, IPCFS_FOREVER));
	INTERRUPTED(q, ipcfs_get_many(q, &v, 1, AMPLE));
	setting(q, "maxsize", "1");
	CHECK_INT(ipcfs_put(q, "x", 1, 0), 0);
	INTERRUPTED(q, ipcfs_put(q, "y", 1, IPCFS_FOREVER));
	INTERRUPTED(q, ipcfs_put_many(q, &v, 1, AMPLE));
	CHECK_INT(ipcfs_value(q), 1);
	INTERRUPTED(q, ipcfs_join(q, IPCFS_FOREVER));
	INTERRUPTED(e, ipcfs_wait(e, IPCFS_FOREVER));
	INTERRUPTED(s, ipcfs_acquire(s, IPCFS_FOREVER));
	CHECK_INT(ipcfs_acquire(l, 0), 0);
	INTERRUPTED(l, ipcfs_acquire(l2, AMPLE));
	CHECK_INT(ipcfs_acquire(r, 0), 0);
	INTERRUPTED(r, ipcfs_acquire(r2, IPCFS_FOREVER));
	CHECK_INT(ipcfs_acquire(c, 0), 0);
	INTERRUPTED(c, ipcfs_wait(c, AMPLE));
	CHECK_INT(ipcfs_acquire(c2, 0), 0); /* the lock is not held after it */
	CHECK_INT(ipcfs_notify(c2, 1), 0);
	CHECK_INT(ipcfs_release(c2, 1), 0);
	CHECK_INT(ipcfs_wait(c, AMPLE), 0); /* it stayed queued, and has the notify */
	CHECK_INT(ipcfs_acquire(c2, 0), -EAGAIN);
	setting(b, "parties", "2");
	INTERRUPTED(b, ipcfs_wait(b, IPCFS_FOREVER));
	CHECK_INT(ipcfs_wait(b, SECOND / 20), -ETIMEDOUT);
	setting(full, "maxbytes", "4096");
	for (int i = 0; i < 4096 / 8; i++)
		CHECK_INT(ipcfs_put(full, "12345678", 8, 0), 0);
	INTERRUPTED(full, ipcfs_put(full, "y", 1, IPCFS_FOREVER));
	CHECK_INT(ipcfs_value(full), 4096);
	ipcfs_obj *all[] = { q, full, e, s, l2, l, r2, r, c2, c, b };
	for (unsigned int i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		ipcfs_close(all[i]);
}

/* The locks that flock(2) takes when it goes through the file: the kernel begins that again. */
TEST(lock_interrupts)
{
	struct sigaction sa = { .sa_handler = ignore, .sa_flags = SA_RESTART };
	static const char *const types[] = { "cond", "value", "array" };

	sigaction(SIGUSR1, &sa, NULL);
	for (int i = 0; i < 3; i++) {
		ipcfs_obj *o = make(types[i]), *p = again(o, O_RDWR);

		CHECK_INT(ipcfs_acquire(o, 0), 0);
		INTERRUPTED(o, ipcfs_acquire(p, IPCFS_FOREVER));
		INTERRUPTED(o, ipcfs_acquire(p, AMPLE));
		ipcfs_close(p);
		ipcfs_close(o);
	}
}

/* ---- ulimit -f ---- */

/* A limit on the size of files is no limit here: nobody is killed by SIGXFSZ. */
TEST(fsize)
{
	struct rlimit none = { 4096, 4096 };
	ipcfs_obj *q = make("queue"), *v = make("value"), *e = make("event");
	static char data[3000];
	int64_t n;

	if (setrlimit(RLIMIT_FSIZE, &none) < 0)
		FAIL("setrlimit");
	for (int i = 0; i < 200; i++)
		CHECK_INT(ipcfs_put(q, data, sizeof(data), AMPLE), 0);
	CHECK_INT(ipcfs_put(q, "", 0, IPCFS_FOREVER), 0);
	CHECK_INT(ipcfs_value(q), 201);
	CHECK_INT(ipcfs_add(v, 3, &n), 0);
	CHECK_INT(ipcfs_set(e), 0);
	ipcfs_close(q);
	ipcfs_close(v);
	ipcfs_close(e);
}
