// SPDX-License-Identifier: MIT
/*
 * The messages of a queue or pipe from its file. Each is put by libipcfs, which works directly in the
 * object that nobody else knows yet; then a queue's becomes what it was (types/saved.h).
 */
#include <fcntl.h>
#include <sys/ioctl.h>

#include "guard.h"
#include "save/loading.h"

static int open_messages(struct loading *l, bool back)
{
	char *end CLEANUP(free_string) = str("%s/%c", l->path, back ? 'b' : 'a');

	ipcfs_close(l->o);
	l->o = ipcfs_open(l->two_way ? end : l->path, O_RDWR, 0);
	return l->o ? 0 : -errno;
}

/* More memory, which the daemon gives. */
static int grow(const struct loading *l)
{
	int64_t order = l->o->map.grow_order;

	return ioctl(l->o->fd, LIB_IOC_GROW, &order) < 0 ? -errno : 0;
}

/* The message that was put last becomes what it was. */
static int restore(struct loading *l, const struct saved_message *m)
{
	int r;

	if (!l->o->direct)
		return -EACCES;
	do {
		r = obj_lock(&l->o->map, 2 * NSEC_PER_SEC);
		if (r < 0)
			return r;
		r = saved_restore(&l->o->map, m);
		obj_unlock(&l->o->map);
		if (r == -ENOMEM && grow(l) < 0)
			return -ENOSPC;
	} while (r == -ENOMEM);
	return r;
}

int load_message(struct loading *l, const struct record *rec, enum saved_place place)
{
	struct saved_message m = {
		.place = place,
		.id = rec->number[0],
		.attempts = rec->number[1],
		.since = rec->number[2],
		.due = rec->number[3],
	};
	int r = 0;

	if (rec->n_numbers != (place == SAVED_DELAYED ? 4 :
			       place <= SAVED_DEAD    ? 3 :
							0) ||
	    !ipc_is_stream(l->type))
		return -EBADMSG;
	if (!l->o || (place == SAVED_BACK && l->two_way))
		r = open_messages(l, place == SAVED_BACK);
	/* Bytes of a pipe may be more than one message can be. */
	for (size_t at = 0, n; r >= 0 && (at < rec->bytes.len || !at); at += n ? n : 1) {
		size_t most = l->o->at.message_limit;

		n = rec->bytes.len - at;
		if (place == SAVED_BYTES && n > most)
			n = most;
		r = ipcfs_put(l->o, rec->bytes.data + at, n, 0);
		r = r > 0 ? -EIO : r == -EAGAIN ? -ENOSPC : r;
	}
	guard_progress();
	return r < 0 || place >= SAVED_BYTES ? r : restore(l, &m);
}

int end_messages(struct loading *l)
{
	int r = 0;

	if (!(l->type->traits & TYPE_JOIN) || (!l->o && !l->counts.last_id))
		return l->closed ? loading_setting(l, "closed", "1") : 0;
	if (!l->o)
		r = open_messages(l, false);
	if (r >= 0 && !l->o->direct)
		r = -EACCES;
	if (r >= 0)
		r = obj_lock(&l->o->map, 2 * NSEC_PER_SEC);
	if (r < 0)
		return r;
	saved_restore_counts(&l->o->map, &l->counts);
	obj_unlock(&l->o->map);
	while (ioctl(l->o->fd, LIB_IOC_KICK) < 0 && errno == EINTR)
		; /* for what is due later */
	return l->closed ? loading_setting(l, "closed", "1") : 0;
}
