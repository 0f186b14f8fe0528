/* SPDX-License-Identifier: MIT */
/*
 * nullfs MOUNTPOINT - the empty FUSE file system: what the kernel and libfuse cost when the daemon
 * has nothing to do. Its files are opened as ipcfs opens its own, one thread serves them, and it
 * ends when it is unmounted.
 *
 *	null		a READ gives 2 bytes, a WRITE takes all, flock is granted; at once
 *	park, go	READs of park wait until a WRITE to go answers all of them
 *	next		a WRITE answers the one that waits longest
 *	parked		how many wait, as text
 *	token0, token1	a WRITE answers the READ that waits, or the next: two requests a handover
 *	shell		as null, but each use of the name is a LOOKUP, and its readers have a position:
 *			so shells make the same requests as of an ipcfs object
 *
 * Whatever else is made is an empty file or a folder, of which it knows the name, and nothing else.
 */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#define FOREVER  1000
#define ONE_TICK 1e-9 /* the kernel rounds up */
#define MAX_IO   (1 << 20)

enum { ROOT = 1, NULL_FILE, PARK, GO, NEXT, PARKED, TOKEN0, TOKEN1, SHELL, FILES };

static const char *const names[FILES] = {
	[NULL_FILE] = "null", [PARK] = "park",     [GO] = "go",         [NEXT] = "next",
	[PARKED] = "parked",  [TOKEN0] = "token0", [TOKEN1] = "token1", [SHELL] = "shell",
};

#define MADE_MOST 4096 /* a power of two; in a table of open addresses */

static struct made {
	fuse_ino_t ino, parent;
	bool gone; /* what is behind it may have been put there because of it */
	char name[64];
} made[MADE_MOST];
static fuse_ino_t next_ino = 1000;

#define IS_DIR(ino) ((ino) == ROOT || ((ino) >= 1000 && (ino) % 2))

static fuse_req_t *parked; /* a ring */
static unsigned int first, n_parked, room;
static struct token {
	unsigned int there;
	fuse_req_t reader;
} tokens[2];

static void fill(struct stat *st, fuse_ino_t ino)
{
	*st = (struct stat){
		.st_ino = ino,
		.st_mode = IS_DIR(ino) ? S_IFDIR | 0777 : S_IFREG | 0666,
		.st_nlink = 1,
	};
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	conn->want |= conn->capable & (FUSE_CAP_FLOCK_LOCKS | FUSE_CAP_ASYNC_DIO);
	conn->want &= ~(unsigned int)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
				      FUSE_CAP_SPLICE_MOVE | FUSE_CAP_AUTO_INVAL_DATA);
	conn->max_write = MAX_IO;
	conn->max_background = 65535;
	conn->congestion_threshold = 65535;
}

static struct made *find_made(fuse_ino_t parent, const char *name, bool place)
{
	unsigned int at = (unsigned int)parent;

	for (const char *p = name; *p; p++)
		at = at * 31 + (unsigned char)*p;
	for (unsigned int i = 0; i < MADE_MOST; i++) {
		struct made *m = &made[(at + i) % MADE_MOST];

		if (place ? !m->ino || m->gone : !m->ino)
			return place ? m : NULL;
		if (!m->gone && m->parent == parent && !strcmp(m->name, name))
			return place ? NULL : m;
	}
	return NULL;
}

/* false: it is there already, or there is no room. */
static bool make(fuse_ino_t parent, const char *name, bool dir, struct fuse_entry_param *e)
{
	struct made *m = find_made(parent, name, false) ? NULL : find_made(parent, name, true);

	if (!m || strlen(name) >= sizeof(m->name))
		return false;
	next_ino += 2;
	*m = (struct made){ .ino = next_ino + dir, .parent = parent };
	strcpy(m->name, name);
	*e = (struct fuse_entry_param){ .ino = m->ino, .entry_timeout = FOREVER };
	fill(&e->attr, m->ino);
	return true;
}

static void reply_made(fuse_req_t req, fuse_ino_t parent, const char *name, bool dir)
{
	struct fuse_entry_param e;

	if (make(parent, name, dir, &e))
		fuse_reply_entry(req, &e);
	else
		fuse_reply_err(req, EEXIST);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev)
{
	reply_made(req, parent, name, false);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	reply_made(req, parent, name, true);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	struct fuse_entry_param e;

	fi->direct_io = 1;
	fi->noflush = 1;
	if (make(parent, name, false, &e))
		fuse_reply_create(req, &e, fi);
	else
		fuse_reply_err(req, EEXIST);
}

