/* A child changes a value, and an array that both have mapped. Usage: shared_memory FOLDER */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int check(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
	return result;
}

static void put(const char *name, const char *text)
{
	int fd = check(open(name, O_CREAT | O_WRONLY, 0600), name);

	check(write(fd, text, strlen(text)), name);
	close(fd);
}

static int *map_array(void)
{
	int fd = check(open("arr.array.ctl/data", O_RDWR), "data");
	int *numbers = mmap(NULL, 10 * sizeof *numbers, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	check(numbers == MAP_FAILED ? -1 : 0, "mmap");
	close(fd);
	return numbers;
}

int main(int argc, char **argv)
{
	char text[64];

	check(argc == 2 ? chdir(argv[1]) : -1, "usage: shared_memory FOLDER");
	put("num.value", "0\n");
	close(check(open("arr.array", O_CREAT | O_RDWR, 0600), "arr.array"));
	put("arr.array.ctl/typecode", "i\n");
	check(truncate("arr.array", 10 * sizeof(int)), "truncate");

	int *numbers = map_array();
	for (int i = 0; i < 10; i++)
		numbers[i] = i;
	if (check(fork(), "fork") == 0) {
		int *mine = map_array(); /* nothing need be inherited */

		put("num.value", "3.1415927\n");
		for (int i = 0; i < 10; i++)
			mine[i] = -mine[i];
		return 0;
	}
	wait(NULL);
	int fd = check(open("num.value", O_RDONLY), "num.value");
	printf("%.*s", (int)read(fd, text, sizeof text), text);
	for (int i = 0; i < 10; i++)
		printf("%d%c", numbers[i], i < 9 ? ' ' : '\n');
	return 0;
}
