/* SPDX-License-Identifier: MIT */
/* lines FILE COUNT - reads until COUNT newlines have come, and fails at an earlier end. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define SIZE (1 << 20)

int main(int argc, char **argv)
{
	char *buf = malloc(SIZE);
	long left;
	int fd;

	bench_start();
	if (argc != 3)
		die("usage: lines FILE COUNT");
	left = number(argv[2]);
	fd = open(argv[1], O_RDONLY);
	if (fd < 0)
		die_errno(argv[1]);
	while (left > 0) {
		ssize_t n = read(fd, buf, SIZE);

		if (n < 0)
			die_errno(argv[1]);
		if (n == 0)
			die("%s: the end, and %ld lines are missing", argv[1], left);
		for (char *p = buf; (p = memchr(p, '\n', (size_t)(buf + n - p))); p++)
			left--;
	}
	if (left < 0)
		die("%s: %ld lines too many", argv[1], -left);
	return 0;
}
