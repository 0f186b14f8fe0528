/* SPDX-License-Identifier: MIT */
/*
 * The runner of all test programs in C: TEST(name) { … } registers itself, CHECK ends the test that
 * it fails in. A program's arguments are the tests to run, by name or by how their names begin
 * ("crash: lock"), with wildcards ("*lock"); without any, all run. --list names them. The last line
 * says how many passed.
 */
#ifndef TEST_RUNNER_H
#define TEST_RUNNER_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test {
	const char *name;
	void (*run)(const void *arg);
	const void *arg; /* for tests that are made from a table */
	struct test *next;
};

/* What a program has around each of its tests. All but the last may be 0. */
struct fixture {
	int (*program)(int argc, char **argv); /* before all: the exit code, or -1 for the tests */
	void (*begin)(const char *name);
	void (*verify)(void); /* a test has passed so far */
	void (*end)(void);    /* whether it has passed or not */
	double limit;         /* seconds: each test is a process of its own; 0: it is not */
};

extern const struct fixture fixture; /* the program has it */

#define EXIT_SKIPPED 77 /* as meson has it */

void test_add(struct test *t);
/* In another process or thread than the test's own it ends the process. */
_Noreturn void test_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Where in a test of many parts we are, for the message of a failure; "" nowhere special. */
extern char test_where[128];
/* A time limit, stretched by IPCFS_SLOW. */
double patience(double seconds);

#define TEST(id)                                                        \
	static void test_##id(const void *arg);                         \
	static struct test entry_##id = { #id, test_##id, NULL, NULL }; \
	__attribute__((constructor)) static void add_##id(void)         \
	{                                                               \
		test_add(&entry_##id);                                  \
	}                                                               \
	static void test_##id(__attribute__((unused)) const void *arg)

#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)

#define CHECK(x)                        \
	do {                            \
		if (!(x))               \
			FAIL("%s", #x); \
	} while (0)

#define CHECK_INT(x, want)                                                  \
	do {                                                                \
		long long got_ = (long long)(x), want_ = (long long)(want); \
		if (got_ != want_)                                          \
			FAIL("%s is %lld, not %lld", #x, got_, want_);      \
	} while (0)

#define CHECK_STR(x, want)                                                 \
	do {                                                               \
		const char *got_ = (x), *want_ = (want);                   \
		if (strcmp(got_, want_))                                   \
			FAIL("%s is \"%s\", not \"%s\"", #x, got_, want_); \
	} while (0)

#endif
