/* SPDX-License-Identifier: MIT */
/* What names mean, and the attributes of what they mean. */
#include "wait/ask.h"
#include "ctl/ctl.h"
#include "object/text.h"
#include "ops/dir.h"
#include "state/alias.h"
#include "state/array.h"
#include "state/store.h"
#include "wait/call.h"
#include "wait/takeup.h"

#define ENTRY_TIMEOUT 3600.0 /* names change through this mount alone */
#define ONE_TICK      1e-9   /* the kernel rounds up */

bool ends_in(const char *s, size_t len, const char *suffix)
{
	size_t n = strlen(suffix);

	return len >= n && !memcmp(s + len - n, suffix, n);
}

/* An object, or the end of a two-way pipe, of this name: its nodeid. */
int find_object(const struct target *dir, const char *name, size_t len, uint64_t *ret)
{
	struct node *n;

	if (dir->node->type == IPC_TWOWAY) {
		bool b = len == 1 && *name == 'b';

		if (len != 1 || (*name != 'a' && !b) ||
		    node_block(dir->node)->mode & (b ? MODE_NO_B : MODE_NO_A))
			return -ENOENT;
		*ret = NODEID(dir->node->id, b ? SUB_END_B : SUB_END_A);
		return 0;
	}
	n = tree_find(dir->node, name, len);
	if (!n)
		return -ENOENT;
	*ret = NODEID(n->id, SUB_SELF);
	return 0;
}

/* A file in a .ctl. limited: one that waits. */
static int find_ctl(const struct target *dir, const char *name, size_t len, bool limited,
		    uint64_t *ret)
{
	const struct ctl_file *c = ctl_lookup(dir, name, len);

	if (!c || (limited && (c->kind == HANDLE_OBJECT || c->access == CTL_DIRECTORY)))
		return -ENOENT;
	*ret = NODEID(dir->node->id, ctl_sub(c));
	return 0;
}

static bool is_ctl_dir(const struct target *dir, const char *name, size_t len)
{
	return dir->sub == SUB_SELF && dir->node->type == IPC_DIR && ends_in(name, len, CTL_SUFFIX);
}

/* The directory NAME.ctl, or the mount's own .ctl. */
static int find_ctl_dir(const struct target *dir, const char *name, size_t len, uint64_t *ret)
{
	struct node *n;

	if (!is_ctl_dir(dir, name, len))
		return -ENOENT;
	len -= strlen(CTL_SUFFIX);
	n = !len && dir->node == fs.root ? fs.root : tree_find(dir->node, name, len);
	if (!n || (n->type == IPC_DIR && n != fs.root))
		return -ENOENT;
	*ret = NODEID(n->id, SUB_CTL);
	return 0;
}

static int find_plain(const struct target *dir, const char *name, size_t len, uint64_t *ret)
{
	if (dir->sub != SUB_SELF)
		return find_ctl(dir, name, len, false, ret);
	if (find_object(dir, name, len, ret) == 0)
		return 0;
	return find_ctl_dir(dir, name, len, ret);
}

/* NAME@SECONDS: what NAME is there. */
static int find_limited(const struct target *dir, const char *name, size_t len, uint64_t *ret)
{
	int r;

	if (dir->sub != SUB_SELF)
		return find_ctl(dir, name, len, true, ret);
	r = find_object(dir, name, len, ret);
	if (r == 0 && nodeid_sub(*ret) == SUB_SELF && node_is_dir(tree_by_id(*ret)))
		r = -ENOENT;
	return r;
}

static int meaning(const struct target *dir, const char *name, uint64_t *ret_base,
		   int64_t *ret_timeout)
{
	size_t len = strlen(name), at;
	const char *at_sign = memrchr(name, '@', len);
	int r;

	*ret_timeout = -1;
	if (!dir->node || (dir->sub != SUB_SELF && !ctl_is_dir(dir)))
		return -ENOENT;
	if (find_plain(dir, name, len, ret_base) == 0)
		return 0;
	if (!at_sign || is_ctl_dir(dir, name, len))
		return -ENOENT;
	at = (size_t)(at_sign - name);
	r = find_limited(dir, name, at, ret_base);
	if (r == 0 && text_limit(at_sign + 1, len - at - 1, ret_timeout) < 0)
		r = -EINVAL;
	return r;
}

