"""What every class of mpfs shares: a handle for each thread, and time limits."""
import fcntl
import os
import struct
import sys
import threading
import time
import weakref

IOC_TIMEOUT = 0x40086901   # _IOW('i', 1, int64_t): nanoseconds for each operation, -1 for ever
IOC_DEADLINE = 0x40086902  # _IOW('i', 2, int64_t): CLOCK_MONOTONIC nanoseconds, -1 for none
IOC_NEXT = 0x80086903      # _IOR('i', 3, int64_t): length of what the next read would give, or -1
MAX_RECORD = 1 << 20       # more than the largest record, so one read takes a whole one


def set_limit(fd, block=True, timeout=None):
    """How long the next calls on `fd` may wait. A deadline, so that a retry after EINTR goes on."""
    def say(request, ns):
        fcntl.ioctl(fd, request, struct.pack("q", ns))

    if not block or (timeout is not None and timeout <= 0):
        say(IOC_DEADLINE, -1)
        say(IOC_TIMEOUT, 0)
    elif timeout is None:
        say(IOC_DEADLINE, -1)
        say(IOC_TIMEOUT, -1)
    else:
        say(IOC_TIMEOUT, -1)
        say(IOC_DEADLINE, time.monotonic_ns() + int(timeout * 1e9))


_objects = weakref.WeakSet()


def _close_inherited():
    for obj in list(_objects):
        obj._close_handles()


os.register_at_fork(after_in_child=_close_inherited)


class _Object:
    suffix = ""
    flags = os.O_RDWR

    def __init__(self, path):
        self.path = os.path.abspath(os.fspath(path))
        self._handles = {}
        self._closed = False
        if not self.path.endswith(self.suffix):
            raise ValueError(f"{self.path}: the name of a {type(self).__name__} "
                             f"ends in {self.suffix}")
        _objects.add(self)
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            self.created = True
        except FileExistsError:
            self.created = False

    def _fd(self, flags=None):
        """This thread's own handle of the object."""
        if self._closed:
            raise ValueError(f"{type(self).__name__} {self.path!r} is closed")
        flags = self.flags if flags is None else flags
        key = os.getpid(), threading.get_ident(), flags
        if key not in self._handles:
            self._handles[key] = os.open(self.path, flags | os.O_CLOEXEC)
        return self._handles[key]

    def _read(self, block=True, timeout=None, size=64):
        """The answer of one read, or None where waiting was not allowed any longer."""
        fd = self._fd()
        set_limit(fd, block, timeout)
        try:
            return os.read(fd, size)
        except (BlockingIOError, TimeoutError):
            return None

    def _write(self, text):
        os.write(self._fd(), text.encode() + b"\n")

    def ctl(self, name):
        with open(f"{self.path}.ctl/{name}") as file:
            return file.read().rstrip("\n")

    def set_ctl(self, name, text):
        with open(f"{self.path}.ctl/{name}", "w") as file:
            file.write(f"{text}\n")

    def _size(self):
        return os.stat(self.path).st_size

    def close(self):
        self._close_handles()
        self._closed = True

    def _close_handles(self):
        while self._handles:
            os.close(self._handles.popitem()[1])

    def __del__(self):
        if sys is not None and getattr(self, "_handles", None):
            try:
                self._close_handles()
            except OSError:     # a child that closed all descriptors it inherited
                pass

    def __reduce__(self):
        return type(self), (self.path,)
