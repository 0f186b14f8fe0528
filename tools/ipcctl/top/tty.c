// SPDX-License-Identifier: MIT
#include "top/tty.h"

#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>

static struct termios before;
static volatile sig_atomic_t ours;
static unsigned char typed[256];
static size_t n_typed;

/* The other screen, and the cursor there; and back. */
static const char enter[] = "\033[?1049h\033[?25l\033[2J";
static const char leave[] = "\033[0m\033[?25h\033[?1049l";

static void put(const char *s, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, s, len);

		if (n < 0 && errno != EINTR)
			return;
		s += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
}

/* Safe in a signal handler. */
void tty_end(void)
{
	if (!ours)
		return;
	ours = 0;
	put(leave, sizeof(leave) - 1);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
}

static void on_fault(int sig)
{
	tty_end();
	signal(sig, SIG_DFL);
	raise(sig);
}

static int take(void)
{
	struct termios raw = before;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO); /* signals still come */
	raw.c_iflag &= ~(tcflag_t)IXON;
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
		return -errno;
	ours = 1;
	put(enter, sizeof(enter) - 1);
	return 0;
}

int tty_start(void)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	int r;

	if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) < 0)
		return -ENOTTY;
	r = take();
	if (r < 0)
		return r;
	atexit(tty_end);
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		signal(faults[i], on_fault);
	return 0;
}

void tty_stop(void)
{
	tty_end();
	raise(SIGSTOP);
	tcgetattr(STDIN_FILENO, &before);
	take();
}

void tty_size(size_t *ret_width, size_t *ret_height)
{
	struct winsize w;

	*ret_width = 80;
	*ret_height = 24;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) < 0 || !w.ws_col || !w.ws_row)
		return;
	*ret_width = w.ws_col;
	*ret_height = w.ws_row;
}

int tty_read(void)
{
	ssize_t n = read(STDIN_FILENO, typed + n_typed, sizeof(typed) - n_typed);

	if (n <= 0)
		return n < 0 && (errno == EINTR || errno == EAGAIN) ? 0 : -EIO;
	n_typed += (size_t)n;
	return 0;
}

static int drop(size_t n, int key)
{
	n_typed -= n;
	memmove(typed, typed + n, n_typed);
	return key;
}

/* "\033[A", "\033OA", "\033[5~" */
static int sequence(void)
{
	static const struct {
		const char *text;
		int key;
	} keys[] = {
		{ "A", KEY_UP },         { "B", KEY_DOWN }, { "5~", KEY_PAGE_UP },
		{ "6~", KEY_PAGE_DOWN }, { "H", KEY_HOME }, { "F", KEY_END },
		{ "1~", KEY_HOME },      { "4~", KEY_END }, { "7~", KEY_HOME },
		{ "8~", KEY_END },
	};
	size_t len = 2;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		size_t n = strlen(keys[i].text);

		if (n_typed >= 2 + n && !memcmp(typed + 2, keys[i].text, n))
			return drop(2 + n, keys[i].key);
	}
	while (len < n_typed && (typed[len] < 0x40 || typed[len] > 0x7e))
		len++;
	return drop(len < n_typed ? len + 1 : len, KEY_NONE - 1); /* an unknown one */
}

int tty_key(void)
{
	if (!n_typed)
		return KEY_NONE;
	if (*typed != '\033')
		return drop(1, *typed);
	if (n_typed > 1 && (typed[1] == '[' || typed[1] == 'O'))
		return sequence();
	return drop(1, KEY_ESCAPE);
}

void tty_show(const struct buf *b)
{
	put(b->data, b->len);
}