static void op_remove(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct made *m = find_made(parent, name, false);

	if (m)
		m->gone = true;
	fuse_reply_err(req, m ? 0 : ENOENT);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = { .attr_timeout = FOREVER, .entry_timeout = FOREVER };
	const struct made *m = find_made(parent, name, false);

	if (m) {
		e = (struct fuse_entry_param){ .ino = m->ino, .entry_timeout = FOREVER };
		fill(&e.attr, e.ino);
		fuse_reply_entry(req, &e);
		return;
	}
	for (e.ino = NULL_FILE; e.ino < FILES && strcmp(name, names[e.ino]); e.ino++)
		;
	if (e.ino == FILES) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	fill(&e.attr, e.ino);
	if (e.ino == SHELL) {
		e.entry_timeout = 0;
		e.attr_timeout = ONE_TICK;
	}
	fuse_reply_entry(req, &e);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	fill(&st, ino);
	fuse_reply_attr(req, &st, ino == SHELL ? 0 : FOREVER);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	/* fuse_reply_open() of libfuse 3.14 cannot say FOPEN_STREAM. */
	struct fuse_open_out out = {
		.fh = ino,
		.open_flags = FOPEN_DIRECT_IO | FOPEN_STREAM | 1 << 5 /* NOFLUSH */,
	};

	if (ino == SHELL && (fi->flags & O_ACCMODE) == O_RDONLY)
		out.open_flags &= ~(uint32_t)FOPEN_STREAM;

	fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

static fuse_req_t *place(unsigned int i)
{
	return &parked[(first + i) % room];
}

static void forget(unsigned int i)
{
	*place(i) = *place(--n_parked);
}

static fuse_req_t take_first(void)
{
	fuse_req_t req = *place(0);

	first = (first + 1) % room;
	n_parked--;
	return req;
}

static bool make_room(void)
{
	unsigned int more = room * 2 + 1024;
	fuse_req_t *ring = malloc(more * sizeof(fuse_req_t));

	if (!ring)
		return false;
	for (unsigned int i = 0; i < n_parked; i++)
		ring[i] = *place(i);
	free(parked);
	parked = ring;
	first = 0;
	room = more;
	return true;
}

/* A signal: whoever waited goes. It may be called from within fuse_req_interrupt_func(). */
static void interrupted(fuse_req_t req, void *data)
{
	struct token *t = data;
	unsigned int i;

	if (t && t->reader == req) {
		t->reader = NULL;
		fuse_reply_err(req, EINTR);
		return;
	}
	for (i = 0; i < n_parked && *place(i) != req; i++)
		;
	if (i == n_parked)
		return;
	forget(i);
	fuse_reply_err(req, EINTR);
}

static void park(fuse_req_t req)
{
	if (n_parked == room && !make_room()) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	/* Registered before it is in the list: a callback that comes at once finds nothing. */
	fuse_req_interrupt_func(req, interrupted, NULL);
	if (fuse_req_interrupted(req))
		fuse_reply_err(req, EINTR);
	else
		*place(n_parked++) = req;
}

static void take_token(fuse_req_t req, struct token *t)
{
	if (t->there) {
		t->there--;
		fuse_reply_buf(req, "1\n", 2);
		return;
	}
	if (t->reader) {
		fuse_reply_err(req, EBUSY);
		return;
	}
	fuse_req_interrupt_func(req, interrupted, t);
	if (fuse_req_interrupted(req))
		fuse_reply_err(req, EINTR);
	else
		t->reader = req;
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	char text[16];
	int n;

	switch (ino) {
	case PARK:
		park(req);
		break;
	case PARKED:
		n = snprintf(text, sizeof(text), "%u\n", n_parked);
		fuse_reply_buf(req, text, (size_t)n);
		break;
	case TOKEN0:
	case TOKEN1:
		take_token(req, &tokens[ino - TOKEN0]);
		break;
	default:
		fuse_reply_buf(req, "1\n", 2);
	}
}

static void give_token(struct token *t)
{
	fuse_req_t req = t->reader;

	if (!req) {
		t->there++;
		return;
	}
	t->reader = NULL;
	fuse_reply_buf(req, "1\n", 2);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	while (n_parked && (ino == GO || ino == NEXT)) {
		fuse_reply_buf(take_first(), "1\n", 2);
		if (ino == NEXT)
			break;
	}
	if (ino == TOKEN0 || ino == TOKEN1)
		give_token(&tokens[ino - TOKEN0]);
	fuse_reply_write(req, size);
}

static void op_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op)
{
	fuse_reply_err(req, 0);
}

static const struct fuse_lowlevel_ops ops = {
	.init = op_init,
	.lookup = op_lookup,
	.getattr = op_getattr,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.create = op_create,
	.unlink = op_remove,
	.rmdir = op_remove,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.flock = op_flock,
};

int main(int argc, char **argv)
{
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_session *se;
	int r;

	if (argc != 2) {
		fprintf(stderr, "usage: nullfs MOUNTPOINT\n");
		return 2;
	}
	se = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (!se || fuse_set_signal_handlers(se) < 0 || fuse_session_mount(se, argv[1]) < 0)
		return 1;
	r = fuse_session_loop(se);
	fuse_session_unmount(se);
	fuse_remove_signal_handlers(se);
	fuse_session_destroy(se);
	return r < 0;
}
