"""Objects of a mount as the tests speak of them: thin words around open, read, write."""

import contextlib
import fcntl
import os
import struct
from collections import namedtuple

from .timing import eventually

TIMEOUT = (1 << 30) | (8 << 16) | (ord("i") << 8) | 1   # _IOW('i', 1, int64_t)
DEADLINE = (1 << 30) | (8 << 16) | (ord("i") << 8) | 2  # _IOW('i', 2, int64_t)
NEXT = (2 << 30) | (8 << 16) | (ord("i") << 8) | 3      # _IOR('i', 3, int64_t)

Row = namedtuple("Row", "pid start uid operation seconds command")


def ioc_set(fd, request, number):
    fcntl.ioctl(fd, request, struct.pack("=q", number))


def ioc_next(fd):
    return struct.unpack("=q", fcntl.ioctl(fd, NEXT, bytes(8)))[0]


def parse_rows(text):
    """The lines of `waiters` or `holders`."""
    rows = []
    for line in text.splitlines():
        pid, start, uid, operation, seconds, command = line.split("\t", 5)
        rows.append(Row(int(pid), int(start), int(uid), operation, float(seconds), command))
    return rows


@contextlib.contextmanager
def raises(*codes):
    """The block must raise OSError with one of these errnos. Yields a list for the error."""
    box = []
    try:
        yield box
    except OSError as error:
        names = [errno_name(code) for code in codes]
        assert error.errno in codes, f"{errno_name(error.errno)} instead of {names}: {error}"
        box.append(error)
    else:
        raise AssertionError(f"no error, expected {[errno_name(code) for code in codes]}")


def errno_name(code):
    import errno
    return errno.errorcode.get(code, str(code))


@contextlib.contextmanager
def unchanged(*objects):
    """A refused operation changes nothing: the state before and after is the same."""
    before = [obj.snapshot() for obj in objects]
    yield
    after = [obj.snapshot() for obj in objects]
    assert after == before


def read_all(path, flags=0):
    """A file to its end, one read() after another."""
    fd = os.open(path, os.O_RDONLY | flags)
    try:
        parts = []
        while True:
            part = os.read(fd, 1 << 17)
            if not part:
                return b"".join(parts)
            parts.append(part)
    finally:
        os.close(fd)


def write_once(path, data, flags=0):
    """Open, one write(), close. Gives the count."""
    fd = os.open(path, os.O_WRONLY | flags)
    try:
        return os.write(fd, data)
    finally:
        os.close(fd)


class Obj:
    """One object, by its path."""

    def __init__(self, folder, name):
        self.name = name
        self.path = os.path.join(folder, name)
        self.type = name.rpartition(".")[2]

    def __fspath__(self):
        return self.path

    def at(self, seconds):
        """NAME@SECONDS."""
        return f"{self.path}@{seconds}"

    def ctl_path(self, name=""):
        return os.path.join(self.path + ".ctl", name) if name else self.path + ".ctl"

    def open(self, flags=os.O_RDONLY, limit=None):
        return os.open(self.path if limit is None else self.at(limit), flags)

    def put(self, data, flags=0):
        """Open for writing, write once, close."""
        return write_once(self.path, data, flags)

    def take(self, size=1 << 17, flags=0):
        """Open for reading, read once without waiting, close."""
        fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | flags)
        try:
            return os.read(fd, size)
        finally:
            os.close(fd)

    def get(self, size=1 << 17):
        """Open for reading, read once (waiting), close. For forked clients."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            return os.read(fd, size)
        finally:
            os.close(fd)

    def raw(self, name):
        return read_all(self.ctl_path(name))

    def ctl(self, name):
        """A ctl file's text without its last newline."""
        text = self.raw(name).decode(errors="surrogateescape")
        return text[:-1] if text.endswith("\n") else text

    def set(self, name, value):
        return write_once(self.ctl_path(name), f"{value}\n".encode())

    @property
    def size(self):
        return os.stat(self.path).st_size

    def number(self, name):
        return int(self.ctl(name))

    def status(self):
        return dict(line.split(": ", 1) if ": " in line else (line.rstrip(":"), "")
                    for line in self.ctl("status").splitlines())

    def waiters(self):
        return parse_rows(self.ctl("waiters"))

    def holders(self):
        return parse_rows(self.ctl("holders"))

    def await_waiters(self, count, timeout=10):
        """Until exactly that many wait; gives their rows."""
        if count == 0:
            eventually(lambda: not self.waiters(), timeout, f"nobody waits for {self.name}")
            return []
        return eventually(lambda: (lambda w: w if len(w) == count else None)(self.waiters()),
                          timeout, f"{count} wait for {self.name}")

    def messages(self):
        """What waits in a queue, taking nothing."""
        return self.raw("peek").splitlines()

    def drain(self):
        return self.raw("drain")

    def close(self):
        self.set("closed", 1)

    def snapshot(self):
        """All that can be seen of it, for unchanged()."""
        status = self.status()
        del status["memory"]    # a waiter that came and went may have made the heap a page larger
        seen = {"stat": os.stat(self.path).st_size, "status": status,
                "holders": [(h.pid, h.operation) for h in self.holders()]}
        if self.type in ("queue", "pipe"):
            seen["peek"] = self.raw("peek")
        if self.type == "queue":
            seen["dead"] = self.raw("dead")
        return seen


class Folder:
    """A directory of a mount in which a test works."""

    def __init__(self, path):
        self.dir = path

    def path(self, name):
        return os.path.join(self.dir, name)

    def obj(self, name):
        return Obj(self.dir, name)

    def make(self, name, **settings):
        """Create an object, with ctl settings."""
        os.close(os.open(self.path(name), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        obj = self.obj(name)
        for key, value in settings.items():
            obj.set(key, value)
        return obj

    def sem(self, name="s.sem", permits=0, **settings):
        obj = self.make(name, **settings)
        if permits:
            obj.put(b"%d\n" % permits)
        return obj
