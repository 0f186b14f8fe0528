"""`.ctl/deadlocks`: the cycles that shells make, and those who wait for nobody."""

import contextlib
import fcntl
import os
import subprocess
import threading
import time

import pytest

from kit import IPCCTL, T, eventually, fork, spawn
from kit.proc import children
from kit.objects import read_all


@pytest.fixture
def deadlocks(area):
    """The lines that are about this folder."""
    def read():
        text = read_all(area.mount.path(".ctl/deadlocks")).decode()
        return [line for line in text.splitlines()
                if os.path.relpath(area.dir, area.mount.dir) in line]
    return read


@pytest.fixture
def bash(area):
    """A script in the folder, up to where it says "ready"; `read` makes it wait for go()."""
    begun = []

    def begin(script):
        process = spawn(["bash", "-c", script], cwd=area.dir, stdin=subprocess.PIPE)
        begun.append(process)
        assert process.hear() == "ready"
        return process

    yield begin
    for process in begun:
        kill_all(process.pid)
        process.kill()


def family(pid):
    """The process and all below it, the youngest first."""
    return [p for child in children(pid) for p in family(child)] + [pid]


def kill_all(pid):
    for member in family(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, 9)


def pair(area, bash, script):
    """The script for a and b, and the other way round: both have taken the first when they say so."""
    area.make("a.lock"), area.make("b.lock")
    one = bash(script.format(A="a.lock", B="b.lock", ipcctl=IPCCTL))
    two = bash(script.format(A="b.lock", B="a.lock", ipcctl=IPCCTL))
    for process in (one, two):
        process.say()
    return one, two


IDIOMS = {
    "flock sh -c": "flock {A} sh -c 'echo ready; read x; flock {B} true; :'; :",
    "flock sh -c, no shell left": "exec flock {A} sh -c 'echo ready; read x; exec flock {B} true'",
    "exec": "exec 8<{A} 9<{B}; flock 8; echo ready; read x; flock 9; :",
    "exec, two files": "exec 8<{A}; flock 8; echo ready; read x; exec 9<{B}; flock 9; :",
    "(...) 8<": "( flock 8; echo ready; read x; ( flock 9; : ) 9<{B}; : ) 8<{A}; :",
    "ipcctl run": "{ipcctl} run {A} -- sh -c 'echo ready; read x; {ipcctl} run {B} true; :'; :",
    "read and write": "exec 8<>{A}; read -n1 y <&8; echo ready; read x; exec 9<>{B}; read -n1 y <&9; :",
    "$(...)": "exec 8<{A} 9<{B}; flock 8; echo ready; read x; y=$(flock 9; cat /dev/null); :",
    "a pipeline": "exec 8<{A}; flock 8; echo ready; read x; flock {B} echo got | while read y; do :; done; :",
    "mixed": "exec 8<{A}; flock 8; echo ready; read x; sh -c '{ipcctl} run {B} true; :'; :",
}


@pytest.mark.parametrize("idiom", IDIOMS)
def test_two_shells_crosswise(area, bash, deadlocks, idiom):
    one, two = pair(area, bash, IDIOMS[idiom])
    line, = eventually(deadlocks, 20, "the cycle is shown")
    members = family(one.pid) + family(two.pid)
    pids = [int(part.split()[0]) for part in line.split(", ")]
    assert set(pids) <= set(members)
    assert set(pids) & set(family(one.pid)) and set(pids) & set(family(two.pid))
    assert "a.lock held by" in line and "b.lock held by" in line
    for pid, part in zip(pids[1:] + pids[:1], line.split(", ")):
        assert part.endswith(f" {pid}"), "each leads to the next"
    kill_all(one.pid)
    eventually(lambda: not deadlocks(), 20, "it is gone with one of them")


def test_flock_flock(area, deadlocks):
    area.make("a.lock")
    outer = spawn(["flock", "a.lock", "flock", "a.lock", "true"], cwd=area.dir)
    line, = eventually(deadlocks, 20)
    inner, = children(outer.pid)
    assert f"{outer.pid} (flock a.lock flock a.lock true) waits for its child {inner}" in line
    assert f"{inner} (flock a.lock true) waits for " in line and line.endswith(f"a.lock held by {outer.pid}")
    os.kill(inner, 9)
    outer.finish()


def test_three_shells(area, bash, deadlocks):
    names = ["a.lock", "b.lock", "c.lock"]
    for name in names:
        area.make(name)
    shells = [bash(f"exec 8<{names[i]} 9<{names[(i + 1) % 3]}; flock 8; echo ready; read x; flock 9; :")
              for i in range(3)]
    for shell in shells[:2]:
        shell.say()
    for name in names[1:]:
        area.obj(name).await_waiters(1)
    assert not deadlocks(), "the third one still runs"
    shells[2].say()
    line, = eventually(deadlocks, 20)
    assert all(name in line for name in names) and line.count("waits for its child") == 3


