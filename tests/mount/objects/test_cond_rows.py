"""Contract rows of the condition: a monitor on one handle, ctl/lock, time limits, EINTR."""
import errno
import os
import select
from errno import EAGAIN, EINTR, ETIMEDOUT
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN

import pytest

from helpers import held_by
from kit import eventually, raises, unchanged


@pytest.fixture
def cond(area):
    return area.make("c.cond")


def locked(actor, cond):
    handle = actor.open(cond)
    handle.flock(LOCK_EX)
    return handle


def is_free(actors, obj):
    """Whether a new handle gets the lock at once; it gives it back."""
    handle = actors().open(obj)
    try:
        handle.flock(LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    handle.flock(LOCK_UN)
    return True


# --- the monitor -----------------------------------------------------------------------------

def test_wait_releases_the_lock_and_returns_with_it(cond, actors):
    waiter, notifier = locked(actors(), cond), actors().open(cond)
    waiting = waiter.wait()
    notifier.flock(LOCK_EX)
    notifier.write("1\n")
    assert not waiting.done(), "notified, but the notifier holds the lock"
    notifier.flock(LOCK_UN)
    assert waiting.result() == "1\n"
    assert not is_free(actors, cond)
    waiter.flock(LOCK_UN)
    assert is_free(actors, cond)


def test_waiting_without_the_lock_returns_without_it(cond, actors):
    waiting = actors().open(cond).wait()
    cond.put(b"1\n")
    assert waiting.result() == "1\n"
    assert is_free(actors, cond)


def test_waiting_without_the_lock_does_not_wait_for_it(cond, actors):
    holder = locked(actors(), cond)
    waiting = actors().open(cond).wait()
    holder.write("1\n")
    assert waiting.result() == "1\n"


def test_size_is_the_number_of_waiters(cond, actors):
    assert cond.size == 0
    jobs = [actors().open(cond).wait() for _ in range(3)]
    assert cond.size == 3
    cond.put(b"2\n")
    jobs[0].result(), jobs[1].result()
    assert cond.size == 1


@pytest.mark.parametrize("text, woken", [("1\n", 1), ("\n", 1), ("3", 3), ("all\n", 5),
                                         ("all", 5), ("9\n", 5)])
def test_notify_wakes_that_many_in_order(cond, actors, text, woken):
    jobs = [actors().open(cond).wait() for _ in range(5)]
    cond.put(text.encode())
    for job in jobs[:woken]:
        assert job.result() == "1\n"
    assert cond.size == 5 - woken
    assert not any(job.done() for job in jobs[woken:])


def test_a_notify_without_waiters_is_gone(cond, actors):
    cond.put(b"all\n"), cond.put(b"5\n")
    waiter = actors().open(cond.at("0.05"))
    with raises(ETIMEDOUT):
        waiter.read()


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "all of them"])
def test_a_write_that_is_no_notify_is_refused(cond, actors, text):
    waiting = actors().open(cond).wait()
    with unchanged(cond), raises(errno.EINVAL, errno.ERANGE):
        cond.put(text.encode() + b"\n")
    assert not waiting.done()


def test_notified_waiters_retake_the_lock_one_after_another(cond, actors):
    handles = [locked_waiter(actors, cond) for _ in range(3)]
    cond.put(b"all\n")
    for handle, job in handles:
        assert job.result() == "1\n"
        assert sum(other.done() for _, other in handles) == 0, "only one has the lock"
        handle.flock(LOCK_UN)


def locked_waiter(actors, cond):
    handle = locked(actors(), cond)
    return handle, handle.wait()


def test_two_flocks_are_one_lock(cond, actors):
    handle = locked(actors(), cond)
    handle.flock(LOCK_EX)
    handle.flock(LOCK_UN)
    assert is_free(actors, cond)


# --- time limits -----------------------------------------------------------------------------

def test_etimedout_returns_with_the_lock_retaken(cond, actors):
    waiter = locked(actors(), cond)
    waiter.limit(0.05)
    with raises(ETIMEDOUT):
        waiter.read()
    assert not is_free(actors, cond)
    assert held_by(cond) == [waiter.actor.pid]
    waiter.flock(LOCK_UN)
    assert is_free(actors, cond)


def test_the_lock_is_free_while_a_limited_wait_lasts_and_retaken_after_its_end(cond, actors):
    waiter, other = locked(actors(), cond), actors().open(cond)
    waiter.limit(0.2)
    waiting = waiter.wait()
    other.flock(LOCK_EX)
    eventually(lambda: cond.size == 0, 10, "the limit passed")
    assert not waiting.done(), "it waits for the lock"
    other.flock(LOCK_UN)
    with raises(ETIMEDOUT):
        waiting.result()
    assert not is_free(actors, cond)


