"""mpfs.Value and Array against Python 3.11's documentation, in unrelated processes."""
import pytest

from mpfs import Array, Lock, RLock, Value


# --- Value ---------------------------------------------------------------------------------

@pytest.mark.parametrize("code, first, second", [
    ("i", 7, -9), ("d", 0.1, -2.5e300), ("f", 0.5, 3.0), ("B", 255, 0), ("q", -2**63, 2**63 - 1),
    ("c", b"A", b"z")])
def test_a_value_is_shared(ipc, python, output, code, first, second):
    value = Value(ipc / "v.value", code, first)
    assert value.value == first and type(value.value) is type(first)
    assert output(python("v = Value(ARGS[0]); print(v.value); v.value = eval(ARGS[1])",
                         value.path, repr(second))) == [str(first)]
    assert value.value == second


def test_it_starts_at_0(ipc):
    assert Value(ipc / "v.value", "i").value == 0


def test_out_of_range_is_an_error_and_changes_nothing(ipc):
    value = Value(ipc / "v.value", "h", 5)
    with pytest.raises(OSError):
        value.value = 1 << 15
    assert value.value == 5


def test_its_default_lock_is_recursive(ipc):
    value = Value(ipc / "v.value", "i", 0)
    assert isinstance(value.get_lock(), RLock)
    with value.get_lock(), value.get_lock():
        value.value += 1
    assert value.value == 1


def test_it_takes_a_lock_or_none(ipc):
    lock = Lock(ipc / "m.lock")
    assert Value(ipc / "a.value", "i", lock=lock).get_lock() is lock
    assert Value(ipc / "b.value", "i", lock=False).get_lock() is None


ADD = """
v = Value(ARGS[0])
for _ in range(100):
    with v.get_lock():
        v.value += 1
"""


def test_plus_equals_is_not_atomic_but_is_so_under_its_lock(ipc, python, output):
    value = Value(ipc / "v.value", "i", 0)
    for worker in [python(ADD, value.path) for _ in range(4)]:
        assert output(worker) == []
    assert value.value == 400


def test_add_is_atomic_without_a_lock_and_gives_each_its_own(ipc, python, output):
    value = Value(ipc / "v.value", "i", 0)
    workers = [python("v = Value(ARGS[0])\nfor _ in range(200): print(v.add(1))", value.path)
               for _ in range(3)]
    tickets = sum(([int(line) for line in output(worker)] for worker in workers), [])
    assert sorted(tickets) == list(range(1, 601))


def test_its_lock_is_free_when_the_holder_dies(ipc, python):
    value = Value(ipc / "v.value", "i", 0)
    holder = python("""
v = Value(ARGS[0])
v.get_lock().acquire(); print("held", flush=True); Event(ARGS[1]).wait()
""", value.path, ipc / "never.event")
    assert holder.stdout.readline() == "held\n"
    assert not value.get_lock().acquire(timeout=0.05)
    holder.kill()
    assert value.get_lock().acquire(timeout=20)


# --- Array ---------------------------------------------------------------------------------

@pytest.mark.parametrize("code, items", [("i", [1, -2, 3]), ("d", [0.1, 2.5]), ("B", [0, 255]),
                                         ("h", [-32768, 32767])])
def test_an_array_is_shared(ipc, python, output, code, items):
    shared = Array(ipc / "a.array", code, items)
    assert shared[:] == items and len(shared) == len(items)
    assert output(python("""
a = Array(ARGS[0])
print(a[:])
for i in range(len(a)): a[i] = a[i] / 2 if ARGS[1] == "d" else 7
""", shared.path, code)) == [str(items)]
    assert shared[:] == ([item / 2 for item in items] if code == "d" else [7] * len(items))


def test_a_size_makes_it_zeroed(ipc):
    assert Array(ipc / "a.array", "i", 10)[:] == [0] * 10


def test_indexes_and_slices(ipc):
    shared = Array(ipc / "a.array", "i", range(10))
    assert shared[-1] == 9 and shared[2:5] == [2, 3, 4] and shared[::-3] == [9, 6, 3, 0]
    shared[2:4] = [20, 30]
    shared[-1] = 90
    assert shared[:] == [0, 1, 20, 30, 4, 5, 6, 7, 8, 90]
    for index in (10, -11):
        with pytest.raises(IndexError):
            shared[index]
        with pytest.raises(IndexError):
            shared[index] = 1


def test_its_lock_keeps_updates_apart(ipc, python, output):
    shared = Array(ipc / "a.array", "q", 3)
    workers = [python("""
a = Array(ARGS[0])
for _ in range(30):
    with a.get_lock():
        for i in range(3): a[i] += 1
""", shared.path) for _ in range(3)]
    for worker in workers:
        assert output(worker) == []
    assert shared[:] == [90, 90, 90]
