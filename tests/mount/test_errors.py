"""The table of errors, row by row; a refused operation changes nothing.

EIO is in test_damage.py, ENOSPC in test_memory.py, EINTR in test_waiting.py as well.
"""

import errno
import fcntl
import os
import signal

import pytest

from kit import DEADLINE, TIMEOUT, fork, ioc_set, raises, read_all, unchanged

NB = os.O_NONBLOCK
R, W, RW = os.O_RDONLY, os.O_WRONLY, os.O_RDWR
LIMIT = (1 << 20) - 4096


# --- how to make each situation: a function (area) -> object ---------------------------------------

def empty_queue(area):
    return area.make("q.queue")


def full_queue(area):
    q = area.make("q.queue", maxsize=1)
    q.put(b"full\n")
    return q


def queue_full_of_bytes(area):
    q = area.make("q.queue", maxbytes=4)
    q.put(b"full\n")
    return q


def closed_queue(area):
    q = area.make("q.queue")
    q.put(b"kept\n")
    q.close()
    return q


def record_queue(area):
    return area.make("q.queue", framing="record")


def small_record_queue(area):
    return area.make("q.queue", framing="record", maxbytes=10)


def idle_queue(area):
    q = area.make("q.queue")
    q.put(b"one\n")
    q.take()
    q.set("done", 1)
    return q


def unfinished_queue(area):
    q = area.make("q.queue")
    q.put(b"one\n")
    return q


def empty_pipe(area):
    return area.make("p.pipe")


def full_pipe(area):
    p = area.make("p.pipe", maxbytes=4)
    p.put(b"full")
    return p


def record_pipe(area):
    return area.make("p.pipe", framing="record")


def clear_event(area):
    return area.make("e.event")


def set_event(area):
    e = area.make("e.event")
    e.put(b"1\n")
    return e


def empty_sem(area):
    return area.make("s.sem")


def some_sem(area):
    s = area.make("s.sem")
    s.put(b"3\n")
    return s


def bounded_sem(area):
    s = area.make("s.sem", bound=3)
    s.put(b"2\n")
    return s


def free_lock(area):
    return area.make("l.lock")


def held_lock(area):
    lock = area.make("l.lock", undo=0)
    lock.take()
    return lock


# --- operations: a function (object, open flags, path suffix) that must fail ------------------------

def read(obj, extra=0, limit=None):
    fd = obj.open(R | extra, limit=limit)
    try:
        os.read(fd, 100)
    finally:
        os.close(fd)


def write(data):
    def operation(obj, extra=0, limit=None):
        fd = obj.open(W | extra, limit=limit)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)
    return operation


def borrow(how):
    def operation(obj, extra=0, limit=None):
        fd = obj.open(R | extra, limit=limit)
        try:
            fcntl.flock(fd, how)
        finally:
            os.close(fd)
    return operation


def ctl_read(name):
    def operation(obj, extra=0, limit=None):
        path = obj.ctl_path(name) + ("" if limit is None else f"@{limit}")
        read_all(path, extra)
    return operation


def ctl_write(name, text):
    return lambda obj: obj.set(name, text)


BLOCKING = [
    (empty_queue, read), (full_queue, write(b"x\n")), (queue_full_of_bytes, write(b"x\n")),
    (full_queue, write(b"unfinished\nx")), (record_queue, read),
    (empty_pipe, read), (full_pipe, write(b"x")), (clear_event, read), (empty_sem, read), (held_lock, read),
    (empty_queue, ctl_read("lease")), (empty_queue, ctl_read("stream")), (unfinished_queue, ctl_read("join")),
]


def label(case):
    return "-".join(getattr(x, "__name__", str(x)) for x in case)


@pytest.mark.parametrize("make,operation", BLOCKING, ids=map(label, BLOCKING))
def test_eagain(area, make, operation):
    obj = make(area)
    with unchanged(obj), raises(errno.EAGAIN):
        operation(obj, extra=NB)
    with unchanged(obj), raises(errno.EAGAIN):
        operation(obj, limit=0)
    assert obj.waiters() == []


