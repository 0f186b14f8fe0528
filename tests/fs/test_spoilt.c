/* SPDX-License-Identifier: MIT */
/*
 * Words of an engine file are changed at random, two or three at once, under a daemon that works
 * with it; then everything is asked of that object, sometimes by a daemon that was started anew.
 * Any answer is fine. Each request must get one, and soon; and the neighbours, which are looked at
 * after each input, must not have noticed.
 *
 * IPCFS_SPOILT inputs of each kind (default: few), IPCFS_SEED for others than usual.
 */
#include "neighbours.h"

#include <poll.h>
#include <signal.h>

#include "state/fs.h"
#include "client/ipcfs.h"
#include "object/type.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define FILES    10
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CPU_MOST 20000 /* ms for all of one input */
#else
#define CPU_MOST 3000
#endif

static unsigned int seed;
static struct file files[FILES];
static unsigned int n_files;
static rq first_rq; /* of this input */

static unsigned int any(unsigned int n)
{
	return (unsigned int)rand_r(&seed) % n;
}

/* ---- victims ---- */

/* As the kernel walks a path, whatever comes. */
static uint64_t walk(const char *path)
{
	uint64_t ino = DIR_ROOT;
	char name[64];

	for (size_t len; *path; path += len + (path[len] == '/')) {
		len = strcspn(path, "/");
		snprintf(name, sizeof(name), "%.*s", (int)len, path);
		ino = lookup(ino, name);
	}
	return ino;
}

static const struct file *use(const char *path, int flags)
{
	uint64_t ino = walk(path);
	rq n = q_open(ino, flags);

	CHECK(n_files < FILES);
	if (k_answer(n)->error == -ESTALE) {
		ino = walk(path);
		n = q_open(ino, flags);
	}
	if (k_answer(n)->error)
		return NULL;
	files[n_files] = opened(n, ino, flags);
	return &files[n_files++];
}

static void fill_queue(void)
{
	const struct file *w = use("v.queue", BOTH), *lease;
	static char big[90000];

	memset(big, 'b', sizeof(big));
	q_put(w, "one\ntwo\nthree\nfour\nfive\nsix\n\nunfinished");
	lease = use("v.queue.ctl/lease", RO);
	q_read(lease);
	q_read_at(lease, 4096, 6);
	say("v.queue.ctl/max_attempts", "1");
	say("v.queue.ctl/nack", "1");
	q_read_at(use("v.queue", RO), 2, 0);
	q_read_at(use("v.queue", BOTH | O_DIRECT), 3, 0);
	q_write(&files[n_files - 1], big, sizeof(big));
	q_read(use("v.queue.ctl/join", RO));
	say("v.queue.ctl/maxsize", "1");
	q_put(w, "waits\nfor room\n");
	q_poll(w, 7, POLLIN | POLLOUT);
}

static void fill_empty_queue(void)
{
	q_read(use("v.queue", BOTH));
	q_read(use("v.queue", RO));
	q_read(use("v.queue.ctl/lease", RO));
	q_read(use("v.queue.ctl/stream", RO));
	q_poll(&files[0], 7, POLLIN | POLLOUT);
}

static void fill_pipe(void)
{
	const struct file *a = use("v.pipe", BOTH), *b = use("v.pipe", RO);
	static char big[70000];

	q_put(a, "some bytes that are read in parts");
	q_read_at(b, 5, 0);
	q_read_at(a, 4, 0);
	q_write(a, big, sizeof(big));
	say("v.pipe.ctl/maxbytes", "1000");
	q_write(use("v.pipe", WO), big, 3000);
	q_poll(b, 7, POLLIN);
}

static void fill_lock_of(const char *name)
{
	const struct file *a = use(name, BOTH), *b = use(name, BOTH), *c = use(name, RO);

	q_put(a, "2");
	q_read(a);
	q_flock(a, any(2) ? LOCK_EX : LOCK_SH);
	q_read(c);
	q_flock(b, LOCK_EX);
	q_flock(use(name, BOTH), LOCK_SH);
	q_poll(b, 7, POLLIN);
}

static void fill_sem(void)
{
	say("v.sem.ctl/undo", "1");
	fill_lock_of("v.sem");
}

static void fill_lock(void)
{
	fill_lock_of("v.lock");
}

