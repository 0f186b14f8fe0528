/* SPDX-License-Identifier: MIT */
#include "neighbours.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state/fs.h"

unsigned int neighbours_handles, neighbours_waiters;

static struct file file(const char *name, int flags)
{
	neighbours_handles++;
	return open_name(name, flags);
}

static rq waits(rq r)
{
	CHECK_STR(told(r), "!WAITS");
	return r;
}

/* ---- messages ---- */

static struct file queue, reader, kept, in, out;
static rq getting, receiving;

static void queues_make(void)
{
	make("n.queue");
	queue = file("n.queue", WO);
	reader = file("n.queue", BOTH);
	getting = waits(q_read(&reader));
	make("kept.queue");
	kept = file("kept.queue", BOTH);
	CHECK_STR(f_put(&kept, "1\n2\n3\n"), "6");
	make("n.pipe");
	in = file("n.pipe", WO);
	out = file("n.pipe", BOTH);
	receiving = waits(q_read(&out));
	neighbours_waiters += 2;
}

static void queues_check(void)
{
	CHECK_STR(f_put(&queue, "some\n"), "5");
	CHECK_STR(told(getting), "some\n");
	getting = waits(q_read(&reader));
	CHECK_STR(show("kept.queue.ctl/peek"), "1\n2\n3\n");
	CHECK_STR(f_get(&kept), "1\n");
	CHECK_STR(f_put(&kept, "1\n"), "2");
	CHECK_STR(f_get(&kept), "2\n");
	CHECK_STR(f_get(&kept), "3\n");
	CHECK_STR(f_put(&kept, "2\n3\n"), "4");
	CHECK_STR(f_put(&in, "bytes"), "5");
	CHECK_STR(told(receiving), "bytes");
	receiving = waits(q_read(&out));
}

/* ---- permits ---- */

static struct file holder, next, giver, taker, owner, other;
static rq locking, taking, owning;

static void locks_make(void)
{
	make("n.lock");
	holder = file("n.lock", BOTH);
	next = file("n.lock", BOTH);
	CHECK_STR(f_lock(&holder, LOCK_EX), "ok");
	locking = waits(q_flock(&next, LOCK_EX));
	make("n.sem");
	giver = file("n.sem", WO);
	taker = file("n.sem", BOTH);
	taking = waits(q_read(&taker));
	make("n.rlock");
	owner = file("n.rlock", BOTH);
	other = file("n.rlock", BOTH);
	CHECK_STR(f_get(&owner), "1\n");
	owning = waits(q_read(&other));
	neighbours_waiters += 3;
}

static void swap(struct file *a, struct file *b)
{
	struct file c = *a;

	*a = *b;
	*b = c;
}

static void locks_check(void)
{
	waits(locking);
	CHECK_STR(f_lock(&holder, LOCK_UN), "ok");
	CHECK_STR(told(locking), "ok");
	locking = waits(q_flock(&holder, LOCK_EX));
	swap(&holder, &next);
	waits(taking);
	CHECK_STR(f_put(&giver, "1"), "1");
	CHECK_STR(told(taking), "1\n");
	taking = waits(q_read(&taker));
	CHECK_STR(f_get(&owner), "2\n");
	CHECK_STR(f_put(&owner, "2"), "1");
	CHECK_STR(told(owning), "1\n");
	owning = waits(q_read(&owner));
	swap(&owner, &other);
}

/* ---- the rest ---- */

static struct file event, on_event, cond, on_cond, first, second, value, locker, array;
static rq until_set, until_told, arriving, borrowing;
static int count;

static void others_make(void)
{
	make("n.event");
	event = file("n.event", WO);
	on_event = file("n.event", BOTH);
	until_set = waits(q_read(&on_event));
	make("n.cond");
	cond = file("n.cond", WO);
	on_cond = file("n.cond", BOTH);
	until_told = waits(q_read(&on_cond));
	make("n.barrier");
	CHECK_STR(say("n.barrier", "2"), "1");
	first = file("n.barrier", BOTH);
	second = file("n.barrier", BOTH);
	arriving = waits(q_read(&first));
	make("n.value");
	value = file("n.value", BOTH);
	locker = file("n.value", BOTH);
	CHECK_STR(f_lock(&value, LOCK_EX), "ok");
	borrowing = waits(q_flock(&locker, LOCK_EX));
	make("n.array");
	array = file("n.array", BOTH);
	CHECK_STR(f_put(&array, "0123456789"), "10");
	neighbours_waiters += 4;
	count = 0;
}

