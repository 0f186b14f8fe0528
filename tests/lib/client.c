/* SPDX-License-Identifier: MIT */
/* lib -COMMAND PATH [ARGUMENT]: a client of its own, for tests that mix it with others. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <locale.h>
#include <string.h>
#include <unistd.h>

#include "lib.h"

static int check(ssize_t r)
{
	if (r < 0) {
		fprintf(stderr, "%s\n", strerror((int)-r));
		exit(1);
	}
	return (int)r;
}

static int bench(ipcfs_obj *o, const char *what)
{
	enum { N = 1000000 };
	char buf[64] = { 0 };
	struct iovec v[64];
	double t = seconds();
	int n = ipcfs_is_direct(o) ? N : N / 100;

	if (!strcmp(what, "many"))
		n /= 64;
	for (int i = 0; i < n; i++) {
		if (!strcmp(what, "lock")) {
			check(ipcfs_acquire(o, IPCFS_FOREVER));
			check(ipcfs_release(o, 1));
		} else if (!strcmp(what, "many")) {
			for (int k = 0; k < 64; k++)
				v[k] = (struct iovec){ buf, 64 };
			check(ipcfs_put_many(o, v, 64, IPCFS_FOREVER));
			check(ipcfs_get_many(o, v, 64, IPCFS_FOREVER));
		} else {
			check(ipcfs_put(o, buf, 64, IPCFS_FOREVER));
			check(ipcfs_get(o, buf, 64, IPCFS_FOREVER));
		}
	}
	t = seconds() - t;
	printf("%.1f ns\n", t * 1e9 / n / (strcmp(what, "many") ? 1 : 64));
	return 0;
}

/* -how PATH MODE: does it work directly when it is opened in this way; and does it work? */
static int how(const char *path, int mode)
{
	ipcfs_obj *o = ipcfs_open(path, mode, 0);
	char buf[64];
	ssize_t r;

	if (!o) {
		perror("open");
		return 1;
	}
	printf("%s\n", ipcfs_is_direct(o) ? "direct" : "files");
	r = ipcfs_put(o, "said", 4, 0);
	printf("put %s\n", r < 0 ? strerror((int)-r) : "ok");
	r = ipcfs_get(o, buf, sizeof(buf), 0);
	printf("get %.*s\n", r < 0 ? 99 : (int)r, r < 0 ? strerror((int)-r) : buf);
	ipcfs_close(o);
	return 0;
}

/* -limits PATH TYPE: opens it, says so, and when it gets a line on stdin calls all that may not wait. */
static void limits(ipcfs_obj *o, const char *type)
{
	struct iovec v = { (void *)"x", 1 };
	char buf[64];

#define TRY(call)                                                                        \
	do {                                                                             \
		double t = seconds();                                                    \
		long long r = (long long)(call);                                         \
		printf("%s\t%s\t%.3f\n", #call, r < 0 ? strerrorname_np((int)-r) : "ok", \
		       seconds() - t);                                                   \
	} while (0)
	puts("open");
	if (!fgets(buf, sizeof(buf), stdin))
		exit(1);
	for (int64_t limit = 0; limit <= 300000000; limit += 300000000) {
		if (!strcmp(type, "queue")) {
			TRY(ipcfs_get(o, buf, sizeof(buf), limit));
			TRY(ipcfs_put(o, "x", 1, limit));
			TRY(ipcfs_put_many(o, &v, 1, limit));
			TRY(ipcfs_join(o, limit));
		} else if (!strcmp(type, "lock") || !strcmp(type, "sem") ||
			   !strcmp(type, "array")) {
			TRY(ipcfs_acquire(o, limit));
		} else if (!strcmp(type, "event") || !strcmp(type, "barrier")) {
			TRY(ipcfs_wait(o, limit));
		}
	}
	if (!strcmp(type, "value")) {
		int64_t n = ipcfs_value(o);

		TRY(n == INT64_MIN ? -errno : n);
	}
}