static void fill_rlock(void)
{
	fill_lock_of("v.rlock");
}

static void fill_event(void)
{
	q_read(use("v.event", RO));
	q_read(use("v.event", BOTH));
	q_poll(&files[1], 7, POLLIN);
}

static void fill_cond(void)
{
	const struct file *a, *b;

	if (any(2)) { /* with a lock that is the stranger's too */
		make("v.lock");
		say("v.cond.ctl/lock", "v.lock");
		q_flock(use("v.lock", BOTH), LOCK_EX);
	}
	a = use("v.cond", BOTH);
	b = use("v.cond", BOTH);
	q_flock(a, LOCK_EX);
	q_read(a);
	q_read(b);
	q_read(use("v.cond", RO));
	q_flock(use("v.cond", BOTH), LOCK_EX);
}

static void fill_barrier(void)
{
	say("v.barrier", "4");
	q_read(use("v.barrier", RO));
	q_read(use("v.barrier", BOTH));
	interrupt(q_read(use("v.barrier", BOTH)));
}

static void fill_value(void)
{
	q_put(use("v.value", BOTH), "the text of a value");
	q_read_at(use("v.value", RO), 3, 0);
	q_read(use("v.value.ctl/changed", RO));
	q_flock(&files[0], LOCK_EX);
	q_flock(&files[1], LOCK_EX);
}

static void fill_array(void)
{
	q_put(use("v.array", BOTH), "a few items");
	q_flock(&files[0], LOCK_EX);
	q_flock(use("v.array", BOTH), LOCK_EX);
}

static const struct victim {
	const char *name;
	void (*fill)(void);
} victims[] = {
	{ "v.queue", fill_queue }, { "v.queue", fill_empty_queue }, { "v.pipe", fill_pipe },
	{ "v.sem", fill_sem },     { "v.lock", fill_lock },         { "v.rlock", fill_rlock },
	{ "v.event", fill_event }, { "v.cond", fill_cond },         { "v.barrier", fill_barrier },
	{ "v.value", fill_value }, { "v.array", fill_array },
};

/* ---- what is done to its file ---- */

static struct ipc_header *h;
static size_t h_len;
static char what[256];

static uint32_t *word(size_t off)
{
	return (uint32_t *)(void *)((char *)h + off / 4 * 4);
}

static uint32_t any_value(uint32_t now)
{
	switch (any(18)) {
	case 0:
		return 0;
	case 1:
		return 1;
	case 2:
		return now + 1;
	case 3:
		return now - 1;
	case 4:
		return UINT32_MAX;
	case 5:
		return INT32_MAX;
	case 6:
		return 1u << any(32);
	case 7:
		return n_files ? (uint32_t)files[any(n_files)].fh : 5;
	case 8:
		return n_files ? (uint32_t)(files[any(n_files)].fh >> 32) : 6;
	case 9:
		return any(30); /* a neighbour's id, a kind, an operation */
	case 10:
		return (uint32_t)(h_len / IPC_UNIT) + any(4096); /* behind the end of the file */
	case 11:
		return (uint32_t)((h->reserve + IPC_PAGE) / IPC_UNIT) + any(2) * any(1 << 20) -
		       any(3);
	case 12:
		return any((uint32_t)(h_len / IPC_UNIT)); /* somewhere in it */
	case 13:
		return (uint32_t) - (int32_t)any(1000);
	case 14:
		return 256 + any(4096); /* as any other file has its handles */
	case 15:
		return now ^ 1u << any(32);
	case 16:
		return *word(any((uint32_t)h_len));
	default:
		return (uint32_t)rand_r(&seed) * 2654435761u;
	}
}

/* Not what is looked at only when it is mapped; but now and then. */
static bool is_identity(size_t off)
{
	return off < offsetof(struct ipc_header, epoch) && any(20);
}

static void change(size_t off)
{
	size_t n = strlen(what);
	uint32_t to = any_value(*word(off));

	if (is_identity(off))
		return;
	snprintf(what + n, sizeof(what) - n, " %zx:%x->%x", off / 4 * 4, *word(off), to);
	__atomic_store_n(word(off), to, __ATOMIC_RELAXED);
	if (!any(6) && off + 8 <= h_len) /* both halves of a number of 64 bits */
		__atomic_store_n(word(off + 4), any(2) ? UINT32_MAX : any(3), __ATOMIC_RELAXED);
}

