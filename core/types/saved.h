/* SPDX-License-Identifier: MIT */
/*
 * The messages of a queue or pipe for a copy that outlives this version of the engine (ipcctl save and
 * load): each with what is known of it, wherever it is. Locked, all of them.
 */
#ifndef IPC_SAVED_H
#define IPC_SAVED_H

#include "object/engine.h"

enum saved_place {
	SAVED_WAITING, /* leased ones, too: they would come back to the tail */
	SAVED_DELAYED,
	SAVED_DEAD,
	SAVED_BYTES, /* of a pipe: a message, or of a byte pipe all that there is of one write */
	SAVED_BACK,  /* the same, of a two-way pipe's way from b to a */
};

struct saved_message {
	enum saved_place place;
	uint64_t id, attempts;
	uint64_t since, due; /* CLOCK_REALTIME, ns */
	ref_t msg;
	size_t skip; /* bytes of it that were read */
};

struct saved_counts {
	bool closed;
	uint64_t unfinished, last_id;
};

/* f(arg, ...) for each, in the order in which they are to be put again. */
void saved_each(struct ipc_obj *o,
		void (*f)(void *arg, struct ipc_obj *o, const struct saved_message *m), void *arg);
void saved_counts(struct ipc_obj *o, struct saved_counts *ret);

/*
 * The message of a queue that was put last becomes what `m` says, but for its bytes. Committed. -ENOMEM:
 * the heap must grow first.
 */
int saved_restore(struct ipc_obj *o, const struct saved_message *m);
/* When all are there: of a queue. (Whether it is closed is a setting.) Committed. */
void saved_restore_counts(struct ipc_obj *o, const struct saved_counts *counts);

#endif
