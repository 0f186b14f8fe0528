/* SPDX-License-Identifier: MIT */
/*
 * The proof that a process may die at any instruction. For each operation of the tables and each
 * k: a child takes the object's lock, begins, and dies before its k-th store. Then this process
 * takes the lock (EOWNERDEAD), and
 *
 *	- the object passes ipc_check();
 *	- the operation happened wholly or not at all (but for those marked STEPS);
 *	- done again, as by a restarted daemon that gets the request again, it comes to what it would
 *	  have come to without a death: nothing is lost, and nothing happens twice;
 *	- or, if the dead one was a direct client, closing its handle comes to what closing it before
 *	  or after the operation would have come to.
 *
 * Every now and then the one that recovers dies as well.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file/log.h"
#include "object/completion.h"
#include "env.h"
#include "file/lock.h"
#include "snap.h"

#define STORES_MAX 5000

struct proof {
	const struct op *op;
	struct scene s;
	struct snap start;
	char *before, *after; /* dumps */
	uint64_t unique;
	bool client;   /* h[0] is closed instead of going on */
	bool *replied; /* shared with the child: the request will not come again */
};

static char *dump(const struct proof *p, struct ipc_obj *o)
{
	char *text = obj_dump(o), *counts = strstr(text, "\nputs="), *end;

	if (p->op->flags & GRANTS && counts) {
		end = strchr(counts + 1, '\n');
		memmove(counts, end, strlen(end) + 1);
	}
	return text;
}

static void begin(struct proof *p, const struct op *op, uint64_t unique, bool client)
{
	struct ipc_obj *o;

	*p = (struct proof){ .op = op, .unique = unique, .client = client };
	p->replied =
		mmap(NULL, sizeof(bool), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(p->replied != MAP_FAILED);
	o = p->s.o = obj_new_reserve(op->type, 4 << 20);
	op->setup(&p->s);
	churn(o);
	settle(o);
	obj_ok(o, "before");
	obj_unlock(o);
	snap_take(&p->start, o);
	CHECK_INT(obj_lock(o, -1), 0);
	if (client)
		close_it(o, p->s.h[0]);
	settle(o);
	p->before = dump(p, o);
	obj_unlock(o);
	snap_restore(&p->start, o);
	CHECK_INT(obj_lock(o, -1), 0);
	op->run(&p->s, unique);
	settle(o);
	obj_ok(o, "without a death");
	if (client)
		close_it(o, p->s.h[0]);
	settle(o);
	p->after = dump(p, o);
	obj_unlock(o);
}

static void end(struct proof *p)
{
	CHECK_INT(obj_lock(p->s.o, -1), 0);
	munmap(p->replied, sizeof(bool));
	free(p->before);
	free(p->after);
	free(p->s.text);
	snap_free(&p->start);
}

/* Work until the k-th store, or the end. */
static void work(struct proof *p, long k, bool recover)
{
	struct ipc_obj *o = p->s.o;

	ipc_fault_after = k; /* to lock and unlock are changes too: fast.h */
	if (obj_lock(o, -1) < 0)
		_exit(1);
	if (recover)
		ipc_fault_after = k;
	if (!recover) {
		p->op->run(&p->s, p->unique);
		/*
		 * The daemon replies before it does anything else that is recorded in the header:
		 * there is one record only.
		 */
		*p->replied = true;
	}
	settle(o);
	obj_unlock(o);
	ipc_fault_after = 0;
}

/* A process that dies at its k-th store. True: it came to the end before. */
static bool die(struct proof *p, long k, bool recover)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		work(p, k, recover);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	if (!WIFEXITED(status) || (WEXITSTATUS(status) != FAULT_EXIT && WEXITSTATUS(status)))
		test_fail(__FILE__, __LINE__, "store %ld: the child ended with status %x", k,
			  status);
	return WEXITSTATUS(status) == 0;
}

/*
 * The same without a process: what it did so far stays, its lock is free, and whoever comes next
 * finds a change under way. For sanitizers, under which a fork() takes a hundred times as long.
 */
static bool give_up(struct proof *p, long k, bool recover)
{
	struct ipc_obj *o = p->s.o;
	jmp_buf here;

	fault_jump = &here;
	if (setjmp(here)) {
		fault_jump = NULL;
		ipc_fault_after = 0;
		ipc_lock_release(&o->h->m.lock);
		*o = p->start.obj;
		return false;
	}
	work(p, k, recover);
	fault_jump = NULL;
	*o = p->start.obj;
	return true;
}

static bool interrupted(struct proof *p, long k, bool recover)
{
#ifdef __SANITIZE_ADDRESS__
	if (k % 32 != 1)
		return give_up(p, k, recover);
#endif
	(void)give_up;
	return die(p, k, recover);
}

static void expect(struct proof *p, long k, const char *what, bool before_too)
{
	char *now = dump(p, p->s.o);

	if (strcmp(now, p->after) && !(before_too && !strcmp(now, p->before)))
		test_fail(__FILE__, __LINE__,
			  "%s a death at store %ld:\n%s\n--- not\n%s\n--- nor\n%s", what, k, now,
			  p->after, before_too ? p->before : "");
	free(now);
}

static bool cut(struct proof *p, long k)
{
	struct ipc_obj *o = p->s.o;
	bool completed;
	char when[40];

	snprintf(when, sizeof(when), "after a death at store %ld", k);
	snap_restore(&p->start, o);
	*p->replied = false;
	completed = interrupted(p, k, false);
	if (!completed && k % 3 == 0)
		interrupted(p, 1 + k % 11, true);
	CHECK_INT(obj_lock(o, -1), 0);
	if (!p->client)
		ipc_restarted(o);
	settle(o);
	obj_ok(o, when);
	if (p->client) {
		run_close(&p->s, p->s.h[0]);
		settle(o);
		obj_ok(o, when);
		expect(p, k, "closed after", true);
	} else {
		if (!(p->op->flags & STEPS))
			expect(p, k, "recovered after", true);
		if (!*p->replied)
			p->op->run(&p->s, p->unique);
		settle(o);
		obj_ok(o, when);
		expect(p, k, "done again after", false);
	}
	obj_unlock(o);
	return completed;
}

static void prove(const struct op *op, uint64_t unique, bool client)
{
	struct proof p;
	long k = 1;

	begin(&p, op, unique, client);
	while (!cut(&p, k))
		CHECK(++k < STORES_MAX);
	end(&p);
}

static void as_daemon(const void *arg)
{
	prove(arg, UNIQUE, false);
}

/* What a client that died had done half-way shows in no dump, so only single changes count. */
static void as_client(const void *arg)
{
	prove(arg, 0, true);
}

__attribute__((constructor)) static void add(void)
{
	ops_register("crash", as_daemon, CLIENT);
	ops_register("client", as_client, DAEMON | STEPS);
}
