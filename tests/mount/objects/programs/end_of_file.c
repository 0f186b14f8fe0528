/*
 * A reader ends when the other end is closed, and hangs when it has that end open too.
 * Usage: end_of_file FOLDER closed|open
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define IPCFS_IOC_TIMEOUT _IOW('i', 1, int64_t)

static int check(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
	return result;
}

static void reader(int mine, int other, int closed)
{
	char word[64];

	if (closed)
		close(other); /* the end that it inherited */
	int length = check(read(mine, word, sizeof word), "first read");
	dprintf(1, "got %.*s\n", length, word);
	int64_t limit = closed ? 20000000000 : 500000000; /* or it would hang for ever */
	check(ioctl(mine, IPCFS_IOC_TIMEOUT, &limit), "time limit");
	length = read(mine, word, sizeof word);
	if (length == 0)
		dprintf(1, "end of file\n");
	else if (length < 0 && errno == ETIMEDOUT)
		dprintf(1, "still waiting: I have an end open myself\n");
	else
		dprintf(1, "read gives %d\n", length);
}

int main(int argc, char **argv)
{
	check(argc == 3 ? chdir(argv[1]) : -1, "usage: end_of_file FOLDER closed|open");
	int closed = strcmp(argv[2], "closed") == 0;

	check(mkdir("words.pipe", 0700), "mkdir");
	int parent = check(open("words.pipe/a", O_RDWR), "a");
	int child = check(open("words.pipe/b", O_RDWR), "b");
	if (check(fork(), "fork") == 0) {
		reader(child, parent, closed);
		return 0;
	}
	close(child);
	check(write(parent, "hello", 5), "write");
	close(parent);
	wait(NULL);
	return 0;
}
