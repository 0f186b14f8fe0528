/* SPDX-License-Identifier: MIT */
/*
 * Direct clients that one would not like to have. They map an engine file (where NAME.ctl/shm leads)
 * as libipcfs does, but with the engine linked in, so that they can do what the library never does.
 *
 *	hostile hold FILE	take its lock, stop (SIGSTOP) in the middle of a change, give it back
 *	hostile keep FILE	take its lock and never give it back
 *	hostile busy FILE	take its lock, run until SIGUSR1 comes, give it back
 *	hostile scribble FILE SEED	write nonsense into it until killed
 *	hostile lock FILE NUMBER	set its lock word
 *	hostile set FILE OFFSET NUMBER	set a 64-bit word
 *	hostile get FILE OFFSET	print a 64-bit word
 *	hostile field NAME	the offset of a field of the header
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file/log.h"
#include "file/lock.h"
#include "object/type.h"

static struct ipc_env env = { .dirfd = -1 };
static struct ipc_obj o;
static int file;
static unsigned int seed;

static unsigned int any(unsigned int n)
{
	return (unsigned int)rand_r(&seed) % n;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void map(const char *path)
{
	int r;

	file = open(path, O_RDWR | O_CLOEXEC);
	if (file < 0)
		die(path);
	r = ipc_map(&env, file, &o);
	if (r < 0) {
		errno = -r;
		die(path);
	}
}

static void say(const char *word)
{
	puts(word);
	fflush(stdout);
}

static int hold(void)
{
	int r = obj_lock(&o, -1);

	if (r < 0)
		return 1;
	/* In the middle of a change: who takes over rolls it back. */
	set64_at(&o, (uint64_t *)(void *)&o.h->b, *(uint64_t *)(void *)&o.h->b + 1);
	say("held");
	raise(SIGSTOP);
	obj_rollback(&o);
	obj_unlock(&o);
	say("released");
	return 0;
}

static void keep(void)
{
	if (obj_lock(&o, -1) < 0)
		return;
	say("held");
	for (;;)
		pause();
}

static volatile sig_atomic_t told;

static void on_signal(int sig)
{
	(void)sig;
	told = 1;
}

/* As one whose CPU others have: it is not stopped, and does not sleep. */
static int busy(void)
{
	signal(SIGUSR1, on_signal);
	if (obj_lock(&o, -1) < 0)
		return 1;
	say("held");
	while (!told)
		;
	obj_unlock(&o);
	say("released");
	return 0;
}

/* ---- nonsense ---- */

static uint32_t pages(void)
{
	struct stat st;

	return fstat(file, &st) == 0 ? (uint32_t)(st.st_size / IPC_PAGE) : 0;
}

static uint32_t any_value(uint32_t now)
{
	uint32_t n = pages();

	switch (any(12)) {
	case 0:
		return 0;
	case 1:
		return now + 1;
	case 2:
		return now - 1;
	case 3:
		return UINT32_MAX;
	case 4:
		return any(8);
	case 5:
		return any(256); /* into the header */
	case 6:
		return n ? any(n * IPC_PAGE / IPC_UNIT) : 0; /* somewhere in the file */
	case 7:
		return n * (IPC_PAGE / IPC_UNIT) + any(4096); /* behind its end */
	case 8:
		return (uint32_t)(o.map_len / IPC_UNIT) - any(3);
	case 9:
		return 1u << any(32);
	case 10:
		return now ^ 1u << any(32);
	default:
		return (uint32_t)rand_r(&seed) * 2654435761u;
	}
}

static void word(uint64_t off)
{
	uint32_t *p = (uint32_t *)(void *)(o.base + off / 4 * 4);

	if (off / IPC_PAGE < pages())
		__atomic_store_n(p, any_value(*p), __ATOMIC_RELAXED);
}

static void lock_word(void)
{
	uint32_t words[] = { 0,       (uint32_t)getpid(), (uint32_t)getppid(), 1,
			     4000000, UINT32_MAX,         LOCK_SLEEPERS };

	__atomic_store_n(&o.h->m.lock, words[any(7)] | (any(2) ? LOCK_SLEEPERS : 0),
			 __ATOMIC_RELAXED);
	usleep(any(30000));
	if (any(4))
		ipc_lock_release(&o.h->m.lock);
}

static void undo_log(void)
{
	unsigned int n = any(5) ? any(IPC_LOG_MAX) : any(2 * IPC_LOG_MAX);

	for (unsigned int i = 0; i < n && i < IPC_LOG_MAX; i++) {
		o.h->log[i].where = any(4) ? any(pages() * IPC_PAGE + 1) / 4 * 4 | any(2) :
					     (uint64_t)rand_r(&seed) << any(34);
		o.h->log[i].old = any_value(7);
	}
	__atomic_store_n(&o.h->log_len, n, __ATOMIC_RELEASE);
}

