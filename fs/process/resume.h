/* SPDX-License-Identifier: MIT */
/* How one supervisor follows another: resume.c. */
#ifndef IPCFS_RESUME_H
#define IPCFS_RESUME_H

#include <stdbool.h>
#include <sys/types.h>

struct worker_shared;

/* What a new supervisor is handed over. */
struct resume {
	int fuse_fd, shared_fd;
	int state_fd;  /* the state directory, locked */
	int worker_fd; /* pidfd of the running worker; -1 */
	pid_t worker;  /* 0: there is none */
	bool restart;  /* end that one, and start one of this version */
};

void resume_init(char **argv);
struct worker_shared *resume_shared_new(int *ret_fd);
/*
 * 1: this process is a new supervisor, and *ret and *ret_shared were handed over; 0 it is not; -1.
 */
int resume_take(struct resume *ret, struct worker_shared **ret_shared);
/* Go on as the program on disk; returns -errno if there is none. */
int resume_exec(const struct worker_shared *sh, const struct resume *r);
/* For the worker: start a new supervisor for itself after a delay; its pid or -errno. */
pid_t resume_spawn(const struct worker_shared *sh, int fuse_fd, bool same_program, int delay_ms);

#endif
