"""Contract rows of the barrier: index, broken, reset, abort, time limit, close while waiting."""
import errno
import os
import select
from errno import EAGAIN, ECANCELED, EINTR, ETIMEDOUT

import pytest

from kit import eventually, raises, unchanged


def barrier_of(area, parties):
    barrier = area.make("b.barrier")
    barrier.put(b"%d\n" % parties)
    return barrier


def facts(barrier):
    return [barrier.ctl(name) for name in ("parties", "waiting", "broken")]


def test_indexes_are_the_order_of_arrival(area, actors):
    barrier = barrier_of(area, 3)
    handles = [actors().open(barrier) for _ in range(3)]
    jobs = [handles[0].wait(), handles[1].wait()]
    assert barrier.size == 2 and facts(barrier) == ["3", "2", "0"]
    assert handles[2].read() == "2\n"
    assert [job.result() for job in jobs] == ["0\n", "1\n"]
    assert facts(barrier) == ["3", "0", "0"]


def test_round_after_round_on_the_same_handles(area, actors):
    barrier = barrier_of(area, 2)
    one, two = actors().open(barrier), actors().open(barrier)
    for _ in range(3):
        job = one.wait()
        assert two.read() == "1\n" and job.result() == "0\n"
        job = two.wait()
        assert one.read() == "1\n" and job.result() == "0\n"


def test_read_only_handle_gives_one_answer_then_eof(area, actors):
    barrier = barrier_of(area, 1)
    handle = actors().open(barrier, os.O_RDONLY)
    assert [handle.read(), handle.read()] == ["0\n", ""]
    handle.seek(0)
    assert handle.read() == "0\n"


def test_a_new_barrier_waits_until_the_parties_are_set(area, actors):
    barrier = area.make("b.barrier")
    assert facts(barrier) == ["0", "0", "0"]
    jobs = [actors().open(barrier).wait() for _ in range(2)]
    assert not any(job.done() for job in jobs)
    barrier.put(b"2\n")
    assert sorted(job.result() for job in jobs) == ["0\n", "1\n"]


def test_fewer_parties_open_it_for_those_who_wait(area, actors):
    barrier = barrier_of(area, 5)
    jobs = [actors().open(barrier).wait() for _ in range(2)]
    barrier.put(b"3\n")
    assert not any(job.done() for job in jobs)
    assert actors().open(barrier).read() == "2\n"
    assert [job.result() for job in jobs] == ["0\n", "1\n"]


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "set"])
def test_a_write_that_it_does_not_understand_changes_nothing(area, text):
    barrier = barrier_of(area, 3)
    with unchanged(barrier), raises(errno.EINVAL, errno.ERANGE):
        barrier.put(text.encode() + b"\n")


def test_poll_in_says_that_a_wait_would_not_block(area, actors):
    barrier = barrier_of(area, 2)
    handle, other = actors().open(barrier), actors().open(barrier)
    assert handle.poll(select.POLLIN | select.POLLOUT) == select.POLLOUT
    job = handle.begin("poll", select.POLLIN, 8000)
    waiting = other.wait()
    assert job.result() == select.POLLIN
    assert handle.read() == "1\n" and waiting.result() == "0\n"


# --- broken --------------------------------------------------------------------------------

def broken(barrier, actors):
    assert facts(barrier)[1:] == ["0", "1"]
    with raises(ECANCELED):
        actors().open(barrier).read()


def test_abort_breaks_it_for_waiters_and_later_ones(area, actors):
    barrier = barrier_of(area, 4)
    jobs = [actors().open(barrier).wait() for _ in range(2)]
    barrier.put(b"abort\n")
    for job in jobs:
        with raises(ECANCELED):
            job.result()
    broken(barrier, actors)


def test_reset_sends_waiters_away_and_mends(area, actors):
    barrier = barrier_of(area, 2)
    job = actors().open(barrier).wait()
    barrier.put(b"reset\n")
    with raises(ECANCELED):
        job.result()
    assert facts(barrier) == ["2", "0", "0"]
    job = actors().open(barrier).wait()
    assert actors().open(barrier).read() == "1\n" and job.result() == "0\n"


