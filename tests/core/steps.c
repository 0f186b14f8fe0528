/* SPDX-License-Identifier: MIT */
/*
 * As crash.c, but a death between any two instructions, not only at the logged stores: a child does
 * the operation step by step (ptrace), and whenever it has changed the file, this process takes over
 * as if it had died there: the object is sound, and the operation happened wholly or not at all. If it
 * did not, all is as it was: each byte in use, and the chains of the free blocks. Then the file is as
 * the child left it, and it makes its next step.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file/heap.h"
#include "file/lock.h"
#include "snap.h"

#define PAGES 32 /* of the heap: enough for nearly all */

struct stepping {
	const struct op *op;
	struct scene s;
	struct snap start, now;
	char *before, *after; /* dumps */
	unsigned long steps, states;
	bool grows; /* the file: two lengths are too much for this */
	pid_t child;
};

static void begin(struct stepping *p, const struct op *op)
{
	struct ipc_obj *o;

	*p = (struct stepping){ .op = op };
	o = p->s.o = obj_new_reserve(op->type, 4 << 20);
	op->setup(&p->s);
	settle(o);
	while (o->h->pages < PAGES)
		CHECK_INT(heap_grow(o, true), 0);
	obj_unlock(o);
	snap_take(&p->start, o);
	snap_take(&p->now, o);
	CHECK_INT(obj_lock(o, -1), 0);
	p->before = obj_dump(o);
	op->run(&p->s, 0);
	settle(o);
	p->after = obj_dump(o);
	p->grows = (size_t)o->h->pages * IPC_PAGE + IPC_PAGE > p->start.len;
	obj_unlock(o);
	snap_restore(&p->start, o);
}

static void end(struct stepping *p)
{
	CHECK_INT(obj_lock(p->s.o, -1), 0);
	free(p->before);
	free(p->after);
	free(p->s.text);
	snap_free(&p->start);
	snap_free(&p->now);
}

/* Both on one CPU: they take turns, some ten thousand times. */
static void pin(cpu_set_t *was)
{
	int cpu = sched_getcpu();
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu < 0 ? 0 : cpu, &one);
	if (sched_getaffinity(0, sizeof(*was), was) == 0)
		sched_setaffinity(0, sizeof(one), &one);
}

static _Noreturn void work(struct stepping *p)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(77);
	raise(SIGSTOP);
	if (obj_lock(p->s.o, -1) < 0)
		_exit(1);
	p->op->run(&p->s, 0);
	settle(p->s.o);
	obj_unlock(p->s.o);
	_exit(0);
}

/* As whoever finds that the holder of the lock is dead. */
static void take_over(struct stepping *p)
{
	struct ipc_obj *o = p->s.o;
	bool same;
	char *is;

	*o = p->start.obj;
	o->h->m.lock = 0;
	if (o->h->log_len)
		o->work = o->freed = true;
	CHECK_INT(obj_lock(o, -1), 0);
	same = snap_same(&p->start, o);
	settle(o);
	obj_ok(o, "taken over");
	is = obj_dump(o);
	if (!(p->op->flags & STEPS)) {
		if (strcmp(is, p->before) && strcmp(is, p->after))
			test_fail(__FILE__, __LINE__, "step %lu:\n%s\n--- not\n%s\n--- nor\n%s",
				  p->steps, is, p->before, p->after);
		if (o->type == IPC_QUEUE && p->op->flags & CLIENT && !same && strcmp(is, p->after))
			test_fail(__FILE__, __LINE__, "step %lu: not as it was", p->steps);
	}
	free(is);
	run_close(&p->s, p->s.h[0]);
	settle(o);
	obj_ok(o, "closed");
	obj_unlock(o);
}

static bool step(struct stepping *p, int *status)
{
	int sig = WSTOPSIG(*status);

	if (sig == SIGTRAP || sig == SIGSTOP)
		sig = 0;

	if (ptrace(PTRACE_SINGLESTEP, p->child, NULL, (void *)(intptr_t)sig) < 0)
		return false;
	while (waitpid(p->child, status, 0) < 0)
		if (errno != EINTR)
			return false;
	p->steps++;
	return WIFSTOPPED(*status);
}

/* Its every instruction is many of its own. */
static bool on_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload && strstr(preload, "vgpreload");
}

static void each_step(const void *arg)
{
	struct stepping p;
	struct ipc_obj *o;
	cpu_set_t cpus;
	int status;

	begin(&p, arg);
	o = p.s.o;
	if (p.grows || on_valgrind()) {
		end(&p);
		return;
	}
	pin(&cpus);
	fflush(stdout);
	p.child = fork();
	if (p.child == 0)
		work(&p);
	CHECK(p.child > 0 && waitpid(p.child, &status, 0) == p.child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		puts("  no ptrace here: skipped");
		sched_setaffinity(0, sizeof(cpus), &cpus);
		end(&p);
		return;
	}
	ptrace(PTRACE_SETOPTIONS, p.child, NULL, (void *)PTRACE_O_EXITKILL);
	while (step(&p, &status)) {
		if (!memcmp(o->base, p.now.bytes, p.now.len))
			continue;
		memcpy(p.now.bytes, o->base, p.now.len);
		p.states++;
		take_over(&p);
		memcpy(o->base, p.now.bytes, p.now.len);
	}
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(p.states > 1); /* the lock at least */

	sched_setaffinity(0, sizeof(cpus), &cpus);
	*o = p.start.obj;
	end(&p);
}

__attribute__((constructor)) static void add(void)
{
	ops_register("steps", each_step, DAEMON);
}
