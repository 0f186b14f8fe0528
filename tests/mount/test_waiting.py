"""Waiting and not waiting: O_NONBLOCK, @SECONDS, ioctl, EINTR, SIGKILL, fairness."""

import ctypes
import errno
import fcntl
import os
import signal
import time

import pytest

from kit import DEADLINE, TIMEOUT, T, fork, ioc_next, ioc_set, raises, read_all, run, sh, unchanged

NB = os.O_NONBLOCK
libc = ctypes.CDLL(None, use_errno=True)

# How each type waits: a name, what makes its read wait, and what ends that wait.
READS = {
    "q.queue": (lambda o: None, b"x\n", b"x\n"),
    "p.pipe": (lambda o: None, b"x", b"x"),
    "e.event": (lambda o: None, b"1\n", b"1\n"),
    "s.sem": (lambda o: None, b"1\n", b"1\n"),
    "l.lock": (lambda o: (o.set("undo", 0), o.take()), b"1\n", b"1\n"),
}


@pytest.fixture(params=READS)
def waitable(request, area):
    """(object whose read would wait, what to write so that it does not, what is then read)"""
    obj = area.make(request.param)
    prepare, write, answer = READS[request.param]
    prepare(obj)
    return obj, write, answer


def full_queue(area):
    q = area.make("full.queue", maxsize=1)
    q.put(b"full\n")
    return q


def full_pipe(area):
    p = area.make("full.pipe", maxbytes=4)
    p.put(b"full")
    return p


# --- without waiting -------------------------------------------------------------------------------

def test_nonblocking_reads(waitable):
    obj, write, answer = waitable
    with unchanged(obj), raises(errno.EAGAIN):
        obj.take()
    fd = obj.open(os.O_RDONLY | NB)
    obj.put(write)
    assert os.read(fd, 100) == answer


def test_o_nonblock_set_and_cleared_by_fcntl(waitable):
    obj, write, answer = waitable
    fd = obj.open(os.O_RDWR)
    os.set_blocking(fd, False)
    with raises(errno.EAGAIN):
        os.read(fd, 100)
    os.set_blocking(fd, True)
    reader = fork(os.read, fd, 100, keep=[fd])
    obj.await_waiters(1)
    obj.put(write)
    assert reader.result() == answer


@pytest.mark.parametrize("full", [full_queue, full_pipe])
def test_nonblocking_writes(area, full):
    obj = full(area)
    with unchanged(obj), raises(errno.EAGAIN):
        obj.put(b"x\n", NB)


# --- with a limit ----------------------------------------------------------------------------------

def test_a_limit_in_the_name(waitable):
    obj, write, answer = waitable
    fd = obj.open(limit="0.2")
    begin = time.monotonic()
    with unchanged(obj), raises(errno.ETIMEDOUT):
        os.read(fd, 100)
    assert 0.2 <= time.monotonic() - begin < T(5)
    assert obj.waiters() == []
    obj.put(write)
    assert os.read(fd, 100) == answer


def test_limit_zero_fails_at_once_with_eagain(waitable):
    obj, write, answer = waitable
    fd = obj.open(limit="0")
    with unchanged(obj), raises(errno.EAGAIN):
        os.read(fd, 100)
    obj.put(write)
    assert os.read(fd, 100) == answer


@pytest.mark.parametrize("full", [full_queue, full_pipe])
def test_a_limit_for_writes(area, full):
    obj = full(area)
    for limit, code in (("0.05", errno.ETIMEDOUT), ("0", errno.EAGAIN)):
        fd = obj.open(os.O_WRONLY, limit=limit)
        with unchanged(obj), raises(code):
            os.write(fd, b"x\n")


def test_a_limit_from_the_shell(area):
    area.make("q.queue")
    done = sh("read -r job < q.queue@0.1; echo $?", cwd=area.dir)
    assert done.out != "0\n"
    assert "timed out" in sh("cat q.queue@0.1", cwd=area.dir, code=1).err


def test_names_with_a_limit(area):
    q = area.make("q.queue")
    q.put(b"x\n")
    for limit in ("0", "2.5", "10", "0.000001", "86400"):
        assert os.stat(q.at(limit)).st_size == 1
    assert os.listdir(area.dir) == ["q.queue"]
    for bad in ("", "x", "-1", "1s", "1@2", "."):
        with raises(errno.ENOENT, errno.EINVAL):
            os.close(q.open(limit=bad))
    with raises(errno.ENOENT):
        os.stat(area.path("missing.queue@1"))
    assert q.messages() == [b"x"]