def test_reset_mends_a_broken_one(area, actors):
    barrier = barrier_of(area, 1)
    barrier.put(b"abort\n")
    broken(barrier, actors)
    barrier.put(b"reset\n")
    assert actors().open(barrier).read() == "0\n"


@pytest.mark.parametrize("how", ["name", "ioctl"])
def test_a_time_limit_breaks_it_for_all(area, actors, how):
    barrier = barrier_of(area, 3)
    patient = actors().open(barrier).wait()
    late = actors().open(barrier if how == "ioctl" else barrier.at("0.05"))
    if how == "ioctl":
        late.limit(0.05)
    with raises(ETIMEDOUT):
        late.read()
    with raises(ECANCELED):
        patient.result()
    broken(barrier, actors)


@pytest.mark.parametrize("how", ["@0", "ioctl 0"])
def test_a_read_that_may_not_wait_breaks_nothing(area, actors, how):
    barrier = barrier_of(area, 2)
    handle = actors().open(barrier.at(0) if how == "@0" else barrier)
    if how == "ioctl 0":
        handle.limit(0)
    with raises(EAGAIN):
        handle.read()
    handle.close()
    assert facts(barrier) == ["2", "0", "0"]
    waiting = actors().open(barrier).wait()
    assert not waiting.done(), "the try did not count as an arrival"


def test_who_may_not_wait_still_completes_it(area, actors):
    barrier = barrier_of(area, 2)
    waiting = actors().open(barrier).wait()
    assert actors().open(barrier, os.O_RDWR | os.O_NONBLOCK).read() == "1\n"
    assert waiting.result() == "0\n"


def test_death_of_a_waiter_breaks_it(area, actors):
    barrier = barrier_of(area, 3)
    dying = actors().open(barrier)
    patient = actors().open(barrier).wait()
    dying.wait()
    dying.actor.kill()
    with raises(ECANCELED):
        patient.result()
    broken(barrier, actors)


@pytest.mark.parametrize("end", ["close", "kill"])
def test_close_after_the_barrier_opened_breaks_nothing(area, actors, end):
    barrier = barrier_of(area, 2)
    one, two = actors().open(barrier), actors().open(barrier)
    job = one.wait()
    two.read(), job.result()
    one.close() if end == "close" else one.actor.kill()
    assert facts(barrier) == ["2", "0", "0"]


def test_a_handle_that_never_waited_breaks_nothing(area, actors):
    barrier = barrier_of(area, 2)
    waiting = actors().open(barrier).wait()
    actors().open(barrier).actor.kill()
    assert not waiting.done() and facts(barrier) == ["2", "1", "0"]


# --- signals -------------------------------------------------------------------------------

def interrupted(actors, barrier):
    handle = actors().open(barrier)
    job = handle.wait()
    handle.actor.interrupt()
    with raises(EINTR):
        job.result()
    return handle


def test_an_interrupted_waiter_stands_outside_and_breaks_nothing(area, actors):
    barrier = barrier_of(area, 2)
    handle = interrupted(actors, barrier)
    assert facts(barrier) == ["2", "0", "0"]
    waiting = actors().open(barrier).wait()
    assert not waiting.done()
    assert handle.read() == "1\n" and waiting.result() == "0\n"


def test_close_of_one_that_stands_outside_breaks_it(area, actors):
    """It had begun to wait and closes before the barrier opened."""
    barrier = barrier_of(area, 2)
    handle = interrupted(actors, barrier)
    handle.close()
    eventually(lambda: barrier.ctl("broken") == "1", 10, "the barrier is broken")


def test_close_after_reset_breaks_nothing(area, actors):
    barrier = barrier_of(area, 2)
    handle = interrupted(actors, barrier)
    barrier.put(b"reset\n")
    handle.close()
    waiting = actors().open(barrier).wait()
    assert not waiting.done() and facts(barrier) == ["2", "1", "0"]


def test_close_after_cancel_breaks_nothing(area, actors):
    barrier = barrier_of(area, 3)
    patient = actors().open(barrier).wait()
    handle = actors().open(barrier)
    job = handle.wait()
    barrier.set("cancel", handle.actor.pid)
    with raises(ECANCELED):
        job.result()
    handle.close()
    assert not patient.done() and facts(barrier) == ["3", "1", "0"]
