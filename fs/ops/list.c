/* SPDX-License-Identifier: MIT */
/* Listing directories. */
#include "state/alias.h"
#include "ctl/ctl.h"
#include "ops/dir.h"
#include "ops/io.h"

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

static size_t add_entry(fuse_req_t req, char *buf, size_t size, const char *name, uint64_t base,
			uint64_t cookie, bool plus, uint64_t dot)
{
	struct fuse_entry_param e = { .attr = { .st_mode = S_IFDIR } };
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
		} else {		/* (of what has no nodeid the kernel keeps nothing) */
			e.attr.st_mode = t.sub >= SUB_CTL ? (ctl_is_dir(&t) ? S_IFDIR : S_IFREG) :
				t.sub == SUB_SELF && node_is_dir(t.node) ? S_IFDIR : S_IFREG;
		}
		e.attr.st_ino = base;
	} else {
		e.attr.st_ino = dot;	/* . and ..: the kernel knows better; 0 would be left out */
	}
	return plus ? fuse_add_direntry_plus(req, buf, size, name, &e, (off_t)cookie) :
		      fuse_add_direntry(req, buf, size, name, &e.attr, (off_t)cookie);
}

static void read_dir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool plus)
{
	static char buf[128 * 1024];
	char name[IPC_NAME_MAX + 1];
	struct target dir;
	uint64_t cookie = (uint64_t)off, base, next;
	size_t used = 0;
	int r = target_of(ino, &dir);

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	if (size > sizeof(buf))
		size = sizeof(buf);
	while (next_entry(&dir, cookie, name, &base, &next)) {
		size_t n = add_entry(req, buf + used, size - used, name, base, next, plus, dir.base);

		if (n > size - used)
			break;
		used += n;
		cookie = next;
	}
	fuse_reply_buf(req, buf, used);
}

void ops_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			struct fuse_file_info *fi)
{
	read_dir(req, ino, size, off, false);
}

void ops_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			    struct fuse_file_info *fi)
{
	read_dir(req, ino, size, off, true);
}

void ops_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct target t;
	int r = target_of(ino, &t);

	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_open(req, fi);
}
