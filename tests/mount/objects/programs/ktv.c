/* A KTV with four rooms and twelve guests. Usage: ktv FOLDER */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
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

static void guest(int number)
{
	char now[32];
	int room = check(open("rooms.sem", O_RDONLY), "rooms.sem");
	int inside = check(open("inside.value", O_RDWR), "inside.value");

	check(flock(room, LOCK_EX), "flock"); /* given back when this process ends */
	check(write(inside, "+=1\n", 4), "+=1");
	int length = check(read(inside, now, sizeof now), "what my own += made of it");
	dprintf(1, "guest %d sings, %.*s inside\n", number, length - 1, now);
	usleep(10000 + rand() % 20000);
	check(write(inside, "-=1\n", 4), "-=1");
}

int main(int argc, char **argv)
{
	struct stat st;

	check(argc == 2 ? chdir(argv[1]) : -1, "usage: ktv FOLDER");
	int rooms = check(open("rooms.sem", O_CREAT | O_WRONLY, 0600), "rooms.sem");
	check(write(rooms, "4\n", 2), "4 rooms");
	close(check(open("inside.value", O_CREAT | O_WRONLY, 0600), "inside.value"));
	for (int i = 0; i < 12; i++) {
		if (check(fork(), "fork") == 0) {
			srand(i);
			guest(i);
			return 0;
		}
	}
	while (wait(NULL) > 0)
		;
	check(stat("rooms.sem", &st), "stat");
	printf("rooms free: %d\n", (int)st.st_size);
	return 0;
}
