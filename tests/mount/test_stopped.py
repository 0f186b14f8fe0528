"""A direct client that is stopped, or killed, while it has the lock of an object's engine file."""

import errno
import fcntl
import os
import signal
import subprocess
import time

import pytest

from kit import BUILD, INSTRUMENTED, DEADLINE, T, eventually, fork, ioc_set, raises, run, spawn
from kit.proc import state_of
from kit.stopped import HOSTILE, Holder, Keeper

LIB = os.path.join(BUILD, "tests", "lib", "lib")
pytestmark = pytest.mark.skipif(not os.access(HOSTILE, os.X_OK), reason="no libipcfs in this build")


def timed(count, operation):
    start = time.monotonic()
    for _ in range(count):
        operation()
    return time.monotonic() - start


def test_a_lock_kept_since_an_earlier_mount_is_nobodys(mount_with):
    mount = mount_with()
    q = mount.make("q.queue")
    q.put(b"1\n2\n")
    keepers = [Keeper(q)]
    mount.abort()
    mount.start()
    assert q.take() == b"1\n"
    keepers.append(Keeper(q))
    mount.abort()
    mount.start()
    assert q.take() == b"2\n"
    for keeper in keepers:
        keeper.kill()


ENDS = pytest.mark.parametrize("end", [Holder.go_on, Holder.kill], ids=["goes on", "is killed"])


@ENDS
def test_everybody_else_goes_on_and_it_is_as_before_afterwards(area, end):
    q, other = area.make("q.queue"), area.make("other.queue")
    q.put(b"1\n2\n")
    fd = q.open(os.O_RDWR)
    holder = Holder(q)
    clients = [fork(q.put, b"3\n"), fork(q.get), fork(q.get)]

    def use_others():
        other.put(b"x\n")
        assert other.take() == b"x\n"
        assert sorted(os.listdir(area.dir)) == ["other.queue", "q.queue"]
        os.stat(q.path)

    use_others()
    assert timed(100, use_others) < T(2), "each had to wait for the held one"
    assert not [c for c in clients if c.finished]
    assert run(["cat", os.path.join(area.mount.dir, ".ctl", "status")]).code == 0
    end(holder)
    assert clients[0].result() == 2
    # (with the change undone, in which the holder had raised a number)
    assert sorted(clients[i].result() for i in (1, 2)) == [b"1\n", b"2\n"]
    assert q.take() == b"3\n"
    os.close(fd)
    assert not area.mount.log().count("damaged")


