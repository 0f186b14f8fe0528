/* SPDX-License-Identifier: MIT */
/*
 * lock PEER PROCESSES MILLISECONDS - lock and unlock, with nothing in between; of an event, set and
 * clear, or wait while it is set.
 *
 * Prints the nanoseconds per lock+unlock: the time from the common start to the end of the last
 * process, by all that were done; and `most`, the number of one process' operations relative to
 * the mean (1: fair).
 */
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <ipcfs.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "bench.h"

struct lock_type {
	const char *name;
	void (*make)(void); /* before the fork; may be NULL */
	void (*open)(void); /* in each process; may be NULL */
	void (*pair)(void); /* lock and unlock */
	void (*drop)(void); /* may be NULL */
};

struct counts {
	uint32_t stop;
	struct {
		uint64_t n;
		char pad[56]; /* a cache line each */
	} of[16];
};

static const struct lock_type *type;
static struct counts *counts;
static char path[4096];
static int fd;

static void check(int r, const char *what)
{
	if (r)
		die("%s: %s", what, strerror(r < 0 ? -r : r));
}

/* ---- ipcfs ---- */

static ipcfs_obj *obj;

static void make_object(const char *name, const char *text)
{
	strcpy(path, path_in("BENCH_IPC", name));
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		die_errno(path);
	if (text)
		write_text(path, text);
	close(fd);
}

static void make_lock(void)
{
	make_object("lock.lock", NULL);
}

static void make_permit(void)
{
	make_object("lock.sem", "1\n");
}

static void make_event(void)
{
	make_object("lock.event", NULL);
}

static void make_set_event(void)
{
	make_object("lock.event", "1\n");
}

static void drop(void)
{
	unlink(path);
}

static void direct_open(void)
{
	obj = ipcfs_open(path, O_RDWR, 0);
	if (!obj)
		die_errno(path);
	if (!ipcfs_is_direct(obj))
		die("%s: not attached directly", path);
}

static void direct_pair(void)
{
	check(ipcfs_acquire(obj, IPCFS_FOREVER), "acquire");
	check(ipcfs_release(obj, 1), "release");
}

static void event_pair(void)
{
	check(ipcfs_set(obj), "set");
	check(ipcfs_clear(obj), "clear");
}

static void event_wait(void)
{
	check(ipcfs_wait(obj, IPCFS_FOREVER), "wait");
}

/* ---- files: ipcfs, the empty FUSE file system, tmpfs ---- */

static void open_path(void)
{
	fd = open(path, O_RDWR);
	if (fd < 0)
		die_errno(path);
}

static void flock_pair(void)
{
	if (flock(fd, LOCK_EX) < 0 || flock(fd, LOCK_UN) < 0)
		die_errno("flock");
}

static void read_pair(void)
{
	char buf[16];

	if (read(fd, buf, sizeof(buf)) <= 0 || write(fd, "1\n", 2) != 2)
		die_errno("read, write");
}

static void make_null(void)
{
	snprintf(path, sizeof(path), "%s/null", need_env("BENCH_NULL"));
}

static void make_file(void)
{
	strcpy(path, path_in("BENCH_TMP", "lock"));
	close(open(path, O_RDWR | O_CREAT | O_EXCL, 0600));
}

/* ---- pthread and POSIX ---- */

static pthread_mutex_t *mutex;
static sem_t *sem;

static void make_any_mutex(bool robust)
{
	pthread_mutexattr_t attr;

	mutex = shared_memory(sizeof(*mutex));
	check(pthread_mutexattr_init(&attr), "mutexattr");
	check(pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED), "mutexattr");
	if (robust)
		check(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST), "mutexattr");
	check(pthread_mutex_init(mutex, &attr), "mutex");
}

static void make_mutex(void)
{
	make_any_mutex(false);
}

static void make_robust(void)
{
	make_any_mutex(true);
}

static void mutex_pair(void)
{
	check(pthread_mutex_lock(mutex), "lock");
	check(pthread_mutex_unlock(mutex), "unlock");
}

static void make_sem(void)
{
	sem = shared_memory(sizeof(*sem));
	if (sem_init(sem, 1, 1) < 0)
		die_errno("sem_init");
}

static void sem_pair(void)
{
	while (sem_wait(sem) < 0)
		if (errno != EINTR)
			die_errno("sem_wait");
	sem_post(sem);
}

/* ---- Redis ---- */

static redisContext *redis;

static void redis_open(void)
{
	redis = redisConnectUnix(need_env("BENCH_REDIS"));
	if (!redis || redis->err)
		die("redis: %s", redis ? redis->errstr : "no memory");
}

static int redis_say(const char *command)
{
	redisReply *r = redisCommand(redis, command);
	int what;

	if (!r || r->type == REDIS_REPLY_ERROR)
		die("redis: %s", r ? r->str : redis->errstr);
	what = r->type;
	freeReplyObject(r);
	return what;
}

static void redis_pair(void)
{
	while (redis_say("SET ipcfs-bench-lock 1 NX") == REDIS_REPLY_NIL)
		;
	redis_say("DEL ipcfs-bench-lock");
}

static const struct lock_type types[] = {
	{ "direct", make_lock, direct_open, direct_pair, drop },
	{ "direct-sem", make_permit, direct_open, direct_pair, drop },
	{ "direct-event", make_event, direct_open, event_pair, drop },
	{ "direct-wait", make_set_event, direct_open, event_wait, drop },
	{ "files", make_lock, open_path, flock_pair, drop },
	{ "files-read", make_lock, open_path, read_pair, drop },
	{ "mutex", make_mutex, NULL, mutex_pair, NULL },
	{ "robust", make_robust, NULL, mutex_pair, NULL },
	{ "sem", make_sem, NULL, sem_pair, NULL },
	{ "flock", make_file, open_path, flock_pair, drop },
	{ "redis", NULL, redis_open, redis_pair, NULL },
	{ "null", make_null, open_path, flock_pair, NULL },
};

static void prepare(int i)
{
	if (type->open)
		type->open();
}

static void body(int i)
{
	uint64_t n = 0;

	while (!__atomic_load_n(&counts->stop, __ATOMIC_RELAXED)) {
		type->pair();
		n++;
	}
	counts->of[i].n = n;
}

int main(int argc, char **argv)
{
	struct team team = { .cpu = -1, .prepare = prepare, .body = body };
	uint64_t ns, all = 0, most = 0;

	bench_start();
	if (argc != 4)
		die("usage: lock PEER PROCESSES MILLISECONDS");
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcmp(types[i].name, argv[1]))
			type = &types[i];
	if (!type)
		die("no such peer: %s", argv[1]);
	team.n = (int)number(argv[2]);
	team.run_ns = (uint64_t)number(argv[3]) * 1000000;
	counts = shared_memory(sizeof(*counts));
	team.stop = &counts->stop;
	if (type->make)
		type->make();
	ns = team_run(&team);
	if (type->drop)
		type->drop();
	for (int i = 0; i < team.n; i++) {
		all += counts->of[i].n;
		most = counts->of[i].n > most ? counts->of[i].n : most;
	}
	if (!all)
		die("nothing was done");
	printf("{\"ns\": %.2f, \"most\": %.3f}\n", (double)ns / (double)all,
	       (double)most * team.n / (double)all);
	return 0;
}
