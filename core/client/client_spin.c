/* SPDX-License-Identifier: MIT */
/* libipcfs: spinning, before a caller joins the wait queue or goes to sleep. */
#include <sched.h>

#include "client/client_session.h"
#include "file/lock.h"

#define SPIN_PAUSES  16  /* between two looks: one round of a spin, some 0.3 to 0.8 µs */
#define SPIN_MOST    40u /* rounds: a wake-up of another CPU costs about as much */
#define SPIN_LEAST   8u
#define YIELD_ANYWAY 16u /* how often a CPU is given to others, after that was of no use */

void session_pause(void)
{
	for (int i = 0; i < SPIN_PAUSES; i++)
		ipc_pause();
}

void session_spun(struct ipcfs_obj *o, uint32_t rounds, bool come)
{
	uint32_t next = come ? rounds * 2 : rounds / 2;

	next = next > SPIN_MOST ? SPIN_MOST : next < SPIN_LEAST ? SPIN_LEAST : next;
	if (next != rounds)
		__atomic_store_n(&o->spin, next, __ATOMIC_RELAXED);
}

bool session_spin(struct ipcfs_obj *o, bool (*ready)(struct ipcfs_obj *o, void *arg), void *arg,
		  bool queued)
{
	uint32_t rounds = __atomic_load_n(&o->spin, __ATOMIC_RELAXED);
	bool come = false;

	if (ipc_may_spin())
		for (uint32_t i = 0; i < rounds && !come; i++) {
			session_pause();
			come = ready(o, arg);
		}
	session_spun(o, rounds, come);
	if (!come && !queued &&
	    (rounds > SPIN_LEAST ||
	     __atomic_add_fetch(&o->yields, 1, __ATOMIC_RELAXED) % YIELD_ANYWAY == 0)) {
		sched_yield();
		come = ready(o, arg);
		/* The spin was of no use; but with so few rounds it would seldom yield next time. */
		if (come && rounds / 2 <= SPIN_LEAST)
			__atomic_store_n(&o->spin, SPIN_LEAST + 1, __ATOMIC_RELAXED);
	}
	return come;
}
