"""Many processes at once: condition, barrier, value. IPCFS_LONG=1 repeats with many seeds."""
import os
import random
import select
import signal
import sys

import pytest

from helpers import LONG, ask
from kit import INSTRUMENTED, eventually

SEEDS = range(20) if LONG else range(1)
PYTHON = [sys.executable, "-I", "-S", "-c"]

WAITER = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
if sys.argv[2] == "locked": fcntl.flock(fd, fcntl.LOCK_EX)
try: os.read(fd, 64); print("woken")
except TimeoutError: print("late")
"""


def pause(rng, most):
    """A random delay as load; nothing depends on it."""
    select.select([], [], [], rng.uniform(0, most))


def notify_and_kill(cond, rng, notifies, victims):
    """That many single notifies and these kills, shuffled."""
    events = [None] * notifies + victims
    rng.shuffle(events)
    for victim in events:
        pause(rng, 0.02)
        if victim is None:
            cond.put(b"1\n")
        else:
            os.kill(victim.pid, signal.SIGKILL)
    for victim in victims:
        victim.wait(20)


def said(process, limit=30):
    out, err = process.communicate(timeout=limit)
    assert not err, err
    return out.strip()


@pytest.mark.limit(120)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("how", ["locked", "unlocked"])
def test_no_notify_is_lost_or_doubled_among_50_waiters(area, start, seed, how):
    """20 wait for ever and stand first in line; behind them 15 with a time limit and 15 to be
    killed. By the order of the line each of 12 notifies wakes exactly one of the first 20."""
    rng = random.Random(seed)
    cond = area.make("c.cond")

    def waiter(limit=None):
        path = cond.path if limit is None else cond.at(f"{limit:.3f}")
        return start([*PYTHON, WAITER, path, how])

    patient = [waiter() for _ in range(20)]
    eventually(lambda: cond.size == 20, 60, "20 wait")
    victims = [waiter() for _ in range(15)]
    eventually(lambda: cond.size == 35, 60, "35 wait")
    limited = [waiter(rng.uniform(0.01, 1)) for _ in range(15)]
    notify_and_kill(cond, rng, 12, victims)
    assert [said(process) for process in limited] == ["late"] * 15
    eventually(lambda: cond.size == 8, 20, "8 of 20 are left")
    eventually(lambda: sum(p.poll() is not None for p in patient) == 12, 20, "12 were woken")
    cond.put(b"all\n")
    assert [said(process) for process in patient] == ["woken"] * 20
    assert cond.size == 0 and not cond.waiters() and not cond.holders()


@pytest.mark.limit(120)
@pytest.mark.parametrize("seed", SEEDS)
def test_notifies_time_limits_and_kills_in_any_order(area, start, seed):
    """50 in one line, mixed. A notify may be spent on one that is killed in that instant,
    else on exactly one that says so."""
    rng = random.Random(seed)
    cond = area.make("c.cond")
    kinds = ["patient"] * 25 + ["limited"] * 12 + ["victim"] * 13
    rng.shuffle(kinds)
    processes = []
    for kind in kinds:
        path = cond.at(f"{rng.uniform(0.2, 2):.3f}") if kind == "limited" else cond.path
        processes.append((kind, start([*PYTHON, WAITER, path, rng.choice(["locked", "no"])])))
    lasting = {process.pid for kind, process in processes if kind == "patient"}
    eventually(lambda: cond.size >= 25 and lasting <= {row.pid for row in cond.waiters()}, 60,
               "all 25 that wait for ever stand in line")
    victims = [process for kind, process in processes if kind == "victim"]
    notify_and_kill(cond, rng, 20, victims)
    limited = [said(process) for kind, process in processes if kind == "limited"]
    dead = [process.stdout.read().strip() for process in victims]
    patient = [process for kind, process in processes if kind == "patient"]
    eventually(lambda: cond.size == sum(p.poll() is None for p in patient), 20,
               "those who live are those who wait")
    woken = sum(p.poll() is not None for p in patient)
    woken += limited.count("woken") + dead.count("woken")
    assert woken <= 20, "a notify was doubled"
    assert woken + dead.count("") >= 20, "a notify was lost"
    cond.put(b"all\n")
    assert {said(process) for process in patient} == {"woken"}


RENDEZVOUS = """
import os, random, sys, time
rng = random.Random(sys.argv[3])
fd = os.open(sys.argv[1], os.O_RDWR)
for _ in range(int(sys.argv[2])):
    time.sleep(rng.choice((0, 0, 0.001, 0.004)))
    print(int(os.read(fd, 64)))
"""


@pytest.mark.limit(180)
@pytest.mark.parametrize("seed", SEEDS)
def test_barrier_100_rounds_of_8_processes(area, start, output, seed):
    rounds = 20 if INSTRUMENTED else 100
    barrier = area.make("b.barrier")
    workers = [start([*PYTHON, RENDEZVOUS, barrier.path, rounds, f"{seed}.{i}"])
               for i in range(8)]
    barrier.put(b"8\n")
    indexes = [[int(line) for line in output(worker, 120)] for worker in workers]
    for number, arrivals in enumerate(zip(*indexes, strict=True)):
        assert sorted(arrivals) == list(range(8)), f"round {number}: {arrivals}"
    assert len(indexes[0]) == rounds and barrier.size == 0


ADDER = """
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
for _ in range(int(sys.argv[2])):
    os.write(fd, b"+=1\\n")
    if sys.argv[3] == "tickets": print(int(os.read(fd, 64)))
"""


@pytest.mark.limit(300)
@pytest.mark.parametrize("how", ["sum", "tickets"])
def test_value_8_processes_10000_additions_each(area, start, output, how):
    times = 1000 if INSTRUMENTED else 10_000
    value = area.make("v.value")
    workers = [start([*PYTHON, ADDER, value.path, times, how]) for _ in range(8)]
    tickets = sum((output(worker, 240) for worker in workers), [])
    assert int(ask(value)) == 8 * times
    if how == "tickets":
        assert sorted(map(int, tickets)) == list(range(1, 8 * times + 1)), "each got its own"
