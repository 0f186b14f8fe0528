/* SPDX-License-Identifier: MIT */
/*
 * The mutex of an engine file: one word, robust against the death of its holder.
 *
 * Not pthread's robust mutex: that keeps the pointers of a list in the shared memory and follows
 * them, so anyone who can write the file could make the daemon write anywhere. Here the file has
 * only the holder's thread id.
 *
 * 	0			free
 * 	tid			held, nobody sleeps
 * 	tid | LOCK_SLEEPERS	held, somebody may sleep: legal to be set when nobody does
 * 	tid | LOCK_CONTENDED	held, and somebody has been spinning for a while
 *
 * The lock is not fair: a thread that has just released it finds it easier to get it again, and
 * many short changes in a row cost less than taking turns. But a thread that has spun for some
 * microseconds says so, and the holder then leaves the lock free for a moment after releasing it.
 *
 * A thread that must wait sleeps on the word in slices, and checks in between whether the holder is
 * still alive. All ids belong to one pid namespace; a process in another one does not attach.
 */
#ifndef IPC_LOCK_H
#define IPC_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#define LOCK_SLEEPERS  0x80000000u
#define LOCK_CONTENDED 0x40000000u
#define LOCK_TID       0x3fffffffu

/*
 * timeout_ns < 0: no limit. 0: taken. -EOWNERDEAD: taken from a dead holder, whose change must be
 * rolled back. -EBUSY: not in time. -EIO: the next word, which marks the file as damaged, is not 0,
 * so there is nothing to wait for.
 */
int ipc_lock_take_slowly(uint32_t *word, int64_t timeout_ns);
/*
 * How long to wait for the lock, in ns, even on behalf of a caller that may not wait: what such a
 * caller refuses to wait for is not the lock. Longer if the holder is running. On a busy machine, a
 * holder that is not stopped may still be without a CPU for some tenths of a second, and that must
 * not make the caller time out.
 */
int64_t ipc_lock_patience(const uint32_t *word);
bool ipc_lock_stopped(const uint32_t *word);       /* its holder is, by a signal or a debugger */
void ipc_lock_pass_on(uint32_t *word, uint32_t v); /* it was v, and is free now */
uint32_t ipc_tid_ask(void);
/* Is there another CPU on which the thread that we wait for can run meanwhile? */
bool ipc_may_spin(void);

static inline void ipc_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

extern __thread uint32_t ipc_tid_cache;

/* gettid(2), cached; the child of a fork asks again. */
static inline uint32_t ipc_tid(void)
{
	return __builtin_expect(ipc_tid_cache != 0, 1) ? ipc_tid_cache : ipc_tid_ask();
}

/* It was free, and is ours now. */
static inline bool ipc_lock_try(uint32_t *word)
{
	uint32_t free = 0;

	return __atomic_compare_exchange_n(word, &free, ipc_tid(), 0, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

static inline int ipc_lock_take(uint32_t *word, int64_t timeout_ns)
{
	return ipc_lock_try(word) ? 0 : ipc_lock_take_slowly(word, timeout_ns);
}

static inline void ipc_lock_release(uint32_t *word)
{
	uint32_t v = __atomic_exchange_n(word, 0, __ATOMIC_RELEASE);

	if (__builtin_expect(v & (LOCK_SLEEPERS | LOCK_CONTENDED), 0))
		ipc_lock_pass_on(word, v);
}

#endif