/* A block of the file that something leads to. */
static size_t any_block(void)
{
	const struct ipc_list *lists[] = {
		&h->handles,
		&h->holds,
		&h->granted,
		&h->rests,
		&h->waitqs[any(IPC_WAITQS)],
		&h->b.queue.leased,
		&h->b.queue.dead,
	};
	ref_t r = any(4) ? lists[any(COUNT(lists))]->head : h->b.queue.mq[any(2)].head;

	if (any(3) && n_files)
		r = (ref_t)files[any(n_files)].fh;
	return (size_t)r * IPC_UNIT + 208 < h_len ? (size_t)r * IPC_UNIT : 0;
}

static size_t any_place(void)
{
	static const struct {
		size_t at, len;
	} parts[] = {
		{ offsetof(struct ipc_header, epoch), 40 },
		{ offsetof(struct ipc_header, completions),
		  sizeof(((struct ipc_header *)0)->completions) },
		{ offsetof(struct ipc_header, pages), 96 },
		{ offsetof(struct ipc_header, handles), sizeof(struct ipc_list) * 11 },
		{ offsetof(struct ipc_header, b), 256 },
		{ IPC_PAGE, 256 },
		{ 0, 64 },
	};
	unsigned int i = any(COUNT(parts) + 7);
	size_t off;

	if (i < COUNT(parts))
		return parts[i].at + any((unsigned int)parts[i].len);
	off = any_block();
	if (off && any(5))
		return off + any(208);
	for (i = 0; i < 100; i++) {
		off = any((unsigned int)h_len);
		if (*word(off) && *word(off) != 0x62626262)
			break;
	}
	return off;
}

static void spoil_log(void)
{
	unsigned int n = any(6) ? any(20) : any(2 * IPC_LOG_MAX);

	for (unsigned int i = 0; i < n && i < IPC_LOG_MAX; i++) {
		h->log[i].where = any(4) ? any((unsigned int)h_len) / 4 * 4 | any(2) :
					   (uint64_t)rand_r(&seed) << any(34);
		h->log[i].old = any_value(7);
	}
	h->log_len = n;
	strcat(what, " log");
}

static void spoil_it(void)
{
	what[0] = 0;
	for (unsigned int n = 1 + any(3); n; n--)
		change(any_place());
	if (!any(12))
		spoil_log();
}

/* ---- what is asked of it ---- */

static void interrupt_one(void)
{
	rq n = first_rq + any(k.n - first_rq);

	if (strangers_wait(n))
		interrupt(n);
}

static void ctl(const char *victim, const char *file, const char *text)
{
	uint64_t dir;
	char name[64];
	struct file f;
	rq n;

	snprintf(name, sizeof(name), "%s.ctl", victim);
	dir = lookup(DIR_ROOT, name);
	dir = dir ? lookup(dir, file) : 0;
	if (!dir)
		return;
	n = q_open(dir, text ? WO : RO);
	if (k_answer(n)->error)
		return;
	f = opened(n, dir, text ? WO : RO);
	if (text)
		q_put(&f, text);
	else
		q_read_at(&f, 65536, 0);
	k_sync();
	f_release(&f);
}

static const char *const texts[] = {
	"1", "line\nother\nrest", "all", "0", "reset", "abort", "+=1", "cas 0 1", "2", "set",
};

static const struct {
	const char *file, *text;
} ctls[] = {
	{ "status", NULL },    { "waiters", NULL },     { "holders", NULL },
	{ "peek", NULL },      { "leased", NULL },      { "dead", NULL },
	{ "items", NULL },     { "length", NULL },      { "drain", NULL },
	{ "cancel", "all" },   { "cancel", "1" },       { "ack", "2" },
	{ "nack", "2" },       { "done", "1" },         { "revive", "all" },
	{ "discard", "all" },  { "undo", "1" },         { "scope", "process" },
	{ "scope", "handle" }, { "bound", "3" },        { "typecode", "q" },
	{ "length", "700" },   { "items", "3 5" },      { "lock", "own" },
	{ "parties", "3" },    { "closed", "1" },       { "closed", "0" },
	{ "maxsize", "0" },    { "framing", "record" },
};

