"""ipcctl top: in batch, and in a terminal of its own."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

import pytest

from kit import IPCCTL, T, eventually, fork, run, sh
from kit.proc import state_of

HEADINGS = "TYPE      SIZE  PUT/s  GET/s WAIT/s WAKE/s WTRS HELD OLDEST WAITED NAME"


class Screen:
    """A terminal with ipcctl top in it, and what it shows: of control sequences those that top uses."""

    def __init__(self, *args, width=80, height=24):
        self.width, self.height = width, height
        self.lines, self.row, self.col, self.raw = [[" "] * width for _ in range(height)], 0, 0, b""
        self.other = False
        self.frames = 9  # since the size was changed: what was drawn before may still come
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm", LC_ALL="C.UTF-8")
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
            os.execv(IPCCTL, [IPCCTL, "top", *map(str, args)])
        self.rest = ""

    def resize(self, width, height):
        self.width, self.height = width, height
        self.lines, self.row, self.col, self.frames = [[" "] * width for _ in range(height)], 0, 0, 0
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def _take(self, text):
        text = self.rest + text
        self.rest = ""
        while text:
            m = re.match(r"\x1b\[(\??)(\d*)([A-Za-z])", text)
            if m:
                self._sequence(*m.groups())
                text = text[m.end():]
            elif text[0] == "\x1b" and len(text) < 10:
                self.rest = text
                return
            else:
                self._character(text[0])
                text = text[1:]

    def _sequence(self, private, number, what):
        if private:
            if number == "1049":
                self.other = what == "h"
        elif what == "H":
            self.row = self.col = 0
            self.frames += 1
        elif what in "KJ":
            row = self.lines[self.row]
            row[self.col:] = [" "] * (self.width - self.col)
            for line in self.lines[self.row + 1:] if what == "J" else []:
                line[:] = [" "] * self.width
        else:
            assert what == "m", what

    def _character(self, c):
        if c == "\r":
            self.col = 0
        elif c == "\n":
            assert self.row + 1 < self.height or self.frames < 3, "it scrolls"
            self.row = min(self.row + 1, self.height - 1)
        else:
            assert c.isprintable(), repr(c)
            if self.frames < 3 and self.col >= self.width:
                return
            assert self.col < self.width, "a line is too long: " + "".join(self.lines[self.row])
            self.lines[self.row][self.col] = c
            self.col += 1

    def read(self):
        if not select.select([self.fd], [], [], 0.05)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.raw += data
        try:
            self._take(data.decode())
        except UnicodeDecodeError:  # cut in a character
            self._take((data + os.read(self.fd, 4)).decode())
        return bool(data)

    @property
    def text(self):
        return "\n".join("".join(line).rstrip() for line in self.lines)

    def until(self, what, timeout=20):
        end = time.monotonic() + T(timeout)
        while not re.search(what, self.text):
            assert self.read(), "it has ended\n" + self.text
            assert time.monotonic() < end, f"no {what!r} in\n{self.text}"
        return self.text

    def until_not(self, what):
        self.until(rf"(?s)\A(?!.*{what})")

    def press(self, keys):
        os.write(self.fd, keys.encode())

    def end(self, timeout=20):
        """Its status; the terminal is as it was before."""
        end = time.monotonic() + T(timeout)
        while self.read():
            assert time.monotonic() < end, "it does not end"
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                self.read()
                break
        status = os.waitpid(self.pid, 0)[1]
        assert not self.other and b"\x1b[?25h" in self.raw
        return status

    def close(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self.fd)


@pytest.fixture
def top(mount):
    screens = []

    def start(*args, **options):
        screens.append(Screen("-d", "0.1", *args, mount.dir, **options))
        return screens[-1]
    yield start
    for screen in screens:
        screen.close()


def test_batch(mount):
    q = mount.make("a.queue")
    mount.make("b.sem")
    q.put(b"x\n")
    done = run([IPCCTL, "top", "-b", "-n", "2", "-d", "0.05", mount.dir])
    assert done.code == 0, done.err
    assert done.out.count(HEADINGS) == 2
    assert re.search(r"^queue +1 +0\.0 +0\.0 .* a\.queue$", done.out, re.M)
    done = run([IPCCTL, "top", "-b", "-n", "1", "-d", "0.05", "-f", "sem", "-x", "NAME", mount.dir])
    assert "b.sem" in done.out and "a.queue" not in done.out
    for wrong in (["-d", "x"], ["-n", "0"], ["-x", "NONE"], ["--nonsense"]):
        assert run([IPCCTL, "top", "-b", *wrong, mount.dir]).code == 2
    assert run([IPCCTL, "top", mount.dir]).code == 2  # no terminal
    assert run([IPCCTL, "top", "-b", "/"]).code == 1


def test_rates(mount):
    mount.make("busy.queue")
    mount.make("idle.queue")
    busy = fork(lambda: sh("while :; do echo x > busy.queue; read x < busy.queue; done", cwd=mount.dir, code=None))
    try:
        done = run([IPCCTL, "top", "-b", "-n", "2", "-d", "0.5", "-a", mount.dir])
    finally:
        busy.kill()
    rows = [line.split() for line in done.out.splitlines() if line.startswith("queue")]
    assert len(rows) == 2 and all(row[-1] == "busy.queue" for row in rows)
    assert all(row[2] != "0.0" and row[3] != "0.0" for row in rows)


def test_keys(mount, top):
    a, b = mount.make("first.queue"), mount.make("bé\n.queue")
    a.put(b"x\n")
    screen = top()
    text = screen.until("first.queue")
    assert HEADINGS in text and "bé\\x0a.queue" in screen.until("bé")
    screen.press("N")
    screen.until(r"(?s)sorted by NAME\n.*bé.*first\.queue")
    screen.press("R")
    screen.until(r"(?s)reversed.*first\.queue.*bé")
    screen.press("ofirs\r")
    screen.until("with firs")
    screen.until_not("bé")
    screen.press("=")
    screen.until("bé")
    screen.press("?")
    screen.until("Keys:")
    screen.press("?")
    screen.until("TYPE")
    screen.press("d0.2\r")
    screen.until("every 0.2 s")
    # Who waits, and away with it.
    waiting = fork(lambda: run(["sh", "-c", 'read x < "$0"', b.path]).code)
    b.await_waiters(1)
    screen.press("N/bé\r\x1b[1~\r")
    screen.until(r"Waiting:\n +\d+  read")
    screen.press("i")
    screen.until("TYPE")
    screen.press("k")
    screen.until("cancel the waits at")
    screen.press("\r")
    screen.until("cancelled")
    assert waiting.result() != 0
    screen.press("q")
    assert screen.end() == 0


@pytest.mark.parametrize("width", [40, 80, 200])
def test_sizes(mount, top, width):
    for i in range(30):
        mount.make(f"{'long' * 40}{i}.queue")
    screen = top(width=width, height=10)
    screen.until("TYPE")
    for size in ((200, 50), (80, 24), (20, 5), (1, 1), (100, 30)):
        screen.resize(*size)
        while screen.frames < 5:
            assert screen.read()
    screen.until(HEADINGS)
    screen.press("\x1b[F")
    screen.press("q")
    assert screen.end() == 0


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGABRT])
def test_the_terminal_is_given_back(mount, top, signo):
    mount.make("a.queue")
    screen = top()
    before = termios.tcgetattr(screen.fd)
    screen.until("a.queue")
    assert not termios.tcgetattr(screen.fd)[3] & termios.ECHO
    os.kill(screen.pid, signo)
    status = screen.end()
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signo
    assert before[3] & termios.ECHO


def test_stopped_and_continued(mount, top):
    mount.make("a.queue")
    screen = top()
    screen.until("a.queue")
    screen.press("\x1a")
    eventually(lambda: state_of(screen.pid) == "T")
    while screen.other:
        assert screen.read()
    assert termios.tcgetattr(screen.fd)[3] & termios.ECHO
    os.kill(screen.pid, signal.SIGCONT)
    screen.until("a.queue")
    while not screen.other:
        assert screen.read()
    screen.press("q")
    assert screen.end() == 0


def test_nobody_at_home(mount, top):
    mount.make("a.queue")
    screen = top()
    screen.until("a.queue")
    worker = mount.worker()
    os.kill(worker, signal.SIGSTOP)
    try:
        assert "a.queue" in screen.until("no answer from the daemon for")
        done = run([IPCCTL, "top", "-b", "-n", "1", mount.dir], timeout=60)
        assert done.code == 7 and "no answer" in done.err
        second = top()
        second.until("no answer from the daemon for")
        second.press("q")
        assert second.end() == 0
    finally:
        os.kill(worker, signal.SIGCONT)
    screen.until("each second:")
    screen.press("q")
    assert screen.end() == 0


def test_a_mount_that_goes(mount, top):
    mount.make("a.queue")
    screen = top()
    screen.until("a.queue")
    mount.unmount()
    screen.until("No such file or directory")
    screen.until_not(r"a\.queue")
    screen.press("q")
    assert screen.end() == 0


def test_many_objects(mount, top):
    for i in range(10000):
        os.mknod(mount.path(f"{i}.event"))
    screen = top()
    screen.until("10000 of 10000 objects", 60)
    screen.press("N\x1b[F")
    screen.until(r" 9999\.event", 30)
    screen.press("q")
    assert screen.end() == 0
