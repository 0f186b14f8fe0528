"""poll, select, epoll: readiness of each type, and being woken by it."""

import errno
import fcntl
import os
import select

import pytest

from kit import T, eventually, fork, raises

IN, OUT, HUP = select.POLLIN, select.POLLOUT, select.POLLHUP

# name: (make unreadable, make readable)
READY = {
    "q.queue": (lambda o: None, lambda o: o.put(b"x\n")),
    "p.pipe": (lambda o: None, lambda o: o.put(b"x")),
    "e.event": (lambda o: None, lambda o: o.put(b"1\n")),
    "s.sem": (lambda o: None, lambda o: o.put(b"1\n")),
    "l.lock": (lambda o: (o.set("undo", 0), o.take()), lambda o: o.put(b"1\n")),
}


@pytest.fixture(params=READY)
def pair(request, area):
    obj = area.make(request.param)
    prepare, give = READY[request.param]
    prepare(obj)
    return obj, lambda: give(obj)


def poll_now(fd, mask):
    poller = select.poll()
    poller.register(fd, mask)
    events = poller.poll(0)
    return events[0][1] if events else 0


def wait(fd, mask=IN):
    poller = select.poll()
    poller.register(fd, mask)
    events = poller.poll(T(20) * 1000)
    return events[0][1] if events else 0


def sleeping_poller(obj, fn):
    """A client that is known to sleep in poll (wchan), so that the test is of the wake-up."""
    fd = obj.open(os.O_RDONLY)
    child = fork(fn, fd, keep=[fd])

    def asleep():
        with open(f"/proc/{child.pid}/syscall", encoding="ascii") as file:
            return file.read().split()[0] in ("7", "23", "232", "270", "271", "281")

    eventually(asleep, 10, "the client sleeps in poll")
    return child


def test_poll_is_woken(pair):
    obj, give = pair
    client = sleeping_poller(obj, wait)
    give()
    assert client.result() & IN


def test_select_is_woken(pair):
    obj, give = pair
    client = sleeping_poller(obj, lambda fd: bool(select.select([fd], [], [], T(20))[0]))
    give()
    assert client.result() is True


def test_epoll_is_woken(pair):
    obj, give = pair

    def client(fd):
        epoll = select.epoll()
        epoll.register(fd, select.EPOLLIN)
        return [event for _, event in epoll.poll(T(20))]

    child = sleeping_poller(obj, client)
    give()
    assert child.result() == [select.EPOLLIN]


def test_many_pollers_are_all_woken(pair):
    obj, give = pair
    clients = [sleeping_poller(obj, wait) for _ in range(10)]
    give()
    assert all(c.result() & IN for c in clients)


def test_poll_takes_nothing(pair):
    obj, give = pair
    fd = obj.open(os.O_RDONLY | os.O_NONBLOCK)
    assert poll_now(fd, IN) == 0
    give()
    assert poll_now(fd, IN) == IN
    assert poll_now(fd, IN) == IN
    assert os.read(fd, 10)


def test_epoll_level_and_edge(area):
    q = area.make("q.queue")
    fd = q.open(os.O_RDONLY | os.O_NONBLOCK)
    level, edge = select.epoll(), select.epoll()
    level.register(fd, select.EPOLLIN)
    edge.register(fd, select.EPOLLIN | select.EPOLLET)
    assert level.poll(0) == edge.poll(0) == []
    q.put(b"1\n2\n")
    assert level.poll(T(5)) == edge.poll(T(5)) == [(fd, select.EPOLLIN)]
    assert level.poll(0) == [(fd, select.EPOLLIN)]
    assert [os.read(fd, 10), os.read(fd, 10)] == [b"1\n", b"2\n"]
    assert level.poll(0) == []
    q.put(b"3\n")
    assert edge.poll(T(5)) == [(fd, select.EPOLLIN)]


def test_a_rest_in_hand_is_readable(area):
    q = area.make("q.queue")
    q.put(b"abc\n")
    fd = q.open(os.O_RDWR | os.O_NONBLOCK)
    assert os.read(fd, 1) == b"a"
    assert q.size == 0
    assert poll_now(fd, IN) == IN
    assert os.read(fd, 9) == b"bc\n"
    assert poll_now(fd, IN) == 0


def test_queue_writability(area):
    q = area.make("q.queue", maxsize=1)
    fd = q.open(os.O_WRONLY)
    assert poll_now(fd, OUT) == OUT
    q.put(b"x\n")
    assert poll_now(fd, OUT) == 0
    client = fork(wait, fd, OUT, keep=[fd])
    q.take()
    assert client.result() == OUT
    assert poll_now(fd, OUT) == OUT


def test_closed_queue(area):
    q = area.make("q.queue")
    fd = q.open()
    client = sleeping_poller(q, wait)
    q.close()
    assert client.result() & IN
    assert poll_now(fd, IN) & IN
    q.set("closed", 0)
    assert poll_now(fd, IN) == 0


@pytest.mark.parametrize("name", ["e.event", "s.sem"])
def test_always_writable(area, name):
    fd = area.make(name).open(os.O_WRONLY)
    assert poll_now(fd, OUT) == OUT


def test_pipe_hang_up(area):
    p = area.make("p.pipe")
    w = p.open(os.O_WRONLY)
    r = p.open()
    assert poll_now(r, IN) == 0
    client = fork(wait, r, IN, keep=[r])
    os.close(w)
    assert client.result() & (IN | HUP)
    assert os.read(r, 10) == b""


def test_pipe_without_readers_is_an_error_for_the_writer(area):
    p = area.make("p.pipe")
    w = p.open(os.O_WRONLY)
    os.close(p.open())
    assert poll_now(w, OUT) & (OUT | select.POLLERR), "a write would not block: it gets EPIPE"
    with raises(errno.EPIPE):
        os.write(w, b"x")


def test_lock_returned_by_unlock_wakes_a_poll(area):
    lock = area.make("l.lock")
    fd = lock.open()
    fcntl.flock(fd, fcntl.LOCK_EX)
    client = sleeping_poller(lock, wait)
    fcntl.flock(fd, fcntl.LOCK_UN)
    assert client.result() == IN


def test_poll_of_handles_that_close(area):
    """Closing and dying pollers leave nothing behind that the next notification trips over."""
    q = area.make("q.queue")
    clients = [sleeping_poller(q, wait) for _ in range(5)]
    for client in clients[::2]:
        client.kill()
    for _ in range(20):
        fd = q.open()
        poll_now(fd, IN)
        os.close(fd)
    q.put(b"x\n")
    assert all(c.result() & IN for c in clients[1::2])
