/* SPDX-License-Identifier: MIT */
/*
 * The harness of the core tests: TEST(name) { … } registers itself; CHECK ends the test that it
 * fails in. Objects come from obj_new() and live in a fresh folder of shared memory; after each
 * test every one of them is checked (ipc_check) and taken away.
 *
 * Text is the language of the tests: get(), finish() and the like give what a reader would see, or
 * "!EAGAIN" for an error, so that one CHECK_STR says all.
 */
#ifndef TEST_H
#define TEST_H

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "object/type.h"

struct test {
	const char *name;
	void (*run)(const void *arg);
	const void *arg;		/* for tests that are made from a table: see ops.h */
	struct test *next;
};

void test_add(struct test *t);
_Noreturn void test_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define TEST(id)							\
	static void test_##id(const void *arg);				\
	static struct test entry_##id = { #id, test_##id, NULL, NULL };	\
	__attribute__((constructor)) static void add_##id(void)	\
	{								\
		test_add(&entry_##id);					\
	}								\
	static void test_##id(__attribute__((unused)) const void *arg)

#define CHECK(x)							\
	do {								\
		if (!(x))						\
			test_fail(__FILE__, __LINE__, "%s", #x);	\
	} while (0)

#define CHECK_INT(x, want)						\
	do {								\
		long long got_ = (long long)(x), want_ = (long long)(want);	\
		if (got_ != want_)					\
			test_fail(__FILE__, __LINE__, "%s is %lld, not %lld", #x, got_, want_);	\
	} while (0)

#define CHECK_STR(x, want)						\
	do {								\
		const char *got_ = (x), *want_ = (want);		\
		if (strcmp(got_, want_))				\
			test_fail(__FILE__, __LINE__, "%s is \"%s\", not \"%s\"", #x, got_, want_);	\
	} while (0)

/* ---- the process's side of the engine ---- */

struct test_env {
	struct ipc_env env;		/* first: account() and damaged() get its address */
	int64_t used;			/* what all files take, as accounted */
	int64_t limit;			/* 0: none */
	long calls, fail_at;		/* requests for memory; the one that is refused */
	const char *damage;		/* why the last object was given up */
};

extern struct test_env env;

/* A new object, mapped and locked. */
struct ipc_obj *obj_new(uint32_t type);
struct ipc_obj *obj_new_reserve(uint32_t type, uint64_t reserve);
/* Another mapping of the same file, not locked. */
struct ipc_obj *obj_again(const struct ipc_obj *o);
/* Check it now; it does not return if something is wrong. */
void obj_ok(struct ipc_obj *o, const char *when);
/* Everything that counts in it as text, without addresses and times; free() it. */
char *obj_dump(struct ipc_obj *o);
/* Use up all memory that the heap has, and give it back. */
void heap_fill(struct ipc_obj *o);
void heap_unfill(struct ipc_obj *o);

/* ---- operations ---- */

#define R 0			/* open(2)'s modes */
#define W 1
#define RW 2

ref_t h_new(struct ipc_obj *o, uint32_t kind, uint32_t oflags, uint32_t flags);
static inline ref_t h_open(struct ipc_obj *o)		/* a stream */
{
	return h_new(o, HANDLE_OBJECT, RW, 0);
}

struct ipc_call call_new(ref_t h, uint32_t op);
const char *error_text(int64_t r);			/* "!EAGAIN", or the number */

int64_t put(struct ipc_obj *o, ref_t h, const char *text);		/* or -EAGAIN */
int64_t put_bytes(struct ipc_obj *o, ref_t h, const void *data, size_t len);
ref_t put_waits(struct ipc_obj *o, ref_t h, const char *text, uint64_t unique);
/* Remember what the writer of this request writes. */
void putter_note(uint64_t unique, const char *text);
/* Let the putters whose turn it is go on, until there is none. */
void put_turns(struct ipc_obj *o);
const char *get(struct ipc_obj *o, ref_t h);				/* "" is the end */
const char *get_some(struct ipc_obj *o, ref_t h, uint32_t op, size_t max);
ref_t get_waits(struct ipc_obj *o, ref_t h, uint32_t op, uint64_t unique);
int give(struct ipc_obj *o, ref_t h, enum ipc_verb verb, int64_t n);
int lock_it(struct ipc_obj *o, ref_t h, int how);			/* or -EAGAIN */
ref_t lock_waits(struct ipc_obj *o, ref_t h, int how, uint64_t unique);
/* What a waiter was given, which is then done with; "!WAITS". */
const char *finish(struct ipc_obj *o, ref_t w);
/* What the answer in hand is. */
const char *in_hand(struct ipc_obj *o, ref_t h);
void close_it(struct ipc_obj *o, ref_t h);
const char *leave(struct ipc_obj *o, ref_t w, int why);

#endif
