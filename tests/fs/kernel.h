/* SPDX-License-Identifier: MIT */
/*
 * A kernel made of a socket. The worker runs in a forked child and reads its requests from one end
 * of a SOCK_SEQPACKET pair, which keeps messages whole as /dev/fuse does; the test holds the other
 * end and is the kernel: it numbers requests, keeps what is not answered, and sends it again when
 * a worker that follows a dead one asks for it (FUSE_NOTIFY_RESEND).
 *
 * The worker deals with requests one after the other, in the order in which they were sent. So
 * when the answer to a later request is there, a request without an answer is parked: k_sync().
 * Every answer is checked as the kernel does: known, not answered before, whole.
 */
#ifndef TEST_KERNEL_H
#define TEST_KERNEL_H

#include <linux/fuse.h>

#include "runner.h"
#include "object/engine.h"
#include "process/shared.h"
#include "process/worker.h"
#include "state/options.h"

#define RESENT (1ull << 63) /* in a unique: it was sent to another worker before */

typedef unsigned int rq; /* the number of a request; its unique is twice that */

struct request {
	uint32_t opcode;
	bool resent;      /* so its unique has bit 63 set */
	bool unread;      /* no worker has read it */
	bool interrupted; /* the kernel says so again to the next worker */
	bool answered;
	int error;  /* 0 or -errno */
	char *data; /* the answer; a NUL follows */
	size_t len;
	char *msg; /* the request */
	size_t msg_len;
};

struct kernel {
	int fd, worker_fd; /* the two ends */
	pid_t worker;      /* 0: it is dead */
	int pidfd;
	struct worker_shared *sh;
	struct fuse_session *se;
	bool old;          /* before Linux 6.9: sends nothing again */
	uint32_t pid, uid; /* who the next requests come from */
	struct request *reqs;
	rq n, cap;
	unsigned int resends; /* FUSE_NOTIFY_RESEND that came */
	unsigned int again;   /* INTERRUPTs that were answered with EAGAIN */
	uint64_t polls[16];   /* kh of the poll notifications that came */
	unsigned int n_polls;
	uint64_t invalid; /* the inode whose attributes were recalled last */
	unsigned int n_invalid;
	char expired[256]; /* the name that leads elsewhere now */
};

extern struct kernel k;

/* ---- daemon.c ---- */

/* A mount on a new state directory, its first worker, and the handshake. */
void daemon_start(void);
void daemon_start_with(const struct options *opt);
/* The first worker dies at the n-th store or system call. false: it does not come to so many. */
bool daemon_start_dying(long n);
void daemon_old_kernel(void);    /* the next one that starts is on an old kernel, … */
void daemon_untold_kernel(void); /* … or on one that does not tell how processes ended */
/* SIGKILL, now. What it had not read stays with the kernel. */
void daemon_kill(void);
/*
 * Another worker: it asks for what was not answered, and gets it. If that one dies too (of a
 * fault), another one.
 */
void daemon_restart(void);
/* The same, but what was not answered is not sent again yet: k_resend(). */
void daemon_restart_only(void);
void daemon_kill_and_restart(void);
/* Have the worker die at the n-th store or system call of what is sent from now on, up to k_sync(). */
void daemon_fault(long n);
/* Have the next worker die at the n-th from its start. */
void daemon_fault_at_start(long n);
bool daemon_died(void);
/* How often workers have taken an object's lock so far, or tried to. */
unsigned long daemon_locks(void);
/* How often they have set the CPUs on which their loop thread may run. */
unsigned long daemon_moves(void);
/* SIGTERM: it must end well, with everything answered and every file sound. */
void daemon_end(void);
/* … but those whose name begins so, which it spoilt itself. */
void daemon_end_but(const char *spoilt);
/* After any test: nothing is left. */
void daemon_clean(void);
/* The path of a file in the state directory. */
const char *state_path(const char *name);
const char *object_path(uint64_t id); /* its engine file; of an inode number the id counts */

/* ---- kernel.c ---- */

/* Send a request; `body` is its argument and `more` what follows (a name, bytes to write). */
rq k_send(uint32_t opcode, uint64_t nodeid, const void *body, size_t len, const void *more,
	  size_t more_len);
/* Send these bytes as they are; the header's unique is set. */
rq k_send_raw(void *msg, size_t len);
/* The number that the next request gets. */
rq k_next(void);
void k_resend(rq r);
/* Send everything that was not answered once more, the oldest first. */
void k_resend_all(void);
/* While no worker runs its caller is killed: it is not sent again. */
void k_gone(rq r);
/* Everything that was sent so far has been dealt with. */
void k_sync(void);
/* Read what there is, for at most `ms` while there is nothing. false: there was nothing. */
bool k_receive(int ms);
/* Wait for its answer. */
const struct request *k_answer(rq r);
/* It is answered now, or parked. */
bool k_answered(rq r);
/* Forget the requests that are answered, and their answers. */
void k_forget_answered(void);
/* What the worker has not read yet goes back to the kernel. */
void k_take_unread(void);
void k_free(void);
/* How long to wait for what must come, ms. */
int k_patience(void);

#endif
