"""Contract rows of the rlock: owner, depth, who may release."""
import os
import select
from errno import EAGAIN, EPERM, ETIMEDOUT
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN

import pytest

from helpers import held_by
from kit import raises, unchanged


@pytest.fixture
def rlock(area):
    return area.make("a.rlock")


def test_each_read_is_a_level_and_answers_the_depth(rlock, actors):
    handle = actors().open(rlock)
    assert [handle.read() for _ in range(3)] == ["1\n", "2\n", "3\n"]
    assert rlock.size == 0


def test_free_only_after_as_many_releases(rlock, actors):
    mine, other = actors().open(rlock), actors().open(rlock)
    mine.read(), mine.read()
    mine.write("1\n")
    assert rlock.size == 0
    waiting = other.wait()
    mine.write("\n")
    assert waiting.result() == "1\n"
    with raises(EPERM):
        mine.write("1\n")


def test_depth_is_the_handles_not_the_processs(rlock, actors):
    actor = actors()
    first, second = actor.open(rlock), actor.open(rlock)
    first.read()
    second.limit(0)
    with raises(EAGAIN):
        second.read()
    with raises(EPERM):
        second.write("1\n")
    assert first.read() == "2\n"


@pytest.mark.parametrize("held", [True, False])
def test_foreign_release_is_eperm_and_changes_nothing(rlock, actors, held):
    holder, foreign = actors().open(rlock), actors().open(rlock)
    if held:
        holder.read()
    with unchanged(rlock), raises(EPERM):
        foreign.write("1\n")


def test_release_of_more_levels_than_held_changes_nothing(rlock, actors):
    handle = actors().open(rlock)
    handle.read(), handle.read(), handle.write("1\n")
    handle.write("1\n")
    with unchanged(rlock), raises(EPERM):
        handle.write("1\n")
    assert rlock.size == 1


def test_read_only_handle_answers_once_then_eof_then_again_at_0(rlock, actors):
    handle = actors().open(rlock, os.O_RDONLY)
    assert handle.read() == "1\n"
    assert handle.read() == ""
    handle.seek(0)
    assert handle.read() == "2\n"


def test_poll_in_is_free_or_mine_and_out_is_mine(rlock, actors):
    mine, other = actors().open(rlock), actors().open(rlock)
    both = select.POLLIN | select.POLLOUT
    assert mine.poll(both) == other.poll(both) == select.POLLIN
    mine.read()
    assert mine.poll(both) == both
    assert other.poll(both) == 0
    job = other.begin("poll", select.POLLIN, 8000)
    mine.write("1\n")
    assert job.result() == select.POLLIN


def test_flock_borrows_until_unlock_and_twice_is_once(rlock, actors):
    mine, other = actors().open(rlock), actors().open(rlock)
    mine.flock(LOCK_EX)
    mine.flock(LOCK_EX)
    with raises(EAGAIN):
        other.flock(LOCK_EX | LOCK_NB)
    mine.flock(LOCK_UN)
    assert rlock.size == 1
    other.flock(LOCK_EX | LOCK_NB)


def test_flock_and_read_wait_in_one_line(rlock, actors):
    first, second, third = (actors().open(rlock) for _ in range(3))
    first.read()
    reading = second.wait()
    locking = third.wait("flock", LOCK_EX)
    first.write("1\n")
    assert reading.result() == "1\n"
    assert not locking.done()
    second.write("1\n")
    locking.result()


def test_time_limit_takes_nothing(rlock, actors):
    holder, other = actors().open(rlock), actors().open(rlock.at("0.05"))
    holder.read()
    with unchanged(rlock), raises(ETIMEDOUT):
        other.read()
    with raises(EAGAIN):
        actors().open(rlock.at(0)).read()


@pytest.mark.parametrize("end", ["close", "kill"])
def test_all_levels_come_back_when_the_handle_goes(rlock, actors, end):
    actor, other = actors(), actors().open(rlock)
    handle = actor.open(rlock)
    handle.read(), handle.read(), handle.read()
    waiting = other.wait()
    handle.close() if end == "close" else actor.kill()
    assert waiting.result() == "1\n"


def test_with_undo_0_a_taken_lock_stays_taken(rlock, actors):
    assert rlock.ctl("undo") == "1"
    rlock.set("undo", 0)
    actor = actors()
    actor.open(rlock).read()
    actor.kill()
    assert rlock.size == 0


def test_a_forked_child_shares_what_the_descriptor_holds(rlock, actors):
    actor = actors()
    handle = actor.open(rlock)
    handle.read()
    handle.keep()
    handle.close()
    assert rlock.size == 0, "the child's descriptor is the same handle"
    actor.end_children()
    waiting = actors().open(rlock).begin("read", 64)
    assert waiting.result() == "1\n"


def test_holders_names_the_owner(rlock, actors):
    actor = actors()
    handle = actor.open(rlock)
    assert held_by(rlock) == []
    handle.read()
    assert held_by(rlock) == [actor.pid]
    handle.write("1\n")
    assert held_by(rlock) == []
