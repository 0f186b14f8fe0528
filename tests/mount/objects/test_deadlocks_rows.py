"""`.ctl/deadlocks`: each cycle of processes that wait for what the next one holds."""
import os
from fcntl import LOCK_EX, LOCK_UN

import pytest

from helpers import Actor
from kit import eventually


@pytest.fixture
def deadlocks(mount):
    def read():
        with open(os.path.join(mount.dir, ".ctl", "deadlocks"), encoding="utf-8") as file:
            return file.read()
    return read


@pytest.fixture
def people(mount):
    """Processes on `mount` (the fixture `actors` works in another one)."""
    made = []

    def make():
        made.append(Actor())
        return made[-1]

    yield make
    for actor in made:
        actor.kill()


def take(obj, handle):
    handle.read() if obj.type in ("rlock", "sem") else handle.flock(LOCK_EX)


def ring(objects, people):
    """Everybody holds one object and waits for the next; the jobs that wait."""
    actors = [people() for _ in objects]
    for obj, actor in zip(objects, actors):
        take(obj, actor.open(obj))
    jobs = []
    for index, actor in enumerate(actors):
        wanted = objects[(index + 1) % len(objects)]
        handle = actor.open(wanted)
        op = ("read", 64) if wanted.type in ("rlock", "sem") else ("flock", LOCK_EX)
        jobs.append(handle.wait(*op))
    return actors, jobs


@pytest.mark.parametrize("names", [("a.lock", "b.lock"), ("a.lock", "b.rlock", "c.lock"),
                                   ("a.value", "b.array"), ("a.lock", "b.cond")])
def test_a_cycle_is_shown_with_pids_commands_and_objects(mount, people, deadlocks, names):
    objects = [mount.make(name) for name in names]
    assert deadlocks() == ""
    actors, _ = ring(objects, people)
    text = eventually(deadlocks, 10, "a deadlock is shown")
    for actor in actors:
        assert str(actor.pid) in text
    for name in names:
        assert name in text
    assert "python" in text


def test_two_cycles_are_two_and_others_who_wait_are_not_in_them(mount, people, deadlocks):
    first = [mount.make(name) for name in ("a.lock", "b.lock")]
    second = [mount.make(name) for name in ("c.lock", "d.lock")]
    bystander = people()
    queue = mount.make("q.queue")
    bystander.open(queue).wait()
    one, _ = ring(first, people)
    two, _ = ring(second, people)
    behind = people()
    behind.open(first[0]).wait("flock", LOCK_EX)
    text = eventually(deadlocks, 10, "deadlocks are shown")
    assert all(str(actor.pid) in text for actor in one + two)
    assert str(bystander.pid) not in text and "q.queue" not in text
    assert str(behind.pid) not in text, "it waits for the cycle, but nobody waits for it"


def test_waiting_without_a_cycle_is_no_deadlock(mount, people, deadlocks):
    first, second = mount.make("a.lock"), mount.make("b.lock")
    one, two, three = people(), people(), people()
    one.open(first).flock(LOCK_EX)
    held = two.open(second)
    held.flock(LOCK_EX)
    two.open(first).wait("flock", LOCK_EX)
    three.open(second).wait("flock", LOCK_EX)
    assert deadlocks() == ""


def test_it_is_gone_when_one_gives_up(mount, people, deadlocks):
    objects = [mount.make(name) for name in ("a.lock", "b.lock")]
    actors, jobs = ring(objects, people)
    eventually(deadlocks, 10, "a deadlock is shown")
    actors[1].kill()
    jobs[0].result()
    assert deadlocks() == ""


def test_a_process_that_waits_for_its_own_lock_is_a_cycle_of_one(mount, people, deadlocks):
    lock = mount.make("a.lock")
    actor = people()
    actor.open(lock).flock(LOCK_EX)
    actor.open(lock).wait("flock", LOCK_EX)
    assert str(actor.pid) in eventually(deadlocks, 10, "it is shown")
    lock.put(b"1\n")
    eventually(lambda: not deadlocks(), 10, "released through another handle")


def test_a_lock_given_back_in_time_leaves_nothing(mount, people, deadlocks):
    objects = [mount.make(name) for name in ("a.lock", "b.lock")]
    one, two = people(), people()
    held = one.open(objects[0])
    held.flock(LOCK_EX)
    two.open(objects[1]).flock(LOCK_EX)
    waiting = two.open(objects[0]).wait("flock", LOCK_EX)
    held.flock(LOCK_UN)
    waiting.result()
    assert deadlocks() == ""
