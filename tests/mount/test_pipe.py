"""pipe: a byte stream or records, EOF and EPIPE by who is there."""

import errno
import os
import select
import signal

import pytest

from kit import T, eventually, fork, raises, read_all, sh, unchanged

NB = os.O_NONBLOCK


@pytest.fixture
def p(area):
    return area.make("p.pipe")


def test_bytes_go_through(p):
    w = p.open(os.O_WRONLY)
    r = p.open(os.O_RDONLY | NB)
    os.write(w, b"hello ")
    os.write(w, b"world")
    assert p.size == 11
    assert os.read(r, 3) == b"hel"
    assert p.size == 8
    got = os.read(r, 100)
    while len(got) < 8:
        got += os.read(r, 100)
    assert got == b"lo world"
    assert p.size == 0


def test_what_came_before_the_first_reader_is_kept(area, p):
    sh("echo hi > p.pipe; echo ho >> p.pipe", cwd=area.dir)
    assert p.size == 6
    assert sh("cat p.pipe", cwd=area.dir).out == "hi\nho\n"


def test_a_reader_waits_for_the_first_writer(p):
    reader = fork(read_all, p.path)
    p.await_waiters(1)
    w = p.open(os.O_WRONLY)
    assert len(p.waiters()) == 1
    os.write(w, b"x")
    eventually(lambda: p.size == 0)
    assert not reader.finished
    os.close(w)
    assert reader.result() == b"x"


def test_no_writer_yet_is_not_the_end(p):
    r = p.open(os.O_RDONLY | NB)
    with unchanged(p), raises(errno.EAGAIN):
        os.read(r, 10)


def test_a_writer_that_came_and_went_is_the_end(p):
    r = p.open(os.O_RDONLY | NB)
    os.close(p.open(os.O_WRONLY))
    assert os.read(r, 10) == b""


def test_a_new_reader_has_not_seen_the_old_writer(p):
    os.close(p.open(os.O_WRONLY))
    r = p.open(os.O_RDONLY | NB)
    with raises(errno.EAGAIN):
        os.read(r, 10)


def test_eof_only_when_every_writer_is_gone(p):
    r = p.open(os.O_RDONLY | NB)
    a, b = p.open(os.O_WRONLY), p.open(os.O_WRONLY)
    os.close(a)
    with raises(errno.EAGAIN):
        os.read(r, 10)
    os.write(b, b"last")
    os.close(b)
    assert os.read(r, 10) == b"last"
    assert os.read(r, 10) == b""


def test_the_last_writer_ends_waiting_readers(p):
    w = p.open(os.O_WRONLY)
    readers = [fork(read_all, p.path) for _ in range(3)]
    p.await_waiters(3)
    os.close(w)
    assert [r.result() for r in readers] == [b""] * 3


def test_a_killed_writer_counts_as_closed(p):
    writer = fork(lambda: (os.write(p.open(os.O_WRONLY), b"x"), signal.pause()))
    eventually(lambda: p.size == 1)
    reader = fork(read_all, p.path)
    p.await_waiters(1)
    writer.kill()
    assert reader.result() == b"x"


def test_a_writer_that_lives_on_in_a_child(p):
    w = p.open(os.O_WRONLY)
    keeper = fork(signal.pause, keep=[w])
    os.close(w)
    r = p.open(os.O_RDONLY | NB)
    with raises(errno.EAGAIN):
        os.read(r, 10)
    keeper.kill()
    assert os.read(r, 10) == b""


def test_epipe_when_every_reader_is_gone(p):
    w = p.open(os.O_WRONLY)
    r = p.open(os.O_RDONLY)
    os.close(r)
    with unchanged(p), raises(errno.EPIPE):
        os.write(w, b"x")


def test_no_reader_yet_is_no_epipe(p):
    os.close(p.open(os.O_RDONLY))
    w = p.open(os.O_WRONLY)
    assert os.write(w, b"x") == 1


def test_the_last_reader_sends_a_waiting_writer_away(area):
    p = area.make("small.pipe", maxbytes=4096)
    r = p.open()
    writer = fork(p.put, b"x" * 10000)
    p.await_waiters(1)
    os.close(r)
    try:
        assert writer.result() < 10000  # a short count for what had fitted …
    except OSError as error:
        assert error.errno == errno.EPIPE  # … or at once the error


def test_a_killed_reader_counts_as_closed(p):
    w = p.open(os.O_WRONLY)
    reader = fork(p.get)
    p.await_waiters(1)
    reader.kill()
    with raises(errno.EPIPE):
        os.write(w, b"x")


def test_no_sigpipe(p):
    def write():
        w = p.open(os.O_WRONLY)
        os.close(p.open())
        try:
            os.write(w, b"x")
        except BrokenPipeError:
            return "EPIPE"

    child = fork(write)  # a fork has SIGPIPE's default action
    assert child.result() == "EPIPE"
    assert os.WIFEXITED(child.status)


def test_a_read_write_handle_is_both_ends(p):
    fd = p.open(os.O_RDWR)
    assert (p.ctl("readers"), p.ctl("writers")) == ("1", "1")
    os.write(fd, b"to myself")
    assert os.read(fd, 100) == b"to myself"


def test_readers_and_writers_are_counted(p):
    assert (p.ctl("readers"), p.ctl("writers")) == ("0", "0")
    fds = [p.open(), p.open(), p.open(os.O_WRONLY)]
    assert (p.ctl("readers"), p.ctl("writers")) == ("2", "1")
    copy = os.dup(fds[0])
    assert p.ctl("readers") == "2", "a duplicate is the same handle"
    for fd in fds + [copy]:
        os.close(fd)
    assert (p.ctl("readers"), p.ctl("writers")) == ("0", "0")


