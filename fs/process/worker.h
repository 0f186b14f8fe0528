/* SPDX-License-Identifier: MIT */
#ifndef IPCFS_WORKER_H
#define IPCFS_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct fuse_session;

/*
 * What outlives a worker, and a supervisor: memory that both have. Another version of ipcfs may
 * take it over; it refuses what has another size.
 */
struct worker_shared {
	uint32_t size; /* of this struct */
	uint32_t init_len;
	uint32_t restarts;
	pid_t supervisor;
	uint64_t started;
	bool ended;           /* the worker ended well: whoever adopted it sees no exit status */
	bool begun;           /* the kernel has the answer to its first request */
	bool served;          /* it got as far as a request that no worker had before it */
	int error;            /* -errno: it could not start, and… */
	char why[4096 + 256]; /* … that is why, in a sentence; "" */
	_Alignas(8) char init[4096]; /* the kernel's first request */
	/* As they were when it was started: the command line may be relative to another folder. */
	char exe[4096], mountpoint[4096], state[4096];
	/*
	 * The request that the worker deals with: the kernel writes it right in here, so that it is
	 * known when the worker dies. Its first word is 0 when there is none.
	 */
	uint64_t tried; /* the request that was dealt with again: once only */
	_Alignas(4096) char request[256 * 4096 + 0x1000];
};

/* Serve requests from `fd` until unmounted or told to stop by SIGTERM. 0 or -errno. */
int worker_run(struct fuse_session *se, int fd, struct worker_shared *sh);

/* What a new supervisor is handed over: resume.c. */
struct resume {
	int fuse_fd, shared_fd;
	int state_fd;  /* the state directory, locked */
	int worker_fd; /* pidfd of the running worker; -1 */
	pid_t worker;  /* 0: there is none */
	bool restart;  /* end that one, and start one of this version */
};

/*
 * Fork workers until one ends well; the exit status. Only returns when it is time to unmount. On
 * SIGHUP the process goes on as another program; when no worker can live it ends.
 */
int supervise(struct fuse_session *se, struct worker_shared *sh, struct resume *r);
extern int supervisor_fd; /* the supervisor's pidfd, for its worker; -1 */

/* ---- resume.c ---- */
void resume_init(char **argv);
struct worker_shared *resume_shared_new(int *ret_fd);
/*
 * 1: this process is a new supervisor, and *ret and *ret_shared were handed over; 0 it is not; -1.
 */
int resume_take(struct resume *ret, struct worker_shared **ret_shared);
/* Go on as the program on disk; returns -errno if there is none. */
int resume_exec(const struct worker_shared *sh, const struct resume *r);
/* The worker starts a new supervisor over itself, after some time; its pid or -errno. */
pid_t resume_spawn(const struct worker_shared *sh, int fuse_fd, bool same_program, int delay_ms);
void resume_unmount(int fuse_fd, const char *mountpoint);
/* A dead ipcfs mount of this user is in the way: take it away. 0 or -errno. */
int resume_clear_dead(const char *mountpoint);

#endif
