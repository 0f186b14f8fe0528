/* SPDX-License-Identifier: MIT */
/* Listing directories. */
#include "state/alias.h"
#include "ctl/ctl.h"
#include "wait/takeup.h"
#include "ops/dir.h"

#define MAX_LIST (128u * 1024) /* bytes of one READDIR */

#define FIRST 2 /* the cookie behind . and .. */

struct found {
	char name[IPC_NAME_MAX + 1];
	uint64_t base;   /* 0: . or .. */
	uint64_t cookie; /* where to go on */
};

/* The entry of a .ctl behind `cookie`; false at the end. */
static bool next_ctl(const struct target *dir, uint64_t cookie, struct found *ret)
{
	const struct ctl_file *c = ctl_next(dir, cookie > FIRST ? (unsigned int)cookie : 0);

	if (!c)
		return false;
	strcpy(ret->name, c->name);
	ret->base = NODEID(dir->node->id, ctl_sub(c));
	ret->cookie = ctl_sub(c);
	return true;
}

/* The same of a two-way pipe, */
static bool next_end(const struct target *dir, uint64_t cookie, struct found *ret)
{
	for (; cookie < FIRST + 2; cookie++) {
		strcpy(ret->name, cookie == FIRST ? "a" : "b");
		ret->cookie = cookie + 1;
		if (find_object(dir, ret->name, 1, &ret->base) == 0)
			return true;
	}
	return false;
}

/* … and of a directory; at: the last entry in this reply. */
static bool next_node(const struct target *dir, uint64_t cookie, ref_t *at, struct found *ret)
{
	struct ipc_obj *m = &fs.mount;
	ref_t d = dir->node->ref;
	const char *name;
	size_t len;

	if (dir->node->type != IPC_DIR)
		return false;
	*at = *at ? names_next(m, d, *at) : names_after(m, d, cookie);
	if (!*at)
		return false;
	name = name_at(m, *at, &len);
	memcpy(ret->name, name, len + 1);
	ret->base = NODEID(node_at(m, *at)->id, SUB_SELF);
	ret->cookie = node_at(m, *at)->cookie;
	return true;
}

static bool next_entry(const struct target *dir, uint64_t cookie, ref_t *at, struct found *ret)
{
	if (cookie < FIRST) {
		strcpy(ret->name, cookie ? ".." : ".");
		ret->base = 0;
		ret->cookie = cookie + 1;
		return true;
	}
	if (dir->sub != SUB_SELF)
		return next_ctl(dir, cookie, ret);
	return dir->node->type == IPC_TWOWAY ? next_end(dir, cookie, ret) :
					       next_node(dir, cookie, at, ret);
}

static mode_t format_of(const struct target *t)
{
	bool dir = t->sub >= SUB_CTL ? ctl_is_dir(t) : t->sub == SUB_SELF && node_is_dir(t->node);

	return dir ? S_IFDIR : S_IFREG;
}

/* self: the directory's own inode number. */
static void entry_for(const struct found *f, bool plus, uint64_t self, struct entry *ret)
{
	struct target t;

	*ret = (struct entry){ .attr = { .st_mode = S_IFDIR, .st_ino = self } };
	if (!f->base || target_of(f->base, &t) < 0) /* . and ..: the kernel knows better */
		return;
	takeup_named(f->base);
	if (!plus || base_leads_nowhere(f->base)) { /* without a nodeid the kernel keeps nothing */
		ret->attr.st_mode = format_of(&t);
		ret->attr.st_ino = f->base;
		return;
	}
	fill_entry(ret, f->base, &t);
	ret->attr.st_ino = f->base;
	/*
	 * If the object has aliases, changes come through those, and the kernel may not know this
	 * inode before it reads this reply, when it is too late to recall anything.
	 */
	if (!t.node->aliases) {
		ret->attr_timeout = PLUS_TIMEOUT;
		attr_listed(t.node);
	}
}

enum outcome dir_read(struct request *rq, bool plus)
{
	size_t used = 0, size = rq->size < MAX_LIST ? rq->size : MAX_LIST, n;
	struct found f = { .cookie = rq->off };
	char *buf = reply_buffer();
	struct entry e;
	int r = target_of(rq->ino, &rq->t);
	ref_t at = 0;

	if (r < 0)
		return done(rq, r);
	while (next_entry(&rq->t, f.cookie, &at, &f)) {
		entry_for(&f, plus, rq->t.base, &e);
		n = reply_add_entry(buf + used, size - used, f.name, &e, f.cookie, plus);
		if (n > size - used)
			break;
		used += n;
	}
	return done_buffer(rq, (ssize_t)used);
}

enum outcome dir_open(struct request *rq)
{
	rq->reply.kind = REPLY_OPEN;
	return done(rq, target_of(rq->ino, &rq->t));
}
