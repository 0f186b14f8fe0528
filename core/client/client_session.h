/* SPDX-License-Identifier: MIT */
/* One direct operation of libipcfs, from lock to unlock: client_session.c. */
#ifndef IPC_CLIENT_SESSION_H
#define IPC_CLIENT_SESSION_H

#include "client/client.h"
#include "object/type.h"

struct session {
	struct ipc_obj *o;		/* the client's: the holder of the object's lock may change it */
	struct ipc_handle *hd;
	struct ipc_call c;		/* set by session_call() */
	bool spun;			/* has spun before it joined the wait queue: sleeps at once */
	bool asked;			/* whether a close is on its way: session_again() */
};

#define GONE 1			/* session_wait_for(): the waiter is gone, *ret says why */

int session_begin(struct ipcfs_obj *c, struct session *s, int64_t deadline);
void session_call(struct ipcfs_obj *c, struct session *s, uint32_t op, int64_t deadline);
void session_leave(struct ipcfs_obj *c, struct session *s);
void session_end(struct ipcfs_obj *c, struct session *s);
/* ---- client_close.c ---- */
/* Every close that was made before this has been dealt with afterwards. */
void session_sync(struct ipcfs_obj *c);
/*
 * A try has come to *r. true: it was refused, closes that were on their way have been dealt with,
 * and it is to be made again, once. Locked before, and afterwards if it says so.
 */
bool session_again(struct ipcfs_obj *c, struct session *s, ssize_t *r);
/* Before somebody looks at the size column. */
void session_sync_size(struct ipcfs_obj *c);
int session_take_lock(struct ipcfs_obj *c, struct session *s, int64_t deadline);
int session_grow(struct ipcfs_obj *c, struct session *s);
void session_pause(void);	/* one round of a spin */
void session_spun(struct ipcfs_obj *c, uint32_t rounds, bool come);	/* how long the next spin is */
bool session_spin(struct ipcfs_obj *c, bool (*ready)(struct ipcfs_obj *c, void *arg), void *arg);
/* client_soon.c: true: it has polled, and need not spin in the wait queue. */
bool look_before_reading(struct ipcfs_obj *c, uint32_t op, int64_t deadline);
bool look_before_putting(struct ipcfs_obj *c, int64_t deadline);
bool is_full(const struct ipcfs_obj *c);	/* a queue, now */
int session_wait_for(struct ipcfs_obj *c, struct session *s, int64_t *ret);

#endif
