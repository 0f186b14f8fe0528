"""Contract rows of ctl/lock: several conditions, a value, an array over one lock."""
import os
import select
import signal
from errno import EAGAIN, EINTR, EINVAL, ENOENT, EPERM, ETIMEDOUT
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock

import pytest

from helpers import held_by
from kit import T, eventually, fork, raises


@pytest.fixture
def monitor(area):
    """A lock, and two conditions that use it."""
    lock = area.make("m.lock")
    return lock, area.make("full.cond", lock="m.lock"), area.make("empty.cond", lock="m.lock")


def test_it_names_the_lock(monitor):
    assert [cond.ctl("lock") for cond in monitor[1:]] == ["m.lock", "m.lock"]


@pytest.mark.parametrize("name", ["nothing.lock", "q.queue", "a/b.lock", "../x.lock", "x"])
def test_only_a_lock_of_the_same_directory_will_do(area, name):
    area.make("q.queue")
    cond = area.make("c.cond")
    before = cond.ctl("lock")
    with raises(EINVAL, ENOENT, EPERM):
        cond.set("lock", name)
    assert cond.ctl("lock") == before


def test_flock_of_the_condition_takes_the_named_lock(monitor, actors):
    lock, cond, _ = monitor
    handle = actors().open(cond)
    handle.flock(LOCK_EX)
    assert lock.size == 0
    handle.flock(LOCK_UN)
    assert lock.size == 1


@pytest.mark.parametrize("how", ["flock", "read"])
def test_wait_releases_and_retakes_what_the_process_holds_by_the_locks_own_handle(
        monitor, actors, how):
    lock, cond, _ = monitor
    actor = actors()
    held = actor.open(lock)
    held.flock(LOCK_EX) if how == "flock" else held.read()
    waiting = actor.open(cond).wait()
    assert lock.size == 1, "free while it waits"
    cond.put(b"1\n")
    assert waiting.result() == "1\n"
    assert lock.size == 0 and held_by(lock) == [actor.pid]
    held.flock(LOCK_UN) if how == "flock" else held.write("1\n")
    assert lock.size == 1


def test_time_limit_and_eintr_follow_the_same_rules(monitor, actors):
    lock, cond, _ = monitor
    actor = actors()
    held, handle = actor.open(lock), actor.open(cond)
    held.flock(LOCK_EX)
    handle.limit(0.05)
    with raises(ETIMEDOUT):
        handle.read()
    assert lock.size == 0
    handle.limit(None)
    waiting = handle.wait()
    actor.interrupt()
    with raises(EINTR):
        waiting.result()
    assert lock.size == 1 and cond.size == 1
    cond.put(b"1\n")
    assert handle.read() == "1\n"
    assert lock.size == 0


def test_another_process_that_holds_it_is_not_robbed(monitor, actors):
    lock, cond, _ = monitor
    holder = actors().open(lock)
    holder.flock(LOCK_EX)
    waiting = actors().open(cond).wait()
    assert lock.size == 0 and held_by(lock) == [holder.actor.pid]
    cond.put(b"1\n")
    assert waiting.result() == "1\n"


def test_all_levels_of_an_rlock_are_released_and_retaken(area, actors):
    rlock, cond = area.make("m.rlock"), area.make("c.cond", lock="m.rlock")
    actor = actors()
    held = actor.open(rlock)
    held.read(), held.read(), held.read()
    waiting = actor.open(cond).wait()
    assert rlock.size == 1
    cond.put(b"1\n")
    waiting.result()
    assert rlock.size == 0
    assert [held.write("1\n") for _ in range(3)] == [2, 2, 2]
    assert rlock.size == 1
    with raises(EPERM):
        held.write("1\n")