/* Nothing can ever have this name: it is longer than the longest name with a suffix. */
static bool too_long(const char *name)
{
	size_t len = strlen(name);
	const char *at_sign = memrchr(name, '@', len);
	int64_t ns;

	if (ends_in(name, len, CTL_SUFFIX))
		return len - strlen(CTL_SUFFIX) > IPC_NAME_MAX;
	if (at_sign && text_limit(at_sign + 1, strlen(at_sign + 1), &ns) == 0)
		return at_sign - name > IPC_NAME_MAX;
	return len > IPC_NAME_MAX;
}

/* What a name means in a directory. *ret_base: without time limit. */
int resolve(const struct target *dir, const char *name, uint64_t *ret_base, int64_t *ret_timeout)
{
	int r = meaning(dir, name, ret_base, ret_timeout);

	return r == -ENOENT && too_long(name) ? -ENAMETOOLONG : r;
}

int no_such_name(const struct target *dir, const char *name)
{
	uint64_t base;
	int64_t timeout;
	int r = resolve(dir, name, &base, &timeout);

	return r == 0 ? -EINVAL : r == -ENAMETOOLONG ? r : -ENOENT;
}

void fill_entry(struct entry *e, uint64_t nodeid, const struct target *t)
{
	*e = (struct entry){ .ino = nodeid };
	target_attr(t, &e->attr);
	/*
	 * NAME@2 and NAME.ctl depend on NAME, and an alias is for one thread: looked up each time.
	 */
	if (!t->alias && t->timeout < 0 && t->sub != SUB_CTL)
		e->entry_timeout = ENTRY_TIMEOUT;
}

int entry_of(struct request *rq, uint64_t base, int64_t timeout, bool opens)
{
	uint64_t nodeid;
	int r;

	takeup_named(base);
	r = nodeid_for(&rq->by, base, timeout, opens, &nodeid);
	if (r == 0)
		r = target_of(nodeid, &rq->t);
	if (r == 0)
		fill_entry(&rq->reply.entry, nodeid, &rq->t);
	rq->reply.kind = REPLY_ENTRY;
	return r;
}

enum outcome name_lookup(struct request *rq)
{
	struct target dir;
	uint64_t base;
	int64_t timeout;
	int r = target_of(rq->ino, &dir);

	if (r == 0)
		r = resolve(&dir, rq->name, &base, &timeout);
	if (r == 0)
		r = entry_of(rq, base, timeout, false);
	if (r == 0 && (ctl_is_dir(&rq->t) || attr_lend(&rq->t)))
		rq->reply.entry.attr_timeout = ONE_TICK;
	return done(rq, r);
}

/* ---- attributes ---- */

static enum outcome done_attr(struct request *rq)
{
	struct entry *e = &rq->reply.entry;

	rq->reply.kind = REPLY_ATTR;
	target_attr(&rq->t, &e->attr);
	/* A directory's attributes change only through the kernel. */
	e->attr_timeout = S_ISDIR(e->attr.st_mode) && rq->t.sub == SUB_SELF ? ENTRY_TIMEOUT : 0;
	return DONE;
}

enum outcome attr_get(struct request *rq)
{
	int r = target_of(rq->ino, &rq->t);

	return r < 0 ? done(rq, r) : done_attr(rq);
}

#define TIME_MOST 9000000000

