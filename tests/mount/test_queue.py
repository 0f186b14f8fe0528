"""queue: messages, bounds, framing, close, join."""

import errno
import os
import select

import pytest

from kit import eventually, fork, raises, read_all, sh, unchanged

NB = os.O_NONBLOCK
LIMIT = (1 << 20) - 4096


def test_put_and_get(area):
    q = area.make("jobs.queue")
    assert q.put(b"resize cat.jpg\n") == 15
    assert q.size == 1
    assert q.take() == b"resize cat.jpg\n"
    assert q.size == 0


def test_first_in_first_out(area):
    q = area.make("q.queue")
    for i in range(100):
        q.put(b"%d\n" % i)
    assert [q.take() for _ in range(100)] == [b"%d\n" % i for i in range(100)]


def test_one_read_one_message_whatever_the_buffer(area):
    q = area.make("q.queue")
    q.put(b"a\nbb\nccc\n")
    assert q.size == 3
    fd = q.open()
    assert [os.read(fd, 1 << 17) for _ in range(3)] == [b"a\n", b"bb\n", b"ccc\n"]


def test_a_read_waits_for_a_put(area):
    q = area.make("q.queue")
    reader = fork(q.get)
    q.await_waiters(1)
    assert not reader.finished
    q.put(b"x\n")
    assert reader.result() == b"x\n"
    assert q.size == 0


def test_many_lines_in_one_write_are_many_messages(area):
    q = area.make("q.queue")
    data = b"".join(b"line %d\n" % i for i in range(50000))
    assert q.put(data) == len(data)
    assert q.size == 50000
    assert q.drain() == data
    assert q.size == 0


def test_a_write_larger_than_a_fuse_request_stays_whole_lines(area):
    q = area.make("q.queue")
    data = b"".join(b"%07d %s\n" % (i, b"x" * (i % 90)) for i in range(60000))
    assert len(data) > 3 << 20
    writer = fork(lambda: sum(write_all(q.path, data)))
    assert writer.result() == len(data)
    assert q.size == 60000
    assert q.drain() == data


def write_all(path, data):
    fd = os.open(path, os.O_WRONLY)
    while data:
        count = os.write(fd, data)
        yield count
        data = data[count:]
    os.close(fd)


def test_size_and_bytes_count_without_newlines(area):
    q = area.make("q.queue")
    q.put(b"abc\n\nde\n")
    assert (q.number("size"), q.number("bytes"), q.size) == (3, 5, 3)
    q.take()
    assert (q.number("size"), q.number("bytes")) == (2, 2)


