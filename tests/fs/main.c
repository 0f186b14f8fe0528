/* SPDX-License-Identifier: MIT */
/* Runs the tests: all, or those whose name begins with one of the arguments. */
#include <stdarg.h>
#include <unistd.h>

#include "kernel.h"

static struct test *tests, **last = &tests;
static jmp_buf out;

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
	*test_where = 0;
	longjmp(out, 1);
}

static bool wanted(const char *name, char **args)
{
	if (!*args)
		return true;
	for (; *args; args++)
		if (!strncmp(name, *args, strlen(*args)))
			return true;
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
static bool passes(const struct test *t)
{
	if (setjmp(out))
		return false;
	t->run(t->arg);
	return true;
}

int main(int argc, char **argv)
{
	int passed = 0, failed = 0;

	(void)argc;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (struct test *t = tests; t; t = t->next) {
		if (!wanted(t->name, argv + 1))
			continue;
		say_which(t->name);
		if (passes(t)) {
			passed++;
		} else {
			printf("FAILED %s\n", t->name);
			failed++;
		}
		daemon_clean();
	}
	printf("%d passed, %d failed\n", passed, failed);
	return failed || !passed;
}
