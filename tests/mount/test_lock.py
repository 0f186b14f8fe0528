"""lock: flock, reading and writing it; shared locks; fcntl locks are refused."""

import errno
import fcntl
import os
import select
import signal
import struct
import threading

import pytest

from kit import T, eventually, fork, raises, read_all, run, sh, spawn, unchanged

NB = os.O_NONBLOCK
EX, SH, UN = fcntl.LOCK_EX, fcntl.LOCK_SH, fcntl.LOCK_UN
TRY = fcntl.LOCK_NB


@pytest.fixture
def lock(area):
    return area.make("l.lock")


def locked(obj, how):
    """A client that takes the lock and keeps it."""
    child = fork(lambda: (fcntl.flock(obj.open(), how), signal.pause()))
    eventually(lambda: child.pid in [h.pid for h in obj.holders()])
    return child


def test_a_new_lock_is_free(lock):
    assert (lock.size, lock.ctl("value"), lock.ctl("bound"), lock.ctl("undo")) == (1, "1", "1", "1")


def test_read_acquires_write_releases(lock):
    fd = lock.open(os.O_RDWR | NB)
    assert os.read(fd, 10) == b"1\n"
    assert lock.size == 0
    with unchanged(lock), raises(errno.EAGAIN):
        os.read(fd, 10)
    os.write(fd, b"1\n")
    assert lock.size == 1


def test_release_through_another_handle(lock):
    fd = lock.open()
    os.read(fd, 10)
    lock.put(b"\n")
    assert (lock.size, lock.holders()) == (1, [])
    os.close(fd)
    assert lock.size == 1, "the close has nothing left to return"


def test_release_of_a_free_lock(lock):
    for text in (b"1\n", b"\n", b"2\n"):
        with unchanged(lock), raises(errno.ERANGE):
            lock.put(text)


def test_what_is_no_number(lock):
    fd = lock.open()
    os.read(fd, 10)
    for text in (b"x\n", b"-1\n", b"1.0\n"):
        with unchanged(lock), raises(errno.EINVAL):
            lock.put(text)


def test_a_killed_reader_returns_it(lock):
    holder = fork(lambda: (os.read(lock.open(), 10), signal.pause()))
    eventually(lambda: lock.size == 0)
    holder.kill()
    assert lock.size == 1


def test_with_undo_off_it_stays_taken(lock):
    lock.set("undo", 0)
    assert read_all(lock.path) == b"1\n"
    assert lock.size == 0
    lock.put(b"1\n")
    assert lock.size == 1


def test_reading_hands_over(lock):
    fd = lock.open(os.O_RDWR)
    os.read(fd, 10)
    other = fork(lambda: (lock.get(), lock.size))
    row, = lock.await_waiters(1)
    assert row.operation == "read"
    os.write(fd, b"1\n")
    assert other.result() == (b"1\n", 1), "its close has returned the lock"


# --- flock -----------------------------------------------------------------------------------------

def test_flock_and_unlock(lock):
    fd = lock.open()
    fcntl.flock(fd, EX)
    assert (lock.size, [(h.pid, h.operation) for h in lock.holders()]) == (0, [(os.getpid(), "flock")])
    fcntl.flock(fd, UN)
    assert (lock.size, lock.holders()) == (1, [])


def test_flock_excludes(lock):
    holder = locked(lock, EX)
    fd = lock.open()
    for how in (EX | TRY, SH | TRY):
        with unchanged(lock), raises(errno.EAGAIN):
            fcntl.flock(fd, how)
    waiter = fork(lambda: fcntl.flock(lock.open(), EX))
    row, = lock.await_waiters(1)
    assert (row.pid, row.operation) == (waiter.pid, "flock")
    holder.kill()
    waiter.result()
    fcntl.flock(fd, EX | TRY)


def test_flock_and_read_are_the_same_lock(lock):
    fd, other = lock.open(os.O_RDWR), lock.open(os.O_RDONLY | NB)
    fcntl.flock(fd, EX)
    with unchanged(lock), raises(errno.EAGAIN):
        os.read(other, 10)
    fcntl.flock(fd, UN)
    assert os.read(other, 10) == b"1\n"
    with unchanged(lock), raises(errno.EAGAIN):
        fcntl.flock(fd, EX | TRY)


