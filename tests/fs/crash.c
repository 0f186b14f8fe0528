/* SPDX-License-Identifier: MIT */
#include "crash.h"

struct file f1, f2, f3, f4;
rq r1, r2, r3, r4;

#define MOST 100000

/* Under a sanitizer the question is another one, and each step takes long. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STEP 5
#else
#define STEP 1
#endif

const char *drain(const char *queue)
{
	static char all[65536];
	char path[64];
	struct file f;
	size_t n = 0;

	snprintf(path, sizeof(path), "%s.ctl/drain", queue);
	f = open_name(path, RO);
	for (;;) {
		const struct request *r = k_answer(q_read_at(&f, 65536, n));

		CHECK_INT(r->error, 0);
		CHECK(n + r->len < sizeof(all));
		if (!r->len)
			break;
		memcpy(all + n, r->data, r->len);
		n += r->len;
	}
	all[n] = 0;
	f_close(&f);
	return all;
}

/* false: it outlived the request. */
static bool once(const struct crash *c, long fault, long second, bool old)
{
	bool died;

	snprintf(test_where, sizeof(test_where),
		 "death at point %ld, of the next worker at %ld: ", fault, second);
	daemon_clean();
	if (old)
		daemon_old_kernel();
	if (c->untold)
		daemon_untold_kernel();
	daemon_start();
	c->setup();
	k_sync();
	daemon_fault(fault);
	c->ask();
	k_sync();
	died = daemon_died();
	if (died) {
		daemon_fault_at_start(second);
		daemon_restart();
	}
	c->verify();
	daemon_end();
	return died;
}

void crash_everywhere(const struct crash *c)
{
	unsigned int seed = 1;
	long n;

	once(c, MOST, 0, false);
	for (n = 1; once(c, n, 0, false); n += STEP)
		CHECK(n < MOST);
	for (long i = 1; i < n; i += 3 * STEP)
		once(c, i, 1 + rand_r(&seed) % 60, false);
	*test_where = 0;
}

void crash_old_kernel(const struct crash *c)
{
	for (long n = 1; once(c, n, 0, true); n += STEP)
		CHECK(n < MOST);
	*test_where = 0;
}
