/* SPDX-License-Identifier: MIT */
/*
 * One job of `ipcctl work`: a leased message and the process that works on it.
 *
 * A job has a handle of its own on the queue's ctl/lease, which its process inherits. The lease so
 * lasts as long as any of the two lives: if ipcctl is killed, nobody else gets the message before
 * the job has ended; if both are, it goes back to the queue.
 *
 * The process leads a process group, so that all of a job can be ended. What it prints is kept in
 * files until it has ended.
 */
#ifndef IPCCTL_JOB_H
#define IPCCTL_JOB_H

#include <sys/types.h>

#include "util.h"

#define NEVER INT64_MAX

/* What all jobs have in common; from the command line. */
struct job_options {
	char **command;         /* "{}" in an argument stands for the message */
	bool message_on_stdin;  /* and is not an argument */
	bool tag;               /* each line of output begins with the message */
	bool ungroup;           /* output goes straight on */
	const char *results;    /* a directory for output and status of each job; NULL */
	int64_t timeout_ns;     /* NEVER */
	int64_t retry_delay_ns; /* after the first failure; doubles with each */
	int64_t kill_after_ns;  /* from SIGTERM to SIGKILL */
	const char *queue;      /* as it was named */
	int ctl;                /* its ctl directory */
	bool newline;           /* line framing: a message on stdin ends with one */
};

enum job_state {
	JOB_RUNNING,
	JOB_ENDED, /* its lease is not settled yet */
	JOB_SETTLED,
};

struct job {
	struct job *next;
	enum job_state state;
	int lease; /* the handle */
	char *id;
	char *message; /* a NUL follows, which is not counted in `len` */
	size_t len;
	pid_t pid;      /* also of its process group */
	int out, err;   /* what it printed; -1: goes straight on */
	int status;     /* of wait(2), once it has ended */
	int exec_error; /* errno: the command could not be run */
	bool timed_out;
	int64_t started, ended;
	int64_t kill_at;  /* when its group gets the next signal; NEVER */
	int kill_signal;  /* which */
	int64_t touch_at; /* when its lease has to begin anew; NEVER */
	int64_t retry_at; /* JOB_ENDED: when to settle it again, as its queue is stuck */
};

/* The message that the handle LEASE has got: "ID<TAB>message". NULL: not understood. */
struct job *job_new(int lease, const char *data, size_t len);
void job_free(struct job *j);

/* Starts the process. A negative errno: none could be made; the job is then JOB_ENDED, as failed. */
int job_start(struct job *j, const struct job_options *o);
/* It has ended, with this status of wait(2): prints what it had to say. -EPIPE: nobody reads it. */
int job_ended(struct job *j, const struct job_options *o, int status);
bool job_failed(const struct job *j);

/* To its whole process group; then SIGKILL, a while later. */
void job_kill(struct job *j, const struct job_options *o, int signal);
/* Whatever is due by now. The time at which something is due next. */
int64_t job_tick(struct job *j, const struct job_options *o);
/* Acknowledges the message, or gives it back. -EAGAIN: the queue is stuck, try again (retry_at). */
int job_settle(struct job *j, const struct job_options *o);

#endif