int64_t time_of(const struct timespec *ts, bool now)
{
	struct timespec t = *ts;

	if (now)
		clock_gettime(CLOCK_REALTIME, &t);
	if (t.tv_sec > TIME_MOST) /* utimensat(2) takes any; nanoseconds last for 292 years */
		t.tv_sec = TIME_MOST;
	if (t.tv_sec < -TIME_MOST)
		t.tv_sec = -TIME_MOST;
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void set_mode(struct target *t, const struct stat *attr, int to_set)
{
	struct ipc_node *b = node_block(t->node);
	uint32_t mode = b->mode, uid = b->uid, gid = b->gid;

	if (to_set & SET_MODE) {
		mode = (mode & ~07777u) | (attr->st_mode & 07777);
		/* The ends share their directory's mode bits; who may read may also search. */
		if (t->sub == SUB_END_A || t->sub == SUB_END_B)
			mode = (mode & ~0777u) | (attr->st_mode & 0666) |
			       (attr->st_mode & 0444) >> 2;
	}
	if (to_set & SET_UID)
		uid = attr->st_uid;
	if (to_set & SET_GID)
		gid = attr->st_gid;
	names_chmod(&fs.mount, t->node->ref, mode, uid, gid);
	store_chmod(t->node);
}

static int resize(struct request *rq)
{
	int r = array_resize(rq->ob, (uint64_t)rq->attr->st_size);

	if (r == 0)
		touch(rq, rq->t.node, true);
	return r;
}

static int truncate_array(struct request *rq)
{
	int r;
	struct object *ob = object_of(rq->t.node, &r);

	return ob ? object_change(ob, rq, resize) : r;
}

#define SET_ACCESS (SET_MODE | SET_UID | SET_GID)

/* truncate(2) is for arrays; ftruncate(2) of a value after a write has nothing to do. */
static int set_size(struct request *rq)
{
	bool size = rq->cmd & SET_SIZE;

	if (rq->t.sub >= SUB_CTL)
		return size && !(rq->cmd & SET_ACCESS) ? -EINVAL : -EPERM;
	if (!size)
		return 0;
	if (node_is(rq->t.node, TYPE_MEMORY))
		return truncate_array(rq);
	return node_is(rq->t.node, TYPE_TEXT) && rq->open ? 0 : -EINVAL;
}

static void set_times(struct request *rq)
{
	struct ipc_node *b = node_block(rq->t.node);
	const struct timespec now = { 0 };

	if (rq->cmd & (SET_ATIME | SET_ATIME_NOW))
		b->atime = time_of(&rq->attr->st_atim, rq->cmd & SET_ATIME_NOW);
	if (rq->cmd & (SET_MTIME | SET_MTIME_NOW))
		b->mtime = time_of(&rq->attr->st_mtim, rq->cmd & SET_MTIME_NOW);
	b->ctime = time_of(&now, true);
}

enum outcome attr_set(struct request *rq)
{
	int r = target_of(rq->ino, &rq->t);

	if (r == 0) {
		attr_recall_ctl(rq->t.node);
		attr_recall(rq->t.node);
		r = set_size(rq);
	}
	if (r < 0)
		return done(rq, r);
	if (rq->cmd & SET_ACCESS)
		set_mode(&rq->t, rq->attr, (int)rq->cmd);
	set_times(rq);
	return done_attr(rq);
}

enum outcome name_readlink(struct request *rq)
{
	int r = target_of(rq->ino, &rq->t);

	if (r == 0)
		r = ctl_readlink(&rq->t, reply_buffer(), 4200);
	if (r ==
	    0) /* whoever follows it is to find a file, and who has found it to have the right one */
		r = store_share(rq->t.node);
	rq->reply.kind = REPLY_LINK;
	rq->reply.data = reply_buffer();
	return done(rq, r);
}

enum outcome mount_statfs(struct request *rq)
{
	struct ipc_mount *b = mount_body();
	struct statvfs s = {
		.f_bsize = 4096,
		.f_frsize = 4096,
		.f_namemax = IPC_NAME_MAX,
		.f_blocks = b->memory_limit / 4096,
		.f_files = b->object_limit,
	};

	s.f_bfree = b->memory < b->memory_limit ? (b->memory_limit - b->memory) / 4096 : 0;
	s.f_bavail = s.f_bfree;
	s.f_ffree = b->objects < b->object_limit ? b->object_limit - b->objects : 0;
	s.f_favail = s.f_ffree;
	rq->reply.kind = REPLY_STATFS;
	rq->reply.statfs = s;
	return DONE;
}