int client(int argc, char **argv)
{
	const char *what = argv[0] + 1;

	if (!strcmp(what, "how") && argc > 2)
		return how(argv[1], atoi(argv[2]));

	static ipcfs_obj *o; /* check() may end us while it is open: that is no leak */
	char buf[65536];
	int n = argc > 2 ? atoi(argv[2]) : 1;

	if (argc > 1)
		o = ipcfs_open(argv[1], O_RDWR | O_CREAT, 0600);
	if (!o) {
		perror(argc > 1 ? argv[1] : what);
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(what, "get"))
		for (int i = 0; i < n; i++) {
			ssize_t k = ipcfs_get(o, buf, sizeof(buf), IPCFS_FOREVER);

			if (k == -EPIPE)
				return 0;
			printf("%.*s\n", check(k), buf);
		}
	else if (!strcmp(what, "put"))
		for (int i = 2; i < argc; i++)
			check(ipcfs_put(o, argv[i], strlen(argv[i]), IPCFS_FOREVER));
	else if (!strcmp(what, "count")) /* put 0 .. n-1 */
		for (int i = 0; i < n; i++)
			check(ipcfs_put(o, buf, (size_t)snprintf(buf, 99, "%d", i), IPCFS_FOREVER));
	else if (!strcmp(what, "wait"))
		printf("%d\n", check(ipcfs_wait(o, IPCFS_FOREVER)));
	else if (!strcmp(what, "set"))
		check(ipcfs_set(o));
	else if (!strcmp(what, "hold")) {
		check(ipcfs_acquire(o, IPCFS_FOREVER));
		puts("held");
		pause();
	} else if (!strcmp(what, "own")) { /* as hold, by the fast word: see fast.h */
		for (int i = 0; i < 20; i++) {
			check(ipcfs_acquire(o, IPCFS_FOREVER));
			check(ipcfs_release(o, 1));
		}
		check(ipcfs_acquire(o, IPCFS_FOREVER));
		puts("held");
		pause();
	} else if (!strcmp(what, "twice")) { /* waits for itself */
		check(ipcfs_acquire(o, IPCFS_FOREVER));
		check(ipcfs_acquire(o, IPCFS_FOREVER));
	} else if (!strcmp(what, "close")) { /* when it is told to */
		check(ipcfs_acquire(o, IPCFS_FOREVER));
		puts("held");
		if (!fgets(buf, sizeof(buf), stdin))
			return 3;
		ipcfs_close(o);
		puts("closed");
		pause();
	} else if (!strcmp(what, "try")) { /* each time that it is told to */
		for (puts("ready"); fgets(buf, sizeof(buf), stdin);)
			puts(strerror(-ipcfs_acquire(o, argc > 2 ? n : 0)));
	} else if (!strcmp(what, "loop")) { /* until it is killed; a line for each n turns */
		for (int i = 1;; i++) {
			check(ipcfs_acquire(o, IPCFS_FOREVER));
			check(ipcfs_release(o, 1));
			if (i % n == 0)
				puts("more");
		}
	} else if (!strcmp(what, "release"))
		check(ipcfs_release(o, (unsigned int)n));
	else if (!strcmp(what, "add")) { /* under the locale that the environment says */
		int64_t made;

		if (!setlocale(LC_ALL, ""))
			return 3;
		check(ipcfs_add(o, n, &made));
		printf("%" PRId64 " %" PRId64 " %g\n", made, ipcfs_value(o), 0.5);
	} else if (!strcmp(what, "join"))
		check(ipcfs_join(o, IPCFS_FOREVER));
	else if (!strcmp(what, "limits"))
		limits(o, argc > 2 ? argv[2] : "");
	else if (!strcmp(what, "bench"))
		return bench(o, argc > 2 ? argv[2] : "");
	else
		return 2;
	ipcfs_close(o);
	return 0;
}
