/* SPDX-License-Identifier: MIT */
/*
 * bench.h - what the programs of the benchmark share: a clock, memory that forked processes share,
 * a start gate, a team of processes that is timed, one result line.
 *
 * Where to work comes in the environment: BENCH_IPC (a folder on an ipcfs mount), BENCH_NULL (the
 * empty FUSE file system), BENCH_TMP (tmpfs), BENCH_REDIS (the server's socket). BENCH_LIMIT is
 * the number of seconds after which a program gives up, so that nothing hangs; BENCH_CPU, where a
 * workload sets it, the one CPU on which to run.
 *
 * A program that fails says why on standard error and exits with 1. Nothing is ever estimated.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* die() with errno's text. */
void die_errno(const char *what) __attribute__((noreturn));
void bench_start(void); /* the time limit and the CPU; call it first */
uint64_t now_ns(void);  /* CLOCK_MONOTONIC */
void pin(int cpu);      /* -1: not */
const char *need_env(const char *name);
long number(const char *text);
/* "$BENCH_IPC/PID-NAME" and so on, in static memory that the next four calls leave alone. */
const char *path_in(const char *env, const char *name);
void write_text(const char *path, const char *text);
void *shared_memory(size_t size); /* zeroed, shared with children */

void futex_wait(uint32_t *word, uint32_t value);
void futex_wake(uint32_t *word, int n);
/* Wait until *word is at least `value`; who adds to it calls futex_wake. */
void wait_for(uint32_t *word, uint32_t value);

/*
 * Run body(i) in n processes at once: each calls prepare(i) (may be NULL), then all start together.
 * The nanoseconds from the start to the end of the last. A member that fails ends the program.
 */
struct team {
	int n;
	int cpu; /* pin all to it; -1: not */
	void (*prepare)(int i);
	void (*body)(int i);
	uint32_t *stop; /* with `run_ns`: is set to 1 after so many nanoseconds */
	uint64_t run_ns;
};
uint64_t team_run(const struct team *t);

#ifdef __cplusplus
}
#endif

#endif
