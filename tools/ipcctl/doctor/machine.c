// SPDX-License-Identifier: MIT
#include "doctor/doctor.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <pwd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/vfs.h>

#include "base/logind.h"
#include "file/statedir.h"

#define MANY_FILES 4096  /* the hard limit of older systems */
#define USUAL_MAPS 65530 /* the kernel's default */

static char *shm_cure(uint64_t need)
{
	unsigned long long mib = (need + (1 << 20) - 1) >> 20;

	return str("mount -o remount,size=%lluM " STATE_SHM
		   " (as root); docker run --shm-size=%llum; or "
		   "mount ipcfs with a smaller -o memory=",
		   mib, mib);
}

static int temporary_file(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char *path CLEANUP(free_string) = NULL;

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd;
	path = str("%s/ipcctl-XXXXXX", dir);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

/* An object's memory is allocated with fallocate(2), so that no later store can fail. */
void check_allocation(struct table *t, const char *dir)
{
	char *check CLEANUP(free_string) = str("files in %s", dir);
	int fd CLEANUP(close_fd) = temporary_file(dir);
	void *map = MAP_FAILED;
	size_t size = 2 * (size_t)sysconf(_SC_PAGESIZE);

	if (fd < 0)
		finding(t, errno == ENOSPC ? VERDICT_WARN : VERDICT_FAIL, check,
			str("cannot be created: %s", strerror(errno)),
			xstrdup("free space or grant access there, or mount ipcfs with -o state=DIR"));
	else if (fallocate(fd, 0, 0, (off_t)size) < 0)
		finding(t, errno == ENOSPC ? VERDICT_WARN : VERDICT_FAIL, check,
			str("cannot be allocated: fallocate: %s", strerror(errno)),
			xstrdup("mount ipcfs with -o state=DIR on another file system: tmpfs, ext4, "
				"xfs or btrfs"));
	else if ((map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) == MAP_FAILED)
		finding(t, VERDICT_FAIL, check, str("cannot be shared: mmap: %s", strerror(errno)),
			xstrdup("mount ipcfs with -o state=DIR on another file system"));
	else if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)size) < 0)
		finding(t, VERDICT_WARN, check,
			str("return no memory until they are removed "
			    "(punching a hole: %s)",
			    strerror(errno)),
			xstrdup("mount ipcfs with -o state=DIR on tmpfs, ext4, xfs or btrfs"));
	else
		finding(t, VERDICT_OK, check, xstrdup("can be allocated, shared and freed"), NULL);
	if (map != MAP_FAILED)
		munmap(map, size);
}

static void check_logout(struct table *t)
{
	const struct passwd *pw = getpwuid(geteuid());

	if (logind_removes("", geteuid(), pw ? pw->pw_name : NULL))
		finding(t, VERDICT_WARN, "RemoveIPC",
			xstrdup("systemd-logind removes what you have in " STATE_SHM
				" at your last logout: mounts that continue after that lose their objects"),
			xstrdup("loginctl enable-linger; or RemoveIPC=no in /etc/systemd/logind.conf "
				"(as root); or mount with -o state=DIR elsewhere"));
	else
		finding(t, VERDICT_OK, "RemoveIPC",
			xstrdup("your objects in " STATE_SHM " survive your "
				"logout"),
			NULL);
}

static void judge_shm(struct table *t, const struct statfs *fs)
{
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
	uint64_t total = (uint64_t)fs->f_blocks * fs->f_bsize;
	uint64_t left = (uint64_t)fs->f_bavail * fs->f_bsize;
	char *quarter CLEANUP(free_string) = format_bytes(memory / 4);
	char *size CLEANUP(free_string) = format_bytes(total);
	char *available CLEANUP(free_string) = format_bytes(left);

	if ((unsigned long)fs->f_type != TMPFS_MAGIC)
		finding(t, VERDICT_WARN, STATE_SHM,
			xstrdup("is not a tmpfs: objects are slow and wear out the "
				"disk"),
			xstrdup("mount -t tmpfs -o mode=1777 tmpfs " STATE_SHM " (as root)"));
	else if (access(STATE_SHM, W_OK | X_OK) < 0)
		finding(t, VERDICT_FAIL, STATE_SHM, xstrdup("you may not write there"),
			xstrdup("chmod 1777 " STATE_SHM " (as root), or mount with -o state=DIR"));
	else if (total < memory / 4)
		finding(t, VERDICT_WARN, STATE_SHM,
			str("%s, less than a quarter of the memory (%s), "
			    "ipcfs's default limit: it fills up before that is reached",
			    size, quarter),
			shm_cure(memory / 4));
	else if (left < memory / 4)
		finding(t, VERDICT_WARN, STATE_SHM,
			str("%s free of %s, less than a quarter of the "
			    "memory (%s), ipcfs's default limit: it may fill up before that",
			    available, size, quarter),
			xstrdup("find out what fills it: du -sh " STATE_SHM "/*"));
	else
		finding(t, VERDICT_OK, STATE_SHM,
			str("%s free of %s; ipcfs uses at most %s by default", available, size,
			    quarter),
			NULL);
}

static void check_shm(struct table *t)
{
	struct statfs fs;

	if (statfs(STATE_SHM, &fs) < 0) {
		finding(t, VERDICT_FAIL, STATE_SHM, xstrdup(strerror(errno)),
			xstrdup("mount -t tmpfs "
				"-o mode=1777 tmpfs " STATE_SHM
				" (as root), or mount ipcfs with -o state=DIR"));
		return;
	}
	judge_shm(t, &fs);
}

static void check_files(struct table *t)
{
	struct rlimit limit;
	char *found;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	found = limit.rlim_max == RLIM_INFINITY ?
			str("%llu, and no maximum", (unsigned long long)limit.rlim_cur) :
			str("%llu, at most %llu", (unsigned long long)limit.rlim_cur,
			    (unsigned long long)limit.rlim_max);
	if (limit.rlim_max < MANY_FILES)
		finding(t, VERDICT_WARN, "RLIMIT_NOFILE", found,
			xstrdup("each array in use needs one, "
				"and so does each process that holds with scope=process: raise `nofile` in "
				"/etc/security/limits.conf, or LimitNOFILE= of the service"));
	else
		finding(t, VERDICT_OK, "RLIMIT_NOFILE", found, NULL);
}

static void check_maps(struct table *t)
{
	struct buf b CLEANUP(buf_free) = { .data = NULL };
	int r = read_file_at(AT_FDCWD, "/proc/sys/vm/max_map_count", 0, 64, &b);
	uint64_t n;

	if (r < 0) {
		finding(t, VERDICT_WARN, "vm.max_map_count", xstrdup(strerror(-r)), NULL);
		return;
	}
	b.data[strcspn(b.data, "\n")] = '\0';
	if (!parse_u64(b.data, &n) && n < USUAL_MAPS)
		finding(t, VERDICT_WARN, "vm.max_map_count",
			str("%s: fewer objects than that "
			    "can be in use at a time",
			    b.data),
			str("sysctl vm.max_map_count=%d (as root)", USUAL_MAPS));
	else
		finding(t, VERDICT_OK, "vm.max_map_count",
			str("%s: about as many objects can be "
			    "in use at a time",
			    b.data),
			NULL);
}

void doctor_machine(struct table *t)
{
	check_shm(t);
	check_allocation(t, STATE_SHM);
	check_logout(t);
	check_files(t);
	check_maps(t);
}