def test_open_flags_that_mean_nothing(area):
    q = area.make("q.queue")
    q.put(b"kept\n")
    q.put(b"b\n", os.O_TRUNC)
    q.put(b"c\n", os.O_APPEND)
    q.put(b"d\n", os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    assert q.messages() == [b"kept", b"b", b"c", b"d"]


# --- framing -------------------------------------------------------------------------------------

def test_an_empty_line_is_an_empty_message(area):
    q = area.make("q.queue")
    q.put(b"\n")
    assert (q.size, q.number("bytes")) == (1, 0)
    assert q.take() == b"\n"


def test_record_framing_is_byte_for_byte(area):
    q = area.make("q.queue", framing="record")
    records = [b"no newline", b"with\n", b"two\nlines\n", b"\0\xff\n\n", b"x"]
    for record in records:
        assert q.put(record) == len(record)
    assert q.size == len(records)
    assert [q.take() for _ in records] == records


def test_record_framing_small_read_gets_the_rest_next(area):
    q = area.make("q.queue", framing="record")
    q.put(b"abcdef")
    q.put(b"next")
    for flags in (os.O_RDONLY, os.O_RDWR):
        q.put(b"abcdef")
        q.put(b"next")
        fd = q.open(flags)
        assert [os.read(fd, n) for n in (4, 4, 4)] == [b"abcd", b"ef", b"next"]
        os.close(fd)


def test_o_direct_is_record_framing_whatever_the_queue_says(area):
    q = area.make("q.queue")
    q.put(b"two\nlines\n", os.O_DIRECT)
    assert q.size == 1
    assert q.take(flags=os.O_DIRECT) == b"two\nlines\n"


def test_record_read_of_a_line_has_no_newline(area):
    q = area.make("q.queue")
    q.put(b"line\n")
    assert q.take(flags=os.O_DIRECT) == b"line"


def test_line_read_of_a_record_has_one(area):
    q = area.make("q.queue")
    q.put(b"record", os.O_DIRECT)
    assert q.take() == b"record\n"


def test_an_empty_message_reads_as_nothing_in_record_framing(area):
    q = area.make("q.queue")
    q.put(b"\nafter\n")
    fd = q.open(os.O_RDWR | os.O_DIRECT | NB)
    assert os.read(fd, 100) == b""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    assert poller.poll(0) == [(fd, select.POLLIN)], "no POLLHUP but at a real end"
    assert os.read(fd, 100) == b"after"


def test_framing_can_be_switched(area):
    q = area.make("q.queue")
    assert q.ctl("framing") == "line"
    q.set("framing", "record")
    assert q.ctl("framing") == "record"
    q.put(b"a\nb")
    q.set("framing", "line")
    assert q.take() == b"a\nb\n"


@pytest.mark.parametrize("framing", ["line", "record"])
def test_the_largest_message(area, framing):
    q = area.make("q.queue", framing=framing)
    end = b"\n" if framing == "line" else b""
    message = os.urandom(LIMIT).replace(b"\n", b".") + end
    assert q.put(message) == len(message)
    assert q.number("bytes") == LIMIT
    fd = q.open()
    got = b""
    while len(got) < len(message):
        got += os.read(fd, 1 << 21)
    assert got == message
    with unchanged(q), raises(errno.EMSGSIZE):
        q.put(b"." * (LIMIT + 1) + end)


# --- bounds --------------------------------------------------------------------------------------

def test_maxsize_makes_writers_wait(area):
    q = area.make("q.queue", maxsize=2)
    q.put(b"1\n2\n")
    with unchanged(q), raises(errno.EAGAIN):
        q.put(b"3\n", NB)
    writer = fork(q.put, b"3\n")
    row, = q.await_waiters(1)
    assert (row.pid, row.operation) == (writer.pid, "write")
    assert q.take() == b"1\n"
    assert writer.result() == 2
    assert q.messages() == [b"2", b"3"]


def test_a_partial_put_without_waiting_ends_at_a_line(area):
    q = area.make("q.queue", maxsize=2)
    assert q.put(b"one\ntwo\nthree\n", NB) == 8
    assert q.messages() == [b"one", b"two"]


def test_maxbytes_makes_writers_wait(area):
    q = area.make("q.queue", maxbytes=10)
    q.put(b"12345678\n")
    with unchanged(q), raises(errno.EAGAIN):
        q.put(b"abc\n", NB)
    q.put(b"ab\n", NB)
    writer = fork(q.put, b"c\n")
    q.await_waiters(1)
    q.take()
    assert writer.result() == 2
    assert q.messages() == [b"ab", b"c"]


def test_a_message_over_maxbytes_can_never_fit(area):
    q = area.make("q.queue", maxbytes=10)
    with unchanged(q), raises(errno.EMSGSIZE):
        q.put(b"x" * 11 + b"\n")
    q.put(b"x" * 10 + b"\n", NB)


def test_raising_maxsize_lets_waiting_writers_in(area):
    q = area.make("q.queue", maxsize=1)
    q.put(b"1\n")
    writer = fork(q.put, b"2\n")
    q.await_waiters(1)
    q.set("maxsize", 2)
    assert writer.result() == 2
    q.set("maxsize", 0)
    q.put(b"3\n" * 1000, NB)
    assert q.size == 1002


def test_a_write_of_many_lines_goes_in_as_there_is_room(area):
    q = area.make("q.queue", maxsize=3)
    data = b"".join(b"%d\n" % i for i in range(200))
    writer = fork(q.put, data)
    q.await_waiters(1)
    got = []
    fd = q.open()
    for _ in range(200):
        got.append(os.read(fd, 100))
        assert q.size <= 3
    assert b"".join(got) == data
    assert writer.result() == len(data)


# --- peek, drain, stream ---------------------------------------------------------------------------

def test_peek_takes_nothing(area):
    q = area.make("q.queue")
    q.put(b"a\nb\n")
    with unchanged(q):
        assert q.raw("peek") == b"a\nb\n"
    assert q.drain() == b"a\nb\n"


def test_peek_of_an_empty_queue_is_empty(area):
    assert area.make("q.queue").raw("peek") == b""


def test_drain_takes_all_then_eof_without_waiting(area):
    q = area.make("q.queue")
    assert q.drain() == b""
    q.put(b"a\nb\n")
    assert q.drain() == b"a\nb\n"
    assert q.size == 0


def test_drain_makes_room_for_waiting_writers(area):
    q = area.make("q.queue", maxsize=1)
    q.put(b"1\n")
    writer = fork(q.put, b"2\n")
    q.await_waiters(1)
    assert q.drain().startswith(b"1\n")
    assert writer.result() == 2


def test_stream_gives_whole_messages_in_bulk(area):
    q = area.make("q.queue")
    q.put(b"".join(b"%04d\n" % i for i in range(100)))
    fd = os.open(q.ctl_path("stream"), os.O_RDONLY)
    assert os.read(fd, 23) == b"0000\n0001\n0002\n0003\n", "only whole messages"
    assert os.read(fd, 1 << 16) == b"".join(b"%04d\n" % i for i in range(4, 100))
    reader = fork(os.read, fd, 1 << 16, keep=[fd])
    row, = q.await_waiters(1)
    assert row.operation == "stream"
    q.put(b"more\n")
    assert reader.result() == b"more\n"


def test_stream_of_a_message_larger_than_the_read(area):
    q = area.make("q.queue")
    q.put(b"abcdefgh\nxy\n")
    fd = os.open(q.ctl_path("stream"), os.O_RDONLY)
    got = b""
    while not got.endswith(b"xy\n"):
        part = os.read(fd, 4)
        assert part
        got += part
    assert got == b"abcdefgh\nxy\n"


def test_record_framing_stream_and_drain_add_no_newlines(area):
    q = area.make("q.queue", framing="record")
    for text in (b"ab", b"cd", b"ef"):
        q.put(text)
    fd = os.open(q.ctl_path("stream"), os.O_RDONLY | NB)
    assert os.read(fd, 5) == b"abcd"
    assert q.drain() == b"ef"


def test_stream_ends_at_close(area):
    q = area.make("q.queue")
    q.put(b"1\n2\n")
    q.close()
    assert read_all(q.ctl_path("stream")) == b"1\n2\n"


def test_a_message_taken_is_final(area):
    q = area.make("q.queue")
    q.put(b"1\n2\n")

    def take_and_die():
        os.read(q.open(), 100)
        os.kill(os.getpid(), 9)

    fork(take_and_die).wait()
    assert q.messages() == [b"2"]


def test_copy_of_a_closed_queue_into_another(area):
    a, b = area.make("a.queue"), area.make("b.queue")
    a.put(b"".join(b"%d\n" % i for i in range(300)))
    a.close()
    sh("cat a.queue > b.queue", cwd=area.dir)
    assert b.messages() == [b"%d" % i for i in range(300)]
    assert a.size == 0
    eventually(lambda: not a.holders(), 5)