/* Its length: it may be what it was, less, or more. */
static void length(off_t was)
{
	uint32_t n = pages();
	off_t at = n ? (off_t)any(n) * IPC_PAGE : 0;

	switch (any(6)) {
	case 0:
		if (any(8))
			at = IPC_PAGE;
		if (ftruncate(file, any(10) ? at : 0) < 0)
			die("ftruncate");
		break;
	case 1:
		if (ftruncate(file, was + (off_t)any(64) * IPC_PAGE) < 0)
			die("ftruncate");
		break;
	default:
		fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
			  IPC_PAGE * (1 + any(3)));
	}
}

static const struct {
	size_t at, len;
} parts[] = {
	{ offsetof(struct ipc_header, epoch), 40 },
	{ offsetof(struct ipc_header, completions), 96 },
	{ offsetof(struct ipc_header, pages), 88 },
	{ offsetof(struct ipc_header, handles), 160 },
	{ offsetof(struct ipc_header, b), 384 },
	{ IPC_PAGE, 256 },
	{ 0, 64 },
};

/* Each seed has kinds of damage of its own, so that not all are damaged at once by the worst. */
static void scribble(void)
{
	unsigned int kinds = any(64), gap = any(3) * any(2000);
	off_t was = (off_t)pages() * IPC_PAGE;
	bool begun = false;

	for (;;) {
		unsigned int kind = any(40);

		if (!pages()) {
			if (!begun)
				say("scribbling");
			pause();
		}
		if (kind == 0 && kinds & 1 && kinds & 2)
			length(was);
		else if (kind == 1 && kinds & 4)
			lock_word();
		else if (kind < 4 && kinds & 8)
			undo_log();
		else if (kind < 20) {
			unsigned int i = any(kinds & 16 ? 7 : 6);

			word(parts[i].at + any((unsigned int)parts[i].len));
		} else
			word(IPC_PAGE + any((pages() ? pages() : 1) * IPC_PAGE));
		if (!begun)
			say("scribbling");
		begun = true;
		if (gap)
			usleep(gap);
	}
}

/* A page that is not there any more: as good as any other word. */
static void bus_error(int sig, siginfo_t *si, void *context)
{
	uintptr_t page = (uintptr_t)si->si_addr & ~(uintptr_t)(IPC_PAGE - 1);

	(void)context;
	if (mmap((void *)page, IPC_PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		signal(sig, SIG_DFL);
}

static const struct {
	const char *name;
	size_t at;
} fields[] = {
	{ "lock_id", offsetof(struct ipc_header, b.cond.lock_id) },
	{ "array.lock_id", offsetof(struct ipc_header, b.array.lock_id) },
	{ "typecode", offsetof(struct ipc_header, b.array.typecode) },
	{ "body", offsetof(struct ipc_header, b) },
	{ "handles", offsetof(struct ipc_header, handles) },
	{ "id", offsetof(struct ipc_header, id) },
	{ "companion", offsetof(struct ipc_handle, companion) },
	{ "fast", offsetof(struct ipc_header, b.sem.fast) },
};

int main(int argc, char **argv)
{
	struct sigaction bus = { .sa_sigaction = bus_error, .sa_flags = SA_SIGINFO };
	const char *what = argc > 2 ? argv[1] : "";
	uint64_t n = argc > 3 ? strtoull(argv[3], NULL, 0) : 0;

	if (!strcmp(what, "field")) {
		for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
			if (!strcmp(fields[i].name, argv[2]))
				return printf("%zu\n", fields[i].at) < 0;
		return 2;
	}
	if (argc < 3)
		return 2;
	sigaction(SIGBUS, &bus, NULL);
	map(argv[2]);
	seed = (unsigned int)n;
	if (!strcmp(what, "hold"))
		return hold();
	if (!strcmp(what, "busy"))
		return busy();
	if (!strcmp(what, "keep"))
		keep();
	else if (!strcmp(what, "scribble"))
		scribble();
	else if (!strcmp(what, "lock"))
		__atomic_store_n(&o.h->m.lock, (uint32_t)n, __ATOMIC_RELAXED);
	else if (!strcmp(what, "set") && argc > 4)
		memcpy(o.base + n, &(uint64_t){ strtoull(argv[4], NULL, 0) }, sizeof(uint64_t));
	else if (!strcmp(what, "get") && argc > 3)
		printf("%llu\n", (unsigned long long)__atomic_load_n(
					 (uint64_t *)(void *)(o.base + n), __ATOMIC_RELAXED));
	else
		return 2;
	return 0;
}
