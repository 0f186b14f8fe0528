"""event: reading waits until it is set."""

import errno
import os
import select

import pytest

from kit import T, fork, raises, read_all, run, sh, unchanged


@pytest.fixture
def e(area):
    return area.make("ready.event")


def test_a_new_event_is_clear(e):
    assert (e.size, e.ctl("value")) == (0, "0")
    with unchanged(e), raises(errno.EAGAIN):
        e.take()


@pytest.mark.parametrize("text", [b"1", b"1\n", b"set", b"set\n"])
def test_set(e, text):
    assert e.put(text) == len(text)
    assert (e.size, e.ctl("value")) == (1, "1")
    assert e.take() == b"1\n"


@pytest.mark.parametrize("text", [b"0", b"0\n", b"clear", b"clear\n"])
def test_clear(e, text):
    e.put(b"1\n")
    assert e.put(text) == len(text)
    assert e.size == 0
    with raises(errno.EAGAIN):
        e.take()


@pytest.mark.parametrize("text", [b"2\n", b"-1\n", b"yes\n", b"set it\n", b"1 0\n", b"x" * 5000, b"\0"])
@pytest.mark.parametrize("state", [b"0\n", b"1\n"])
def test_what_is_not_understood(e, state, text):
    e.put(state)
    with unchanged(e), raises(errno.EINVAL):
        e.put(text)


def test_setting_twice_and_clearing_twice(e):
    for text, size in ((b"1\n", 1), (b"1\n", 1), (b"0\n", 0), (b"0\n", 0)):
        e.put(text)
        assert e.size == size


def test_reading_does_not_clear(e):
    e.put(b"1\n")
    for _ in range(3):
        assert e.take() == b"1\n"
    assert e.size == 1


def test_one_set_wakes_all(e):
    waiters = [fork(e.get) for _ in range(20)]
    e.await_waiters(20)
    e.put(b"set\n")
    assert {w.result() for w in waiters} == {b"1\n"}
    assert e.waiters() == []


def test_set_and_cleared_at_once_still_wakes(e):
    waiter = fork(e.get)
    e.await_waiters(1)
    e.put(b"1\n")
    e.put(b"0\n")
    assert waiter.result() == b"1\n"
    assert e.size == 0


def test_one_answer_then_eof(e):
    e.put(b"1\n")
    assert read_all(e.path) == b"1\n"
    fd = e.open(os.O_RDONLY | os.O_NONBLOCK)
    assert [os.read(fd, 10), os.read(fd, 10)] == [b"1\n", b""]
    e.put(b"0\n")
    assert os.read(fd, 10) == b"", "still the end of this answer"
    os.lseek(fd, 0, os.SEEK_SET)
    with raises(errno.EAGAIN):
        os.read(fd, 10)
    e.put(b"1\n")
    assert os.read(fd, 10) == b"1\n"


def test_a_stream_asks_each_time(e):
    e.put(b"1\n")
    fd = e.open(os.O_RDWR | os.O_NONBLOCK)
    assert [os.read(fd, 10) for _ in range(3)] == [b"1\n"] * 3
    assert os.write(fd, b"0\n") == 2
    with raises(errno.EAGAIN):
        os.read(fd, 10)


def test_a_stream_read_byte_by_byte(e):
    e.put(b"1\n")
    fd = e.open(os.O_RDWR | os.O_NONBLOCK)
    assert os.read(fd, 1) == b"1"
    e.put(b"0\n")
    assert os.read(fd, 1) == b"\n", "the rest of the last answer first"
    with raises(errno.EAGAIN):
        os.read(fd, 1)


def test_cat_and_start(area, e):
    waiting = fork(lambda: sh("cat ready.event && echo started", cwd=area.dir).out)
    e.await_waiters(1)
    sh("echo set > ready.event", cwd=area.dir)
    assert waiting.result() == "1\nstarted\n"


def test_poll(e):
    fd = e.open()
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    assert poller.poll(0) == []
    e.put(b"1\n")
    assert poller.poll(T(5) * 1000) == [(fd, select.POLLIN)]
    e.put(b"0\n")
    assert poller.poll(0) == []
    w = e.open(os.O_WRONLY)
    poller = select.poll()
    poller.register(w, select.POLLOUT)
    assert poller.poll(0) == [(w, select.POLLOUT)]


def test_limits(e):
    with raises(errno.ETIMEDOUT):
        read_all(e.at(0.05))
    with raises(errno.EAGAIN):
        read_all(e.at(0))
    e.put(b"1\n")
    assert read_all(e.at(0)) == b"1\n"


def test_ls_shows_the_state(area, e):
    def column():
        return run(["stat", "-c", "%s", e.path]).out.strip()
    assert column() == "0"
    sh("echo 1 > ready.event", cwd=area.dir)
    assert column() == "1"
