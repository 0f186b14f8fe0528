/* SPDX-License-Identifier: MIT */
#include "runner.h"

#include <fnmatch.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

static struct test *tests, **last = &tests;
static jmp_buf out;
static pid_t home; /* where `out` leads */
static pthread_t home_thread;

char test_where[128];

void test_add(struct test *t)
{
	*last = t;
	last = &t->next;
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	printf("  %s:%d: %s", file, line, test_where);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	if (getpid() != home || !pthread_equal(pthread_self(), home_thread))
		_exit(1);
	*test_where = 0;
	longjmp(out, 1);
}

double patience(double seconds)
{
	const char *slow = getenv("IPCFS_SLOW");

	return seconds * (slow && atof(slow) > 1 ? atof(slow) : 1);
}

static bool is_name(const char *arg)
{
	for (struct test *t = tests; t; t = t->next)
		if (!strcmp(t->name, arg))
			return true;
	return false;
}

static bool wanted(const char *name, char **args)
{
	char pattern[256];

	if (!*args)
		return true;
	for (; *args; args++) {
		snprintf(pattern, sizeof(pattern), is_name(*args) ? "%s" : "%s*", *args);
		if (!fnmatch(pattern, name, 0))
			return true;
	}
	return false;
}

/* For tests/watch, which says which test it was when one hangs. */
static void say_which(const char *name)
{
	const char *path = getenv("IPCFS_NOW");
	FILE *f = path ? fopen(path, "we") : NULL;

	if (f) {
		fputs(name, f);
		fclose(f);
	}
}

/* A function of its own, because longjmp() may forget what its caller's variables held. */
static bool passes_here(const struct test *t)
{
	home = getpid();
	home_thread = pthread_self();
	if (setjmp(out))
		return false;
	t->run(t->arg);
	if (fixture.verify)
		fixture.verify();
	return true;
}

/* In a process of its own, whose end shows leaks and which a limit can end. */
static bool passes_apart(const struct test *t)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		alarm((unsigned int)patience(fixture.limit));
		if (!passes_here(t))
			_exit(1);
		exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return false;
	if (WIFSIGNALED(status))
		printf("  ended by signal %d\n", WTERMSIG(status));
	return status == 0;
}

static bool passes(const struct test *t)
{
	bool ret;

	say_which(t->name);
	if (fixture.begin)
		fixture.begin(t->name);
	ret = fixture.limit > 0 ? passes_apart(t) : passes_here(t);
	if (!ret)
		printf("FAILED %s\n", t->name);
	if (fixture.end)
		fixture.end();
	return ret;
}

static int list(void)
{
	for (struct test *t = tests; t; t = t->next)
		puts(t->name);
	return 0;
}

int main(int argc, char **argv)
{
	int passed = 0, failed = 0, code;

	if (argc == 2 && !strcmp(argv[1], "--list"))
		return list();
	code = fixture.program ? fixture.program(argc, argv) : -1;
	if (code >= 0)
		return code;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (struct test *t = tests; t; t = t->next) {
		if (!wanted(t->name, argv + 1))
			continue;
		if (passes(t))
			passed++;
		else
			failed++;
	}
	printf("%d passed, %d failed\n", passed, failed);
	return failed || !passed;
}
