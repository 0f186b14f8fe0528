"""mpfs.Queue, JoinableQueue, SimpleQueue against Python 3.11's documentation."""
import time

import pytest

from kit import eventually
from mpfs import Empty, Full, JoinableQueue, Queue, SimpleQueue

THINGS = [None, 0, "text\nwith\0 newline\n", b"\n\xff", [1, {"two": (3.0,)}]]


@pytest.fixture(params=[SimpleQueue, Queue, JoinableQueue])
def any_queue(request, ipc):
    return request.param(ipc / "x.queue")


def test_any_picklable_object_arrives_in_order(any_queue, python, output):
    reader = python("""
q = SimpleQueue(ARGS[0])
print([q.get() for _ in range(5)] == eval(ARGS[1]))
""", any_queue.path, repr(THINGS))
    for thing in THINGS:
        any_queue.put(thing)
    assert output(reader) == ["True"]
    assert any_queue.empty()


def test_a_large_object(any_queue):
    any_queue.put("x" * 200_000)
    assert any_queue.get() == "x" * 200_000


def test_get_waits_for_a_put_of_another_process(any_queue, python, output):
    reader = python("print(SimpleQueue(ARGS[0]).get())", any_queue.path)
    eventually(lambda: any_queue.ctl("waiters"), 20, "a reader waits")
    assert output(python("SimpleQueue(ARGS[0]).put('hello')", any_queue.path)) == []
    assert output(reader) == ["hello"]


def test_each_object_goes_to_one_reader(any_queue, python, output):
    readers = [python("""
q = SimpleQueue(ARGS[0])
for item in iter(q.get, None): print(item)
""", any_queue.path) for _ in range(3)]
    for i in range(60):
        any_queue.put(i)
    for _ in readers:
        any_queue.put(None)
    got = [[int(line) for line in output(reader)] for reader in readers]
    assert sorted(sum(got, [])) == list(range(60))
    assert all(items == sorted(items) for items in got), "each reader sees them in order"


def test_empty(any_queue):
    assert any_queue.empty()
    any_queue.put(1)
    assert not any_queue.empty()


# --- Queue ---------------------------------------------------------------------------------

def test_nothing_to_get_is_empty(ipc):
    queue = Queue(ipc / "x.queue")
    for call in (queue.get_nowait, lambda: queue.get(False), lambda: queue.get(timeout=0.05),
                 lambda: queue.get(block=False, timeout=10)):
        with pytest.raises(Empty):
            call()


def test_no_room_to_put_is_full(ipc):
    queue = Queue(ipc / "x.queue", 2)
    queue.put(1), queue.put(2)
    for call in (queue.put_nowait, lambda x: queue.put(x, False),
                 lambda x: queue.put(x, timeout=0.05)):
        with pytest.raises(Full):
            call(3)
    assert queue.full() and queue.qsize() == 2
    assert [queue.get(), queue.get()] == [1, 2]
    assert not queue.full()


def test_time_limits_are_waited_for_and_not_longer_than_needed(ipc, python):
    queue = Queue(ipc / "x.queue", 1)
    start = time.monotonic()
    with pytest.raises(Empty):
        queue.get(timeout=0.2)
    assert time.monotonic() - start >= 0.2
    queue.put(0)
    start = time.monotonic()
    with pytest.raises(Full):
        queue.put(1, timeout=0.2)
    assert time.monotonic() - start >= 0.2
    python("Queue(ARGS[0]).get()", queue.path)
    queue.put(2, timeout=20)
    assert queue.get() == 2


def test_put_waits_for_room(ipc, python, output):
    queue = Queue(ipc / "x.queue", 1)
    queue.put("first")
    writer = python("Queue(ARGS[0]).put('second')", queue.path)
    eventually(lambda: queue.ctl("waiters"), 20, "a writer waits")
    assert queue.qsize() == 1
    assert queue.get() == "first" and queue.get() == "second"
    assert output(writer) == []


def test_maxsize_0_has_no_limit(ipc):
    queue = Queue(ipc / "x.queue")
    for i in range(1000):
        queue.put_nowait(i)
    assert queue.qsize() == 1000 and not queue.full()


def test_after_close_this_process_puts_and_gets_nothing_but_others_do(ipc, python, output):
    queue = Queue(ipc / "x.queue")
    queue.put("left")
    queue.close()
    for call in (lambda: queue.put(1), queue.get):
        with pytest.raises(ValueError):
            call()
    assert output(python("print(Queue(ARGS[0]).get())", queue.path)) == ["left"]


def test_objects_survive_the_process_that_put_them(ipc, python, output):
    assert output(python("Queue(ARGS[0]).put('testament')", ipc / "x.queue")) == []
    assert Queue(ipc / "x.queue").get(timeout=10) == "testament"


def test_shutdown_gives_the_rest_and_then_the_end_to_all(ipc, python, output):
    queue = Queue(ipc / "x.queue")
    readers = [python("""
q = Queue(ARGS[0])
try:
    while True: print(q.get())
except EOFError: print("end")
""", queue.path) for _ in range(3)]
    eventually(lambda: len(queue.ctl("waiters").splitlines()) == 3, 20, "three wait")
    queue.put("one")
    queue.shutdown()
    assert sorted(sum((output(reader) for reader in readers), [])) == ["end"] * 3 + ["one"]
    with pytest.raises(BrokenPipeError):
        queue.put("late")


# --- JoinableQueue -------------------------------------------------------------------------

def test_join_waits_until_every_item_is_done(ipc, python, output):
    queue = JoinableQueue(ipc / "x.queue")
    for i in range(3):
        queue.put(i)
    joiner = python("JoinableQueue(ARGS[0]).join(); print('joined')", queue.path)
    for _ in range(3):
        queue.get()
    eventually(lambda: queue.ctl("waiters"), 20, "it waits in join")
    queue.task_done(), queue.task_done()
    assert joiner.poll() is None and queue.ctl("unfinished") == "1"
    queue.task_done()
    assert output(joiner) == ["joined"]


def test_join_of_an_empty_queue_returns_at_once(ipc):
    JoinableQueue(ipc / "x.queue").join()


def test_task_done_too_often_is_a_value_error(ipc):
    queue = JoinableQueue(ipc / "x.queue")
    with pytest.raises(ValueError):
        queue.task_done()
    queue.put(1)
    queue.task_done()
    with pytest.raises(ValueError):
        queue.task_done()
    queue.join()


def test_put_after_join_counts_anew(ipc):
    queue = JoinableQueue(ipc / "x.queue")
    for _ in range(2):
        queue.put(1), queue.get(), queue.task_done(), queue.join()
    assert queue.ctl("unfinished") == "0"