def test_a_limit_that_does_not_pass(waitable):
    obj, write, answer = waitable
    reader = fork(lambda: os.read(obj.open(limit=T(30)), 100))
    obj.await_waiters(1)
    obj.put(write)
    assert reader.result() == answer


def test_ioctl_timeout(waitable):
    obj, write, answer = waitable
    fd = obj.open()
    ioc_set(fd, TIMEOUT, 100_000_000)
    for _ in range(2):  # for each operation
        begin = time.monotonic()
        with unchanged(obj), raises(errno.ETIMEDOUT):
            os.read(fd, 100)
        assert 0.1 <= time.monotonic() - begin < T(5)
    ioc_set(fd, TIMEOUT, 0)
    with unchanged(obj), raises(errno.EAGAIN):
        os.read(fd, 100)
    ioc_set(fd, TIMEOUT, -1)
    reader = fork(os.read, fd, 100, keep=[fd])
    obj.await_waiters(1)
    obj.put(write)
    assert reader.result() == answer


def test_ioctl_deadline(waitable):
    obj, write, answer = waitable
    fd = obj.open()
    ioc_set(fd, DEADLINE, time.clock_gettime_ns(time.CLOCK_MONOTONIC) + 150_000_000)
    begin = time.monotonic()
    with unchanged(obj), raises(errno.ETIMEDOUT):
        os.read(fd, 100)
    assert 0.1 <= time.monotonic() - begin < T(5)
    with unchanged(obj), raises(errno.ETIMEDOUT):
        os.read(fd, 100)  # it has passed for this one too
    ioc_set(fd, DEADLINE, 1)
    with unchanged(obj), raises(errno.ETIMEDOUT):
        os.read(fd, 100)
    ioc_set(fd, DEADLINE, -1)
    obj.put(write)
    assert os.read(fd, 100) == answer


def test_ioctl_timeout_of_a_flock_and_of_a_write(area):
    lock = area.make("l.lock")
    a, b = lock.open(), lock.open()
    fcntl.flock(a, fcntl.LOCK_EX)
    ioc_set(b, TIMEOUT, 50_000_000)
    with unchanged(lock), raises(errno.ETIMEDOUT):
        fcntl.flock(b, fcntl.LOCK_EX)
    q = full_queue(area)
    fd = q.open(os.O_WRONLY)
    ioc_set(fd, TIMEOUT, 50_000_000)
    with unchanged(q), raises(errno.ETIMEDOUT):
        os.write(fd, b"x\n")


def test_ioctl_next(area):
    q = area.make("q.queue")
    fd = q.open()
    assert ioc_next(fd) == -1
    q.put(b"hello\nxy\n")
    with unchanged(q):
        assert ioc_next(fd) == 6
    assert os.read(fd, 2) == b"he"
    assert ioc_next(fd) == 4, "the rest in hand"
    assert os.read(fd, 100) == b"llo\n"
    assert ioc_next(fd) == 3
    record = q.open(os.O_RDONLY | os.O_DIRECT)
    assert ioc_next(record) == 2


def test_ioctls_that_there_are_not(area):
    fd = area.make("q.queue").open()
    for request in (0x5401, 0x40086909, 0x80046903):  # TCGETS and two of nobody
        with raises(errno.ENOTTY):
            fcntl.ioctl(fd, request, bytes(64))
    assert not os.isatty(fd)


# --- signals ---------------------------------------------------------------------------------------

def raw(name, *args):
    """A system call without Python's retry after EINTR: (result, errno)."""
    result = getattr(libc, name)(*args)
    return result, ctypes.get_errno()


def interruptible(fn):
    def client():
        signal.signal(signal.SIGUSR1, lambda *_: None)
        return fn()
    return fork(client)


def test_a_signal_ends_a_read_with_eintr(waitable):
    obj, write, answer = waitable
    reader = interruptible(lambda: raw("read", obj.open(), ctypes.create_string_buffer(100), 100))
    obj.await_waiters(1)
    size = obj.size
    reader.signal(signal.SIGUSR1)
    assert reader.result() == (-1, errno.EINTR)
    obj.await_waiters(0)
    assert obj.size == size
    if obj.type != "pipe":
        obj.put(write)
        assert obj.take() == answer


