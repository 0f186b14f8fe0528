// SPDX-License-Identifier: MIT
/* ipcctl check, off-line: one object. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "object/type.h"
#include "repair/check_parts.h"
#include "util.h"

static void set_mode(struct state *s, const struct item *it, const char *name)
{
	if (fchownat(s->objects, name, it->uid, it->gid, AT_SYMLINK_NOFOLLOW) < 0 && geteuid() == 0)
		complain(name, "%s", strerror(errno));
	fchmodat(s->objects, name, state_mode(it->mode), 0);
}

/* An empty object of the same type; what was there is put aside. */
static int replace(struct state *s, const struct item *it)
{
	struct state_name name = state_engine(it->id);
	struct state_name data = state_data(it->id);
	const struct ipc_type *t = ipc_type_of_node(it->type);
	int r = t ? state_put_aside(s, name) : -EINVAL;

	if (r == 0)
		r = ipc_create(&s->env, s->objects, name.s, it->id, t,
			       ipc_reserve(t, s->memory_limit), NULL);
	if (r < 0)
		return r;
	set_mode(s, it, name.s);
	if (t->traits & TYPE_MEMORY) {
		int fd CLEANUP(close_fd) = -1;

		r = state_put_aside(s, data);
		if (r < 0)
			return r;
		fd = openat(s->objects, data.s, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0)
			return -errno;
		set_mode(s, it, data.s);
	}
	return 0;
}

/* It is sound: close what the last mount left open. */
static int drop_handles(struct state *s, const struct item *it)
{
	struct state_name name = state_engine(it->id);
	char *text CLEANUP(free_string) = NULL;
	struct ipc_obj o;
	uint32_t n;
	int r = state_map(s, s->objects, name.s, false, &o);

	if (r < 0)
		return r;
	n = o.h->handles.count;
	ipc_close_all(&o);
	ipc_pump(&o);
	r = o.damage ? -EIO : 0;
	state_unmap(&o);
	if (n && r == 0) {
		check_resized(s, it);
		text = str("%u handles of dead processes closed", n);
		state_say(s, it, text);
	}
	return r;
}

/* What is wrong with it; NULL: nothing. *ret_messages: how many it claims to have. */
static const char *look(struct state *s, const struct item *it, uint64_t *ret_messages)
{
	struct state_name name = state_engine(it->id);
	struct state_name data = state_data(it->id);
	const struct ipc_type *t = ipc_type_of_node(it->type);
	struct ipc_check k = { 0 };
	struct ipc_obj o;
	int r = state_map(s, s->objects, name.s, true, &o);

	*ret_messages = 0;
	if (r < 0)
		return state_error(r);
	if (o.id != it->id || o.ops != t)
		k.why = "its file is another object's";
	else if (ipc_check(&o, &k) < 0 && ipc_is_stream(t))
		*ret_messages = (uint64_t)o.h->b.queue.mq[0].count + o.h->b.queue.mq[1].count;
	if (!k.why && t->traits & TYPE_MEMORY && faccessat(s->objects, data.s, F_OK, 0) < 0)
		k.why = "its data is missing";
	state_unmap(&o);
	return k.why;
}

void check_object(struct state *s, const struct item *it)
{
	char *text CLEANUP(free_string) = NULL;
	uint64_t messages;
	const char *why;
	int r;

	s->result->objects++;
	if (it->flags & NODE_BLANK) /* it has no file: there is nothing but its name */
		return;
	why = look(s, it, &messages);
	if (!why && (!s->repair || drop_handles(s, it) == 0))
		return;
	s->result->damaged++;
	state_say(s, it, why ? why : "it turns out damaged when its handles are closed");
	if (!s->repair)
		return;
	r = replace(s, it);
	if (r == 0) {
		s->result->repaired++;
		check_resized(s, it);
	}
	text = r < 0 ? str("cannot be repaired: %s", strerror(-r)) :
	       messages ?
		       str("is now empty; up to %llu messages are lost (objects/%llu.damaged)",
			   (unsigned long long)messages, (unsigned long long)it->id) :
		       str("is now empty; its content and settings are lost (objects/%llu.damaged)",
			   (unsigned long long)it->id);
	state_say(s, it, text);
}
