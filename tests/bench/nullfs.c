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
		.st_mode = ino == ROOT ? S_IFDIR | 0777 : S_IFREG | 0666,
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

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = { .attr_timeout = FOREVER, .entry_timeout = FOREVER };

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
