/* SPDX-License-Identifier: MIT */
/* Listing directories. */
#include "state/alias.h"
#include "ctl/ctl.h"
#include "ops/dir.h"

#define MAX_LIST (128u * 1024) /* bytes of one READDIR */

/* The entry behind `cookie`: false at the end. */
static bool next_entry(const struct target *dir, uint64_t cookie, char *name, uint64_t *ret_base,
		       uint64_t *ret_cookie)
{
	struct node *n;

	if (cookie < 2) {
		strcpy(name, cookie ? ".." : ".");
		*ret_base = 0;
		*ret_cookie = cookie + 1;
		return true;
	}
	*ret_cookie = cookie + 1;
	if (dir->sub != SUB_SELF) {
		const struct ctl_file *c = ctl_next(dir, cookie > 2 ? (unsigned int)cookie : 0);

		if (!c)
			return false;
		strcpy(name, c->name);
		*ret_base = NODEID(dir->node->id, ctl_sub(c));
		*ret_cookie = ctl_sub(c);
		return true;
	}
	if (dir->node->type == IPC_TWOWAY) {
		for (; cookie < 4; cookie++) {
			name[0] = cookie == 2 ? 'a' : 'b';
			name[1] = 0;
			*ret_cookie = cookie + 1;
			if (find_object(dir, name, 1, ret_base) == 0)
				return true;
		}
		return false;
	}
	n = cookie == 2 ? dir->node->first : tree_after(dir->node, cookie);
	if (!n)
		return false;
	strcpy(name, node_name(n));
	*ret_base = NODEID(n->id, SUB_SELF);
	*ret_cookie = n->cookie;
	return true;
}

static size_t add_entry(char *buf, size_t size, const char *name, uint64_t base, uint64_t cookie,
			bool plus, uint64_t dot)
{
	struct entry e = { .attr = { .st_mode = S_IFDIR } };
	struct target t;

	if (base && target_of(base, &t) == 0) {
		if (plus && !base_leads_nowhere(base)) {
			fill_entry(&e, base, &t);
			/*
			 * Where there are other inodes of it, changes come by those, and this one
			 * may be unknown to the kernel until it reads this, when it is too late to
			 * recall anything.
			 */
			if (!t.node->aliases) {
				e.attr_timeout = PLUS_TIMEOUT;
				attr_listed(t.node);
			}
		} else { /* (of what has no nodeid the kernel keeps nothing) */
			e.attr.st_mode = t.sub >= SUB_CTL ? (ctl_is_dir(&t) ? S_IFDIR : S_IFREG) :
					 t.sub == SUB_SELF && node_is_dir(t.node) ? S_IFDIR :
										    S_IFREG;
		}
		e.attr.st_ino = base;
	} else {
		e.attr.st_ino = dot; /* . and ..: the kernel knows better; 0 would be left out */
	}
	return reply_add_entry(buf, size, name, &e, cookie, plus);
}

enum outcome dir_read(struct request *rq, bool plus)
{
	char name[IPC_NAME_MAX + 1], *buf = reply_buffer();
	struct target *dir = &rq->t;
	uint64_t cookie = rq->off, base, next;
	size_t used = 0, size = rq->size < MAX_LIST ? rq->size : MAX_LIST;
	int r = target_of(rq->ino, dir);

	if (r < 0)
		return done(rq, r);
	while (next_entry(dir, cookie, name, &base, &next)) {
		size_t n = add_entry(buf + used, size - used, name, base, next, plus, dir->base);

		if (n > size - used)
			break;
		used += n;
		cookie = next;
	}
	return done_buffer(rq, (ssize_t)used);
}

enum outcome dir_open(struct request *rq)
{
	rq->reply.kind = REPLY_OPEN;
	return done(rq, target_of(rq->ino, &rq->t));
}