def test_a_second_flock_changes_nothing(lock):
    fd = lock.open()
    fcntl.flock(fd, EX)
    with unchanged(lock):
        fcntl.flock(fd, EX)
        fcntl.flock(fd, EX | TRY)
    fcntl.flock(fd, UN)
    assert lock.size == 1
    with unchanged(lock):
        fcntl.flock(fd, UN)


def test_children_share_a_borrowed_lock(lock):
    fd = lock.open()
    fcntl.flock(fd, EX)
    child = fork(lambda: (fcntl.flock(fd, EX | TRY), signal.pause()), keep=[fd])
    os.close(fd)
    assert lock.size == 0
    child.kill()
    assert lock.size == 1


def test_a_child_may_unlock_for_all(lock):
    fd = lock.open()
    fcntl.flock(fd, EX)
    fork(fcntl.flock, fd, UN, keep=[fd]).result()
    assert lock.size == 1


def test_shared_locks(lock):
    a, b, c = lock.open(), lock.open(), lock.open()
    fcntl.flock(a, SH)
    fcntl.flock(b, SH | TRY)
    assert len(lock.holders()) == 2
    assert lock.size == 0
    with unchanged(lock), raises(errno.EAGAIN):
        fcntl.flock(c, EX | TRY)
    fcntl.flock(a, UN)
    with unchanged(lock), raises(errno.EAGAIN):
        fcntl.flock(c, EX | TRY)
    fcntl.flock(b, UN)
    fcntl.flock(c, EX | TRY)
    assert lock.size == 0


def test_shared_holders_are_named(lock):
    holder = locked(lock, SH)
    assert [(h.pid, h.operation) for h in lock.holders()] == [(holder.pid, "flock-shared")]


def test_arrival_order_of_readers_and_writers(lock):
    first = locked(lock, SH)
    writer = fork(lambda: (fcntl.flock(lock.open(), EX), signal.pause()))
    lock.await_waiters(1)
    late = fork(lambda: (fcntl.flock(lock.open(), SH), signal.pause()))
    rows = lock.await_waiters(2)
    assert [(r.pid, r.operation) for r in rows] == [(writer.pid, "flock"), (late.pid, "flock-shared")]
    fd = lock.open()
    with raises(errno.EAGAIN):
        fcntl.flock(fd, SH | TRY)  # the writer in line comes first
    first.kill()
    eventually(lambda: [h.pid for h in lock.holders()] == [writer.pid])
    assert [r.pid for r in lock.waiters()] == [late.pid]
    writer.kill()
    eventually(lambda: [h.pid for h in lock.holders()] == [late.pid])
    fcntl.flock(fd, SH | TRY)


def test_waiting_readers_are_let_in_together(lock):
    holder = locked(lock, EX)
    readers = [fork(lambda: (fcntl.flock(lock.open(), SH), signal.pause())) for _ in range(3)]
    lock.await_waiters(3)
    holder.kill()
    eventually(lambda: {h.pid for h in lock.holders()} == {r.pid for r in readers})


def test_conversion_down(lock):
    a, b = lock.open(), lock.open()
    fcntl.flock(a, EX)
    reader = fork(fcntl.flock, b, SH, keep=[b])
    lock.await_waiters(1)
    fcntl.flock(a, SH)
    reader.result()
    assert len(lock.holders()) == 2


def test_conversion_up(lock):
    a, b = lock.open(), lock.open()
    fcntl.flock(a, SH)
    fcntl.flock(a, EX | TRY)
    with raises(errno.EAGAIN):
        fcntl.flock(b, SH | TRY)
    fcntl.flock(a, SH)
    fcntl.flock(b, SH | TRY)
    upgrade = fork(fcntl.flock, a, EX, keep=[a])
    lock.await_waiters(1)
    fcntl.flock(b, UN)
    upgrade.result()
    with raises(errno.EAGAIN):
        fcntl.flock(b, SH | TRY)


def test_what_a_closed_handle_held_is_free_at_once(lock):
    """RELEASE comes asynchronously; nobody may notice."""
    for _ in range(200):
        fd = lock.open()
        fcntl.flock(fd, EX | TRY)
        os.close(fd)
        fd = lock.open(os.O_RDONLY | NB)
        assert os.read(fd, 10) == b"1\n"
        os.close(fd)


def test_what_a_killed_process_held_is_free_at_once(lock):
    for _ in range(20):
        holder = fork(lambda: (fcntl.flock(lock.open(), EX | TRY), signal.pause()))
        eventually(lambda: lock.size == 0)
        holder.kill()
        fd = lock.open()
        fcntl.flock(fd, EX | TRY)
        os.close(fd)