def test_who_timed_out_gets_no_notify(cond, actors):
    late = actors().open(cond)
    late.limit(0.05)
    with raises(ETIMEDOUT):
        late.read()
    waiting = actors().open(cond).wait()
    cond.put(b"1\n")
    assert waiting.result() == "1\n"


def test_a_wait_that_may_not_block_gives_the_lock_up_and_takes_it_back(cond, actors):
    handle = actors().open(cond, os.O_RDWR | os.O_NONBLOCK)
    handle.flock(LOCK_EX | LOCK_NB)
    with raises(EAGAIN):
        handle.read()
    assert held_by(cond) == [], "it stands in line"
    cond.put(b"1\n")
    assert handle.read() == "1\n"
    assert held_by(cond) == [handle.actor.pid]


# --- signals -----------------------------------------------------------------------------------

def interrupted_waiter(actors, cond):
    waiter = locked(actors(), cond)
    waiting = waiter.wait()
    waiter.actor.interrupt()
    with raises(EINTR):
        waiting.result()
    return waiter


def test_after_eintr_the_lock_is_not_held_and_it_stands_in_line(cond, actors):
    interrupted_waiter(actors, cond)
    assert is_free(actors, cond)
    assert cond.size == 1


def test_reading_again_goes_on_waiting_and_returns_with_the_lock(cond, actors):
    waiter = interrupted_waiter(actors, cond)
    again = waiter.begin("read", 64)
    eventually(lambda: waiter._waits(cond), 10, "it waits again")
    cond.put(b"1\n")
    assert again.result() == "1\n"
    assert not is_free(actors, cond)


def test_a_notify_between_eintr_and_the_next_read_is_kept(cond, actors):
    waiter = interrupted_waiter(actors, cond)
    cond.put(b"1\n")
    assert waiter.read() == "1\n"
    assert not is_free(actors, cond)


def test_it_keeps_its_place_before_later_waiters(cond, actors):
    waiter = interrupted_waiter(actors, cond)
    later = actors().open(cond).wait()
    cond.put(b"1\n")
    assert not later.done()
    assert waiter.read() == "1\n"


@pytest.mark.parametrize("give_up", ["unlock", "close", "kill"])
def test_giving_up_passes_the_notify_to_the_next(cond, actors, give_up):
    waiter = interrupted_waiter(actors, cond)
    later = actors().open(cond).wait()
    cond.put(b"1\n")
    assert not later.done()
    if give_up == "unlock":
        waiter.flock(LOCK_UN)
    elif give_up == "close":
        waiter.close()
    else:
        waiter.actor.kill()
    assert later.result() == "1\n"
    assert cond.size == 0


@pytest.mark.parametrize("give_up", ["unlock", "close", "kill"])
def test_giving_up_without_a_notify_leaves_the_line(cond, actors, give_up):
    waiter = interrupted_waiter(actors, cond)
    if give_up == "unlock":
        waiter.flock(LOCK_UN)
    elif give_up == "close":
        waiter.close()
    else:
        waiter.actor.kill()
    later = actors().open(cond).wait()
    assert cond.size == 1
    cond.put(b"1\n")
    assert later.result() == "1\n"


def test_poll_of_an_interrupted_handle(cond, actors):
    waiter = interrupted_waiter(actors, cond)
    assert waiter.poll(select.POLLIN) == 0
    holder = locked(actors(), cond)
    cond.put(b"1\n")
    assert waiter.poll(select.POLLIN) == 0, "notified, but the lock is not free"
    job = waiter.begin("poll", select.POLLIN, 8000)
    holder.flock(LOCK_UN)
    assert job.result() == select.POLLIN
    assert waiter.read() == "1\n"


# --- death ---------------------------------------------------------------------------------------

def test_a_killed_waiter_takes_no_notify_with_it(cond, actors):
    dead, alive = actors().open(cond), actors().open(cond)
    dead.wait()
    waiting = alive.wait()
    dead.actor.kill()
    cond.put(b"1\n")
    assert waiting.result() == "1\n"
    assert cond.size == 0


def test_a_killed_holder_frees_the_lock(cond, actors):
    holder = locked(actors(), cond)
    waiting = actors().open(cond).wait("flock", LOCK_EX)
    holder.actor.kill()
    waiting.result()


def test_a_waiter_killed_while_it_waits_for_the_lock_leaves_it_free(cond, actors):
    waiter, other = locked(actors(), cond), actors().open(cond)
    waiter.wait()
    other.flock(LOCK_EX)
    other.write("1\n")
    eventually(lambda: cond.size == 0, 10, "notified")
    waiter.actor.kill()
    other.flock(LOCK_UN)
    assert is_free(actors, cond)
