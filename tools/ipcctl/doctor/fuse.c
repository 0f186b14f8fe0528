// SPDX-License-Identifier: MIT
#include "doctor/doctor.h"

#include <ctype.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static void check_device(struct table *t)
{
	int fd CLEANUP(close_fd) = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	int error = fd < 0 ? errno : 0;
	char *cure;

	if (!error) {
		finding(t, VERDICT_OK, "/dev/fuse", xstrdup("opens"), NULL);
		return;
	}
	if (error == EACCES)
		cure = xstrdup("chmod 666 /dev/fuse (as root; udev's usual rule does)");
	else if (error == EPERM)
		cure = xstrdup("a container must be given the device: docker run --device "
			       "/dev/fuse --cap-add SYS_ADMIN");
	else
		cure = xstrdup("modprobe fuse (as root); in a container: docker run --device "
			       "/dev/fuse --cap-add SYS_ADMIN");
	finding(t, VERDICT_FAIL, "/dev/fuse", xstrdup(strerror(error)), cure);
}

/* Where the shell would find PROGRAM; also in the sbin folders, which users' PATHs lack. */
static char *find_program(const char *program)
{
	const char *env = getenv("PATH");
	char *path CLEANUP(free_string) = str("%s:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:"
					      "/usr/sbin:/sbin",
					      env ? env : "");
	char *save = NULL;

	for (char *dir = strtok_r(path, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
		char *full = str("%s/%s", dir, program);

		if (!access(full, X_OK))
			return full;
		free(full);
	}
	return NULL;
}

static void check_fusermount(struct table *t)
{
	char *path CLEANUP(free_string) = find_program("fusermount3");
	/* root mounts by itself; everybody else needs it. */
	enum verdict bad = geteuid() ? VERDICT_FAIL : VERDICT_WARN;
	struct statvfs vfs;
	struct stat st;

	if (!path || stat(path, &st) < 0 || statvfs(path, &vfs) < 0) {
		finding(t, bad, "fusermount3", xstrdup("not found: only root can mount"),
			xstrdup("install it: apt install fuse3, dnf install fuse3"));
		return;
	}
	if (st.st_uid || !(st.st_mode & S_ISUID))
		finding(t, bad, "fusermount3",
			str("%s is not setuid root: only root can mount", path),
			str("chown root %s && chmod u+s %s (as root)", path, path));
	else if (vfs.f_flag & ST_NOSUID)
		finding(t, bad, "fusermount3", str("%s is on a file system mounted nosuid", path),
			xstrdup("mount that without nosuid, or mount as root"));
	else if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		finding(t, bad, "fusermount3",
			xstrdup("does not work here: this session was started "
				"with no_new_privs"),
			xstrdup("start the daemon outside of it (a "
				"service's NoNewPrivileges=, a sandbox)"));
	else
		finding(t, VERDICT_OK, "fusermount3", str("%s, setuid root", path), NULL);
}

static void check_mount_helper(struct table *t)
{
	char *path CLEANUP(free_string) = find_program("mount.fuse3");

	if (path)
		finding(t, VERDICT_OK, "mount.fuse3", xstrdup(path), NULL);
	else
		finding(t, VERDICT_WARN, "mount.fuse3",
			xstrdup("not found: mount -t fuse.ipcfs and fstab do not work"),
			xstrdup("install it: apt install fuse3, dnf install fuse3"));
}

/* A line that is just this word, as fusermount3 wants it. */
static bool has_line(char *text, const char *word)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		size_t n = strlen(line);

		while (n && isspace((unsigned char)line[n - 1]))
			line[--n] = '\0';
		if (!strcmp(line + strspn(line, " \t"), word))
			return true;
	}
	return false;
}

static void check_config(struct table *t)
{
	struct buf b CLEANUP(buf_free) = { .data = NULL };
	int r = read_file_at(AT_FDCWD, "/etc/fuse.conf", 0, 1024 * 1024, &b);

	if (r >= 0 && has_line(b.data, "user_allow_other"))
		finding(t, VERDICT_OK, "user_allow_other",
			xstrdup("set in /etc/fuse.conf: users "
				"may mount with -o allow_other"),
			NULL);
	else if (!geteuid())
		finding(t, VERDICT_OK, "user_allow_other",
			xstrdup("not set in /etc/fuse.conf; "
				"root may mount with -o allow_other anyway"),
			NULL);
	else
		finding(t, VERDICT_WARN, "user_allow_other",
			str("%s: only root may mount with "
			    "-o allow_other, for several users",
			    r == -EACCES ? "/etc/fuse.conf cannot be read" :
					   "not set in /etc/fuse.conf"),
			xstrdup("echo user_allow_other >> /etc/fuse.conf (as root)"));
}

static void check_library(struct table *t)
{
	static const char *const names[] = { "libfuse3.so.3", "libfuse3.so.4" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		void *lib = dlopen(names[i], RTLD_LAZY | RTLD_LOCAL);
		const char *(*version)(void);

		if (!lib)
			continue;
		/* ISO C has no cast from an object pointer to a function pointer. */
		*(void **)&version = dlsym(lib, "fuse_pkgversion");
		if (dlsym(lib, "fuse_session_custom_io"))
			finding(t, VERDICT_OK, "libfuse",
				str("%s, version %s", names[i], version ? version() : "unknown"),
				NULL);
		else
			finding(t, VERDICT_FAIL, "libfuse",
				str("%s, version %s, is too old: ipcfs cannot "
				    "start",
				    names[i], version ? version() : "unknown"),
				xstrdup("install libfuse 3.13 or newer"));
		dlclose(lib);
		return;
	}
	finding(t, VERDICT_FAIL, "libfuse", xstrdup("libfuse3 is not installed"),
		xstrdup("apt install libfuse3-3, dnf install fuse3-libs"));
}

void doctor_fuse(struct table *t)
{
	check_device(t);
	check_fusermount(t);
	check_mount_helper(t);
	check_config(t);
	check_library(t);
}
