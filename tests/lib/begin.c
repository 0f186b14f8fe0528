/* SPDX-License-Identifier: MIT */
/* Messages that are written and read in place: ipcfs_put_begin() and its like. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib.h"

#define MOST ((1 << 20) - 4096)

/* Whatever would be cut short, or come from another one, shows. */
static void fill(char *to, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (char)(i * 7 + i / 251 + seed);
}

static void is_filled(const char *bytes, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != (char)(i * 7 + i / 251 + seed))
			FAIL("byte %zu of %zu is wrong", i, len);
}

static void put_filled(ipcfs_obj *q, size_t len, unsigned int seed)
{
	char *to = ipcfs_put_begin(q, len);

	CHECK(to != NULL);
	fill(to, len, seed);
	CHECK_INT(ipcfs_put_commit(q, to, len, AMPLE), 0);
}

static void get_filled(ipcfs_obj *q, size_t len, unsigned int seed)
{
	const void *bytes;

	CHECK_INT(ipcfs_get_begin(q, &bytes, AMPLE), len);
	is_filled(bytes, len, seed);
	CHECK_INT(ipcfs_get_end(q, bytes), 0);
}

static const size_t sizes[] = { 0,     1,     100,   2048,  4080,  4081,  4096,   8192,
				32768, 65519, 65520, 65521, 65536, 65537, 200000, MOST };
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

TEST(begin_every_size)
{
	ipcfs_obj *q = make("queue");
	char *buf = malloc(MOST);

	for (unsigned int i = 0; i < SIZES; i++) {
		put_filled(q, sizes[i], i);
		put_filled(q, sizes[i], i + 1);
		CHECK_INT(ipcfs_value(q), 2);
		CHECK_INT(ipcfs_get(q, buf, MOST, AMPLE), sizes[i]);
		is_filled(buf, sizes[i], i);
		CHECK_INT(ipcfs_put(q, buf, sizes[i], AMPLE), 0);
		get_filled(q, sizes[i], i + 1);
		get_filled(q, sizes[i], i);
	}
	CHECK_INT(ipcfs_value(q), 0);
	CHECK_INT(ipcfs_done(q, 3 * SIZES), 0);
	free(buf);
	ipcfs_close(q);
}

TEST(begin_several)
{
	enum { N = 50 };
	ipcfs_obj *q = make("queue");
	const void *bytes[N];
	char *to[N];

	for (unsigned int i = 0; i < N; i++) {
		to[i] = ipcfs_put_begin(q, 70000 - i * 1000);
		CHECK(to[i] != NULL);
		fill(to[i], 70000 - i * 1000, i);
	}
	CHECK_INT(ipcfs_value(q), 0);
	for (unsigned int i = N; i-- > 0;) /* in the order of the commits, and shorter than begun */
		CHECK_INT(ipcfs_put_commit(q, to[i], 60000 - i * 1000, AMPLE), 0);
	CHECK_INT(ipcfs_value(q), N);
	for (unsigned int i = N; i-- > 0;) {
		CHECK_INT(ipcfs_get_begin(q, &bytes[i], AMPLE), 60000 - i * 1000);
		is_filled(bytes[i], 60000 - i * 1000, i);
	}
	for (unsigned int i = 0; i < N; i++)
		CHECK_INT(ipcfs_get_end(q, bytes[i]), 0);
	ipcfs_close(q);
}

