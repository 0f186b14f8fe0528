/* SPDX-License-Identifier: MIT */
/* More objects in use than are mapped: whoever has one open, or waits, does not notice. */
#include <stdio.h>
#include <unistd.h>

#include "files.h"
#include "client/lib.h"
#include "wait/turn.h"

#define MANY 40
#define FEW  3

static struct file r[MANY], w[MANY];

static void start(void)
{
	turn_mapped_most = FEW;
	daemon_start();
}

static void end(void)
{
	turn_mapped_most = 4096;
	daemon_end();
}

/* How many engine files the worker has mapped. */
static unsigned int mapped(void)
{
	char path[64], line[512];
	unsigned int n = 0;
	FILE *f;

	k_sync();
	snprintf(path, sizeof(path), "/proc/%d/maps", k.worker);
	f = fopen(path, "r");
	CHECK(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, "/objects/") != NULL;
	fclose(f);
	return n;
}

static const char *name_of(int i)
{
	static char name[24];

	snprintf(name, sizeof(name), "%d.queue", i);
	return name;
}

static void open_all(void)
{
	for (int i = 0; i < MANY; i++) {
		make(name_of(i));
		r[i] = open_name(name_of(i), RO);
		w[i] = open_name(name_of(i), WO);
	}
	CHECK_INT(mapped(), FEW);
}

/* Others are used until this one is not mapped any more. */
static void send_away(int i)
{
	for (int n = 1; n <= FEW; n++)
		CHECK_STR(f_put(&w[(i + n) % MANY], "other\n"), "6");
	CHECK_INT(mapped(), FEW);
}

TEST(away_and_waited_for)
{
	rq n[MANY];

	start();
	open_all();
	for (int i = 0; i < MANY; i++)
		n[i] = q_read(&r[i]);
	CHECK_INT(mapped(), FEW);
	for (int i = 0; i < MANY; i++)
		CHECK_STR(told(n[i]), "!WAITS");
	interrupt(n[5]);
	CHECK_STR(told(n[5]), "!EINTR");
	for (int i = 0; i < MANY / 2; i++)
		CHECK_STR(f_put(&w[i], "x\n"), "2");
	CHECK_INT(mapped(), FEW);
	daemon_kill_and_restart();
	CHECK_INT(mapped(), FEW);
	for (int i = MANY / 2; i < MANY; i++)
		CHECK_STR(f_put(&w[i], "x\n"), "2");
	for (int i = 0; i < MANY; i++) {
		if (i != 5)
			CHECK_STR(told(n[i]), "x\n");
		CHECK_INT(size_of(w[i].ino), i == 5);
	}
	CHECK_INT(mapped(), FEW);
	for (int i = 0; i < MANY; i++) {
		f_close(&r[i]);
		f_close(&w[i]);
	}
	end();
}

/* What is not mapped is still in use: its time limits, who polls, who holds something. */
TEST(away_with_limits_pollers_and_holders)
{
	struct file limited, lock[2];
	rq timed, second;

	start();
	open_all();
	make("a.lock");
	lock[0] = open_name("a.lock", BOTH);
	lock[1] = open_name("a.lock", BOTH);
	CHECK_STR(f_lock(&lock[0], LOCK_EX), "ok");
	second = q_flock(&lock[1], LOCK_EX);
	CHECK_STR(told(second), "!WAITS");
	make("limited.queue");
	limited = open_name("limited.queue@0.2", RO);
	timed = q_read(&limited);
	k_answer(q_poll(&r[7], 77, 1));
	send_away(20);
	CHECK_STR(told(q_read(&r[21])), "other\n");
	k_answer(timed);
	CHECK_STR(told(timed), "!ETIMEDOUT");
	k.n_polls = 0;
	CHECK_STR(f_put(&w[7], "x\n"), "2");
	k_sync();
	CHECK_INT(k.n_polls, 1);
	CHECK_INT(k.polls[0], 77);
	f_release(&lock[0]);
	k_answer(second);
	CHECK_STR(told(second), "ok");
	end();
}

TEST(away_file_cannot_be_used)
{
	rq n;

	start();
	open_all();
	n = q_read(&r[0]);
	CHECK_STR(told(n), "!WAITS");
	send_away(0);
	CHECK(unlink(engine_file(w[0].ino)) == 0);
	CHECK_STR(f_put(&w[0], "x\n"), "!EIO");
	k_answer(n);
	CHECK_STR(told(n), "!EIO");
	n = q_read(&r[10]);
	CHECK_STR(told(n), "!WAITS");
	send_away(10);
	CHECK(truncate(engine_file(w[10].ino), 2048) == 0);
	interrupt(n);
	k_answer(n);
	CHECK_STR(told(n), "!EIO");
	CHECK_STR(f_put(&w[10], "x\n"), "!EIO");
	for (int i = 14; i < MANY; i++) {
		CHECK_STR(f_put(&w[i], "x\n"), "2");
		CHECK_STR(f_get(&r[i]), "x\n");
	}
	for (int i = 0; i < MANY; i++) {
		f_release(&r[i]);
		f_release(&w[i]);
	}
	CHECK_STR(told(q_unlink(DIR_ROOT, "0.queue")), "ok");
	CHECK_STR(told(q_unlink(DIR_ROOT, "10.queue")), "ok");
	CHECK(!daemon_died());
	end();
}

/* A direct client changes it meanwhile. */
TEST(away_while_a_direct_client_has_it)
{
	struct lib_attach a = { .magic = LIB_MAGIC, .direct = 1 };
	struct ipc_header *h;

	start();
	open_all();
	k_answer(q_ioctl_data(&w[3], LIB_IOC_ATTACH, &a));
	send_away(3);
	h = engine(w[3].ino, NULL);
	h->b.queue.unfinished = 7;
	CHECK_STR(show_word("3.queue.ctl/unfinished"), "7");
	send_away(3);
	engine(w[3].ino, NULL)->m.damaged = 1;
	CHECK_STR(f_put(&w[3], "x\n"), "!EIO");
	turn_mapped_most = 4096;
	daemon_end_but("3.queue");
}