# --- bounds ----------------------------------------------------------------------------------------

def test_the_default_bound_is_a_mebibyte(p):
    assert p.ctl("maxbytes") == str(1 << 20)
    w = p.open(os.O_WRONLY | NB)
    total = 0
    with raises(errno.EAGAIN):
        while True:
            total += os.write(w, b"x" * 65536)
    assert total == p.size == 1 << 20


def test_a_full_pipe_makes_writers_wait(area):
    p = area.make("p.pipe", maxbytes=4096)
    p.put(b"x" * 4096, NB)
    with unchanged(p), raises(errno.EAGAIN):
        p.put(b"y", NB)
    writer = fork(p.put, b"yyyy")
    row, = p.await_waiters(1)
    assert (row.pid, row.operation) == (writer.pid, "write")
    r = p.open()
    assert len(os.read(r, 100)) == 100
    assert writer.result() == 4
    assert p.size == 4000


def test_a_blocking_write_writes_all(area):
    p = area.make("p.pipe", maxbytes=1000)
    data = os.urandom(50000)
    writer = fork(p.put, data)
    r = p.open()
    got = b""
    while len(got) < len(data):
        got += os.read(r, 777)
        assert p.size <= 1000
    assert got == data
    assert writer.result() == len(data)


def test_nonblocking_write_of_more_than_fits(area):
    p = area.make("p.pipe", maxbytes=1000)
    assert p.put(b"z" * 5000, NB) == 1000
    assert p.size == 1000


def test_programs_copy_a_file_through(area, p, tmp_path):
    data = os.urandom(3 << 20)
    (tmp_path / "in").write_bytes(data)
    sh(f"cat {tmp_path}/in > p.pipe & cat p.pipe > {tmp_path}/out; wait", cwd=area.dir)
    assert (tmp_path / "out").read_bytes() == data


# --- records ---------------------------------------------------------------------------------------

def test_record_framing_keeps_boundaries(area):
    p = area.make("p.pipe", framing="record")
    w, r = p.open(os.O_WRONLY), p.open()
    records = [b"one", b"two\n", b"\0" * 100, b"x" * 70000]
    for record in records:
        os.write(w, record)
    assert [os.read(r, 1 << 20) for _ in records] == records


def test_record_small_read_gets_the_rest(area):
    p = area.make("p.pipe", framing="record")
    fd = p.open(os.O_RDWR)
    os.write(fd, b"abcdef")
    os.write(fd, b"gh")
    assert [os.read(fd, 4) for _ in range(3)] == [b"abcd", b"ef", b"gh"]


def test_o_direct_is_record_framing(p):
    w, r = p.open(os.O_WRONLY | os.O_DIRECT), p.open(os.O_RDONLY | os.O_DIRECT)
    os.write(w, b"one")
    os.write(w, b"two")
    assert [os.read(r, 100), os.read(r, 100)] == [b"one", b"two"]


def test_framing_word(p):
    assert p.ctl("framing") == "bytes"
    for word in ("record", "bytes"):
        p.set("framing", word)
        assert p.ctl("framing") == word
    with unchanged(p), raises(errno.EINVAL):
        p.set("framing", "line by line")


def test_an_empty_pipe_never_refuses_a_record(area):
    p = area.make("p.pipe", framing="record", maxbytes=10)
    assert p.put(b"x" * 1000, NB) == 1000
    with unchanged(p), raises(errno.EAGAIN):
        p.put(b"y", NB)
    assert p.take() == b"x" * 1000


def test_a_record_too_large(area):
    p = area.make("p.pipe", framing="record")
    limit = (1 << 20) - 4096
    with unchanged(p), raises(errno.EMSGSIZE):
        p.put(b"x" * (limit + 1), NB)
    assert p.put(b"x" * limit, NB) == limit


# --- looking ---------------------------------------------------------------------------------------

def test_peek_takes_nothing(p):
    w = p.open(os.O_WRONLY)
    os.write(w, b"some bytes")
    with unchanged(p):
        assert p.raw("peek") == b"some bytes"
    assert p.number("bytes") == 10
    assert p.take() == b"some bytes"


def test_poll(area):
    p = area.make("p.pipe", maxbytes=100)
    r, w = p.open(), p.open(os.O_WRONLY)
    poller = select.poll()
    poller.register(r, select.POLLIN)
    poller.register(w, select.POLLOUT)
    assert poller.poll(0) == [(w, select.POLLOUT)]
    os.write(w, b"x" * 100)
    assert poller.poll(T(5) * 1000) == [(r, select.POLLIN)]
    os.read(r, 200)
    assert poller.poll(T(5) * 1000) == [(w, select.POLLOUT)]
    os.close(w)
    poller.unregister(w)
    (fd, events), = poller.poll(T(5) * 1000)
    assert fd == r and events & (select.POLLIN | select.POLLHUP)
    assert os.read(r, 10) == b""


def test_each_byte_goes_to_one_reader(p):
    w = p.open(os.O_WRONLY)
    readers = [fork(read_all, p.path) for _ in range(4)]
    p.await_waiters(4)
    for _ in range(1000):
        os.write(w, b"0123456789")
    os.close(w)
    assert sum(len(r.result()) for r in readers) == 10000