TEST(begin_refused)
{
	ipcfs_obj *q = make("queue"), *r = again(q, O_RDONLY), *w = again(q, O_WRONLY),
		  *pipe = make("pipe");
	const void *bytes;
	char *to;

	CHECK(!ipcfs_put_begin(q, MOST + 1) && errno == EMSGSIZE);
	CHECK(!ipcfs_put_begin(pipe, 1) && errno == EINVAL);
	CHECK(!ipcfs_put_begin(r, 1) && errno == EBADF);
	CHECK_INT(ipcfs_get_begin(w, &bytes, 0), -EBADF);
	CHECK_INT(ipcfs_get_begin(pipe, &bytes, 0), -EINVAL);
	CHECK_INT(ipcfs_get_begin(q, &bytes, 0), -EAGAIN);
	CHECK_INT(ipcfs_get_begin(q, &bytes, SECOND / 20), -ETIMEDOUT);
	to = ipcfs_put_begin(q, 10000);
	CHECK(to != NULL);
	CHECK_INT(ipcfs_put_commit(q, to + 1, 1, 0), -EINVAL);
	CHECK_INT(ipcfs_put_commit(w, to, 1, 0), -EINVAL);
	CHECK_INT(ipcfs_get_end(q, to), -EINVAL);
	CHECK_INT(ipcfs_put_commit(q, to, 10001, 0), -EINVAL);
	setting(q, "maxsize", "1");
	CHECK_INT(ipcfs_put(q, "1", 1, 0), 0);
	CHECK_INT(ipcfs_put_commit(q, to, 10000, 0), -EAGAIN);
	CHECK_INT(ipcfs_put_commit(q, to, 10000, SECOND / 20), -ETIMEDOUT);
	fill(to, 10000, 5);
	CHECK_INT(ipcfs_get_begin(q, &bytes, 0), 1);
	CHECK_INT(ipcfs_put_commit(q, to, 10000, 0), 0);
	CHECK_INT(ipcfs_put_commit(q, to, 10000, 0), -EINVAL);
	CHECK_INT(ipcfs_put_cancel(q, to), -EINVAL);
	CHECK_INT(ipcfs_get_end(q, bytes), 0);
	CHECK_INT(ipcfs_get_end(q, bytes), -EINVAL);
	get_filled(r, 10000, 5);
	to = ipcfs_put_begin(q, 10000);
	CHECK_INT(ipcfs_put_cancel(q, to), 0);
	to = ipcfs_put_begin(q, 10000);
	setting(q, "closed", "1");
	CHECK_INT(ipcfs_put_commit(q, to, 10000, AMPLE), -EPIPE);
	CHECK_INT(ipcfs_get_begin(q, &bytes, AMPLE), -EPIPE);
	CHECK_INT(ipcfs_put_cancel(q, to), 0);
	ipcfs_close(pipe);
	ipcfs_close(w);
	ipcfs_close(r);
	ipcfs_close(q);
}

/* What is left of a message that was read in part is for the reads that copy. */
TEST(begin_beside_a_rest)
{
	ipcfs_obj *q = make("queue");
	char buf[5000];

	put_filled(q, 5000, 3);
	put_filled(q, 10, 4);
	put_filled(q, 9000, 5);
	CHECK_INT(ipcfs_get(q, buf, 4, 0), 4);
	get_filled(q, 10, 4);
	CHECK_INT(ipcfs_get(q, buf + 4, 4000, 0), 4000);
	CHECK_INT(ipcfs_get(q, buf + 4004, 4000, 0), 996);
	is_filled(buf, 5000, 3);
	get_filled(q, 9000, 5);
	ipcfs_close(q);
}

TEST(begin_and_close)
{
	ipcfs_obj *q = make("queue"), *other = again(q, O_RDWR);
	const void *bytes;

	for (unsigned int i = 0; i < 4; i++)
		put_filled(q, 65536 + i, i);
	CHECK(ipcfs_put_begin(other, 65536) != NULL);
	CHECK_INT(ipcfs_get_begin(other, &bytes, 0), 65536);
	CHECK_INT(ipcfs_get_end(other, bytes), 0);
	CHECK_INT(ipcfs_get_begin(other, &bytes, 0), 65537);
	CHECK_INT(ipcfs_get_begin(other, &bytes, 0), 65538);
	CHECK_INT(ipcfs_value(q), 1);
	ipcfs_close(other);
	await_value(q, 3);
	for (unsigned int i = 1; i < 4; i++)
		get_filled(q, 65536 + i, i);
	ipcfs_close(q);
}

