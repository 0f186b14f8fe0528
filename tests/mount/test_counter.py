"""A type that is one file, one line in the registry and one table: tests/fs/counter.c, on a real mount."""

import errno
import os
import signal

import pytest

from kit import BUILD, Folder, raises, sh, spawn

DAEMON = os.path.join(BUILD, "tests", "fs", "ipcfs-counter")
LIB = os.path.join(BUILD, "tests", "lib", "lib")
pytestmark = pytest.mark.skipif(not os.access(DAEMON, os.X_OK), reason=f"no {DAEMON}: build first")


@pytest.fixture(name="c")
def counter(mount_with):
    mount = mount_with(program=DAEMON)
    obj = Folder(mount.dir).make("jobs.counter")
    obj.mount = mount
    return obj


@pytest.fixture(params=["direct", "files"])
def mode(request, monkeypatch):
    """For the library with the type, and an otherwise ordinary program."""
    monkeypatch.setenv("LD_LIBRARY_PATH", os.path.join(BUILD, "tests", "lib"))
    monkeypatch.setenv("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0")
    if request.param == "files":
        monkeypatch.setenv("IPCFS_NO_DIRECT", "1")
    return request.param


def lib(command, obj, *args):
    return spawn([LIB, f"-{command}", obj.path, *map(str, args)])


def end(proc):
    code, out, err = proc.finish()
    assert code == 0, err
    return out


def test_programs_use_it(c):
    sh(f"echo 3 > {c.path}; echo 4 >> {c.path}")
    assert (c.size, c.ctl("count"), c.ctl("type")) == (7, "7", "counter")
    assert sh(f"cat {c.path}").out == "7\n"
    with raises(errno.EINVAL):
        c.put(b"some\n")
    with raises(errno.EAGAIN):
        c.take()
    sh(f"mv {c.path} {c.path}.other.counter && rm {c.path}.other.counter")


def test_waits_and_a_worker_that_dies(c):
    reader = spawn(["bash", "-c", 'read -r n < "$0" && echo "got $n"', c.path])
    c.await_waiters(1)
    os.kill(c.mount.worker(), signal.SIGKILL)
    sh(f"echo 5 > {c.path}")
    assert end(reader) == "got 5\n"


def test_it_outlives_the_mount(c):
    c.put(b"6\n")
    c.mount.remount()
    assert c.take() == b"6\n"


def test_library(c, mode):
    assert end(lib("how", c, os.O_RDWR)).startswith(f"{mode}\nput Invalid argument")
    waiter = lib("wait", c)
    c.await_waiters(1)
    sh(f"echo 2 > {c.path}")
    assert end(waiter) == "0\n"
    reader = spawn(["cat", c.path])
    c.await_waiters(1)
    end(lib("release", c, 9))
    assert end(reader) == "9\n"
    assert c.size == 0


def test_a_library_without_it_refuses(c):
    code, _, err = lib("wait", c).finish()
    assert code == 1 and os.strerror(errno.EPROTO) in err
