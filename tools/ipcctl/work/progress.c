// SPDX-License-Identifier: MIT
#include "work/progress.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define REDRAW (NSEC_PER_SEC / 5)

void progress_start(struct progress *p, bool on)
{
	*p = (struct progress){ .on = on, .terminal = isatty(STDERR_FILENO) };
}

static char *duration(double seconds)
{
	unsigned long long s = (unsigned long long)seconds;

	if (s < 60)
		return str("%llu s", s);
	if (s < 3600)
		return str("%llu:%02llu min", s / 60, s % 60);
	return str("%llu:%02llu h", s / 3600, s / 60 % 60);
}

static char *line(const struct progress *p, unsigned int in_hand, const char *queue)
{
	double seconds = p->began ? (double)(now_ns() - p->began) / NSEC_PER_SEC : 0;
	double rate = seconds > 0 ? (double)(p->done + p->failed) / seconds : 0;
	char *left CLEANUP(free_string) = NULL;
	struct stat st;

	if (stat(queue, &st) < 0)
		st.st_size = 0;
	if (rate > 0 && st.st_size + in_hand)
		left = duration((double)(st.st_size + in_hand) / rate);
	return str("%llu done, %llu failed, %u in hand, %lld waiting, %.1f/s%s%s",
		   (unsigned long long)p->done, (unsigned long long)p->failed, in_hand,
		   (long long)st.st_size, rate, left ? ", left: " : "", left ? left : "");
}

static int columns(void)
{
	struct winsize w;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 1 ? w.ws_col - 1 : 79;
}

void progress_show(struct progress *p, unsigned int in_hand, const char *queue)
{
	char *text CLEANUP(free_string) = NULL;

	if (in_hand && !p->began)
		p->began = now_ns();
	if (!p->on || !p->terminal || (p->shown && now_ns() < p->due))
		return;
	text = line(p, in_hand, queue);
	fprintf(stderr, "\r\033[K%.*s", columns(), text);
	p->shown = true;
	p->due = now_ns() + REDRAW;
}

void progress_hide(struct progress *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
	p->shown = false;
}

void progress_end(struct progress *p, const char *queue)
{
	char *text CLEANUP(free_string) = NULL;

	if (!p->on)
		return;
	progress_hide(p);
	text = line(p, 0, queue);
	fprintf(stderr, "%s\n", text);
}