def test_who_can_release_it_runs(area, bash, deadlocks):
    """A background job has the descriptors as well: it could give the lock back."""
    area.make("a.lock"), area.make("b.lock")
    one = bash("exec 8<a.lock 9<b.lock; flock 8; sleep 1000 & echo ready; read x; flock 9; :")
    two = bash("exec 8<a.lock 9<b.lock; flock 9; echo ready; read x; flock 8; :")
    one.say(), two.say()
    for name in ("a.lock", "b.lock"):
        area.obj(name).await_waiters(1)
    assert not deadlocks()
    sleeper, = [pid for pid in children(one.pid)
                if read_all(f"/proc/{pid}/cmdline").startswith(b"sleep")]
    os.kill(sleeper, 9)
    eventually(deadlocks, 20, "now nobody is left who runs")


def test_a_parent_that_does_not_wait_is_no_cycle(area, bash, deadlocks):
    area.make("a.lock"), area.make("b.lock")
    one = bash("exec 8<a.lock 9<b.lock; flock 8; echo ready; read x; flock 9 & read x; flock -u 8; wait")
    two = bash("exec 8<a.lock 9<b.lock; flock 9; echo ready; flock 8; flock -u 9; :")
    one.say()
    for name in ("a.lock", "b.lock"):
        area.obj(name).await_waiters(1)
    assert not deadlocks()
    one.say()
    assert one.finish().code == 0 and two.finish().code == 0


def test_a_pipe_whose_other_writer_runs(area, bash, deadlocks):
    area.make("a.lock"), area.make("b.lock")
    one = bash("exec 8<a.lock 9<b.lock; flock 8; echo ready; read x; y=$(sleep 1000 8<&- 9<&- & flock 9); :")
    two = bash("exec 8<a.lock 9<b.lock; flock 9; echo ready; read x; flock 8; :")
    one.say(), two.say()
    for name in ("a.lock", "b.lock"):
        area.obj(name).await_waiters(1)
    assert not deadlocks(), "what it writes would let the shell go on"


def test_permits_come_back_from_anybody(area, bash, deadlocks):
    sem = area.make("a.sem")
    sem.put(b"2\n")
    area.make("b.lock")
    runs = bash("exec 8<a.sem; flock 8; echo ready; read x")
    one = bash("exec 8<a.sem 9<b.lock; flock 8; echo ready; read x; flock 9; :")
    two = bash("exec 8<a.sem 9<b.lock; flock 9; echo ready; read x; flock 8; :")
    one.say(), two.say()
    sem.await_waiters(1)
    area.obj("b.lock").await_waiters(1)
    assert not deadlocks(), "the third one has a permit and runs"
    runs.kill()
    two.finish()


def test_python_threads_and_leases(area, deadlocks):
    """Two processes: one has leased what the other's lock is needed for."""
    lock, other = area.make("a.lock"), area.make("b.rlock")

    def hold(mine, wanted, gate):
        fd = mine.open()
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.read(gate, 1)
        thread = threading.Thread(target=lambda: fcntl.flock(wanted.open(), fcntl.LOCK_EX), daemon=True)
        thread.start()
        thread.join()

    gate, go = os.pipe()
    one = fork(hold, lock, other, gate, keep=[gate])
    two = fork(hold, other, lock, gate, keep=[gate])
    for obj in (lock, other):
        eventually(obj.holders, 10)
    os.write(go, b"xx")
    line, = eventually(deadlocks, 20)
    assert str(one.pid) in line and str(two.pid) in line
    one.kill(), two.kill()
    os.close(gate), os.close(go)


def test_a_condition_and_a_lock(area, bash, deadlocks):
    """Who was notified waits for the condition's lock, which another holds who waits for him."""
    cond = area.make("c.cond")
    area.make("a.lock")
    one = bash("exec 7<a.lock; flock 7; exec 8<c.cond; echo ready; read x; flock 8; :")
    two = bash("exec 8<c.cond; flock 8; echo ready; read x; flock a.lock true; :")
    one.say(), two.say()
    line, = eventually(deadlocks, 20)
    assert "c.cond held by" in line and "a.lock held by" in line
    assert cond.size == 0


