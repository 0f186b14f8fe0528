/* SPDX-License-Identifier: MIT */
/*
 * The roles of clients.py by libipcfs: direct ROLE FOLDER LOGS NAME SEED MODE PATIENCE. The same logs, so
 * that both kinds work on the same objects and are judged together.
 *
 * There is always somebody who makes the next step possible, so nobody waits for long. A sleeper
 * asks the daemon every 5 s whether the mount is still there, and that mends a lost wake-up: so who
 * has waited for PATIENCE seconds says so, and that is a failure.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ipcfs.h"

static const char *role, *folder, *logs, *name;
static unsigned int seed;
static bool kills_clients;
static int64_t patience;
static int log_fd;

static unsigned int any(unsigned int n)
{
	return (unsigned int)rand_r(&seed) % n;
}

static _Noreturn void fail(const char *what, long long r)
{
	fprintf(stderr, "%s %s: %s: %s\n", role, name, what, r < 0 ? strerror((int)-r) : "wrong");
	exit(1);
}

__attribute__((format(printf, 1, 2))) static void say(const char *fmt, ...)
{
	char line[200];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (write(log_fd, line, (size_t)n) != n)
		exit(1);
}

static bool stopped(const char *file)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/%s", logs, file);
	return access(path, F_OK) == 0;
}

static ipcfs_obj *object(const char *what)
{
	char path[600];
	ipcfs_obj *o;

	snprintf(path, sizeof(path), "%s/%s", folder, what);
	o = ipcfs_open(path, O_RDWR, 0);
	if (!o)
		fail(what, -errno);
	if (!ipcfs_is_direct(o) && !getenv("IPCFS_NO_DIRECT"))
		fail("is not direct", 0);
	return o;
}

/* Of a call that may have waited. */
static long long must(const char *what, long long r)
{
	if (r == -ETIMEDOUT)
		fail("was never woken from", r);
	if (r < 0)
		fail(what, r);
	return r;
}

static long long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static void load(void)
{
	if (!any(5))
		usleep(any(2000));
}

/* ---- queues ---- */

static void producer(void)
{
	static const unsigned int many[] = { 1, 1, 1, 5, 40 }, pads[] = { 0, 10, 300, 3000 };
	ipcfs_obj *q = object("plain.queue");
	static char text[40][3200];
	struct iovec v[40];

	for (unsigned int next = 0; !stopped("stop");) {
		unsigned int n = many[any(5)], pad = pads[any(4)], done = 0;

		say("try %u %u\n", next, next + n);
		for (unsigned int i = 0; i < n; i++) {
			int len = snprintf(text[i], 100, "%s %u ", name, next + i);

			memset(text[i] + len, 'x', pad);
			v[i] = (struct iovec){ text[i], (size_t)len + pad };
		}
		while (done < n)
			done += (unsigned int)must(
				"put",
				n == 1 ? ipcfs_put(q, v->iov_base, v->iov_len, patience) + 1 :
					 ipcfs_put_many(q, v + done, (int)(n - done), patience));
		next += n;
		say("put %u %u\n", next - n, next);
		if (!any(10)) {
			ipcfs_close(q);
			q = object("plain.queue");
		}
	}
}

static void consumer(void)
{
	ipcfs_obj *q = object("plain.queue");
	static char text[8][4096];
	struct iovec v[8];
	/* What a kill takes along is one message at the most. */
	int most = kills_clients ? 1 : 8;

	for (;;) {
		long long n = 1;

		for (int i = 0; i < most; i++)
			v[i] = (struct iovec){ text[i], sizeof(text[i]) - 1 };
		if (any(2)) {
			n = ipcfs_get_many(q, v, most, patience);
		} else {
			long long len = ipcfs_get(q, text[0], sizeof(text[0]) - 1, patience);

			v[0].iov_len = (size_t)len;
			n = len < 0 ? len : 1;
		}
		if (n == -EPIPE)
			return;
		if (n == -ETIMEDOUT && stopped("stop"))
			continue;
		must("get", n);
		for (int i = 0; i < n; i++) {
			char who[40];
			unsigned int count;

			text[i][v[i].iov_len] = 0;
			if (sscanf(text[i], "%39s %u", who, &count) != 2)
				fail("not a whole message", 0);
			say("got %s %u\n", who, count);
		}
	}
}

