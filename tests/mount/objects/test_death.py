"""Death of any participant at any moment leaves each type usable, and returns what it held.

Four processes use an object all the time; one after the other is killed at a random moment and
replaced, and the others must go on. IPCFS_LONG=1 for many more kills.
"""
import os
import random
import re
import select
import struct
import sys
import time
from fcntl import LOCK_EX, LOCK_NB

import pytest

from helpers import HERE, LONG, ask
from kit import INSTRUMENTED, T

KILLS = 300 if LONG else 4 if INSTRUMENTED else 12
KINDS = ["queue", "lease", "pipe", "twoway", "event", "sem", "lock", "rlock", "cond", "barrier",
         "value", "array"]


class Participant:
    def __init__(self, start, kind, path, number, seed):
        self.process = start([sys.executable, "-I", "-S", HERE / "death_worker.py", kind, path,
                              number, seed])
        self.number = number
        self.name = f"{kind} participant {number} ({seed}, pid {self.process.pid})"
        self.fd = self.process.stdout.fileno()

    def wait_for_turns(self, wanted):
        """Until it has made that many more turns."""
        end, turns = time.monotonic() + T(20), 0
        while turns < wanted:
            left = end - time.monotonic()
            assert left > 0 and select.select([self.fd], [], [], left)[0], f"hangs: {self.name}"
            got = os.read(self.fd, 1 << 16)
            assert got and b"BAD" not in got, f"{self.name}: {got!r} {self.errors()}"
            turns += got.count(b".")

    def drain(self):
        while select.select([self.fd], [], [], 0)[0]:
            got = os.read(self.fd, 1 << 16)
            assert b"BAD" not in got, f"{self.name}: {got!r}"
            if not got:
                return

    def errors(self):
        return self.process.stderr.read() if self.process.poll() is not None else ""

    def kill(self):
        assert self.process.poll() is None, f"{self.name} has ended: {self.errors()}"
        self.process.kill()
        self.process.wait(20)
        self.drain()


def make(area, kind):
    if kind == "twoway":
        os.mkdir(area.path("x.pipe"))
        return area.obj("x.pipe")
    obj = area.make("x." + {"lease": "queue"}.get(kind, kind))
    if kind in ("queue", "lease"):
        obj.set("maxsize", 20)
    elif kind == "sem":
        obj.set("undo", 1)
        obj.put(b"2\n")
    elif kind == "event":
        obj.put(b"set\n")
    elif kind == "barrier":
        obj.put(b"4\n")
    elif kind == "array":
        os.truncate(obj, 16)
    return obj


@pytest.mark.limit(1500 if LONG else 150)
@pytest.mark.parametrize("kind", KINDS)
def test_death_at_any_moment(area, start, actors, kind):
    rng = random.Random(f"{kind} {os.environ.get('IPCFS_SEED', 1)}")
    obj = make(area, kind)
    people = [Participant(start, kind, obj.path, n, f"{n}.0") for n in range(4)]
    for kill in range(1, KILLS + 1):
        for person in people:
            person.drain()
            person.wait_for_turns(1)
        select.select([], [], [], rng.uniform(0, 0.02))
        victim = rng.choice(people)
        victim.kill()
        people[victim.number] = Participant(start, kind, obj.path, victim.number,
                                            f"{victim.number}.{kill}")
        if kind == "barrier":
            people[victim.number].drain()
            obj.put(b"reset\n")
    rng.shuffle(people)
    for person in people:           # a writer may end by itself, when the last reader is gone
        person.process.kill()
    for person in people:
        person.process.wait(20)
        person.drain()
    globals()["check_" + {"twoway": "pipe"}.get(kind, kind)](obj, actors)
    assert obj.waiters() == [] and obj.holders() == []


# What holds when all participants are dead: it is usable, and what they held is back.

WHOLE = re.compile(rb"w(\d+\.\d+:\d+):x*end")


def whole_and_once(obj):
    lines = obj.messages()
    found = [WHOLE.fullmatch(line) for line in lines]
    assert all(found), f"not a whole message: {[x for x, ok in zip(lines, found) if not ok][:3]}"
    assert len({match[1] for match in found}) == len(found) == obj.size, "a message came twice"


def check_queue(obj, _):
    whole_and_once(obj)
    obj.drain()
    obj.put(b"still\n")
    assert obj.take() == b"still\n"


def check_lease(obj, _):
    assert obj.ctl("leased") == "", "what the dead had leased is back"
    whole_and_once(obj)
    assert obj.number("unfinished") == obj.size


def check_pipe(obj, actors):
    """The rest of the dead, then their end; then it works anew."""
    ends = ("/a", "/b") if obj.name == "x.pipe" and os.path.isdir(obj.path) else ("", "")
    read_flags, write_flags = os.O_RDWR, os.O_RDWR
    if ends == ("", ""):
        read_flags, write_flags = os.O_RDONLY, os.O_WRONLY
    reader = actors().open(obj.path + ends[1], read_flags | os.O_DIRECT)
    writer = actors().open(obj.path + ends[0], write_flags | os.O_DIRECT)
    last = writer.begin("write", "the last")
    while (record := reader.read(1 << 20)) != "the last":
        assert WHOLE.fullmatch(record.encode().rstrip(b"\n")), f"not a whole record: {record!r}"
    assert last.result() == 8
    writer.close()
    assert reader.read() == ""


def check_event(obj, actors):
    obj.put(b"clear\n")
    waiting = actors().open(obj).wait()
    obj.put(b"set\n")
    assert waiting.result() == "1\n"


def check_sem(obj, actors):
    free = 2 if obj.type == "sem" else 1
    handles = [actors().open(obj) for _ in range(free + 1)]
    for handle in handles[:free]:
        handle.flock(LOCK_EX | LOCK_NB)
    with pytest.raises(BlockingIOError):
        handles[free].flock(LOCK_EX | LOCK_NB)
    for handle in handles:
        handle.close()


check_lock = check_rlock = check_sem


def check_cond(obj, actors):
    assert obj.size == 0
    handle = actors().open(obj)
    handle.flock(LOCK_EX | LOCK_NB)
    waiting = handle.wait()
    obj.put(b"1\n")
    assert waiting.result() == "1\n"
    handle.close()


def check_barrier(obj, actors):
    obj.put(b"reset\n")
    jobs = [actors().open(obj).wait() for _ in range(3)]
    assert actors().open(obj).read() == "3\n"
    assert [job.result() for job in jobs] == ["0\n", "1\n", "2\n"]


def check_value(obj, actors):
    number = int(ask(obj))
    obj.put(b"+=1\n")
    assert int(ask(obj)) == number + 1
    handle = actors().open(obj)
    handle.flock(LOCK_EX | LOCK_NB)
    handle.close()


def check_array(obj, actors):
    one, two = struct.unpack("qq", ask(obj)[:16])
    assert one == two, "each pwrite is whole"
    handle = actors().open(obj)
    handle.flock(LOCK_EX | LOCK_NB)
    handle.close()