def test_mutual_exclusion(area, lock, tmp_path):
    path = tmp_path / "counter"
    path.write_text("0")

    def work(reading):
        for _ in range(100):
            fd = lock.open(os.O_RDWR)
            os.read(fd, 10) if reading else fcntl.flock(fd, EX)
            path.write_text(str(int(path.read_text()) + 1))
            os.write(fd, b"1\n") if reading else fcntl.flock(fd, UN)
            os.close(fd)

    clients = [fork(work, bool(i % 2)) for i in range(4)]
    for client in clients:
        client.result(60)
    assert path.read_text() == "400"
    assert lock.size == 1


# --- flock(1) --------------------------------------------------------------------------------------

def test_flock_program(area, lock):
    assert sh("flock l.lock cat l.lock.ctl/value", cwd=area.dir).out == "0\n"
    assert lock.size == 1


def test_flock_program_that_gives_up(area, lock):
    locked(lock, EX)
    assert run(["flock", "-n", lock.path, "true"]).code == 1
    assert run(["flock", "-w", "0.1", lock.path, "true"]).code == 1
    assert run(["flock", "-n", "-s", lock.path, "true"]).code == 1
    lock.await_waiters(0)


def test_flock_program_killed(lock):
    program = spawn(["flock", "--no-fork", lock.path, "sleep", "100"])
    eventually(lambda: lock.size == 0)
    holder, = lock.holders()
    assert holder.pid == program.pid
    assert "flock" in holder.command or "sleep" in holder.command
    program.kill()
    assert lock.size == 1


def test_flock_in_a_shell_with_a_descriptor(area, lock):
    script = "(flock 9; cat l.lock.ctl/value) 9< l.lock; cat l.lock.ctl/value"
    assert sh(script, cwd=area.dir).out == "0\n1\n"


# --- poll and fcntl --------------------------------------------------------------------------------

def test_poll_in_when_free_out_when_held(lock):
    fd = lock.open(os.O_RDWR)
    poller = select.poll()
    poller.register(fd, select.POLLIN | select.POLLOUT)
    assert poller.poll(0) == [(fd, select.POLLIN)]
    other = lock.open()
    fcntl.flock(other, EX)
    assert poller.poll(T(5) * 1000) == [(fd, select.POLLOUT)]
    os.close(other)
    assert poller.poll(T(5) * 1000) == [(fd, select.POLLIN)]


FLOCK = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
F_OFD_SETLK = 37


@pytest.mark.parametrize("name", ["q.queue", "p.pipe", "e.event", "s.sem", "l.lock"])
@pytest.mark.parametrize("command", [fcntl.F_SETLK, fcntl.F_SETLKW, fcntl.F_GETLK, F_OFD_SETLK])
def test_fcntl_locks_are_refused(area, name, command):
    obj = area.make(name)
    fd = obj.open(os.O_RDWR)
    with unchanged(obj), raises(errno.EOPNOTSUPP):
        fcntl.fcntl(fd, command, FLOCK)


def test_lockf_is_refused(lock):
    fd = lock.open(os.O_RDWR)
    with unchanged(lock), raises(errno.EOPNOTSUPP):
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("name", ["q.queue", "p.pipe", "e.event"])
@pytest.mark.parametrize("how", [EX, SH, EX | TRY])
def test_flock_of_what_is_no_lock(area, name, how):
    obj = area.make(name)
    fd = obj.open()
    with unchanged(obj), raises(errno.EOPNOTSUPP):
        fcntl.flock(fd, how)


def test_flock_with_a_time_limit(lock):
    holder = locked(lock, EX)
    fd = lock.open(limit=0.05)
    with unchanged(lock), raises(errno.ETIMEDOUT):
        fcntl.flock(fd, EX)
    now = lock.open(limit=0)
    with unchanged(lock), raises(errno.EAGAIN):
        fcntl.flock(now, EX)
    holder.kill()
    fcntl.flock(now, EX)


def test_threads_wait_on_their_own_handles(lock):
    order = []

    def work(n):
        fd = lock.open()
        fcntl.flock(fd, EX)
        order.append(n)
        os.close(fd)

    holder = locked(lock, EX)
    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(8)]
    for i, thread in enumerate(threads):
        thread.start()
        lock.await_waiters(i + 1)
    holder.kill()
    for thread in threads:
        thread.join(T(20))
    assert order == list(range(8))