def test_reading_again_after_eintr(waitable):
    """Python retries by itself (PEP 475)."""
    obj, write, answer = waitable
    reader = interruptible(obj.get)
    obj.await_waiters(1)
    for _ in range(50):
        reader.signal(signal.SIGUSR1)
    obj.await_waiters(1)
    obj.put(write)
    assert reader.result() == answer


@pytest.mark.parametrize("full", [full_queue, full_pipe])
def test_a_signal_ends_a_write_with_eintr(area, full):
    obj = full(area)
    writer = interruptible(lambda: raw("write", obj.open(os.O_WRONLY), b"x\n", 2))
    obj.await_waiters(1)
    writer.signal(signal.SIGUSR1)
    assert writer.result() == (-1, errno.EINTR)
    obj.await_waiters(0)
    assert obj.raw("peek").rstrip() == b"full"


@pytest.mark.parametrize("how", [fcntl.LOCK_EX, fcntl.LOCK_SH])
def test_a_signal_ends_a_flock_with_eintr(area, how):
    lock = area.make("l.lock")
    fd = lock.open()
    fcntl.flock(fd, fcntl.LOCK_EX)
    waiter = interruptible(lambda: raw("flock", lock.open(), how))
    lock.await_waiters(1)
    waiter.signal(signal.SIGUSR1)
    assert waiter.result() == (-1, errno.EINTR)
    lock.await_waiters(0)
    assert [h.pid for h in lock.holders()] == [os.getpid()]


def test_signals_against_puts_lose_nothing(area):
    """A reader that is interrupted all the time still gets every message exactly once."""
    q = area.make("q.queue")

    def read():
        signal.signal(signal.SIGUSR1, lambda *_: None)
        return read_all(q.path)

    reader = fork(read)
    q.await_waiters(1)      # from here on the signal has its handler
    for i in range(500):
        reader.signal(signal.SIGUSR1)
        q.put(b"%d\n" % i)
    q.close()
    assert reader.result() == b"".join(b"%d\n" % i for i in range(500))


@pytest.mark.parametrize("signo", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_waiting_reader_dies_at_once(waitable, signo):
    obj, write, answer = waitable
    reader = fork(obj.get)
    obj.await_waiters(1)
    assert os.WTERMSIG(reader.kill(signo)) == signo
    obj.await_waiters(0)
    obj.put(write)
    assert obj.take() == answer, "nothing went to the dead"


@pytest.mark.parametrize("full", [full_queue, full_pipe])
def test_a_waiting_writer_dies_at_once(area, full):
    obj = full(area)
    writer = fork(obj.put, b"x\n")
    obj.await_waiters(1)
    assert os.WTERMSIG(writer.kill()) == signal.SIGKILL
    obj.await_waiters(0)
    assert obj.raw("peek").rstrip() == b"full"


def test_a_waiting_flock_dies_at_once(area):
    lock = area.make("l.lock")
    fd = lock.open()
    fcntl.flock(fd, fcntl.LOCK_EX)
    waiter = fork(lambda: fcntl.flock(lock.open(), fcntl.LOCK_EX))
    lock.await_waiters(1)
    waiter.kill()
    lock.await_waiters(0)
    os.close(fd)
    assert lock.size == 1


def test_sigkill_after_another_signal(area):
    """The kernel tells of one interrupt a request only: the first must be answered."""
    q = area.make("q.queue")

    def read():
        signal.signal(signal.SIGUSR1, lambda *_: None)
        while True:
            raw("read", q.open(), ctypes.create_string_buffer(9), 9)

    reader = fork(read)
    for _ in range(20):
        q.await_waiters(1)
        reader.signal(signal.SIGUSR1)
    reader.kill()
    q.await_waiters(0)


def test_stopped_and_continued_loses_nothing(area):
    q = area.make("q.queue")
    reader = fork(q.get)
    q.await_waiters(1)
    reader.signal(signal.SIGSTOP)
    reader.signal(signal.SIGCONT)
    q.await_waiters(1)
    q.put(b"x\n")
    assert reader.result() == b"x\n"


def test_timeout_program(area):
    q = area.make("q.queue")
    begin = time.monotonic()
    assert run(["timeout", "0.2", "cat", q.path]).code == 124
    assert time.monotonic() - begin < T(5)
    q.await_waiters(0)
