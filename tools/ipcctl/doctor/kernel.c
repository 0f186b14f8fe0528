// SPDX-License-Identifier: MIT
#include "doctor/doctor.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

/*
 * FUSE reports its features only to the process that mounts, so these checks go by the version. A
 * distribution may have backported a feature: at most a warning where the daemon can do without.
 */
static bool at_least(unsigned int major, unsigned int minor, const unsigned int have[2])
{
	return have[0] > major || (have[0] == major && have[1] >= minor);
}

static void check_features(struct table *t, const unsigned int have[2])
{
	if (at_least(5, 2, have))
		finding(t, VERDICT_OK, "FOPEN_STREAM",
			xstrdup("a waiting read does not delay "
				"writes on the same descriptor"),
			NULL);
	else
		finding(t, VERDICT_FAIL, "FOPEN_STREAM",
			xstrdup("new in Linux 5.2: on this "
				"kernel a waiting read delays every write on its descriptor"),
			xstrdup("use a newer kernel (5.2 or, better, 6.9), or open read-only and "
				"write-only handles"));
	if (at_least(6, 9, have))
		finding(t, VERDICT_OK, "FUSE_NOTIFY_RESEND",
			xstrdup("waits continue when the daemon "
				"is restarted"),
			NULL);
	else
		finding(t, VERDICT_WARN, "FUSE_NOTIFY_RESEND",
			xstrdup("new in Linux 6.9: on "
				"this kernel a restart of the daemon ends every wait with an error; the "
				"objects stay"),
			xstrdup("use Linux 6.9 or newer"));
}

static void check_timeout(struct table *t, const char *name)
{
	char *path CLEANUP(free_string) = str("/proc/sys/fs/fuse/%s", name);
	struct buf b CLEANUP(buf_free) = { .data = NULL };
	int r = read_file_at(AT_FDCWD, path, 0, 64, &b);

	if (r < 0) {
		/* Before Linux 6.15, or the module is not loaded yet. */
		finding(t, VERDICT_OK, name, xstrdup("this kernel sets no time limit on requests"),
			NULL);
		return;
	}
	b.data[strcspn(b.data, "\n")] = '\0';
	if (!strcmp(b.data, "0"))
		finding(t, VERDICT_OK, name, xstrdup("0: requests may wait without limit"), NULL);
	else
		finding(t, VERDICT_WARN, name,
			str("%s: the kernel aborts a whole mount if one "
			    "wait takes longer than %s s",
			    b.data, b.data),
			str("sysctl fs.fuse.%s=0, before mounting", name));
}

void doctor_kernel(struct table *t)
{
	unsigned int have[2] = { 0, 0 };
	struct utsname u;

	uname(&u);
	if (sscanf(u.release, "%u.%u", &have[0], &have[1]) != 2)
		finding(t, VERDICT_WARN, "kernel",
			str("%s %s: unknown version", u.sysname, u.release), NULL);
	else
		finding(t, at_least(5, 2, have) ? VERDICT_OK : VERDICT_FAIL, "kernel",
			str("%s %s %s", u.sysname, u.release, u.machine), NULL);
	check_features(t, have);
	check_timeout(t, "default_request_timeout");
	check_timeout(t, "max_request_timeout");
}