static void begins_and_dies(ipcfs_obj *q)
{
	const void *bytes;

	if (!ipcfs_put_begin(q, 65536) || !ipcfs_put_begin(q, 100) ||
	    ipcfs_get_begin(q, &bytes, 0) != 65536)
		_exit(1);
	raise(SIGKILL);
}

TEST(begin_and_die)
{
	ipcfs_obj *q = make("queue");
	int status;
	pid_t pid;

	setting(q, "max_attempts", "2");
	for (unsigned int round = 0; round < 2; round++) {
		if (!round)
			put_filled(q, 65536, 1);
		pid = in_child(begins_and_dies, q);
		CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
		if (!round)
			await_value(q, 1);
	}
	await_value(q, 0); /* that was its last attempt */
	setting(q, "revive", "all");
	await_value(q, 1);
	get_filled(q, 65536, 1);
	ipcfs_close(q);
}

/* What the parent has begun is not the child's. */
static void tries_the_parents(ipcfs_obj *q)
{
	char *own = ipcfs_put_begin(q, 65536);

	if (!own)
		_exit(1);
	fill(own, 65536, 9);
	_exit(ipcfs_put_commit(q, own, 65536, AMPLE) == 0 && ipcfs_put_cancel(q, own) == -EINVAL ?
		      0 :
		      2);
}

TEST(begin_and_fork)
{
	ipcfs_obj *q = make("queue");
	char *to = ipcfs_put_begin(q, 65536);

	CHECK(to != NULL);
	fill(to, 65536, 8);
	ends_well(in_child(tries_the_parents, q));
	CHECK_INT(ipcfs_put_commit(q, to, 65536, AMPLE), 0);
	get_filled(q, 65536, 9);
	get_filled(q, 65536, 8);
	ipcfs_close(q);
}

/* ---- threads that share a handle ---- */

enum { ROUNDS = 300, PAIRS = 2 };

static void *putter(void *arg)
{
	ipcfs_obj *q = arg;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		size_t len = i % 3 ? 65536 : 9000;

		if (i % 2) {
			char *to = ipcfs_put_begin(q, len);

			if (!to)
				return "no memory";
			memset(to, (int)(i % 128), len);
			if (ipcfs_put_commit(q, to, len, AMPLE) != 0)
				return "not put";
		} else {
			char *copy = malloc(len);

			memset(copy, (int)(i % 128), len);
			if (ipcfs_put(q, copy, len, AMPLE) != 0)
				return "not put";
			free(copy);
		}
	}
	return NULL;
}

static void *getter(void *arg)
{
	ipcfs_obj *q = arg;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		const void *bytes;
		const char *p;
		ssize_t n = ipcfs_get_begin(q, &bytes, AMPLE);

		if (n != 65536 && n != 9000)
			return "of another length";
		p = bytes;
		for (ssize_t k = 0; k < n; k += 61)
			if (p[k] != p[0])
				return "of two messages";
		if (ipcfs_get_end(q, bytes) != 0)
			return "not ended";
	}
	return NULL;
}

TEST(begin_in_threads)
{
	ipcfs_obj *q = make("queue");
	pthread_t thread[2 * PAIRS];
	void *wrong;

	setting(q, "maxsize", "7");
	for (unsigned int i = 0; i < 2 * PAIRS; i++)
		CHECK_INT(pthread_create(&thread[i], NULL, i % 2 ? getter : putter, q), 0);
	for (unsigned int i = 0; i < 2 * PAIRS; i++) {
		pthread_join(thread[i], &wrong);
		if (wrong)
			FAIL("thread %u: %s", i, (char *)wrong);
	}
	CHECK_INT(ipcfs_value(q), 0);
	ipcfs_close(q);
}
