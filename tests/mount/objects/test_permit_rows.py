"""Contract rows of sem and lock beyond taking and giving: bound, undo, scope."""
import errno
import os
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN

import pytest

from helpers import held_by
from kit import eventually, raises, unchanged

EAGAIN, EINVAL, ERANGE = errno.EAGAIN, errno.EINVAL, errno.ERANGE


# --- bound ---------------------------------------------------------------------------------

def test_a_give_beyond_the_bound_is_erange_and_changes_nothing(area):
    sem = area.sem(permits=3, bound=3)
    with unchanged(sem), raises(ERANGE):
        sem.put(b"1\n")
    assert sem.take() == b"1\n"
    with unchanged(sem), raises(ERANGE):
        sem.put(b"2\n")
    sem.put(b"1\n")
    assert sem.size == 3


def test_bound_counts_permits_free_after_waiters_are_served(area, actors):
    sem = area.sem(bound=2)
    waiting = actors().open(sem).wait()
    sem.put(b"2\n")
    assert waiting.result() == "1\n"
    assert sem.size == 1


def test_bound_0_is_no_bound(area):
    sem = area.sem(permits=2, bound=2)
    sem.set("bound", 0)
    sem.put(b"1000\n")
    assert sem.size == 1002
    assert sem.ctl("bound") == "0"


def test_a_lock_has_bound_1(area):
    lock = area.make("a.lock")
    with unchanged(lock), raises(ERANGE):
        lock.put(b"1\n")


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "99999999999999999999999"])
def test_a_bound_that_is_no_number_is_refused(area, text):
    sem = area.sem(bound=5)
    with unchanged(sem), raises(EINVAL, ERANGE):
        sem.set("bound", text)


def test_a_borrowed_permit_comes_back_within_the_bound(area, actors):
    sem = area.sem(permits=2, bound=2)
    actor = actors()
    handle = actor.open(sem)
    handle.flock(LOCK_EX)
    assert sem.size == 1
    handle.flock(LOCK_UN)
    assert sem.size == 2


# --- undo ----------------------------------------------------------------------------------

def test_undo_is_off_for_sem_and_on_for_lock(area):
    assert area.sem().ctl("undo") == "0"
    assert area.make("a.lock").ctl("undo") == "1"


@pytest.mark.parametrize("end", ["close", "kill"])
@pytest.mark.parametrize("undo, left", [(0, 1), (1, 3)])
def test_undo_says_whether_taken_permits_come_back(area, actors, undo, left, end):
    sem = area.sem(permits=3, undo=undo)
    actor = actors()
    handle = actor.open(sem)
    handle.read(), handle.read()
    assert sem.size == 1
    handle.close() if end == "close" else actor.kill()
    assert ask_free(sem, actors) == left


def ask_free(sem, actors):
    """The free permits as requests made from now on see them."""
    taken = 0
    handle = actors().open(sem, os.O_RDWR | os.O_NONBLOCK)
    while True:
        try:
            handle.read()
            taken += 1
        except BlockingIOError:
            break
    handle.write(f"{taken}\n") if taken else None
    return taken


def test_undo_gives_back_only_what_was_not_given_back(area, actors):
    sem = area.sem(permits=3, undo=1)
    actor = actors()
    handle = actor.open(sem)
    handle.read(), handle.read()
    handle.write("1\n")
    actor.kill()
    assert ask_free(sem, actors) == 3


def test_undo_hands_the_permit_to_the_first_in_line(area, actors):
    sem = area.sem(permits=1, undo=1)
    actor = actors()
    actor.open(sem).read()
    first, second = actors().open(sem).wait(), actors().open(sem).wait()
    actor.kill()
    assert first.result() == "1\n"
    assert not second.done()


def test_lock_released_through_another_handle_is_not_undone_twice(area, actors):
    lock = area.make("a.lock")
    taker, releaser = actors(), actors().open(lock)
    taker.open(lock).read()
    releaser.write("1\n")
    assert lock.size == 1
    third = actors().open(lock)
    third.read()
    taker.kill()
    with raises(EAGAIN):
        releaser.flock(LOCK_EX | LOCK_NB)
    assert lock.size == 0, "the lock is the third one's, whatever the first taker's end"


# --- scope ---------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["a.lock", "a.rlock", "a.sem"])
@pytest.mark.parametrize("how", ["flock", "read"])
def test_scope_process_returns_it_though_a_child_keeps_the_descriptor(area, actors, name, how):
    obj = area.make(name, scope="process", undo=1)
    if name == "a.sem":
        obj.put(b"1\n")
    actor = actors()
    handle = actor.open(obj)
    handle.flock(LOCK_EX) if how == "flock" else handle.read()
    assert obj.size == 0
    handle.keep()
    waiting = actors().open(obj).wait()
    actor.kill()
    waiting.result()
    assert actor.pid not in held_by(obj)


@pytest.mark.parametrize("name", ["a.lock", "a.sem"])
def test_scope_handle_keeps_it_while_a_child_has_the_descriptor(area, actors, name):
    obj = area.make(name, undo=1)
    assert obj.ctl("scope") == "handle"
    if name == "a.sem":
        obj.put(b"1\n")
    actor = actors()
    handle = actor.open(obj)
    handle.flock(LOCK_EX)
    handle.keep()
    waiting = actors().open(obj).wait()
    actor.kill()
    assert not waiting.done() and obj.size == 0
    actor.end_children()
    waiting.result()


def test_scope_process_with_undo_0_returns_only_what_was_borrowed(area, actors):
    sem = area.sem(permits=2, scope="process", undo=0)
    actor = actors()
    handle = actor.open(sem)
    handle.flock(LOCK_EX)
    actor.open(sem).read()
    handle.keep()
    actor.kill()
    eventually(lambda: sem.size == 1, 10, "the borrowed permit is back")


@pytest.mark.parametrize("name, text", [("scope", "thread"), ("scope", ""), ("undo", "2"),
                                        ("undo", "yes")])
def test_words_that_are_no_setting_are_refused(area, name, text):
    sem = area.sem()
    with unchanged(sem), raises(EINVAL, ERANGE):
        sem.set(name, text)


def test_holders_lists_borrowers_until_they_give_back(area, actors):
    sem = area.sem(permits=2)
    one, two = actors(), actors()
    handle = one.open(sem)
    handle.flock(LOCK_EX)
    two.open(sem).flock(LOCK_EX)
    assert sorted(held_by(sem)) == sorted([one.pid, two.pid])
    handle.flock(LOCK_UN)
    assert held_by(sem) == [two.pid]
