/* SPDX-License-Identifier: MIT */
/* The harness itself, and what every request goes through. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "calls.h"
#include "file/statedir.h"
#include "format/format.h"

TEST(daemon_ends_well)
{
	daemon_start();
	daemon_end();
}

/* The kernel asks once whom it talks to, and until it is told nobody can use the mount. */
TEST(daemon_first_worker_dies)
{
	struct file w;
	long n = 1;

	for (; daemon_start_dying(n); n++) {
		snprintf(test_where, sizeof(test_where), "death at point %ld: ", n);
		make("a.queue");
		w = open_name("a.queue", WO);
		CHECK_STR(f_put(&w, "one\n"), "4");
		daemon_kill_and_restart();
		CHECK_STR(f_put(&w, "two\n"), "4");
		daemon_end();
		daemon_clean();
	}
	CHECK(n > 3);
	daemon_end();
	*test_where = 0;
}

TEST(daemon_put_and_get)
{
	struct file w, r;

	daemon_start();
	make("a.queue");
	w = open_name("a.queue", WO);
	r = open_name("a.queue", RO);
	CHECK_STR(f_put(&w, "one\ntwo\n"), "8");
	CHECK_STR(f_get(&r), "one\n");
	CHECK_STR(told(q_read_at(&r, 4096, 4)), "two\n");
	CHECK_STR(told(q_read_at(&r, 4096, 8)), "!WAITS");
	f_close(&w);
	CHECK_STR(show_word("a.queue.ctl/type"), "queue");
	daemon_end();
}

TEST(daemon_restart_asks_for_requests)
{
	struct file r, w;
	rq n;

	daemon_start();
	make("a.queue");
	r = open_name("a.queue", BOTH);
	w = open_name("a.queue", WO);
	n = q_read(&r);
	CHECK_STR(told(n), "!WAITS");
	for (unsigned int i = 0; i < 3; i++) {
		daemon_kill_and_restart();
		CHECK_INT(k.resends, i + 1);
		CHECK_STR(told(n), "!WAITS");
	}
	CHECK_STR(f_put(&w, "x\n"), "2");
	CHECK_STR(told(n), "x\n");
	daemon_end();
}

/* After 2^31 files were opened. */
TEST(daemon_generations_go_round)
{
	struct ipc_header *h;
	struct file w, r;
	int fd;

	daemon_start();
	make("a.queue");
	fd = open(state_path(STATE_MOUNT), O_RDWR | O_CLOEXEC);
	h = mmap(NULL, IPC_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(h != MAP_FAILED);
	close(fd);
	h->b.mount.next_gen = 0x7fffffff;
	w = open_name("a.queue", WO);
	r = open_name("a.queue", RO);
	CHECK_STR(f_put(&w, "one\n"), "4");
	CHECK_STR(f_get(&r), "one\n");
	f_close(&w);
	f_close(&r);
	munmap(h, IPC_PAGE);
	daemon_end();
}
