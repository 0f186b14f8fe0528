/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "file/lock.h"

#include <grp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#define SHORT_NS 30000000 /* long enough for a close look at the holder */

enum { TAKEN = 1, NOT_HERE = 77 };

/* As another user, where /proc hides who is not one's own; it cannot be tried everywhere. */
static int take_hidden(uint32_t *word)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("proc", "/proc", "proc", 0, "hidepid=2") < 0 || setgroups(0, NULL) < 0 ||
	    setresgid(20077, 20077, 20077) < 0 || setresuid(20077, 20077, 20077) < 0)
		return NOT_HERE;
	return ipc_lock_take(word, SHORT_NS) == -EBUSY ? 0 : TAKEN;
}

static uint32_t *new_word(void)
{
	uint32_t *word = mmap(NULL, sizeof(*word), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(word != MAP_FAILED);
	return word;
}

TEST(lock_of_a_process_that_proc_hides)
{
	uint32_t *word = new_word();
	int status;
	pid_t pid;

	CHECK_INT(ipc_lock_take(word, 0), 0);
	pid = fork();
	if (pid == 0)
		_exit(take_hidden(word));
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) != TAKEN);
	ipc_lock_release(word);
	munmap(word, sizeof(*word));
}

TEST(lock_of_a_process_that_is_dead)
{
	uint32_t *word = new_word();
	siginfo_t ended;
	pid_t pid;

	pid = fork();
	if (pid == 0)
		_exit(ipc_lock_take(word, 0));
	CHECK_INT(waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOWAIT), 0);
	CHECK_INT(ipc_lock_take(word, SHORT_NS), -EOWNERDEAD); /* a zombie */
	ipc_lock_release(word);
	*word = (uint32_t)pid;
	CHECK_INT(waitpid(pid, NULL, 0), pid);
	CHECK_INT(ipc_lock_take(word, SHORT_NS), -EOWNERDEAD);
	munmap(word, sizeof(*word));
}
