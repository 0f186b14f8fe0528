"""mmap(2): a shared mapping is refused, a private one never is a SIGBUS, and takes nothing."""

import errno
import mmap
import os

import pytest

from kit import fork, raises


def mapped(path, length, flags=os.O_RDONLY):
    """What a process that maps it sees; in a child, for a SIGBUS would end it."""
    def child():
        fd = os.open(path, flags)
        with mmap.mmap(fd, length, mmap.MAP_PRIVATE, mmap.PROT_READ) as m:
            return bytes(m)
    return fork(child).result(20)


def test_what_a_private_mapping_shows(mount):
    q = mount.make("q.queue")
    q.put(b"one\ntwo\nthree\n")
    assert mapped(q.path, 3) == b"one"
    assert q.messages() == [b"one", b"two", b"three"], "nothing was taken"
    assert mapped(q.path, 3) == b"one"
    v = mount.make("v.value")
    v.put(b"12345")
    assert mapped(v.path, 5) == b"12345"
    v.put(b"-7")
    assert mapped(v.path, 2) == b"-7", "what it is now"
    e, s = mount.make("e.event"), mount.make("s.sem")
    e.put(b"1")
    s.put(b"3")
    assert mapped(e.path, 1) == b"1"
    assert mapped(s.path, 3) == b"3\n\0"
    assert s.ctl("value") == "3"
    assert mapped(mount.make("l.lock").path, 1) == b"1"
    p = mount.make("p.pipe")
    p.put(b"some bytes")
    assert mapped(p.path, 10) == b"some bytes"
    assert mapped(p.path, 10, os.O_RDWR) == b"some bytes"


@pytest.mark.parametrize("name", ["status", "type", "waiters"])
def test_control_files(mount, name):
    q = mount.make("q.queue")
    text = q.raw(name)
    assert mapped(q.ctl_path(name), 4096).rstrip(b"\0") == text


def test_a_name_with_a_time_limit(mount):
    e = mount.make("e.event")
    assert mapped(e.at("inf"), 2) == b"0\n", "a look does not wait"


def test_a_process_that_maps_many(mount):
    """All at once, and by threads that map and unmap meanwhile."""
    objects = [mount.make(f"{i}.value") for i in range(40)]
    for i, v in enumerate(objects):
        v.put(b"%d" % (1000 + i))

    def child():
        import threading
        done = False

        def churn():
            while not done:
                mmap.mmap(-1, 1 << 20).close()
        other = threading.Thread(target=churn)
        other.start()
        try:
            maps = [mmap.mmap(os.open(v.path, os.O_RDONLY), 4, mmap.MAP_PRIVATE, mmap.PROT_READ)
                    for v in objects]
            return [m[:] for m in maps]
        finally:
            done = True
            other.join()
    assert fork(child).result(60) == [b"%d" % (1000 + i) for i in range(40)]


def test_a_shared_one_is_refused(mount):
    q = mount.make("q.queue")
    q.put(b"one\n")
    for flags, prot in ((os.O_RDONLY, mmap.PROT_READ), (os.O_RDWR, mmap.PROT_READ | mmap.PROT_WRITE)):
        with raises(errno.ENODEV):
            mmap.mmap(os.open(q.path, flags), 1, mmap.MAP_SHARED, prot)


def test_sendfile_is_still_refused(mount):
    """Whoever maps it, others must read, or they would see an end that is none."""
    q = mount.make("q.queue")
    q.put(b"one\ntwo\n")
    pipe = os.pipe()
    assert mapped(q.path, 2) == b"on"
    for move in (lambda fd: os.sendfile(pipe[1], fd, 0, 4096), lambda fd: os.splice(fd, pipe[1], 4096)):
        with raises(errno.EINVAL):
            move(q.open(os.O_RDONLY))
    assert q.messages() == [b"one", b"two"]
