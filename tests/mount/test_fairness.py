"""The line of waiters: first come, first served; and what `waiters` says of it."""

import errno
import os

from kit import T, eventually, fork, raises, sh, start_time, unchanged

NB = os.O_NONBLOCK


def full_queue(area):
    q = area.make("full.queue", maxsize=1)
    q.put(b"full\n")
    return q


def test_readers_are_served_in_order(area):
    q = area.make("q.queue")
    readers = []
    for i in range(10):
        readers.append(fork(q.get))
        rows = q.await_waiters(i + 1)
    assert [r.pid for r in rows] == [r.pid for r in readers]
    for i in range(10):
        q.put(b"%d\n" % i)
    assert [r.result() for r in readers] == [b"%d\n" % i for i in range(10)]


def test_writers_are_served_in_order(area):
    q = full_queue(area)
    writers = []
    for i in range(10):
        writers.append(fork(q.put, b"%d\n" % i))
        rows = q.await_waiters(i + 1)
    assert [r.pid for r in rows] == [w.pid for w in writers]
    fd = q.open()
    assert [os.read(fd, 100) for _ in range(11)] == [b"full\n"] + [b"%d\n" % i for i in range(10)]


def test_who_gives_up_leaves_the_line(area):
    q = area.make("q.queue")
    readers = []
    for i in range(6):
        readers.append(fork(q.get))
        q.await_waiters(i + 1)
    for i in (0, 2, 5):
        readers[i].kill()
    q.await_waiters(3)
    q.put(b"a\nb\nc\n")
    assert [readers[i].result() for i in (1, 3, 4)] == [b"a\n", b"b\n", b"c\n"]


def test_a_newcomer_does_not_overtake(area):
    q = full_queue(area)
    writer = fork(q.put, b"1\n2\n")
    q.await_waiters(1)
    with unchanged(q), raises(errno.EAGAIN):
        q.put(b"late\n", NB)
    assert q.take() == b"full\n"
    eventually(lambda: q.messages() == [b"1"])
    with raises(errno.EAGAIN):
        q.put(b"late\n", NB)
    assert q.take() == b"1\n"
    assert writer.result() == 4
    assert q.messages() == [b"2"]


def test_waiting_holds_up_nobody_else(area):
    """Readers, writers and lockers of one object wait; everything else goes on."""
    q, other = area.make("q.queue"), area.make("other.queue")
    [fork(q.get) for _ in range(50)]
    q.await_waiters(50)
    for i in range(200):
        other.put(b"%d\n" % i)
        assert other.take() == b"%d\n" % i
    assert sh("ls -l | wc -l", cwd=area.dir, timeout=5).out.strip() == "3"


def test_a_waiting_row_is_complete(area):
    q = area.make("q.queue")
    reader = fork(q.get)
    row, = q.await_waiters(1)
    assert (row.pid, row.start, row.uid, row.operation) == \
        (reader.pid, start_time(reader.pid), os.getuid(), "read")
    assert row.seconds < T(60)
    assert "py" in row.command
    later = eventually(lambda: q.waiters()[0].seconds > row.seconds)
    assert later
