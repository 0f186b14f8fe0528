/* SPDX-License-Identifier: MIT */
/*
 * The loop thread goes to the CPU of its client.
 *
 * A request and its reply are two wake-ups. On one CPU each is a switch from one thread to the other;
 * across CPUs one that has gone to sleep has to be woken, which takes 15 to 50 times as long on a
 * virtual machine. The scheduler mostly leaves the loop thread where it is, wherever the client goes:
 * seen are 8 us a request on one CPU, and 200 to 450 us for minutes on two.
 *
 * So when one thread has made all of the last requests, and they took long, we look where it runs and
 * go there, once. The scheduler may take us away again.
 */
#include <sched.h>

#include "base/proc.h"
#include "object/engine.h"
#include "process/follow.h"

#define STREAK  64    /* requests: to look costs as much as one or two */
#define LONG_NS 20000 /* that each took, with what the client did in between */

static void go_to(int cpu)
{
	cpu_set_t allowed, one;

	CPU_ZERO(&one);
	if (cpu < 0 || cpu >= CPU_SETSIZE || cpu == sched_getcpu() ||
	    sched_getaffinity(0, sizeof(allowed), &allowed) < 0 || !CPU_ISSET(cpu, &allowed))
		return;
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one) == 0)
		sched_setaffinity(0, sizeof(allowed), &allowed);
}

void follow(uint32_t tid)
{
	static uint32_t last, streak;
	static uint64_t since;
	uint64_t now;

	if (!tid) /* a RELEASE is nobody's */
		return;
	if (tid == last && ++streak < STREAK)
		return;
	now = ipc_now();
	if (tid == last && now - since > STREAK * LONG_NS)
		go_to(proc_cpu(tid));
	last = tid;
	streak = 0;
	since = now;
}
