"""Memory and object limits: back-pressure, ENOSPC, and memory that comes back."""

import errno
import os
import threading

import pytest

from kit import T, eventually, fork, raises, read_all, run, unchanged

NB = os.O_NONBLOCK
MIB = 1 << 20
CHUNK = b"x" * 500000 + b"\n"


def fill(q):
    """Put without waiting until the mount is full; how many went in."""
    count = 0
    with raises(errno.ENOSPC):
        while True:
            q.put(CHUNK, NB)
            count += 1
            assert count < 1000, "no limit"
    return count


def test_limits_are_shown(mount_with):
    mount = mount_with(memory="32M", objects=100, message="64K")
    limits = [read_all(mount.path(f".ctl/limits/{n}")) for n in ("memory", "objects", "message")]
    assert limits == [b"33554432\n", b"100\n", b"65536\n"]


def test_a_full_mount_is_enospc_without_waiting(mount_with):
    mount = mount_with(memory="16M")
    q = mount.make("q.queue")
    count = fill(q)
    assert 16 <= count <= 33
    assert mount.state_bytes() <= 16 * MIB * 1.1
    with unchanged(q), raises(errno.ENOSPC):
        q.put(CHUNK, NB)
    fd = q.open()
    got = sum(len(os.read(fd, MIB)) for _ in range(count))
    assert got == count * len(CHUNK)
    assert fill(q) >= count - 1, "drained memory is there again"


def test_a_full_mount_makes_writers_wait(mount_with):
    mount = mount_with(memory="16M")
    q = mount.make("q.queue")
    count = fill(q)
    writer = fork(q.put, CHUNK)
    row, = q.await_waiters(1)
    assert row.operation == "write"
    fd = q.open()
    for _ in range(3):
        os.read(fd, MIB)
    assert writer.result() == len(CHUNK)
    assert q.size == count - 2


def test_memory_freed_by_one_object_wakes_a_writer_of_another(mount_with):
    mount = mount_with(memory="16M")
    a, b = mount.make("a.queue"), mount.make("b.queue")
    fill(a)
    while True:
        try:
            b.put(CHUNK, NB)
        except OSError:
            break
    writer = fork(b.put, CHUNK)
    b.await_waiters(1)
    os.unlink(a.path)
    assert writer.result() == len(CHUNK)


def test_a_full_mount_can_be_looked_at_and_drained(mount_with):
    mount = mount_with(memory="16M")
    q, e = mount.make("q.queue"), mount.make("e.event")
    fill(q)
    assert run(["ls", "-l", mount.dir], timeout=5).code == 0
    assert "q.queue" in os.listdir(mount.dir)
    e.put(b"1\n")
    assert e.take() == b"1\n"
    assert len(q.drain()) > 8 * MIB


def test_a_killed_waiting_writer_leaves_nothing(mount_with):
    mount = mount_with(memory="16M")
    q = mount.make("q.queue")
    count = fill(q)
    writer = fork(q.put, CHUNK)
    q.await_waiters(1)
    writer.kill()
    q.await_waiters(0)
    assert q.size == count


def test_a_message_that_can_never_fit_does_not_wait(mount_with):
    """A mount that has less memory than one message may have."""
    mount = mount_with(memory="1M")
    q = mount.make("q.queue", framing="record")
    with unchanged(q), raises(errno.ENOSPC, errno.EMSGSIZE):
        fork(q.put, b"x" * (MIB - 4096)).result()


def test_the_message_limit(mount_with):
    mount = mount_with(message="1000")
    for name in ("q.queue", "p.pipe"):
        obj = mount.make(name, framing="record")
        assert obj.put(b"x" * 1000) == 1000
        with unchanged(obj), raises(errno.EMSGSIZE):
            obj.put(b"x" * 1001)
    q = mount.make("lines.queue")
    q.put(b"x" * 1000 + b"\n")
    with unchanged(q), raises(errno.EMSGSIZE):
        q.put(b"x" * 1001 + b"\n")


def test_the_object_limit(mount_with):
    mount = mount_with(objects=20)
    made = []
    with raises(errno.ENOSPC):
        for i in range(30):
            made.append(mount.make(f"{i}.sem"))
    assert 19 <= len(made) <= 20
    assert len(os.listdir(mount.dir)) == len(made)
    os.unlink(made[0].path)
    mount.make("new.queue")
    with raises(errno.ENOSPC):
        mount.make("newer.queue")
    assert not os.path.exists(mount.path("newer.queue"))


def test_an_endless_producer_is_held(mount_with):
    """yes > q: memory stays within the limit, and the mount answers."""
    mount = mount_with(memory="16M")
    q, other = mount.make("q.queue"), mount.make("other.event")
    producer = fork(lambda: [q.put(b"y\n" * 50000) for _ in iter(int, 1)])
    q.await_waiters(1, 60)
    assert mount.state_bytes() <= 16 * MIB * 1.1
    other.put(b"1\n")
    before = q.size
    reader = q.open()
    for _ in range(1000):
        assert os.read(reader, 100) == b"y\n"
    assert producer.kill()
    assert q.size >= before - 1000


def test_memory_comes_back_while_a_queue_stays(mount_with):
    mount = mount_with(memory="64M")
    q = mount.make("q.queue")
    base = mount.state_bytes()
    for _ in range(3):
        for _ in range(60):
            q.put(CHUNK)
        assert mount.state_bytes() > base + 29 * MIB
        q.drain()
        assert mount.state_bytes() < base + 4 * MIB


def test_small_messages_come_back_too(mount_with):
    mount = mount_with(memory="64M")
    q = mount.make("q.queue")
    base = mount.state_bytes()
    q.put(b"abc\n" * 250000)
    grown = mount.state_bytes() - base
    assert grown < 250000 * 64, "a small line costs little"
    q.drain()
    assert mount.state_bytes() < base + max(MIB, grown // 2)


@pytest.mark.parametrize("bound,value", [("maxsize", 100), ("maxbytes", 2000)])
def test_bounds_hold_all_the_time(mount, bound, value):
    q = mount.make("q.queue", **{bound: value})
    fact = {"maxsize": "size", "maxbytes": "bytes"}[bound]
    lines = 20000
    writer = fork(lambda: q.put(b"".join(b"%d\n" % i for i in range(lines))))
    got = []
    reader = threading.Thread(target=lambda: got.append(read_lines(q, lines)), daemon=True)
    reader.start()
    while reader.is_alive():
        assert q.number(fact) <= value
    assert writer.result() > 0
    assert got == [b"".join(b"%d\n" % i for i in range(lines))]


def read_lines(q, count):
    fd = os.open(q.ctl_path("stream"), os.O_RDONLY)
    data = b""
    while data.count(b"\n") < count:
        data += os.read(fd, 1 << 17)
    os.close(fd)
    return data


def test_many_objects_come_and_go(mount_with):
    mount = mount_with(memory="64M", objects=200)
    for _ in range(5):
        objects = [mount.make(f"{i}.queue") for i in range(150)]
        for obj in objects:
            obj.put(b"x\n")
        for obj in objects:
            os.unlink(obj.path)
    assert os.listdir(mount.dir) == []
    assert eventually(lambda: mount.state_bytes() < 4 * MIB, T(5))