static void ask(const char *victim)
{
	static char big[100000];
	const struct file *f = n_files ? &files[any(n_files)] : NULL;
	unsigned int i;

	k.pid = 5000000 + any(8);
	switch (f ? any(16) : 15) {
	case 0:
	case 1:
	case 2:
		q_read_at(f, any(3) ? 4096 : any(6), any(3) ? 0 : any(12));
		break;
	case 3:
	case 4:
	case 5:
		q_put(f, texts[any(COUNT(texts))]);
		break;
	case 6:
		q_write(f, big, any(2) ? 3000 : sizeof(big));
		break;
	case 7:
		q_flock(f, any(3) == 0 ? LOCK_UN : any(2) ? LOCK_EX : LOCK_SH);
		break;
	case 8:
		q_poll(f, 7, any(2) ? POLLIN | POLLOUT : 0);
		break;
	case 9:
		q_ioctl(f, any(2) ? IPCFS_IOC_TIMEOUT : IPCFS_IOC_NEXT, any(2) ? -1 : 1000);
		break;
	case 10:
		q_flush(f);
		break;
	case 11:
		interrupt_one();
		break;
	case 12:
		q_getattr(f->ino);
		break;
	case 13:
		if (n_files < FILES)
			use(victim, any(2) ? BOTH : RO);
		break;
	default:
		i = any(COUNT(ctls));
		ctl(victim, ctls[i].file, ctls[i].text);
	}
}

/* All is answered: nobody waits on the victim any more. */
static void end_waits(void)
{
	for (unsigned int i = 0; i < n_files; i++)
		f_release(&files[i]);
	for (rq n = first_rq, last = k.n; n < last; n++)
		if (strangers_wait(n))
			interrupt(n);
	k_sync();
	for (rq n = first_rq; n < k.n; n++)
		if (strangers_wait(n))
			test_fail(__FILE__, __LINE__, "request %u (opcode %u) is not answered", n,
				  k.reqs[n].opcode);
}

static void input(const struct victim *v, unsigned int number)
{
	unsigned long before;

	snprintf(test_where, sizeof(test_where), "%s, input %u:", v->name, number);
	seed = number;
	n_files = 0;
	first_rq = k_next();
	k.pid = 5000000;
	k.uid = STRANGER;
	make(v->name);
	v->fill();
	k_sync();
	h = spoil(v->name, &h_len);
	before = worker_cpu_ms();
	for (unsigned int round = 0; round < 2; round++) {
		spoil_it();
		if (!any(4)) {
			daemon_kill_and_restart();
			before = 0;
			strcat(what, " restart");
		}
		for (unsigned int i = 0; i < 12; i++)
			ask(v->name);
		k_sync();
		snprintf(test_where, sizeof(test_where), "%s, input %u:%.90s: ", v->name, number,
			 what);
		CHECK(!daemon_died());
		neighbours_check();
	}
	k_answer(q_unlink(DIR_ROOT, v->name));
	if (lookup(DIR_ROOT, "v.lock"))
		k_answer(q_unlink(DIR_ROOT, "v.lock"));
	end_waits();
	CHECK(!daemon_died());
	CHECK(worker_cpu_ms() - before < CPU_MOST);
	neighbours_check();
	spoil_end(h, h_len);
	k_forget_answered();
	k.n_polls = 0;
}

static unsigned int number_of(const char *name, unsigned int otherwise)
{
	const char *text = getenv(name);

	return text ? (unsigned int)atoi(text) : otherwise;
}

TEST(spoilt_beside_neighbours)
{
	unsigned int inputs = number_of("IPCFS_SPOILT", 12), from = number_of("IPCFS_SEED", 1);

	for (unsigned int i = 0; i < COUNT(victims); i++) {
		daemon_clean();
		daemon_start();
		neighbours_make();
		for (unsigned int n = 0; n < inputs; n++)
			input(&victims[i], from * 1000000 + n * 100 + i);
		k.uid = geteuid();
		/* (A handle whose generation was changed is never closed: its object stays.) */
		CHECK(status_of(".ctl/status", "handles") - neighbours_handles <= inputs * FILES);
		CHECK(status_of(".ctl/status", "waiters") - neighbours_waiters <= inputs * FILES);
		*test_where = 0;
		daemon_end_but("v.");
	}
}