def test_more_than_there_was_room_for(area, deadlocks):
    """70 processes share a lock, and all of them want it alone: 4,900 ways through it."""
    lock = area.make("a.lock")

    def share_and_take(gate):
        mine, other = lock.open(), lock.open()
        fcntl.flock(mine, fcntl.LOCK_SH)
        os.read(gate, 1)
        fcntl.flock(other, fcntl.LOCK_EX)

    gate, go = os.pipe()
    clients = [fork(share_and_take, gate, keep=[gate]) for _ in range(70)]
    eventually(lambda: len(lock.holders()) == 70, 20)
    os.write(go, b"x" * 70)
    lock.await_waiters(70, 20)
    assert deadlocks()
    for client in clients:
        client.kill()
    os.close(gate), os.close(go)


def test_a_process_with_many_threads_and_many_permits(area, deadlocks):
    """It is looked at once, not once for each permit and each thread."""
    lock, sem = area.make("a.lock"), area.make("s.sem")
    sem.put(b"600\n")

    def hold_and_wait(ready):
        kept = [lock.open()]
        fcntl.flock(kept[0], fcntl.LOCK_EX)
        for _ in range(600):
            kept.append(sem.open())
            fcntl.flock(kept[-1], fcntl.LOCK_EX)
        for _ in range(600):
            threading.Thread(target=lambda: fcntl.flock(lock.open(), fcntl.LOCK_EX), daemon=True).start()
        os.write(ready, b"x")
        threading.Event().wait()

    told, tell = os.pipe()
    client = fork(hold_and_wait, tell, keep=[tell])
    os.read(told, 1)
    lock.await_waiters(600, 30)
    start = time.monotonic()
    assert deadlocks()
    assert time.monotonic() - start < T(5)
    client.kill()
    os.close(told), os.close(tell)


# --- nobody ------------------------------------------------------------------------------------

def test_a_barrier_that_cannot_fill(area, bash, deadlocks):
    barrier = area.make("a.barrier")
    barrier.put(b"3\n")
    waiters = [spawn(["cat", barrier.path]) for _ in range(2)]
    barrier.await_waiters(2)
    lines = deadlocks()
    assert len(lines) == 2
    assert all("a.barrier cannot fill (2 of 3 have come), and nobody else has it open" in line
               and " waits for nobody: " in line for line in lines)
    third = bash("exec 8<a.barrier; echo ready; read x; cat <&8")
    assert not deadlocks(), "it can come now"
    third.say()
    for waiter in waiters:
        assert waiter.finish().code == 0


def test_a_barrier_whose_third_is_stuck(area, bash, deadlocks):
    area.make("a.barrier").put(b"2\n")
    area.make("b.lock")
    one = bash("exec 8<b.lock; flock 8; echo ready; read x; cat a.barrier; :")
    two = bash("exec 9<a.barrier; echo ready; read x; flock b.lock cat <&9; :")
    one.say()
    area.obj("a.barrier").await_waiters(1)
    assert not deadlocks()
    two.say()
    line, = eventually(deadlocks, 20)
    assert "all others who have it open wait, too" in line


def test_a_join_that_nobody_will_finish(area, bash, deadlocks):
    queue = area.make("q.queue")
    queue.put(b"job\n")
    waiter = spawn(["cat", queue.ctl_path("join")])
    queue.await_waiters(1)
    line, = deadlocks()
    assert str(waiter.pid) in line and "q.queue is not finished, and nobody has it open to read" in line
    worker = bash("exec 3<q.queue; echo ready; read x")
    assert not deadlocks()
    worker.kill()
    waiter.kill()


@pytest.mark.parametrize("name", ["q.queue", "p.pipe"])
def test_a_writer_whom_nobody_reads(area, bash, deadlocks, name):
    obj = area.make(name)
    if name == "q.queue":
        obj.set("maxsize", 1)
    else:
        obj.set("maxbytes", 4096)
    writer = spawn(["bash", "-c", f"exec 3<>{name}; yes >&3"], cwd=area.dir)
    obj.await_waiters(1)
    line, = deadlocks()
    assert " waits for nobody: " in line and "is full" in line
    reader = bash(f"exec 3<{name}; echo ready; read x")
    assert not deadlocks()
    reader.kill()
    kill_all(writer.pid)


def test_a_lock_that_was_taken_for_good(area, deadlocks):
    lock = area.make("a.lock")
    lock.set("undo", 0)
    lock.get()
    waiter = spawn(["cat", lock.path])
    lock.await_waiters(1)
    line, = deadlocks()
    assert line.startswith(f"{waiter.pid} ") and "taken for good" in line
    lock.put(b"1\n")
    assert waiter.finish().code == 0


def test_with_a_time_limit_nobody_waits_in_vain(area, deadlocks):
    barrier = area.make("a.barrier")
    barrier.put(b"2\n")
    waiter = spawn(["cat", barrier.at(1000)])
    barrier.await_waiters(1)
    assert not deadlocks()
    waiter.kill()
