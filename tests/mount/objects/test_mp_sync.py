"""mpfs.Lock, RLock, Semaphore, BoundedSemaphore, Event against Python 3.11's documentation,
used by processes that were started by hand and share nothing but a path."""
import threading
import time

import pytest

from kit import eventually
from mpfs import BoundedSemaphore, Event, Lock, RLock, Semaphore

PERMITS = [(Lock, "x.lock"), (RLock, "x.rlock"), (Semaphore, "x.sem"),
           (BoundedSemaphore, "x.sem")]


def other_thread(function):
    """What the function gives or raises in a thread of its own."""
    box = []

    def run():
        try:
            box.append(("returned", function()))
        except Exception as error:  # handed to the caller's assert
            box.append(("raised", type(error)))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(20)
    return box[0]


# --- acquire: all four kinds ---------------------------------------------------------------

@pytest.mark.parametrize("kind, name", PERMITS)
def test_acquire_returns_true_and_excludes_other_processes(ipc, python, output, kind, name):
    mine = kind(ipc / name)
    assert mine.acquire() is True
    theirs = python(f"""
x = {kind.__name__}(ARGS[0])
print(x.acquire(block=False), x.acquire(False, 10), x.acquire(timeout=0), x.acquire(timeout=-1))
start = time.monotonic()
print(x.acquire(timeout=0.2), time.monotonic() - start >= 0.2)
print("waiting", flush=True)
print(x.acquire())
x.release()
""", ipc / name)
    assert [theirs.stdout.readline() for _ in range(3)] == [
        "False False False False\n", "False True\n", "waiting\n"]
    eventually(lambda: mine.ctl("waiters"), 10, "the other process waits")
    mine.release()
    assert output(theirs) == ["True"]


@pytest.mark.parametrize("kind, name", PERMITS)
def test_context_manager(ipc, kind, name):
    x = kind(ipc / name)
    with x:
        assert other_thread(lambda: kind(ipc / name).acquire(False)) == ("returned", False)
    assert other_thread(lambda: kind(ipc / name).acquire(False)) == ("returned", True)


@pytest.mark.parametrize("kind, name", PERMITS)
def test_context_manager_releases_on_an_exception(ipc, kind, name):
    x = kind(ipc / name)
    with pytest.raises(KeyError), x:
        raise KeyError
    assert x.acquire(False)


@pytest.mark.parametrize("kind, name", [(Lock, "x.lock"), (BoundedSemaphore, "x.sem")])
def test_too_many_releases_are_a_value_error(ipc, kind, name):
    x = kind(ipc / name)
    with pytest.raises(ValueError):
        x.release()
    assert x.acquire() and not x.acquire(False), "the refused release changed nothing"


# --- Lock ----------------------------------------------------------------------------------

def test_a_lock_is_not_recursive(ipc):
    lock = Lock(ipc / "x.lock")
    assert lock.acquire() and not lock.acquire(False) and not lock.acquire(timeout=0.05)


def test_a_lock_may_be_released_by_another_process_or_thread(ipc, python, output):
    lock = Lock(ipc / "x.lock")
    lock.acquire()
    assert output(python("Lock(ARGS[0]).release()", ipc / "x.lock")) == []
    assert lock.acquire(False)
    assert other_thread(lock.release) == ("returned", None)
    assert lock.acquire(False)


# --- RLock ---------------------------------------------------------------------------------

def test_an_rlock_is_recursive_and_free_at_the_outermost_release(ipc, python, output):
    rlock = RLock(ipc / "x.rlock")
    for _ in range(3):
        assert rlock.acquire()
    for _ in range(2):
        rlock.release()
    attempt = "x = RLock(ARGS[0]); print(x.acquire(False))"
    assert output(python(attempt, ipc / "x.rlock")) == ["False"]
    rlock.release()
    assert output(python(attempt, ipc / "x.rlock")) == ["True"]


def test_an_rlock_is_its_owners(ipc, python, output):
    rlock = RLock(ipc / "x.rlock")
    with pytest.raises(AssertionError):
        rlock.release()
    rlock.acquire()
    attempt = """
try: RLock(ARGS[0]).release()
except AssertionError: print("AssertionError")
"""
    assert output(python(attempt, ipc / "x.rlock")) == ["AssertionError"]
    assert other_thread(rlock.release) == ("raised", AssertionError)
    assert other_thread(lambda: rlock.acquire(False)) == ("returned", False)
    rlock.release()
    with pytest.raises(AssertionError):
        rlock.release()


# --- semaphores ----------------------------------------------------------------------------

def test_a_semaphore_counts(ipc):
    sem = Semaphore(ipc / "x.sem", 3)
    assert [sem.acquire(False) for _ in range(4)] == [True, True, True, False]
    assert sem.get_value() == 0
    sem.release(), sem.release()
    assert sem.get_value() == 2


def test_a_semaphore_may_grow_beyond_its_first_value(ipc):
    sem = Semaphore(ipc / "x.sem", 1)
    sem.release()
    assert sem.get_value() == 2


def test_a_bounded_semaphore_may_not(ipc):
    sem = BoundedSemaphore(ipc / "x.sem", 2)
    with pytest.raises(ValueError):
        sem.release()
    sem.acquire(), sem.release()
    with pytest.raises(ValueError):
        sem.release()
    assert sem.get_value() == 2


def test_a_semaphore_starts_at_0_and_not_below(ipc):
    assert not Semaphore(ipc / "x.sem", 0).acquire(False)
    with pytest.raises(ValueError):
        Semaphore(ipc / "y.sem", -1)


def test_only_who_creates_it_sets_the_value(ipc):
    Semaphore(ipc / "x.sem", 2)
    assert Semaphore(ipc / "x.sem", 5).get_value() == 2


# --- Event ---------------------------------------------------------------------------------

def test_an_event_wakes_all_who_wait(ipc, python, output):
    event = Event(ipc / "x.event")
    waiters = [python("print(Event(ARGS[0]).wait())", ipc / "x.event") for _ in range(3)]
    eventually(lambda: len(event.ctl("waiters").splitlines()) == 3, 20, "three wait")
    assert not event.is_set()
    event.set()
    assert [output(waiter) for waiter in waiters] == [["True"]] * 3


def test_an_event_stays_set_until_cleared(ipc):
    event = Event(ipc / "x.event")
    event.set(), event.set()
    assert event.is_set() and event.wait() and event.wait(0)
    event.clear(), event.clear()
    assert not event.is_set() and event.wait(0) is False


def test_an_event_wait_with_a_time_limit(ipc):
    event = Event(ipc / "x.event")
    start = time.monotonic()
    assert event.wait(0.2) is False
    assert time.monotonic() - start >= 0.2
    event.set()
    assert event.wait(0.2) is True
