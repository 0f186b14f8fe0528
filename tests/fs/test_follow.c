/* SPDX-License-Identifier: MIT */
/* The worker goes to the CPU of a client that makes all the requests, if they take long. */
#include <sched.h>
#include <unistd.h>

#include "calls.h"

/* The CPUs on which a thread may run; how many. */
static int cpus_of(pid_t tid, cpu_set_t *ret)
{
	CPU_ZERO(ret);
	CHECK(sched_getaffinity(tid, sizeof(*ret), ret) == 0);
	return CPU_COUNT(ret);
}

/* This process, which stands for the client, is to run on the n-th of them. */
static void run_on(const cpu_set_t *cpus, int n)
{
	cpu_set_t one;
	int cpu = 0;

	CPU_ZERO(&one);
	for (; !CPU_ISSET(cpu, cpus) || n--; cpu++)
		;
	CPU_SET(cpu, &one);
	CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
}

/* So many requests of this thread's, each some time after the last. */
static void ask(const struct file *f, unsigned int n, uint64_t pause_ns)
{
	for (unsigned int i = 0; i < n; i++) {
		uint64_t start = ipc_now();

		CHECK_STR(f_get(f), "1\n");
		while (ipc_now() - start < pause_ns)
			;
	}
}

TEST(follow_the_client)
{
	cpu_set_t cpus, now;
	struct file f;

	if (cpus_of(0, &cpus) < 2)
		return;
	daemon_start();
	make("a.event");
	CHECK_STR(say("a.event", "1"), "1");
	f = open_name("a.event", BOTH);
	k.pid = (uint32_t)getpid();
	/* It can be where this process is by chance, but not each time. */
	for (int i = 0; i < 200 && !daemon_moves(); i++) {
		run_on(&cpus, i & 1);
		ask(&f, 100, 25000);
	}
	CHECK(daemon_moves() > 0);
	CHECK(daemon_moves() % 2 == 0); /* there, and free to go elsewhere */
	CHECK_INT(cpus_of(k.worker, &now), CPU_COUNT(&cpus));
	CHECK(sched_setaffinity(0, sizeof(cpus), &cpus) == 0);
	daemon_end();
}

/* Who may run on one CPU alone stays there, and of several clients it follows none. */
TEST(follow_nobody)
{
	cpu_set_t cpus, one;
	struct file f;

	if (cpus_of(0, &cpus) < 2)
		return;
	daemon_start();
	make("a.event");
	CHECK_STR(say("a.event", "1"), "1");
	f = open_name("a.event", BOTH);
	for (unsigned int i = 0; i < 300; i++) {
		run_on(&cpus, i / 100 & 1);
		k.pid = (uint32_t)(i & 1 ? getpid() : getppid());
		ask(&f, 1, 25000);
	}
	CHECK_INT(daemon_moves(), 0);
	run_on(&cpus, 0);
	CHECK_INT(cpus_of(0, &one), 1);
	CHECK(sched_setaffinity(k.worker, sizeof(one), &one) == 0);
	run_on(&cpus, 1);
	k.pid = (uint32_t)getpid();
	ask(&f, 300, 25000);
	CHECK_INT(daemon_moves(), 0);
	CHECK(sched_setaffinity(0, sizeof(cpus), &cpus) == 0);
	daemon_end();
}