@ENDS
def test_requests_of_one_process_keep_their_order(area, end):
    """Among them a close: what it held is free before any request that was made after it."""
    lock = area.make("a.lock")
    fd = lock.open(os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    holder = Holder(lock)
    os.close(fd)
    getter = fork(lambda: os.read(lock.open(os.O_RDWR | os.O_NONBLOCK), 10), keep=())
    time.sleep(0.02)        # load: it may be asking, or not yet
    end(holder)
    assert getter.result() == b"1\n"


@ENDS
def test_direct_clients_wait_with_the_files(area, end):
    q = area.make("q.queue")
    getter = spawn([LIB, "-get", q.path, "2"])
    q.await_waiters(1)
    holder = Holder(q)
    direct = spawn([LIB, "-put", q.path, "direct"])
    file = fork(q.put, b"file\n")
    end(holder)
    assert direct.finish().code == 0
    assert file.result() == 5
    assert sorted(getter.finish().out.split()) == ["direct", "file"]


def test_signals_and_time_limits_end_waits_for_it(area):
    q, e = area.make("q.queue"), area.make("e.event")
    limited = os.open(q.at("0.2"), os.O_RDONLY)
    ready, parked = q.open(os.O_RDONLY), e.open(os.O_RDONLY)
    trying = q.open(os.O_RDONLY | os.O_NONBLOCK)
    ending = q.open(os.O_RDWR)
    ioc_set(ending, DEADLINE, time.monotonic_ns() + 300_000_000)
    waiter, late = fork(lambda: os.read(parked, 10), keep=[parked]), fork(
        lambda: os.read(os.open(e.at("0.3"), os.O_RDONLY), 10))
    e.await_waiters(2)
    holders = [Holder(q), Holder(e)]
    interrupted = fork(lambda: os.read(ready, 10), keep=[ready])
    eventually(lambda: state_of(interrupted.pid) == "S", 10, "it waits")
    with raises(errno.ETIMEDOUT):
        os.read(limited, 10)
    with raises(errno.ETIMEDOUT):
        os.read(ending, 10)
    with raises(errno.EAGAIN):
        os.read(trying, 10)
    assert not interrupted.finished
    interrupted.kill()                      # at once: it had not begun
    assert not waiter.finished
    holders[0].go_on()
    q.put(b"x\n")
    assert q.take() == b"x\n"
    holders[1].go_on()
    with raises(errno.ETIMEDOUT):
        late.result()
    waiter.kill()
    e.await_waiters(0)
    for fd in (limited, ready, parked, trying, ending):
        os.close(fd)


def test_one_who_was_served_meanwhile_has_it(area):
    """A signal for a waiter whose object is held up: the answer is the one that it gets then."""
    q = area.make("q.queue")
    fd = q.open(os.O_RDONLY)
    getter = fork(lambda: os.read(fd, 10), keep=[fd])
    q.await_waiters(1)
    holder = Holder(q)
    putter = spawn([LIB, "-put", q.path, "x"])
    holder.go_on()
    assert putter.finish().code == 0
    assert getter.result() == b"x\n"
    os.close(fd)


def test_the_worker_may_die_meanwhile(mount):
    q = mount.make("q.queue")
    q.put(b"1\n")
    holder = Holder(q)
    getter, putter = fork(q.get), fork(q.put, b"2\n")
    eventually(lambda: state_of(getter.pid) == state_of(putter.pid) == "S", 10, "they wait")
    worker, = set(mount.pids()) - {mount.pid}
    os.kill(worker, signal.SIGKILL)
    mount.make("other.queue").put(b"x\n")
    assert not getter.finished and not putter.finished
    holder.go_on()
    assert (getter.result(), putter.result()) == (b"1\n", 2)
    assert q.take() == b"2\n"


def test_a_condition_whose_lock_is_held_up(area):
    lock, cond = area.make("a.lock"), area.make("a.cond")
    cond.set("lock", "a.lock")

    def wait():
        fd = cond.open(os.O_RDWR)
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.read(fd, 10)
        return lock.size

    waiter = fork(wait)
    cond.await_waiters(1)
    assert lock.size == 1
    holder = Holder(lock)
    cond.put(b"1\n")
    assert not waiter.finished
    holder.go_on()
    assert waiter.result() == 0, "it has its lock again"
    eventually(lambda: lock.size == 1, 10, "and it returns with it")


def test_removing_and_unmounting_while_it_is_held_up(mount):
    q, other = mount.make("q.queue"), mount.make("other.queue")
    fd = q.open(os.O_RDWR)                  # before: or it might open the new one
    holder = Holder(q)
    getter = fork(os.read, fd, 10)
    os.close(fd)
    os.unlink(q.path)
    mount.make("q.queue").put(b"new\n")
    assert q.take() == b"new\n"
    other.put(b"x\n")
    getter.kill()
    mount.remount()
    assert other.take() == b"x\n"
    holder.kill()


@pytest.mark.limit(90)
def test_one_who_keeps_it_and_is_not_stopped_costs_the_object(area):
    q, other = area.make("q.queue"), area.make("other.queue")
    q.put(b"1\n")
    keeper = Keeper(q)
    start = time.monotonic()
    with raises(errno.EIO):
        fork(q.get).result(30)
    assert time.monotonic() - start > 4
    with raises(errno.EIO):                 # from now on at once
        fork(q.put, b"2\n").result(1)
    other.put(b"x\n")
    assert other.take() == b"x\n"
    assert "keeps the lock" in area.mount.log()
    keeper.kill()
    assert q.take() == b"1\n"


def test_truncate_says_eagain_while_it_is_held_up(area):
    """The kernel holds the inode's lock meanwhile, for which chmod and rm would wait."""
    array = area.make("x.array")
    array.put(b"123456")
    fd = array.open(os.O_RDWR)
    holder = Holder(array)
    for change in (lambda: os.truncate(array.path, 3), lambda: os.ftruncate(fd, 3)):
        start = time.monotonic()
        with raises(errno.EAGAIN):
            change()
        assert time.monotonic() - start < T(1)
    os.chmod(array.path, 0o600)
    os.utime(array.path)
    holder.go_on()
    assert array.size == 6
    os.truncate(array.path, 3)
    assert array.size == 3
    os.close(fd)


def test_a_busy_lock_is_no_reason_to_wait_long(area):
    """Somebody who takes and gives the lock all the time hardly slows the daemon down."""
    lock = area.make("a.lock")
    bench = [spawn([LIB, "-bench", lock.path, "lock"]) for _ in range(2)]
    q = area.make("q.queue")
    count = 20 if INSTRUMENTED else 200
    spent = timed(count, lambda: (lock.size, q.put(b"x\n"), q.take(), lock.number("bound")))
    assert spent < T(5)
    for b in bench:
        b.kill()


@ENDS
@pytest.mark.parametrize("kind", ["lock", "value"])
def test_a_close_by_the_library_does_not_wait_for_it(area, end, kind):
    """And what it held comes back as soon as that can be."""
    obj = area.make(f"a.{kind}")
    client = spawn([LIB, "-close", obj.path], stdin=subprocess.PIPE)
    assert client.hear() == "held"
    holder = Holder(obj)
    client.say()
    assert client.hear() == "closed"
    assert state_of(holder.proc.pid) == "T"
    end(holder)
    assert fork(lambda: fcntl.flock(obj.open(os.O_RDWR), fcntl.LOCK_EX)).result() is None
