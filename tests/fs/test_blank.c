/* SPDX-License-Identifier: MIT */
/* Objects without an engine file: when they get one, when they lose it, and whose it is then. */
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "wait/turn.h"

static const char *const names[] = { "o.queue", "o.pipe", "o.event",   "o.sem",   "o.lock",
				     "o.rlock", "o.cond", "o.barrier", "o.value", "o.array" };

#define EACH_NAME(i) for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)

/* Who only looks gets no file made. */
static void look_at(const char *name)
{
	static const char *const files[] = { "type", "status", "waiters", "holders", "take" };
	struct file f = open_name(name, RO | O_NOFOLLOW);
	char path[64];

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		snprintf(path, sizeof(path), "%s.ctl/%s", name, files[i]);
		CHECK(*show(path) != '!');
	}
	CHECK(*f_get(&f) != '!');
	f_close(&f);
	snprintf(path, sizeof(path), "%s.ctl/status", name);
	CHECK(strstr(show(path), "\nhandles: 0"));
	CHECK(strstr(show(path), "\nmemory: 0\n"));
}

TEST(blank_until_it_is_opened)
{
	daemon_start();
	EACH_NAME(i)
	{
		uint64_t ino = make(names[i]);
		long long size = size_of(ino);
		struct file f;

		look_at(names[i]);
		CHECK_INT(files_of(ino), 0);
		f = open_name(names[i], BOTH);
		CHECK_INT(files_of(ino), strstr(names[i], "array") ? 2 : 1);
		CHECK_INT(size_of(ino), size);
		f_close(&f);
		CHECK_INT(size_of(ino), size);
	}
	CHECK_STR(told(q_mkdir(DIR_ROOT, "two.pipe")), "ok");
	CHECK_INT(size_of(lookup(lookup(DIR_ROOT, "two.pipe"), "a")), 0);
	CHECK_STR(say("two.pipe.ctl/framing", "record"), "6");
	CHECK_STR(show_word("two.pipe.ctl/framing"), "record");
	daemon_end();
}

/* Who has closed it last leaves it so for a while: it may be opened again. Then its file goes. */
TEST(blank_again_after_the_last_close)
{
	struct file f, g;

	turn_idle_most = 0;
	daemon_start();
	EACH_NAME(i)
	{
		uint64_t ino = make(names[i]);
		long long size = size_of(ino);

		for (int again = 0; again < 3; again++) {
			f = open_name(names[i], BOTH);
			g = open_name(names[i], RO);
			CHECK(files_of(ino));
			f_close(&f);
			CHECK(files_of(ino));
			f_close(&g);
			CHECK_INT(files_of(ino), 0);
			CHECK_INT(size_of(ino), size);
			look_at(names[i]);
		}
	}
	turn_idle_most = 64;
	daemon_end();
}

TEST(blank_never_with_something_in_it)
{
	struct stat st;
	uint64_t ino;

	turn_idle_most = 0;
	daemon_start();
	ino = make("q.queue");
	CHECK_STR(say("q.queue", "x\n"), "2");
	CHECK_INT(files_of(ino), 1);
	CHECK_STR(show("q.queue.ctl/peek"), "x\n");
	ino = make("s.queue");
	CHECK_STR(say("s.queue.ctl/maxsize", "3"), "1");
	CHECK_INT(files_of(ino), 1);
	/* Nobody has it open, and nothing is in it: its header alone is left. */
	CHECK(stat(engine_file(ino), &st) == 0);
	CHECK_INT(st.st_size, 4096);
	CHECK_STR(say("s.queue.ctl/maxsize", "0"), "1");
	CHECK_INT(files_of(ino), 0);
	CHECK_STR(show_word("s.queue.ctl/maxsize"), "0");
	ino = make("e.event");
	CHECK_STR(say("e.event", "1"), "1");
	CHECK_INT(files_of(ino), 1);
	CHECK_INT(size_of(ino), 1);
	CHECK_STR(say("e.event", "0"), "1");
	CHECK_INT(files_of(ino), 0);
	turn_idle_most = 64;
	daemon_end();
}

