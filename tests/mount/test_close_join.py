"""queue: closing instead of sentinels, and joining."""

import errno
import os
import select

from kit import T, fork, raises, read_all, run, unchanged, write_once

NB = os.O_NONBLOCK


# --- close ---------------------------------------------------------------------------------------

def test_closed_puts_get_epipe_and_gets_drain_then_eof(area):
    q = area.make("q.queue")
    q.put(b"1\n2\n")
    q.close()
    assert q.ctl("closed") == "1"
    with unchanged(q), raises(errno.EPIPE):
        q.put(b"3\n")
    assert read_all(q.path) == b"1\n2\n"
    assert read_all(q.path) == b""


def test_close_ends_those_already_waiting(area):
    q = area.make("q.queue", maxsize=1)
    readers = [fork(read_all, q.path) for _ in range(3)]
    stream = fork(read_all, q.ctl_path("stream"))
    q.await_waiters(4)
    q.close()
    assert [r.result() for r in readers] == [b""] * 3
    assert stream.result() == b""


def test_close_sends_waiting_writers_away_with_epipe(area):
    q = area.make("q.queue", maxsize=1)
    q.put(b"1\n")
    writer = fork(q.put, b"2\n")
    q.await_waiters(1)
    q.close()
    with raises(errno.EPIPE):
        writer.result()
    assert q.messages() == [b"1"]


def test_reopening_a_closed_queue(area):
    q = area.make("q.queue")
    q.close()
    q.set("closed", 0)
    assert q.ctl("closed") == "0"
    q.put(b"again\n")
    assert q.take() == b"again\n"
    with raises(errno.EAGAIN):
        q.take()


def test_poll_of_a_closed_queue_says_readable(area):
    q = area.make("q.queue")
    fd = q.open()
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    assert poller.poll(0) == []
    q.close()
    (_, events), = poller.poll(T(5) * 1000)
    assert events & select.POLLIN


def test_a_line_that_was_begun_before_the_queue_was_closed_is_dropped(mount_with):
    q = mount_with(no_ends=True).make("q.queue")
    fd = q.open(os.O_WRONLY)
    os.write(fd, b"rest")
    q.close()
    with raises(errno.EPIPE):   # where the kernel asks at each close
        os.close(fd)
    assert q.size == 0
    q.set("closed", 0)
    assert q.size == 0


def test_a_line_that_the_last_close_of_a_closed_queue_drops(area):
    q = area.make("q.queue")
    writer = fork(lambda: os.write(q.open(os.O_WRONLY), b"rest") and q.close())
    writer.wait()
    assert q.size == 0
    q.set("closed", 0)
    assert q.size == 0


def test_workers_end_by_close_without_sentinels(area):
    q = area.make("q.queue")
    workers = [fork(read_all, q.path) for _ in range(4)]
    q.put(b"".join(b"%d\n" % i for i in range(100)))
    q.close()
    lines = b"".join(w.result() for w in workers).split()
    assert sorted(map(int, lines)) == list(range(100))


# --- joinable ------------------------------------------------------------------------------------

def test_unfinished_and_done(area):
    q = area.make("q.queue")
    q.put(b"1\n2\n3\n")
    assert q.number("unfinished") == 3
    q.take()
    assert q.number("unfinished") == 3, "taking is not finishing"
    q.set("done", 1)
    assert q.number("unfinished") == 2
    q.set("done", 2)
    assert q.number("unfinished") == 0
    with unchanged(q), raises(errno.ERANGE):
        q.set("done", 1)


def test_done_too_often_at_once_changes_nothing(area):
    q = area.make("q.queue")
    q.put(b"1\n2\n")
    with unchanged(q), raises(errno.ERANGE):
        q.set("done", 3)


def test_done_takes_an_empty_line_as_one(area):
    q = area.make("q.queue")
    q.put(b"1\n2\n")
    write_once(q.ctl_path("done"), b"\n")
    assert q.number("unfinished") == 1


def test_join_of_an_idle_queue_is_done_at_once(area):
    q = area.make("q.queue")
    assert run(["cat", q.ctl_path("join")], timeout=5).code == 0


def test_join_waits_for_the_last(area):
    q = area.make("q.queue")
    q.put(b"1\n2\n")
    join = fork(q.raw, "join")
    row, = q.await_waiters(1)
    assert row.operation == "join"
    q.take(), q.take()
    q.set("done", 1)
    assert not join.finished and len(q.waiters()) == 1
    q.set("done", 1)
    join.result()


def test_join_with_limits(area):
    q = area.make("q.queue")
    q.put(b"1\n")
    with raises(errno.ETIMEDOUT):
        read_all(q.ctl_path("join@0.05"))
    with raises(errno.EAGAIN):
        read_all(q.ctl_path("join@0"))
    with raises(errno.EAGAIN):
        read_all(q.ctl_path("join"), NB)
    q.set("done", 1)
    read_all(q.ctl_path("join@0"))