def test_bounded_buffer_with_two_conditions(area, start, output):
    """The textbook's: producers wait on one condition, consumers on the other."""
    area.make("m.lock"), area.make("n.value")
    area.make("full.cond", lock="m.lock"), area.make("empty.cond", lock="m.lock")
    area.make("max.value").put(b"0\n")
    script = """
        cd "$1"; exec 7<>m.lock 8<>"$2.cond" 9<>"$3.cond"
        for i in $(seq 40); do
            flock 7
            until n=$(cat n.value); case $2 in
                full) [ "${n:-0}" -lt 3 ];; empty) [ "${n:-0}" -gt 0 ];; esac
            do read -r _ <&8; done
            echo "$4=1" > n.value
            [ "$(cat n.value)" -le "$(cat max.value)" ] || cat n.value > max.value
            echo 1 >&9
            flock -u 7
        done"""
    workers = [start(["bash", "-c", script, "-", area.dir, *roles])
               for roles in [("full", "empty", "+"), ("empty", "full", "-")] * 2]
    for worker in workers:
        assert output(worker) == []
    assert area.obj("n.value").take() == b"0\n"
    assert 1 <= int(area.obj("max.value").take()) <= 3


@pytest.mark.parametrize("name", ["v.value", "a.array"])
def test_value_and_array_can_use_a_named_lock_too(area, actors, name):
    lock, obj = area.make("m.lock"), area.make(name, lock="m.lock")
    handle = actors().open(obj)
    handle.flock(LOCK_EX)
    assert lock.size == 0
    with raises(EAGAIN):
        actors().open(lock).flock(LOCK_EX | LOCK_NB)
    handle.actor.kill()
    actors().open(lock).flock(LOCK_EX | LOCK_NB)


@pytest.mark.parametrize("name", ["c.cond", "v.value", "a.array"])
def test_their_own_lock_by_default(area, actors, name):
    obj = area.make(name)
    one, two = actors().open(obj), actors().open(obj, os.O_RDONLY)
    one.flock(LOCK_EX)
    waiting = two.wait("flock", LOCK_EX)
    assert held_by(obj) == [one.actor.pid]
    one.flock(LOCK_UN)
    waiting.result()
    assert held_by(obj) == [two.actor.pid]


@pytest.mark.parametrize("by", ["own handle", "condition"])
@pytest.mark.parametrize("name", ["m.lock", "m.rlock"])
def test_a_read_that_may_not_wait_stands_in_line_without_the_lock(area, actors, name, by):
    """As asyncio waits: by edges alone."""
    lock, cond = area.make(name), area.make("c.cond", lock=name)
    fd = cond.open(os.O_RDWR | os.O_NONBLOCK)
    holder = lock.open(os.O_RDWR) if by == "own handle" else fd
    other = actors().open(lock)
    flock(holder, LOCK_EX)
    with raises(EAGAIN):
        os.read(fd, 10)
    assert (lock.size, cond.size) == (1, 1)
    epoll = select.epoll()
    epoll.register(fd, select.EPOLLIN | select.EPOLLET)
    other.flock(LOCK_EX)
    cond.put(b"1\n")
    assert epoll.poll(T(20)) == [(fd, select.EPOLLIN)]
    with raises(EAGAIN):
        os.read(fd, 10)
    assert epoll.poll(0.1) == [], "somebody has the lock"
    other.flock(LOCK_UN)
    assert epoll.poll(T(20)) == [(fd, select.EPOLLIN)]
    assert os.read(fd, 10) == b"1\n"
    assert lock.size == 0 and held_by(lock) == [os.getpid()]
    flock(holder, LOCK_UN)
    assert (lock.size, cond.size) == (1, 0)
    assert epoll.poll(0.1) == []


def test_standing_in_line_ends_with_the_process(area, actors):
    lock, cond = area.make("m.lock"), area.make("c.cond", lock="m.lock")

    def stand():
        fd, held = cond.open(os.O_RDWR | os.O_NONBLOCK), lock.open(os.O_RDWR)
        flock(held, LOCK_EX)
        with raises(EAGAIN):
            os.read(fd, 10)
        signal.pause()

    child = fork(stand)
    eventually(lambda: (lock.size, cond.size) == (1, 1), 20, "it stands in line")
    waiting = actors().open(cond).wait()
    cond.put(b"1\n")
    child.kill()
    assert waiting.result() == "1\n", "its notify is for the next"
    assert (lock.size, cond.size) == (1, 0)