/* What a file had in it is not in the next object's; and their number is bounded. */
TEST(blank_files_are_used_again)
{
	struct file f[100];
	unsigned int most = 0;
	char name[24];

	turn_idle_most = 0;
	daemon_start();
	for (int round = 0; round < 4; round++) {
		for (int i = 0; i < 100; i++) {
			snprintf(name, sizeof(name), "%d.%s", i,
				 (i + round) % 3 == 0 ? "queue" :
				 (i + round) % 3 == 1 ? "value" :
							"lock");
			make(name);
			f[i] = open_name(name, BOTH);
			if ((i + round) % 3 == 0) {
				CHECK_STR(f_put(&f[i], "a secret\n"), "9");
				CHECK_STR(f_put(&f[i], "another\n"), "8");
				CHECK_STR(f_get(&f[i]), "a secret\n");
			} else if ((i + round) % 3 == 1) {
				CHECK_STR(f_put(&f[i], "some text\n"), "10");
			} else {
				CHECK_STR(f_get(&f[i]), "1\n");
			}
		}
		CHECK_INT(files_like("ready-"), 0);
		for (int i = 0; i < 100; i++) {
			snprintf(name, sizeof(name), "%d.%s", i,
				 (i + round) % 3 == 0 ? "queue" :
				 (i + round) % 3 == 1 ? "value" :
							"lock");
			f_close(&f[i]);
			CHECK_STR(told(q_unlink(DIR_ROOT, name)), "ok");
		}
		most = files_like("");
		CHECK_INT(most, files_like("ready-"));
		CHECK(most > 40 && most <= 64);
		/* Taken by an object of each kind: nothing is in it. */
		make("new.queue");
		f[0] = open_name("new.queue", BOTH);
		CHECK_STR(show("new.queue.ctl/peek"), "");
		CHECK_STR(show_word("new.queue.ctl/unfinished"), "0");
		CHECK(!file_has(f[0].ino, "a secret") && !file_has(f[0].ino, "another"));
		f_close(&f[0]);
		CHECK_STR(told(q_unlink(DIR_ROOT, "new.queue")), "ok");
		for (int i = 0; i < 100; i++)
			forget(f[i].ino, 1);
		k_forget_answered();
	}
	turn_idle_most = 64;
	daemon_end();
}

/* Somebody may have it open, and would see the next object in it. */
TEST(blank_shared_files_are_not_used_again)
{
	struct stat shared, now;
	struct file f;
	uint64_t ino;
	char name[24];
	int fd;

	turn_idle_most = 0;
	daemon_start();
	ino = make("a.queue");
	fd = open(engine_file(ino), O_RDWR | O_CLOEXEC); /* by its ctl/shm */
	CHECK(fd >= 0 && fstat(fd, &shared) == 0);
	f = open_name("a.queue", BOTH);
	f_close(&f);
	CHECK_INT(files_of(ino), 1);
	CHECK(stat(engine_file(ino), &now) == 0);
	CHECK_INT(now.st_ino, shared.st_ino);
	daemon_kill_and_restart();
	turn_idle_most = 0;
	f = open_name("a.queue", BOTH);
	f_close(&f);
	CHECK_STR(told(q_unlink(DIR_ROOT, "a.queue")), "ok");
	CHECK_INT(files_of(ino), 0);
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "%d.queue", i);
		ino = make(name);
		f = open_name(name, BOTH);
		CHECK(stat(engine_file(ino), &now) == 0);
		CHECK(now.st_ino != shared.st_ino);
	}
	CHECK(fstat(fd, &now) == 0);
	CHECK_INT(now.st_nlink, 0);
	close(fd);
	turn_idle_most = 64;
	daemon_end();
}

/* Somebody cuts a file short that is ready. */
TEST(blank_ready_file_is_cut_short)
{
	struct file f;

	turn_idle_most = 0;
	daemon_start();
	make("a.queue");
	f = open_name("a.queue", BOTH);
	f_close(&f);
	CHECK_INT(files_like("ready-"), 1);
	CHECK(truncate(state_path("objects/ready-32"), 0) == 0);
	make("b.queue");
	f = open_name("b.queue", BOTH);
	CHECK_STR(f_put(&f, "x\n"), "2");
	CHECK_STR(f_get(&f), "x\n");
	CHECK(!daemon_died());
	turn_idle_most = 64;
	daemon_end();
}

