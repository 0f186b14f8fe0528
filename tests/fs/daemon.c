/* SPDX-License-Identifier: MIT */
/*
 * The worker that the tests talk to: started as the supervisor starts it, and killed at chosen
 * points. The linker puts the __wrap_ functions in place of the system calls that reach the world
 * outside of the engine files; with the engine's own fault points (IPC_FAULTS) they number every
 * instant at which a death could matter.
 */
#include "file/log.h"
#include "ops/observer.h"
#include "file/statedir.h"
#include "kernel.h"

#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <ftw.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/proc.h"
#include "ops/dispatch.h"
#include "state/blank.h"
#include "state/nodeid.h"
#include "state/state.h"
#include "wait/takeup.h"
#include "wait/turn.h"
#include "wait/unfinished.h"

struct control {             /* shared with the worker */
	long fault;          /* armed with the next request that is read */
	long fault_at_start; /* of the next worker */
	bool dies_early;     /* that is the first one */
	unsigned long locks; /* objects' locks that workers took */
	unsigned long moves; /* and how often they went to another CPU */
};

static struct control *control;
static char folder[256];
static bool in_worker;

/* ---- dying on purpose ---- */

void ipc_fault(void);

void ipc_fault(void)
{
	kill(getpid(), SIGKILL);
	pause();
}

static void point(void)
{
	if (in_worker)
		IPC_FAULT();
}

ssize_t __real_read(int fd, void *buf, size_t n);
ssize_t __wrap_read(int fd, void *buf, size_t n);
ssize_t __real_writev(int fd, const struct iovec *iov, int n);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int n);
ssize_t __real_write(int fd, const void *buf, size_t n);
ssize_t __wrap_write(int fd, const void *buf, size_t n);
int __real_unlinkat(int dirfd, const char *path, int flags);
int __wrap_unlinkat(int dirfd, const char *path, int flags);

ssize_t __wrap_getrandom(void *buf, size_t n, unsigned int flags);

/* The index of names has the same places each time, so a death at the same point is the same. */
ssize_t __wrap_getrandom(void *buf, size_t n, unsigned int flags)
{
	(void)flags;
	memset(buf, 1, n);
	return (ssize_t)n;
}

ssize_t __wrap_read(int fd, void *buf, size_t n)
{
	ssize_t r = __real_read(fd, buf, n);

	if (!in_worker || fd != k.worker_fd || r < (ssize_t)sizeof(struct fuse_in_header))
		return r;
	pthread_mutex_lock(&fs.lock); /* as for all that counts points */
	if (control->fault) {
		ipc_fault_after = control->fault;
		control->fault = 0;
	}
	if (((struct fuse_in_header *)buf)->opcode == FUSE_GETATTR)
		ipc_fault_after = 0; /* k_sync(): it is over */
	point();
	pthread_mutex_unlock(&fs.lock);
	return r;
}

ssize_t __wrap_writev(int fd, const struct iovec *iov, int n)
{
	ssize_t r;

	point();
	r = __real_writev(fd, iov, n);
	point();
	return r;
}

ssize_t __wrap_write(int fd, const void *buf, size_t n)
{
	ssize_t r;

	if (!in_worker || fd != k.worker_fd)
		return __real_write(fd, buf, n);
	point();
	r = __real_write(fd, buf, n);
	point();
	return r;
}

int __wrap_unlinkat(int dirfd, const char *path, int flags)
{
	int r;

	point();
	r = __real_unlinkat(dirfd, path, flags);
	point();
	return r;
}

int __real_renameat(int from, const char *path, int to, const char *new);
int __wrap_renameat(int from, const char *path, int to, const char *new);
int __wrap_ftruncate(int fd, off_t len);
int __wrap_ftruncate64(int fd, off_t len);

int __wrap_renameat(int from, const char *path, int to, const char *new)
{
	int r;

	point();
	r = __real_renameat(from, path, to, new);
	point();
	return r;
}

int __wrap_ftruncate(int fd, off_t len)
{
	int r;

	point();
	r = (int)syscall(SYS_ftruncate, fd, len);
	point();
	return r;
}

int __wrap_ftruncate64(int fd, off_t len)
{
	return __wrap_ftruncate(fd, len);
}

/* Signals may come at any time: one cuts off every other call. */
int __wrap_fallocate(int fd, int mode, off_t off, off_t len);
int __wrap_fallocate64(int fd, int mode, off_t off, off_t len);

