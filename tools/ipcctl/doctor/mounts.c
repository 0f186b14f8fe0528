// SPDX-License-Identifier: MIT
#include "doctor/doctor.h"

#include <ctype.h>
#include <string.h>

#include "mounts.h"
#include "object.h"
#include "doctor/probe.h"

#define LIMIT (2 * NSEC_PER_SEC)

static char *or_unknown(const struct facts *f, const char *key)
{
	const char *value = facts_get(f, key);

	return xstrdup(value ? value : "?");
}

static void found_alive(struct table *t, const char *check, struct buf *status, int64_t took)
{
	struct facts f CLEANUP(facts_free) = { .n = 0 };
	char *version CLEANUP(free_string) = NULL;
	char *worker CLEANUP(free_string) = NULL;
	char *objects CLEANUP(free_string) = NULL;
	const char *state;

	facts_parse(&f, buf_steal(status));
	version = or_unknown(&f, "version");
	worker = or_unknown(&f, "worker");
	objects = or_unknown(&f, "objects");
	state = facts_get(&f, "state");
	finding(t, VERDICT_OK, check,
		str("answers after %.1f ms: version %s, worker %s, "
		    "%s objects",
		    took / 1e6, version, worker, objects),
		NULL);
	if (state && access(state, W_OK | X_OK) == 0)
		check_allocation(t, state);
}

/* A path for pasting into a shell. Anybody may have chosen it. */
static char *quoted(const char *path)
{
	struct buf b CLEANUP(buf_free) = { .data = NULL };

	for (const char *p = path; *p; p++) {
		if (!isalnum((unsigned char)*p) && !strchr("/._-", *p))
			break;
		if (!p[1])
			return xstrdup(path);
	}
	buf_puts(&b, "'");
	for (; *path; path++) {
		if (*path == '\'')
			buf_puts(&b, "'\\''");
		else
			buf_add(&b, path, 1);
	}
	buf_puts(&b, "'");
	return buf_steal(&b);
}

/* The connection's number in /sys/fs/fuse is the minor number of its device. */
static void check_mount(struct table *t, const struct mount *m)
{
	char *check CLEANUP(free_string) = str("mount %s", m->path);
	char *path CLEANUP(free_string) = str("%s/.ctl/status", m->path);
	char *arg CLEANUP(free_string) = quoted(m->path);
	struct buf status CLEANUP(buf_free) = { .data = NULL };
	int64_t start = now_ns();
	int r;

	if (strcmp(m->root, "/")) {
		finding(t, VERDICT_OK, check, str("only the directory %s of a mount", m->root),
			NULL);
		return;
	}
	r = probe_read(path, LIMIT, &status);
	switch (r) {
	case 0:
		found_alive(t, check, &status, now_ns() - start);
		break;
	case -ENOTCONN:
	case -ECONNABORTED:
		finding(t, VERDICT_FAIL, check, xstrdup("dead: no daemon serves it"),
			str("ipcfs %s (replaces it and keeps the objects), or "
			    "fusermount3 -u %s",
			    arg, arg));
		break;
	case -ETIMEDOUT:
		finding(t, VERDICT_FAIL, check,
			str("no answer within %d s", (int)(LIMIT / NSEC_PER_SEC)),
			str("check whether its processes are stopped (SIGCONT); as a last resort, "
			    "which ends every wait: echo 1 > /sys/fs/fuse/connections/%u/abort",
			    m->minor));
		break;
	case -EACCES:
		finding(t, VERDICT_OK, check, xstrdup("another user's, without allow_other"), NULL);
		break;
	default:
		finding(t, VERDICT_FAIL, check, str(".ctl/status: %s", strerror(-r)),
			xstrdup("see the daemon's log"));
	}
}

/* Compared as text: resolving it could involve the very mount that hangs. */
static bool is_path_of(const struct mount *m, const char *path)
{
	char *name CLEANUP(free_string) = xstrdup(path);
	char *cwd CLEANUP(free_string) = *path == '/' ? NULL : getcwd(NULL, 0);
	char *full CLEANUP(free_string) = NULL;

	for (size_t n = strlen(name); n > 1 && name[n - 1] == '/'; n--)
		name[n - 1] = '\0';
	full = cwd ? str("%s/%s", strcmp(cwd, "/") ? cwd : "",
			 strncmp(name, "./", 2) ? name : name + 2) :
		     xstrdup(name);
	return !strcmp(m->path, full) || (!strcmp(name, ".") && cwd && !strcmp(m->path, cwd));
}

void doctor_mounts(struct table *t, const char *path)
{
	struct mounts mounts CLEANUP(mounts_free) = { .n = 0 };
	int r = mounts_read(&mounts);
	size_t n = 0;

	if (r < 0) {
		finding(t, VERDICT_FAIL, "mounts", str("/proc/self/mountinfo: %s", strerror(-r)),
			xstrdup("mount /proc"));
		return;
	}
	for (size_t i = 0; i < mounts.n; i++) {
		if (path && !is_path_of(&mounts.list[i], path))
			continue;
		check_mount(t, &mounts.list[i]);
		n++;
	}
	if (!n && path)
		finding(t, VERDICT_FAIL, "mounts", str("%s is not an ipcfs mount point", path),
			str("ipcfs %s", path));
	else if (!n)
		finding(t, VERDICT_OK, "mounts", xstrdup("no ipcfs is mounted here"), NULL);
}