@pytest.mark.parametrize("make", [held_lock, empty_sem])
@pytest.mark.parametrize("how", [fcntl.LOCK_EX, fcntl.LOCK_SH])
def test_eagain_and_etimedout_of_flock(area, make, how):
    obj = make(area)
    with unchanged(obj), raises(errno.EAGAIN):
        borrow(how | fcntl.LOCK_NB)(obj)
    with unchanged(obj), raises(errno.EAGAIN):
        borrow(how)(obj, limit=0)
    with unchanged(obj), raises(errno.ETIMEDOUT):
        borrow(how)(obj, limit=0.03)


@pytest.mark.parametrize("make,operation", BLOCKING, ids=map(label, BLOCKING))
def test_etimedout(area, make, operation):
    obj = make(area)
    with unchanged(obj), raises(errno.ETIMEDOUT):
        operation(obj, limit=0.03)
    assert obj.waiters() == []


@pytest.mark.parametrize("make", [empty_queue, empty_pipe, clear_event, empty_sem, held_lock])
@pytest.mark.parametrize("request_,number", [(TIMEOUT, 30_000_000), (DEADLINE, 1)])
def test_etimedout_by_ioctl(area, make, request_, number):
    obj = make(area)
    fd = obj.open()
    ioc_set(fd, request_, number)
    with unchanged(obj), raises(errno.ETIMEDOUT):
        os.read(fd, 100)


@pytest.mark.parametrize("make,operation", BLOCKING, ids=map(label, BLOCKING))
def test_eintr(area, make, operation):
    obj = make(area)

    class Interrupted(Exception):
        pass

    def client():
        def handler(_signo, _frame):
            raise Interrupted
        signal.signal(signal.SIGUSR1, handler)
        try:
            operation(obj)
        except Interrupted:
            return "EINTR"

    with unchanged(obj):
        child = fork(client)
        obj.await_waiters(1)
        child.signal(signal.SIGUSR1)
        assert child.result() == "EINTR"
        obj.await_waiters(0)


@pytest.mark.parametrize("make,operation", BLOCKING, ids=map(label, BLOCKING))
def test_ecanceled(area, make, operation):
    obj = make(area)
    with unchanged(obj):
        child = fork(operation, obj)
        obj.await_waiters(1)
        obj.set("cancel", "all")
        with raises(errno.ECANCELED):
            child.result()