int __wrap_fallocate64(int fd, int mode, off_t off, off_t len)
{
	static unsigned int n;

	if (in_worker && !mode && ++n % 2) {
		errno = EINTR;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, off, len);
}

int __wrap_fallocate(int fd, int mode, off_t off, off_t len)
{
	return __wrap_fallocate64(fd, mode, off, len);
}

/* ---- counting ---- */

int __real_obj_lock(struct ipc_obj *o, int64_t timeout_ns);
int __wrap_obj_lock(struct ipc_obj *o, int64_t timeout_ns);

int __wrap_obj_lock(struct ipc_obj *o, int64_t timeout_ns)
{
	if (in_worker)
		control->locks++;
	return __real_obj_lock(o, timeout_ns);
}

int __real_sched_setaffinity(pid_t tid, size_t size, const cpu_set_t *set);
int __wrap_sched_setaffinity(pid_t tid, size_t size, const cpu_set_t *set);

int __wrap_sched_setaffinity(pid_t tid, size_t size, const cpu_set_t *set)
{
	if (in_worker)
		control->moves++;
	return __real_sched_setaffinity(tid, size, set);
}

unsigned long daemon_moves(void)
{
	return control->moves;
}

unsigned long daemon_locks(void)
{
	return control->locks;
}

/* ---- starting ---- */

const char *state_path(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

const char *object_path(uint64_t id)
{
	char name[64];

	snprintf(name, sizeof(name), STATE_OBJECTS "/%s", state_engine(nodeid_id(id)).s);
	return state_path(name);
}

/* What main() does before it mounts. */
static void begin(const struct options *opt)
{
	const char *why = "";

	fs = (struct fs){
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.state_fd = -1,
		.objects_fd = -1,
		.opt = *opt,
	};
	fs.opt.mountpoint = "/mnt";
	fs.opt.state = strdup(folder);
	if (!fs.opt.memory_limit)
		fs.opt.memory_limit = 64 << 20;
	if (!fs.opt.object_limit)
		fs.opt.object_limit = 1 << 20;
	if (!fs.opt.message_limit)
		fs.opt.message_limit = IPC_MESSAGE_MAX;
	if (unfinished_init() < 0 || state_open(&fs.opt, &why) < 0 ||
	    store_load(&observer, true, &why) < 0)
		test_fail(__FILE__, __LINE__, "%s", why);
	mount_body()->epoch++;
	mount_body()->memory = store_recount();
	store_unload();
}

static void start_worker(void)
{
	int r;

	fflush(stdout);
	fflush(stderr);
	k.worker = fork();
	CHECK(k.worker >= 0);
	if (k.worker) {
		k.pidfd = (int)syscall(SYS_pidfd_open, k.worker, 0);
		CHECK(k.pidfd >= 0);
		return;
	}
	in_worker = true;
	ipc_fault_after = control->fault_at_start;
	control->fault_at_start = 0;
	close(k.fd);
	r = worker_run(k.se, k.worker_fd, k.sh, -1);
	if (r < 0)
		fprintf(stderr, "worker: %s\n", strerror(-r));
	/* As the supervisor's child does; and so that the leak checker looks. */
	fuse_session_destroy(k.se);
	free(fs.opt.state);
	k_free();
	exit(r < 0 ? 1 : 0);
}

/* The first request of a new connection, as Linux 6.18 makes it. */
static void handshake(void)
{
	struct fuse_init_in in = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = 128 * 1024,
		.flags = FUSE_ASYNC_READ | FUSE_POSIX_LOCKS | FUSE_ATOMIC_O_TRUNC |
			 FUSE_EXPORT_SUPPORT | FUSE_BIG_WRITES | FUSE_DONT_MASK |
			 FUSE_SPLICE_WRITE | FUSE_SPLICE_MOVE | FUSE_SPLICE_READ |
			 FUSE_FLOCK_LOCKS | FUSE_HAS_IOCTL_DIR | FUSE_AUTO_INVAL_DATA |
			 FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO |
			 FUSE_WRITEBACK_CACHE | FUSE_NO_OPEN_SUPPORT | FUSE_PARALLEL_DIROPS |
			 FUSE_HANDLE_KILLPRIV | FUSE_POSIX_ACL | FUSE_ABORT_ERROR | FUSE_MAX_PAGES |
			 FUSE_CACHE_SYMLINKS | FUSE_NO_OPENDIR_SUPPORT | FUSE_EXPLICIT_INVAL_DATA |
			 FUSE_INIT_EXT,
		.flags2 = k.old ? 0 : 1 << 7, /* FUSE_HAS_RESEND */
	};
	rq n = k_send(FUSE_INIT, 0, &in, sizeof(in), NULL, 0);
	struct fuse_init_out out = { 0 };
	const struct request *r;

	while (control->dies_early && !k.reqs[n].answered) {
		if (k_receive(k_patience()) || !daemon_died())
			continue;
		start_worker();
		if (k.reqs[n].unread)
			k_resend(n);
		control->dies_early = false;
	}
	r = k_answer(n);
	CHECK_INT(r->error, 0);
	CHECK(r->len <= sizeof(out));
	memcpy(&out, r->data, r->len);
	CHECK_INT(out.major, FUSE_KERNEL_VERSION);
	CHECK_INT(out.max_write, 1 << 20);
	CHECK(out.flags & FUSE_FLOCK_LOCKS); /* or flock would be the kernel's own business */
	CHECK(out.flags & FUSE_POSIX_LOCKS);
	CHECK(out.flags &
	      FUSE_ATOMIC_O_TRUNC); /* or `>` would truncate, which means nothing here */
	CHECK(!(out.flags & FUSE_WRITEBACK_CACHE));
}

