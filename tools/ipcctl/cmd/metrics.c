// SPDX-License-Identifier: MIT
/*
 * ipcctl metrics: .ctl/metrics of all mounts, for node_exporter's textfile folder.
 *
 * What a mount shows is OpenMetrics. node_exporter and promtool read the older text format, in which a
 * counter has its suffix in the comments as well, and there are no units and no end. And a metric may
 * stand in a file once, so those of several mounts are put together.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "ipcctl.h"
#include "mounts.h"

struct family {
	char *name;
	struct buf text; /* its comments, and all its samples */
};

struct families {
	struct family *list;
	size_t n;
};

static void families_free(struct families *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->list[i].name);
		buf_free(&f->list[i].text);
	}
	free(f->list);
}

static struct family *family_of(struct families *all, const char *name)
{
	for (size_t i = 0; i < all->n; i++)
		if (!strcmp(all->list[i].name, name))
			return &all->list[i];
	all->list = xrealloc(all->list, (all->n + 1) * sizeof(*all->list));
	all->list[all->n] = (struct family){ .name = xstrdup(name) };
	return &all->list[all->n++];
}

static void add_line(struct family *f, const char *line)
{
	buf_puts(&f->text, line);
	buf_puts(&f->text, "\n");
}

/*
 * One line: "# TYPE name type" begins a metric, "# HELP name text" is of the same; others are samples.
 * false: this is not OpenMetrics.
 */
static bool take_line(struct families *all, char *line, size_t *at, bool *counter, bool *known)
{
	char *name, *rest;

	if (*line != '#') {
		if (*at < all->n)
			add_line(&all->list[*at], line);
		return *at < all->n;
	}
	if (strncmp(line, "# TYPE ", 7) && strncmp(line, "# HELP ", 7))
		return true; /* UNIT, EOF */
	name = line + 7;
	rest = strchr(name, ' ');
	if (!rest)
		return false;
	*rest++ = '\0';
	if (line[2] == 'T') {
		struct family *f = family_of(all, name);

		*at = (size_t)(f - all->list);
		*known = f->text.len;
		*counter = !strcmp(rest, "counter");
	}
	if (*at == all->n)
		return false;
	if (!*known) {
		char *text CLEANUP(free_string) =
			str("%.7s%s%s %s", line, name, *counter ? "_total" : "", rest);

		add_line(&all->list[*at], text);
	}
	return true;
}

static int take_mount(struct families *all, const char *path)
{
	char *file CLEANUP(free_string) = str("%s/.ctl/metrics", path);
	struct buf b CLEANUP(buf_free) = { .data = NULL };
	int r = read_file_at(AT_FDCWD, file, 0, SIZE_MAX, &b);
	bool counter = false, known = false, ended = false;
	size_t at = SIZE_MAX;

	if (r < 0)
		return r;
	for (char *line = b.data, *end; line && *line; line = end) {
		end = strchr(line, '\n');
		if (!end)
			return -EBADMSG;
		*end++ = '\0';
		ended = !strcmp(line, "# EOF");
		if (!take_line(all, line, &at, &counter, &known))
			return -EBADMSG;
	}
	return ended ? 0 : -EBADMSG;
}

static int write_all(int fd, const struct families *all)
{
	for (size_t i = 0; i < all->n; i++)
		for (size_t done = 0; done < all->list[i].text.len;) {
			ssize_t n = write(fd, all->list[i].text.data + done,
					  all->list[i].text.len - done);

			if (n < 0 && errno != EINTR)
				return -errno;
			done += n > 0 ? (size_t)n : 0;
		}
	return 0;
}

/* Whoever reads FILE finds the old text or the new one. The other name is none that node_exporter reads. */
static int write_file(const char *path, const struct families *all)
{
	char *other CLEANUP(free_string) = str("%s.%d.new", path, (int)getpid());
	int fd CLEANUP(close_fd) =
		open(other, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	int r = fd < 0 ? -errno : write_all(fd, all);

	if (fd >= 0 && r == 0 && (fsync(fd) < 0 || rename(other, path) < 0))
		r = -errno;
	if (fd >= 0 && r < 0)
		unlink(other);
	return r;
}

static int run_metrics(const struct command *cmd, int argc, char **argv)
{
	struct mounts mounts CLEANUP(mounts_free) = { .n = 0 };
	struct families all CLEANUP(families_free) = { .n = 0 };
	const char *output = NULL;
	int c, r, status = EXIT_SUCCESS;
	size_t n;

	while ((c = next_option(cmd, argc, argv)) != -1)
		output = optarg;
	n = (size_t)(argc - optind);
	if (!n && mounts_read_or_complain(&mounts) < 0)
		return EXIT_FAILURE;
	for (size_t i = 0; i < (n ? n : mounts.n); i++) {
		const char *path = n ? argv[(size_t)optind + i] : mounts.list[i].path;

		r = take_mount(&all, path);
		if (r == 0)
			continue;
		complain(path, "%s",
			 r == -ENOENT ? "no ipcfs with metrics is mounted there" : strerror(-r));
		status = EXIT_FAILURE;
	}
	if (status && !all.n)
		return status;
	r = output ? write_file(output, &all) : write_all(STDOUT_FILENO, &all);
	if (r < 0) {
		complain(output ? output : "standard output", "%s", strerror(-r));
		status = EXIT_FAILURE;
	}
	return status;
}

static const struct opt metrics_options[] = {
	{ 'o', "output", "FILE", "write it to FILE, which is replaced at once" },
	{ 0, NULL, NULL, NULL },
};

const struct command cmd_metrics = {
	.name = "metrics",
	.args = "[MOUNT...]",
	.summary = "Writes the counters of all objects as Prometheus reads them",
	.details = "Of all mounts, if none is named. For node_exporter's textfile folder:\n"
		   "  ipcctl metrics -o /var/lib/prometheus/node-exporter/ipcfs.prom\n",
	.options = metrics_options,
	.usage_status = EXIT_USAGE,
	.guard = GUARD_OUTPUT,
	.run = run_metrics,
};
