// SPDX-License-Identifier: MIT
#include "doctor.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/vfs.h>

#define SHM		"/dev/shm"
#define MANY_FILES	4096		/* the hard limit that old systems gave */
#define USUAL_MAPS	65530		/* the kernel's default */

static char *shm_cure(uint64_t need)
{
	unsigned long long mib = (need + (1 << 20) - 1) >> 20;

	return str("mount -o remount,size=%lluM " SHM " (as root); docker run --shm-size=%llum; or "
		   "mount ipcfs with a smaller -o memory=", mib, mib);
}

static void check_shm(struct table *t)
{
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
	char *quarter CLEANUP(free_string) = format_bytes(memory / 4);
	char *size CLEANUP(free_string) = NULL;
	char *available CLEANUP(free_string) = NULL;
	struct statfs fs;
	uint64_t total, left;

	if (statfs(SHM, &fs) < 0) {
		finding(t, VERDICT_FAIL, SHM, xstrdup(strerror(errno)), xstrdup("mount -t tmpfs "
			"-o mode=1777 tmpfs " SHM " (as root), or mount ipcfs with -o state=DIR"));
		return;
	}
	total = (uint64_t)fs.f_blocks * fs.f_bsize;
	left = (uint64_t)fs.f_bavail * fs.f_bsize;
	size = format_bytes(total);
	available = format_bytes(left);
	if ((unsigned long)fs.f_type != TMPFS_MAGIC)
		finding(t, VERDICT_WARN, SHM, xstrdup("is no tmpfs: objects are slow and wear the "
			"disk"), xstrdup("mount -t tmpfs -o mode=1777 tmpfs " SHM " (as root)"));
	else if (access(SHM, W_OK | X_OK) < 0)
		finding(t, VERDICT_FAIL, SHM, xstrdup("you may not write there"),
			xstrdup("chmod 1777 " SHM " (as root), or mount with -o state=DIR"));
	else if (total < memory / 4)
		finding(t, VERDICT_WARN, SHM, str("%s, less than a quarter of the memory (%s), "
			"which is ipcfs's own limit: writers get ENOSPC early", size, quarter),
			shm_cure(memory / 4));
	else if (left < memory / 4)
		finding(t, VERDICT_WARN, SHM, str("%s free of %s, less than a quarter of the "
			"memory (%s): writers may get ENOSPC early", available, size, quarter),
			xstrdup("see what fills it: du -sh " SHM "/*"));
	else
		finding(t, VERDICT_OK, SHM, str("%s free of %s; ipcfs uses at most %s by default",
			available, size, quarter), NULL);
}

static void check_files(struct table *t)
{
	struct rlimit limit;
	char *found;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	found = limit.rlim_max == RLIM_INFINITY ?
		str("%llu, and as many as wanted", (unsigned long long)limit.rlim_cur) :
		str("%llu, at most %llu", (unsigned long long)limit.rlim_cur,
		    (unsigned long long)limit.rlim_max);
	if (limit.rlim_max < MANY_FILES)
		finding(t, VERDICT_WARN, "RLIMIT_NOFILE", found, xstrdup("raise `nofile` in "
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
		finding(t, VERDICT_WARN, "vm.max_map_count", str("%s: fewer objects than that "
			"can be in use at a time", b.data),
			str("sysctl vm.max_map_count=%d (as root)", USUAL_MAPS));
	else
		finding(t, VERDICT_OK, "vm.max_map_count", str("%s: about as many objects can be "
			"in use at a time", b.data), NULL);
}

void doctor_machine(struct table *t)
{
	check_shm(t);
	check_files(t);
	check_maps(t);
}
