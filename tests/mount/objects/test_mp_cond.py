"""mpfs.Condition and Barrier against Python 3.11's documentation, in unrelated processes."""
import threading
import time

import pytest

from kit import eventually
from mpfs import Barrier, BrokenBarrierError, Condition, Lock, RLock, Value

LOCKS = [None, (Lock, "m.lock"), (RLock, "m.rlock")]


@pytest.fixture(params=LOCKS, ids=["default", "Lock", "RLock"])
def cond(request, ipc):
    return Condition(ipc / "c.cond",
                     request.param and request.param[0](ipc / request.param[1]))


def waiting(cond, count):
    eventually(lambda: cond._size() == count, 20, f"{count} wait")


# --- Condition -----------------------------------------------------------------------------

WAITER = """
c = Condition(ARGS[0])
with c:
    print(c.wait(*map(float, ARGS[1:])))
"""


def test_wait_returns_true_when_notified(cond, python, output):
    waiter = python(WAITER, cond.path)
    waiting(cond, 1)
    with cond:
        cond.notify()
    assert output(waiter) == ["True"]


def test_the_lock_is_free_while_it_waits_and_held_when_it_returns(cond, python, output):
    waiter = python("""
c = Condition(ARGS[0])
c.acquire(); c.wait(); print("woken", c._lock._is_mine()); c.release()
""", cond.path)
    waiting(cond, 1)
    assert cond.acquire(timeout=10)
    cond.notify()
    cond.release()
    assert output(waiter) == ["woken True"]
    assert cond.acquire(timeout=10)


def test_wait_returns_false_after_its_time_limit_with_the_lock(cond):
    with cond:
        start = time.monotonic()
        assert cond.wait(0.1) is False
        assert time.monotonic() - start >= 0.1
        assert cond._lock._is_mine()
    assert cond.acquire(False)


def test_notify_n_wakes_at_most_n(cond, python, output):
    waiters = [python(WAITER, cond.path) for _ in range(3)]
    waiting(cond, 3)
    with cond:
        cond.notify(2)
    waiting(cond, 1)
    with cond:
        cond.notify(5)
    assert [output(waiter) for waiter in waiters] == [["True"]] * 3


def test_notify_all(cond, python, output):
    waiters = [python(WAITER, cond.path) for _ in range(4)]
    waiting(cond, 4)
    with cond:
        cond.notify_all()
    assert [output(waiter) for waiter in waiters] == [["True"]] * 4


def test_a_notify_that_nobody_waits_for_is_lost(cond):
    with cond:
        cond.notify(), cond.notify_all()
        assert cond.wait(0.05) is False


def test_wait_and_notify_need_the_lock(cond):
    for call in (cond.notify, cond.notify_all, lambda: cond.wait(0.01)):
        with pytest.raises(AssertionError):
            call()


def test_wait_for_a_predicate(cond, python, output):
    number = Value(cond.path.removesuffix(".cond") + ".value", "i", 0, lock=False)
    waiter = python("""
c, v = Condition(ARGS[0]), Value(ARGS[1], lock=False)
with c:
    print(c.wait_for(lambda: v.value if v.value >= 3 else None))
    print(c.wait_for(lambda: v.value > 100, timeout=0.1))
""", cond.path, number.path)
    for i in range(1, 5):
        with cond:
            number.value = i
            cond.notify_all()
    assert output(waiter)[1] == "False"


def test_the_default_lock_is_recursive_and_all_levels_are_released(ipc, python, output):
    cond = Condition(ipc / "c.cond")
    waiter = python("""
c = Condition(ARGS[0])
with c:
    with c:
        print(c.wait())
    print(c._lock._is_mine())
print(c._lock._is_mine())
""", cond.path)
    waiting(cond, 1)
    assert cond.acquire(timeout=10), "both levels are released"
    cond.notify()
    cond.release()
    assert output(waiter) == ["True", "True", "False"]


# --- Barrier -------------------------------------------------------------------------------

def test_indexes_parties_and_n_waiting(ipc, python, output):
    barrier = Barrier(ipc / "b.barrier", 3)
    assert (barrier.parties, barrier.n_waiting, barrier.broken) == (3, 0, False)
    others = [python("print(Barrier(ARGS[0]).wait())", barrier.path) for _ in range(2)]
    eventually(lambda: barrier.n_waiting == 2, 20, "two wait")
    assert barrier.wait() == 2
    assert sorted(output(other) for other in others) == [["0"], ["1"]]
    assert barrier.n_waiting == 0


BREAKS = """
b = Barrier(ARGS[0], timeout=float(ARGS[1]) if ARGS[1:] else None)
try: print(b.wait())
except BrokenBarrierError: print("broken", b.broken)
"""


def test_a_time_limit_breaks_it_for_everybody(ipc, python, output):
    barrier = Barrier(ipc / "b.barrier", 3)
    patient = python(BREAKS, barrier.path)
    eventually(lambda: barrier.n_waiting == 1, 20, "one waits")
    with pytest.raises(BrokenBarrierError):
        barrier.wait(0.1)
    assert output(patient) == ["broken True"]
    with pytest.raises(BrokenBarrierError):
        barrier.wait()


def test_the_constructors_time_limit_is_the_default(ipc, python, output):
    barrier = Barrier(ipc / "b.barrier", 2)
    assert output(python(BREAKS, barrier.path, 0.1)) == ["broken True"]


def test_abort(ipc, python, output):
    barrier = Barrier(ipc / "b.barrier", 3)
    other = python(BREAKS, barrier.path)
    eventually(lambda: barrier.n_waiting == 1, 20, "one waits")
    barrier.abort()
    assert output(other) == ["broken True"] and barrier.broken


def test_reset_sends_waiters_away_and_makes_it_usable(ipc, python, output):
    barrier = Barrier(ipc / "b.barrier", 2)
    other = python(BREAKS, barrier.path)
    eventually(lambda: barrier.n_waiting == 1, 20, "one waits")
    barrier.reset()
    assert output(other) == ["broken False"]
    other = python(BREAKS, barrier.path)
    eventually(lambda: barrier.n_waiting == 1, 20, "one waits")
    assert barrier.wait() == 1 and output(other) == ["0"]


def test_action_is_called_once_and_its_error_breaks_the_barrier(ipc):
    calls = []
    barrier = Barrier(ipc / "b.barrier", 2, action=lambda: calls.append(1))
    threads = [threading.Thread(target=barrier.wait, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert calls == [1]
    failing = Barrier(ipc / "c.barrier", 1, action=lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        failing.wait()
    assert failing.broken