/* A restart looks at no object's file for its size. */
TEST(blank_sizes_are_known_after_a_restart)
{
	uint64_t ino[20];
	unsigned long locks;
	char name[24];

	turn_mapped_most = 2;
	daemon_start();
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "%d.queue", i);
		ino[i] = make(name);
		for (int n = 0; n < i % 5; n++)
			CHECK_STR(say(name, "x\n"), "2");
	}
	for (int again = 0; again < 3; again++) {
		daemon_kill_and_restart();
		/* But for those that were mapped when it died. */
		for (int i = 0; i < 20; i++)
			size_of(ino[i]);
		locks = daemon_locks();
		for (int i = 0; i < 20; i++)
			CHECK_INT(size_of(ino[i]), i % 5);
		CHECK(daemon_locks() - locks <= 4);
	}
	locks = daemon_locks();
	daemon_kill_and_restart();
	for (int i = 0; i < 20; i++)
		CHECK_INT(size_of(ino[i]), i % 5);
	CHECK(daemon_locks() - locks <= 12);
	turn_mapped_most = 4096;
	daemon_end();
}

TEST(blank_gets_no_memory)
{
	static char big[60001];
	struct file w;
	uint64_t ino;
	const char *s;
	char name[24];
	int n = 0;

	daemon_start_with(&(struct options){ .memory_limit = 1 << 20 });
	memset(big, 'x', sizeof(big) - 1);
	big[60000] = '\n';
	make("a.queue");
	w = open_name("a.queue", WO | O_NONBLOCK);
	do
		s = told(q_write(&w, big, sizeof(big)));
	while (*s != '!');
	CHECK_STR(s, "!ENOSPC");
	do { /* until nothing is left */
		snprintf(name, sizeof(name), "%d.queue", ++n);
		s = told(q_open(make(name), RO));
	} while (*s != '!');
	CHECK_STR(s, "!ENOSPC");
	CHECK(n < 100);
	ino = make("b.queue");
	CHECK_STR(told(q_open(ino, RO)), "!ENOSPC");
	CHECK_STR(say("b.queue.ctl/maxsize", "3"), "!ENOSPC");
	CHECK_INT(files_of(ino), 0);
	CHECK_INT(size_of(ino), 0);
	CHECK_STR(show_word("b.queue.ctl/maxsize"), "0");
	CHECK_STR(show_word("b.queue.ctl/maxsize"), "0");
	f_close(&w);
	CHECK_STR(told(q_unlink(DIR_ROOT, "a.queue")), "ok");
	CHECK_STR(say("b.queue", "x\n"), "2");
	daemon_end();
}

/* What has happened to it is known, whatever becomes of its file and of the daemon. */
TEST(blank_objects_remember_their_counters)
{
	static const char stats[] = "puts: 3\ngets: 3\nhigh_water: 2\nwaits: 0\nwakeups: 0\n"
				    "timeouts: 0\ncancels: 0\noldest: 0.000\nlongest_wait: 0.000\n";
	struct file f;
	uint64_t ino;

	turn_idle_most = 0;
	daemon_start();
	ino = make("q.queue");
	CHECK(strstr(show("q.queue.ctl/stats"), "puts: 0\ngets: 0\n"));
	CHECK_INT(files_of(ino), 0);
	f = open_name("q.queue", BOTH);
	CHECK_STR(f_put(&f, "a\nb\n"), "4");
	CHECK_STR(f_get(&f), "a\n");
	CHECK_STR(f_get(&f), "b\n");
	CHECK_STR(f_put(&f, "c\n"), "2");
	CHECK_STR(f_get(&f), "c\n");
	CHECK_STR(say("q.queue.ctl/done", "3"), "1");
	f_close(&f);
	CHECK_INT(files_of(ino), 0);
	CHECK_STR(show("q.queue.ctl/stats"), stats);
	daemon_kill_and_restart();
	turn_idle_most = 0;
	CHECK_STR(show("q.queue.ctl/stats"), stats);
	/* In use again; and under another name. */
	f = open_name("q.queue", BOTH);
	CHECK_STR(show("q.queue.ctl/stats"), stats);
	CHECK_STR(f_put(&f, "d\n"), "2");
	CHECK_STR(f_get(&f), "d\n");
	CHECK_STR(say("q.queue.ctl/done", "1"), "1");
	f_close(&f);
	CHECK_INT(files_of(ino), 0);
	CHECK_STR(told(q_rename(DIR_ROOT, "q.queue", DIR_ROOT, "r.queue")), "ok");
	CHECK(strstr(show("r.queue.ctl/stats"), "puts: 4\ngets: 4\n"));
	/* A new one of the same name is another one. */
	CHECK_STR(told(q_unlink(DIR_ROOT, "r.queue")), "ok");
	make("r.queue");
	CHECK(strstr(show("r.queue.ctl/stats"), "puts: 0\ngets: 0\n"));
	turn_idle_most = 64;
	daemon_end();
}