static void others_check(void)
{
	char text[16];

	waits(until_set);
	CHECK_STR(f_put(&event, "1"), "1");
	CHECK_STR(told(until_set), "1\n");
	CHECK_STR(f_put(&event, "0"), "1");
	until_set = waits(q_read(&on_event));
	waits(until_told);
	CHECK_STR(f_put(&cond, "all"), "3");
	CHECK_STR(told(until_told), "1\n");
	until_told = waits(q_read(&on_cond));
	waits(arriving);
	CHECK_STR(f_get(&second), "1\n");
	CHECK_STR(told(arriving), "0\n");
	arriving = waits(q_read(&first));
	CHECK_STR(f_put(&value, "+=1"), "3");
	snprintf(text, sizeof(text), "%d\n", ++count);
	CHECK_STR(f_get(&value), text);
	waits(borrowing);
	CHECK_STR(f_lock(&value, LOCK_UN), "ok");
	CHECK_STR(told(borrowing), "ok");
	borrowing = waits(q_flock(&value, LOCK_EX));
	swap(&value, &locker);
	CHECK_STR(f_get(&array), "0123456789");
}

/* ---- all of them ---- */

static const char *const names[] = {
	"n.queue", "kept.queue", "n.pipe",    "n.lock",  "n.sem",   "n.rlock",
	"n.event", "n.cond",     "n.barrier", "n.value", "n.array",
};

void neighbours_make(void)
{
	k.pid = 6000000;
	k.uid = geteuid();
	neighbours_handles = neighbours_waiters = 0;
	queues_make();
	locks_make();
	others_make();
	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		CHECK_STR(told(q_chmod(lookup(DIR_ROOT, names[i]), 0600)), "ok");
}

void neighbours_check(void)
{
	uint32_t pid = k.pid, uid = k.uid;
	char path[64];

	k.pid = 6000000;
	k.uid = geteuid();
	queues_check();
	locks_check();
	others_check();
	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s.ctl/status", names[i]);
		if (!strstr(show(path), "\nhandles: "))
			test_fail(__FILE__, __LINE__, "%s says nothing of its handles", path);
	}
	k.pid = pid;
	k.uid = uid;
}

const char *engine_path(const char *name)
{
	struct fuse_attr attr = { 0 };

	CHECK(entry_ino(q_lookup(DIR_ROOT, name), &attr));
	return engine_file(attr.ino);
}

struct ipc_header *spoil(const char *name, size_t *ret_len)
{
	struct stat st;
	void *p;
	int fd = open(engine_path(name), O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0 && fstat(fd, &st) == 0);
	*ret_len = (size_t)st.st_size;
	p = mmap(NULL, *ret_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	close(fd);
	return p;
}

void spoil_end(struct ipc_header *h, size_t len)
{
	munmap(h, len);
}

unsigned long long status_of(const char *file, const char *key)
{
	const char *text = show(file), *p = strstr(text, key);

	if (!p)
		test_fail(__FILE__, __LINE__, "%s does not tell `%s`: %s", file, key, text);
	return strtoull(p + strlen(key) + 2, NULL, 10);
}

unsigned long worker_cpu_ms(void)
{
	unsigned long user = 0, sys = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", k.worker);
	f = fopen(path, "r");
	CHECK(f && fscanf(f, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
			  &sys) == 2);
	fclose(f);
	return (user + sys) * 1000 / (unsigned long)sysconf(_SC_CLK_TCK);
}

bool strangers_wait(rq n)
{
	return !k.reqs[n].answered &&
	       ((const struct fuse_in_header *)(void *)k.reqs[n].msg)->uid == STRANGER;
}