REFUSED = [
    # not understood
    (errno.EINVAL, clear_event, write(b"maybe\n")), (errno.EINVAL, set_event, write(b"2\n")),
    (errno.EINVAL, some_sem, write(b"x\n")), (errno.EINVAL, some_sem, write(b"-1\n")),
    (errno.EINVAL, held_lock, write(b"x\n")),
    (errno.EINVAL, unfinished_queue, ctl_write("maxsize", "x")),
    (errno.EINVAL, unfinished_queue, ctl_write("maxbytes", "-1")),
    (errno.EINVAL, unfinished_queue, ctl_write("framing", "x")),
    (errno.EINVAL, unfinished_queue, ctl_write("closed", "2")),
    (errno.EINVAL, unfinished_queue, ctl_write("max_attempts", "x")),
    (errno.EINVAL, unfinished_queue, ctl_write("done", "x")),
    (errno.EINVAL, unfinished_queue, ctl_write("ack", "77")), (errno.EINVAL, unfinished_queue, ctl_write("nack", "77")),
    (errno.EINVAL, unfinished_queue, ctl_write("revive", "77")),
    (errno.EINVAL, unfinished_queue, ctl_write("discard", "77")),
    (errno.EINVAL, unfinished_queue, ctl_write("cancel", "x")),
    (errno.EINVAL, empty_pipe, ctl_write("framing", "line")), (errno.EINVAL, empty_pipe, ctl_write("maxbytes", "x")),
    (errno.EINVAL, some_sem, ctl_write("bound", "x")), (errno.EINVAL, some_sem, ctl_write("undo", "7")),
    (errno.EINVAL, some_sem, ctl_write("scope", "x")), (errno.EINVAL, free_lock, ctl_write("undo", "x")),
    (errno.EINVAL, unfinished_queue, lambda q: os.truncate(q.path, 0)),
    # given back more than taken
    (errno.ERANGE, bounded_sem, write(b"2\n")), (errno.ERANGE, free_lock, write(b"1\n")),
    (errno.ERANGE, held_lock, write(b"2\n")), (errno.ERANGE, idle_queue, ctl_write("done", "1")),
    (errno.ERANGE, unfinished_queue, ctl_write("done", "2")),
    # too large
    (errno.EMSGSIZE, record_queue, write(b"x" * (LIMIT + 1))),
    (errno.EMSGSIZE, empty_queue, write(b"x" * (LIMIT + 1) + b"\n")),
    (errno.EMSGSIZE, small_record_queue, write(b"x" * 11)), (errno.EMSGSIZE, record_pipe, write(b"x" * (LIMIT + 1))),
    # closed
    (errno.EPIPE, closed_queue, write(b"x\n")), (errno.EPIPE, closed_queue, write(b"x\ny\n")),
    # not possible
    (errno.EPERM, unfinished_queue, lambda q: os.rename(q.path, q.path.replace(".queue", ".sem"))),
    (errno.EPERM, unfinished_queue, lambda q: os.link(q.path, q.path.replace("q.", "r."))),
    (errno.EPERM, unfinished_queue, lambda q: os.symlink(q.path, q.path.replace("q.", "r."))),
    # no lock of that kind
    (errno.EOPNOTSUPP, unfinished_queue, borrow(fcntl.LOCK_EX)), (errno.EOPNOTSUPP, full_pipe, borrow(fcntl.LOCK_SH)),
    (errno.EOPNOTSUPP, set_event, borrow(fcntl.LOCK_EX | fcntl.LOCK_NB)),
]


@pytest.mark.parametrize("code,make,operation", REFUSED,
                         ids=[f"{errno.errorcode[c]}-{m.__name__}-{i}" for i, (c, m, _) in enumerate(REFUSED)])
def test_refused(area, code, make, operation):
    obj = make(area)
    listing = os.listdir(area.dir)
    with unchanged(obj), raises(code):
        operation(obj)
    assert os.listdir(area.dir) == listing


def test_epipe_of_a_pipe_without_readers(area):
    p = area.make("p.pipe")
    w = p.open(W)
    os.close(p.open(R))
    with unchanged(p), raises(errno.EPIPE):
        os.write(w, b"x")


def test_epipe_comes_without_sigpipe(area):
    q = closed_queue(area)
    child = fork(q.put, b"x\n")  # a fork has SIGPIPE's default action
    with raises(errno.EPIPE):
        child.result()
    assert os.WIFEXITED(child.status)


def test_wrong_direction_is_ebadf(area):
    q = unfinished_queue(area)
    reader, writer = q.open(R), q.open(W)
    with unchanged(q), raises(errno.EBADF):
        os.read(writer, 10)
    with unchanged(q), raises(errno.EBADF):
        os.write(reader, b"x\n")
    assert q.messages() == [b"one"]


def test_errors_leave_the_handle_usable(area):
    q = full_queue(area)
    fd = q.open(RW | NB)
    with raises(errno.EAGAIN):
        os.write(fd, b"x\n")
    assert os.read(fd, 100) == b"full\n"
    with raises(errno.EAGAIN):
        os.read(fd, 100)
    with raises(errno.EMSGSIZE):
        os.write(fd, b"x" * (LIMIT + 1) + b"\n")
    assert os.write(fd, b"fine\n") == 5
    assert os.read(fd, 100) == b"fine\n"
