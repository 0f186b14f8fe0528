"""Contract rows of ctl/cancel: waits of one process, or of all, end with ECANCELED."""
import os
from errno import ECANCELED, EINVAL, EPERM
from fcntl import LOCK_EX

import pytest

from kit import raises, unchanged

WAITS = {   # name: (object, settings, operation that waits)
    "queue get": ("q.queue", {}, "read"), "queue put": ("q.queue", {"maxsize": 1}, "write"),
    "pipe read": ("p.pipe", {}, "read"), "event": ("e.event", {}, "read"),
    "sem read": ("s.sem", {}, "read"), "sem flock": ("s.sem", {}, "flock"),
    "lock read": ("l.lock", {}, "read"), "lock flock": ("l.lock", {}, "flock"),
    "rlock": ("r.rlock", {}, "read"), "cond": ("c.cond", {}, "read"),
    "barrier": ("b.barrier", {}, "read"), "value lock": ("v.value", {}, "flock"),
    "array lock": ("a.array", {}, "flock"),
}


def prepare(obj, actors):
    """Make the operation wait: fill it, hold it, or set the parties."""
    if obj.name == "q.queue" and obj.ctl("maxsize") == "1":
        obj.put(b"full\n")
    elif obj.type in ("lock", "value", "array"):
        actors().open(obj).flock(LOCK_EX)
    elif obj.type == "rlock":
        actors().open(obj).read()
    elif obj.type == "barrier":
        obj.put(b"5\n")


def wait(actors, obj, operation):
    argument = {"read": 64, "write": "more\n", "flock": LOCK_EX}[operation]
    return actors().open(obj).wait(operation, argument)


@pytest.mark.parametrize("case", WAITS)
def test_cancel_of_a_pid_ends_its_waits_and_no_others(area, actors, case):
    name, settings, operation = WAITS[case]
    obj = area.make(name, **settings)
    prepare(obj, actors)
    one, two = wait(actors, obj, operation), wait(actors, obj, operation)
    obj.set("cancel", one.actor.pid)
    with raises(ECANCELED):
        one.result()
    assert not two.done()
    assert [row.pid for row in obj.waiters()] == [two.actor.pid]
    obj.set("cancel", "all")
    with raises(ECANCELED):
        two.result()
    assert obj.waiters() == []


def test_cancel_ends_waits_of_ctl_files(area, actors):
    queue = area.make("q.queue")
    queue.put(b"x\n")
    join = actors().open(queue.ctl_path("join"), os.O_RDONLY).begin("read", 10)
    queue.await_waiters(1)
    queue.set("cancel", join.actor.pid)
    with raises(ECANCELED):
        join.result()
    assert queue.take() == b"x\n"
    lease = actors().open(queue.ctl_path("lease"), os.O_RDONLY).begin("read", 10)
    queue.await_waiters(1)
    queue.set("cancel", "all")
    with raises(ECANCELED):
        lease.result()


def test_a_cancelled_wait_took_nothing_and_the_handle_goes_on(area, actors):
    queue = area.make("q.queue")
    handle = actors().open(queue)
    job = handle.wait()
    queue.set("cancel", "all")
    with raises(ECANCELED):
        job.result()
    queue.put(b"message\n")
    assert queue.size == 1
    assert handle.read() == "message\n"


def test_cancel_of_a_pid_that_does_not_wait_disturbs_nobody(area, actors):
    queue = area.make("q.queue")
    job = actors().open(queue).wait()
    idle = actors()
    try:
        queue.set("cancel", idle.pid)
    except OSError:
        pass   # whether that is an error is not said
    assert not job.done()
    queue.put(b"1\n")
    assert job.result() == "1\n"


@pytest.mark.parametrize("word", ["x", "some", "1 2", "-1"])
def test_cancel_of_what_is_no_pid_is_refused(area, actors, word):
    queue = area.make("q.queue")
    job = actors().open(queue).wait()
    with unchanged(queue), raises(EINVAL, EPERM):
        queue.set("cancel", word)
    assert not job.done()
