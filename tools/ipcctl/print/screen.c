// SPDX-License-Identifier: MIT
#include "print/screen.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util.h"

struct screen screen;

void screen_init(void)
{
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR"), *columns;
	struct winsize ws;
	uint64_t n;

	screen = (struct screen){ .terminal = isatty(STDOUT_FILENO) };
	if (!screen.terminal)
		return;
	columns = getenv("COLUMNS");
	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) && ws.ws_col) {
		screen.width = ws.ws_col;
		screen.height = ws.ws_row;
	} else if (columns && !parse_u64(columns, &n) && n < 10000) {
		screen.width = n;
	}
	screen.colors = !(no_color && *no_color) && term && strcmp(term, "dumb");
}