static bool next_is_old, next_is_untold;
static long first_fault;

void daemon_old_kernel(void)
{
	next_is_old = true;
	next_is_untold = true;
}

void daemon_untold_kernel(void)
{
	next_is_untold = true;
}

void daemon_start_with(const struct options *opt)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	const char *shm = getenv("IPCFS_TEST_SHM"), *mapped = getenv("IPCFS_TEST_MAPPED"),
		   *at_once = getenv("IPCFS_TEST_AT_ONCE");
	int pair[2], size = 8 << 20;

	k = (struct kernel){ .fd = -1,
			     .worker_fd = -1,
			     .pidfd = -1,
			     .pid = 5000001,
			     .uid = geteuid(),
			     .old = next_is_old };
	next_is_old = false;
	if (mapped) /* no more objects than this stay mapped */
		turn_mapped_most = (unsigned int)atoi(mapped);
	if (at_once) /* no more are looked at before a new worker's first request */
		takeup_at_once = (unsigned int)atoi(at_once);
	snprintf(folder, sizeof(folder), "%s/ipcfs-fs.XXXXXX", shm ? shm : STATE_SHM);
	if (!mkdtemp(folder)) {
		strcpy(folder, "/tmp/ipcfs-fs.XXXXXX");
		CHECK(mkdtemp(folder));
	}
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	for (int i = 0; i < 2; i++)
		if (setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
			setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	k.fd = pair[0];
	k.worker_fd = pair[1];
	if (!control) {
		control = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		CHECK(control != MAP_FAILED);
	}
	*control = (struct control){ .fault_at_start = first_fault, .dies_early = first_fault };
	first_fault = 0;
	begin(opt);
	fs.told_ends = !next_is_untold && proc_ends_are_told();
	next_is_untold = false;
	CHECK(fuse_opt_add_arg(&args, "ipcfs") == 0);
	CHECK(fuse_opt_add_arg(&args, "-osubtype=ipcfs,default_permissions") == 0);
	k.se = fuse_session_new(&args, &fuse_ops, sizeof(fuse_ops), NULL);
	fuse_opt_free_args(&args);
	CHECK(k.se);
	k.sh = mmap(NULL, sizeof(*k.sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(k.sh != MAP_FAILED);
	k.sh->started = ipc_now();
	k.sh->supervisor = getpid();
	start_worker();
	handshake();
}

void daemon_start(void)
{
	daemon_start_with(&(struct options){ 0 });
}

bool daemon_start_dying(long n)
{
	bool died;

	first_fault = n;
	daemon_start();
	k_sync();
	died = daemon_died() || !control->dies_early;
	if (!k.worker)
		daemon_restart();
	return died;
}

/* ---- dying and coming back ---- */

static void gone(void)
{
	close(k.pidfd);
	k.pidfd = -1;
	k.worker = 0;
	while (k_receive(0)) /* what it said before it died was said */
		;
	k_take_unread();
}

bool daemon_died(void)
{
	int status;

	if (!k.worker)
		return true;
	if (waitpid(k.worker, &status, WNOHANG) != k.worker)
		return false;
	gone();
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		test_fail(__FILE__, __LINE__, "the worker ended by itself: status %#x", status);
	return true;
}

void daemon_kill(void)
{
	int status;

	CHECK(k.worker);
	kill(k.worker, SIGKILL);
	CHECK_INT(waitpid(k.worker, &status, 0), k.worker);
	gone();
	CHECK(WIFSIGNALED(status));
}

void daemon_restart_only(void)
{
	unsigned int before = k.resends;

	CHECK(!k.worker);
	control->fault = 0;
	if (k.old) {
		k.sh->restarts++;
		start_worker();
		return;
	}
	while (k.resends == before) {
		if (daemon_died()) {
			k.sh->restarts++;
			start_worker();
		}
		/* The first that it says must be this: its reply to INIT would come before. */
		if (!k_receive(k_patience()) && !daemon_died())
			test_fail(__FILE__, __LINE__, "the new worker does not ask for requests");
	}
}

void daemon_restart(void)
{
	do {
		daemon_restart_only();
		if (k.worker)
			k_resend_all();
		k_sync();
	} while (daemon_died());
}

void daemon_kill_and_restart(void)
{
	daemon_kill();
	daemon_restart();
}

void daemon_fault(long n)
{
	control->fault = n;
}

void daemon_fault_at_start(long n)
{
	control->fault_at_start = n;
}

/* ---- ending ---- */

static bool check_file(void *but, ref_t r)
{
	struct node *n = tree_at(r);
	const char *name = node_name(n);
	struct ipc_check c;
	struct object *ob;
	int e = 0;

	if (n->type == IPC_DIR || node_is_blank(n) || (but && !strncmp(name, but, strlen(but))))
		return true;
	ob = object_of(n, &e);
	if (!ob || object_lock(ob, PATIENCE_NS) < 0)
		test_fail(__FILE__, __LINE__, "%s: error %d", name, e);
	if (ipc_check(&ob->o, &c) < 0)
		test_fail(__FILE__, __LINE__, "%s: %s", name, c.why);
	if (ob->o.h->granted.count)
		test_fail(__FILE__, __LINE__, "%s: an answer that nobody fetched", name);
	object_unlock(ob);
	return true;
}

/* Every file that is left must be sound, and nothing be left that only handles keep. */
static void check_files(const char *but)
{
	const char *why = "";

	if (store_load(&observer, true, &why) < 0)
		test_fail(__FILE__, __LINE__, "%s", why);
	names_each(&fs.mount, check_file, (void *)but);
	store_unload();
}

void daemon_end(void)
{
	daemon_end_but(NULL);
}

void daemon_end_but(const char *spoilt)
{
	struct pollfd p = { k.pidfd, POLLIN, 0 };
	unsigned int again;
	int status;

	do { /* libfuse keeps an INTERRUPT until another request comes */
		again = k.again;
		k_sync();
	} while (k.again != again);
	CHECK(!daemon_died());
	kill(k.worker, SIGTERM);
	while (poll(&p, 1, 0) == 0)
		if (!k_receive(k_patience()) && poll(&p, 1, 0) == 0)
			test_fail(__FILE__, __LINE__, "the worker does not end");
	CHECK_INT(waitpid(k.worker, &status, 0), k.worker);
	gone();
	if (status)
		test_fail(__FILE__, __LINE__, "the worker ended with status %#x", status);
	for (rq n = 1; n < k.n; n++)
		if (!k.reqs[n].answered && !k.reqs[n].unread)
			test_fail(__FILE__, __LINE__, "request %u (opcode %u) was never answered",
				  n, k.reqs[n].opcode);
	check_files(spoilt);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void daemon_clean(void)
{
	if (k.worker) {
		kill(k.worker, SIGKILL);
		waitpid(k.worker, NULL, 0);
		k.worker = 0;
	}
	if (!k.sh)
		return;
	close(k.pidfd);
	close(k.fd);
	close(k.worker_fd);
	close(unfinished_fds[0]);
	close(unfinished_fds[1]);
	if (k.se)
		fuse_session_destroy(k.se);
	munmap(k.sh, sizeof(*k.sh));
	k.sh = NULL;
	k.se = NULL;
	k_free();
	state_close();
	free(fs.opt.state);
	if (nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS) < 0)
		perror(folder);
}

static void end(void)
{
	daemon_clean();
}

const struct fixture fixture = { .end = end };
