#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""libipcfs by ctypes: copy what you need.

    q = Object("/ipc/jobs.queue")
    q.put(b"resize cat.jpg"); q.get(timeout=2.5)
    with Object("/ipc/gpu.lock"): ...
"""

import ctypes
import errno
import os
import sys

_lib = ctypes.CDLL(os.environ.get("LIBIPCFS", "libipcfs.so.0"), use_errno=True)
_o, _ns = ctypes.c_void_p, ctypes.c_int64
for _name, _result, *_args in (
        ("open", _o, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint), ("close", None, _o),
        ("is_direct", ctypes.c_int, _o), ("value", ctypes.c_int64, _o),
        ("put", ctypes.c_int, _o, ctypes.c_char_p, ctypes.c_size_t, _ns),
        ("get", ctypes.c_ssize_t, _o, ctypes.c_char_p, ctypes.c_size_t, _ns),
        ("done", ctypes.c_int, _o, ctypes.c_uint), ("join", ctypes.c_int, _o, _ns),
        ("acquire", ctypes.c_int, _o, _ns), ("release", ctypes.c_int, _o, ctypes.c_uint),
        ("wait", ctypes.c_int, _o, _ns), ("set", ctypes.c_int, _o), ("clear", ctypes.c_int, _o),
        ("notify", ctypes.c_int, _o, ctypes.c_uint),
        ("add", ctypes.c_int, _o, _ns, ctypes.POINTER(ctypes.c_int64))):
    _f = getattr(_lib, "ipcfs_" + _name)
    _f.restype, _f.argtypes = _result, _args


def _check(result):
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


def _limit(timeout):
    return -1 if timeout is None else int(timeout * 1e9)


class Object:
    """Any object of a mount. timeout: seconds, None for ever, 0 only tries."""

    def __init__(self, path, flags=os.O_RDWR | os.O_CREAT, mode=0o600, size=1 << 20):
        self._o = _lib.ipcfs_open(os.fsencode(path), flags, mode)
        if not self._o:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
        self._size = size

    def close(self):
        o, self._o = self._o, None
        _lib.ipcfs_close(o)

    def __del__(self):
        if getattr(self, "_o", None):
            self.close()

    @property
    def direct(self):
        return bool(_lib.ipcfs_is_direct(self._o))

    @property
    def value(self):
        return _lib.ipcfs_value(self._o)

    def put(self, data, timeout=None):
        _check(_lib.ipcfs_put(self._o, data, len(data), _limit(timeout)))

    def get(self, timeout=None):
        buf = ctypes.create_string_buffer(self._size)
        n = _check(_lib.ipcfs_get(self._o, buf, self._size, _limit(timeout)))
        return ctypes.string_at(buf, n)

    def done(self, n=1):
        _check(_lib.ipcfs_done(self._o, n))

    def join(self, timeout=None):
        _check(_lib.ipcfs_join(self._o, _limit(timeout)))

    def acquire(self, timeout=None):
        _check(_lib.ipcfs_acquire(self._o, _limit(timeout)))

    def release(self, n=1):
        _check(_lib.ipcfs_release(self._o, n))

    def wait(self, timeout=None):
        return _check(_lib.ipcfs_wait(self._o, _limit(timeout)))

    def set(self):
        _check(_lib.ipcfs_set(self._o))

    def clear(self):
        _check(_lib.ipcfs_clear(self._o))

    def notify(self, n=1):
        _check(_lib.ipcfs_notify(self._o, n))

    def add(self, n):
        made = ctypes.c_int64()
        _check(_lib.ipcfs_add(self._o, n, made))
        return made.value

    def __enter__(self):
        self.acquire()
        return self

    def __exit__(self, *exc):
        self.release()


if __name__ == "__main__":      # ipcfs.py /ipc/jobs.queue: print what comes, until it is closed
    jobs = Object(sys.argv[1])
    try:
        while True:
            print(jobs.get().decode(), flush=True)
            jobs.done()
    except OSError as error:
        if error.errno != errno.EPIPE:
            raise