/* ---- locks ---- */

static void section(void)
{
	char path[600], text[32] = "0";
	int fd;

	say("in %lld\n", now());
	snprintf(path, sizeof(path), "%s/%s-counter", logs, role);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || pread(fd, text, 20, 0) < 0)
		fail(path, -errno);
	load();
	snprintf(text, sizeof(text), "%20lld", atoll(text) + 1);
	if (pwrite(fd, text, 20, 0) != 20)
		fail(path, -errno);
	close(fd);
	say("out %lld\n", now());
}

static void locker(void)
{
	ipcfs_obj *l = object("one.lock");

	while (!stopped("stop")) {
		must("acquire", ipcfs_acquire(l, patience));
		section();
		must("release", ipcfs_release(l, 1));
	}
}

static void rlocker(void)
{
	ipcfs_obj *l = object("one.rlock");

	while (!stopped("stop")) {
		unsigned int depth = 1 + any(3);

		for (unsigned int i = 0; i < depth; i++)
			must("acquire", ipcfs_acquire(l, patience));
		section();
		must("release", ipcfs_release(l, depth));
	}
}

static void semaphore(void)
{
	while (!stopped("stop")) {
		ipcfs_obj *s = object("three.sem");

		for (int i = 0; i < 10; i++) {
			must("acquire", ipcfs_acquire(s, patience));
			say("in %lld\n", now());
			load();
			say("out %lld\n", now());
			must("release", ipcfs_release(s, 1));
		}
		if (any(2))
			must("acquire", ipcfs_acquire(s, patience)); /* close gives it back */
		ipcfs_close(s);
	}
}

/* ---- condition, barrier, value ---- */

static void maker(void)
{
	ipcfs_obj *c = object("tokens.cond"), *v = object("tokens.value");

	while (!stopped("stop")) {
		must("acquire", ipcfs_acquire(c, patience));
		must("add", ipcfs_add(v, 1, NULL));
		say("made\n");
		must("notify", ipcfs_notify(c, 1));
		must("release", ipcfs_release(c, 1));
		if (!any(3))
			usleep(3000);
	}
}

static void taker(void)
{
	ipcfs_obj *c = object("tokens.cond"), *v = object("tokens.value");

	for (;;) {
		must("acquire", ipcfs_acquire(c, patience));
		while (ipcfs_value(v) == 0) {
			int r;

			if (stopped("stop-takers"))
				return;
			/* A notify may have gone with one who was killed; and at the end there are none. */
			r = ipcfs_wait(c, kills_clients ? 500000000 : patience);
			if (r == -ETIMEDOUT && (kills_clients || stopped("stop")))
				continue;
			must("wait", r);
		}
		must("add", ipcfs_add(v, -1, NULL));
		say("took\n");
		must("release", ipcfs_release(c, 1));
	}
}

static void adder(void)
{
	ipcfs_obj *v = object("sum.value");
	int64_t n;

	while (!stopped("stop")) {
		must("add", ipcfs_add(v, 1, &n));
		say("ticket %lld\n", (long long)n);
	}
}

static const struct {
	const char *name;
	void (*run)(void);
} roles[] = {
	{ "producer", producer }, { "consumer", consumer },   { "locker", locker },
	{ "rlocker", rlocker },   { "semaphore", semaphore }, { "maker", maker },
	{ "taker", taker },       { "adder", adder },
};

int main(int argc, char **argv)
{
	char path[600];

	if (argc != 8)
		return 2;
	role = argv[1];
	folder = argv[2];
	logs = argv[3];
	name = argv[4];
	for (const char *p = name; *p; p++)
		seed = seed * 31 + (unsigned char)*p;
	seed += (unsigned int)atoi(argv[5]);
	kills_clients = !strcmp(argv[6], "kill-clients");
	patience = (int64_t)(atof(argv[7]) * 1e9);
	snprintf(path, sizeof(path), "%s/%s.%s", logs, role, name);
	log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (log_fd < 0)
		return 2;
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (!strcmp(roles[i].name, role)) {
			roles[i].run();
			return 0;
		}
	return 2;
}
