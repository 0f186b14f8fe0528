"""sem: permits taken, given and borrowed; bound, undo, scope."""

import errno
import fcntl
import os
import select
import signal

import pytest

from kit import T, eventually, fork, raises, read_all, sh, spawn, unchanged

NB = os.O_NONBLOCK


@pytest.fixture
def s(area):
    return area.make("slots.sem")


def test_a_new_semaphore_has_no_permits(s):
    assert (s.size, s.ctl("value"), s.ctl("bound"), s.ctl("undo")) == (0, "0", "0", "0")
    with unchanged(s), raises(errno.EAGAIN):
        s.take()


@pytest.mark.parametrize("text,count", [(b"3\n", 3), (b"3", 3), (b"\n", 1), (b"1\n", 1), (b"100\n", 100)])
def test_give(s, text, count):
    assert s.put(text) == len(text)
    assert s.size == count
    s.put(text)
    assert s.size == 2 * count


@pytest.mark.parametrize("text", [b"x\n", b"-1\n", b"1.5\n", b"3x\n", b"1 2\n", b"\0", b"9" * 5000])
def test_what_is_no_number(s, text):
    s.put(b"2\n")
    with unchanged(s), raises(errno.EINVAL, errno.ERANGE):
        s.put(text)


@pytest.mark.parametrize("text", [b"x\n", b"-1\n", b"1.5\n"])
def test_what_is_no_number_is_einval(s, text):
    with raises(errno.EINVAL):
        s.put(text)


def test_a_read_takes_one(s):
    s.put(b"2\n")
    assert s.take() == b"1\n"
    assert s.size == 1, "not given back at close: undo is 0"
    assert s.take() == b"1\n"
    with raises(errno.EAGAIN):
        s.take()


def test_one_answer_then_eof_then_ask_again(s):
    s.put(b"3\n")
    fd = s.open()
    assert [os.read(fd, 10), os.read(fd, 10), os.read(fd, 10)] == [b"1\n", b"", b""]
    assert s.size == 2
    os.lseek(fd, 0, os.SEEK_SET)
    assert os.read(fd, 10) == b"1\n"
    assert s.size == 1


def test_a_stream_takes_with_each_read(s):
    s.put(b"3\n")
    fd = s.open(os.O_RDWR)
    assert [os.read(fd, 10) for _ in range(2)] == [b"1\n"] * 2
    assert s.size == 1
    os.write(fd, b"5\n")
    assert s.size == 6


def test_giving_n_wakes_n(s):
    readers = [fork(s.get) for _ in range(5)]
    s.await_waiters(5)
    s.put(b"3\n")
    s.await_waiters(2)
    eventually(lambda: sum(r.finished for r in readers) == 3)
    assert s.size == 0
    s.put(b"2\n")
    assert [r.result() for r in readers] == [b"1\n"] * 5
    assert s.size == 0


def test_bound(s):
    s.set("bound", 3)
    assert s.ctl("bound") == "3"
    s.put(b"2\n")
    with unchanged(s), raises(errno.ERANGE):
        s.put(b"2\n")
    s.put(b"1\n")
    with unchanged(s), raises(errno.ERANGE):
        s.put(b"1\n")
    s.set("bound", 0)
    s.put(b"1\n")
    assert s.size == 4


def test_poll(s):
    fd = s.open()
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    assert poller.poll(0) == []
    s.put(b"1\n")
    assert poller.poll(T(5) * 1000) == [(fd, select.POLLIN)]
    s.take()
    assert poller.poll(0) == []


# --- borrowing -------------------------------------------------------------------------------------

def test_flock_borrows_and_unlock_returns(s):
    s.put(b"2\n")
    fd = s.open()
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert s.size == 1
    holder, = s.holders()
    assert (holder.pid, holder.operation) == (os.getpid(), "flock")
    fcntl.flock(fd, fcntl.LOCK_UN)
    assert (s.size, s.holders()) == (2, [])


def test_unlock_without_a_lock_gives_nothing(s):
    s.put(b"1\n")
    fd = s.open()
    with unchanged(s):
        fcntl.flock(fd, fcntl.LOCK_UN)


def test_close_returns(s):
    s.put(b"1\n")
    fd = s.open()
    fcntl.flock(fd, fcntl.LOCK_EX)
    os.close(fd)
    assert s.size == 1


def test_kill_returns(s):
    s.put(b"1\n")
    holder = fork(lambda: (fcntl.flock(s.open(), fcntl.LOCK_EX), signal.pause()))
    eventually(lambda: s.size == 0)
    holder.kill()
    assert s.size == 1


def test_the_last_holder_of_the_descriptor_counts(s):
    s.put(b"1\n")
    fd = s.open()
    fcntl.flock(fd, fcntl.LOCK_EX)
    keeper = fork(signal.pause, keep=[fd])
    os.close(fd)
    assert s.size == 0
    keeper.kill()
    assert s.size == 1


def test_a_second_flock_on_the_same_handle_changes_nothing(s):
    s.put(b"3\n")
    fd = s.open()
    for how in (fcntl.LOCK_EX, fcntl.LOCK_EX, fcntl.LOCK_SH, fcntl.LOCK_EX | fcntl.LOCK_NB):
        fcntl.flock(fd, how)
        assert s.size == 2
    fcntl.flock(fd, fcntl.LOCK_UN)
    assert s.size == 3


def test_lock_sh_is_as_lock_ex(s):
    s.put(b"1\n")
    a, b = s.open(), s.open()
    fcntl.flock(a, fcntl.LOCK_SH)
    with unchanged(s), raises(errno.EAGAIN):
        fcntl.flock(b, fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_reads_and_flocks_stand_in_one_line(s):
    def borrow():
        fcntl.flock(s.open(), fcntl.LOCK_EX)
        return b"borrowed"

    clients = []
    for i in range(6):
        clients.append(fork(borrow if i % 2 else s.get))
        rows = s.await_waiters(i + 1)
    assert [r.pid for r in rows] == [c.pid for c in clients]
    assert [r.operation for r in rows] == ["read", "flock"] * 3
    s.put(b"1\n")
    assert clients[0].result() == b"1\n"
    assert [r.pid for r in s.waiters()] == [c.pid for c in clients[1:]]
    s.put(b"1\n")  # the borrowers return theirs when they end
    assert clients[1].result() == b"borrowed"
    assert clients[2].result() == b"1\n"
    s.put(b"1\n")
    assert [c.result() for c in clients[3:5]] == [b"borrowed", b"1\n"]
    s.put(b"1\n")
    assert clients[5].result() == b"borrowed"
    eventually(lambda: s.size == 1)


def test_flock_program_as_in_the_readme(area, s):
    s.put(b"2\n")
    done = sh("flock slots.sem cat slots.sem.ctl/value; cat slots.sem.ctl/value", cwd=area.dir)
    assert done.out == "1\n2\n"


# --- undo and scope --------------------------------------------------------------------------------

def test_undo_returns_what_reads_took(s):
    s.set("undo", 1)
    s.put(b"3\n")
    fd = s.open(os.O_RDWR)
    os.read(fd, 10), os.read(fd, 10)
    assert s.size == 1
    assert s.holders()[0].pid == os.getpid()
    os.write(fd, b"1\n")
    assert s.size == 2
    os.close(fd)
    assert s.size == 3, "one was given back before, one by the close"


def test_undo_after_kill(s):
    s.set("undo", 1)
    s.put(b"1\n")
    holder = fork(lambda: (s.get(), os.read(s.open(), 10), signal.pause()))
    eventually(lambda: s.size == 0)
    holder.kill()
    assert s.size == 1


def test_without_undo_a_kill_returns_nothing(s):
    s.put(b"1\n")
    holder = fork(lambda: (os.read(s.open(), 10), signal.pause()))
    eventually(lambda: s.size == 0)
    holder.kill()
    assert s.size == 0


def test_bad_settings(s):
    for name, word in (("undo", "2"), ("undo", "x"), ("scope", "galaxy"), ("bound", "-1"), ("bound", "x")):
        with unchanged(s), raises(errno.EINVAL):
            s.set(name, word)


def test_scope_handle_keeps_for_the_children(s):
    s.put(b"1\n")
    assert s.ctl("scope") == "handle"
    fd = s.open()
    fork(fcntl.flock, fd, fcntl.LOCK_EX, keep=[fd]).result()
    assert s.size == 0, "the taker ended, the handle is still ours"
    os.close(fd)
    assert s.size == 1


def test_scope_process_returns_when_the_taker_ends(s):
    s.set("scope", "process")
    s.put(b"1\n")
    fd = s.open()
    fork(fcntl.flock, fd, fcntl.LOCK_EX, keep=[fd]).result()
    eventually(lambda: s.size == 1, 10, "returned by the taker's end")
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert s.size == 0


def test_scope_process_with_undo(s):
    s.set("scope", "process")
    s.set("undo", 1)
    s.put(b"1\n")
    fd = s.open(os.O_RDWR)
    assert fork(os.read, fd, 10, keep=[fd]).result() == b"1\n"
    eventually(lambda: s.size == 1, 10, "returned by the taker's end")


OPENERS = ["s.sem", "l.lock", "r.rlock"]


def opener_scope(area, name):
    obj = area.make(name, scope="opener")
    if name == "s.sem":
        obj.put(b"1\n")
    return obj


@pytest.mark.parametrize("name", OPENERS)
def test_scope_opener_is_the_shells(area, name):
    """exec 9>x.lock; flock -n 9 || exit; daemon &: the daemon inherits the descriptor."""
    obj = opener_scope(area, name)
    done = sh(f"exec 9>> {name}; flock -n 9 || exit 3; sleep 1000 > /dev/null 2>&1 & "
              f"stat -c %s {name}; echo $!", cwd=area.dir)
    size, daemon = map(int, done.out.split())
    try:
        assert size == 0, "flock(1) has ended, the shell had not"
        eventually(lambda: obj.size == 1, 10, "returned by the shell's end")
        os.kill(daemon, 0)
    finally:
        os.kill(daemon, signal.SIGKILL)


@pytest.mark.parametrize("name", OPENERS)
def test_scope_opener_with_a_killed_opener(area, name):
    obj = opener_scope(area, name)
    if name == "s.sem":
        obj.set("undo", 1)
    opener = spawn(["bash", "-c", f"exec 9<> {name}; read -r _ <&9; sleep 1000 & "
                    "echo $! > pid.value; wait"], cwd=area.dir)
    daemon = int(eventually(lambda: os.path.exists(area.path("pid.value")) and
                            read_all(area.path("pid.value")).strip(), 10))
    assert obj.size == 0
    opener.kill()
    eventually(lambda: obj.size == 1, 10, "returned by the opener's death")
    os.kill(daemon, signal.SIGKILL)


def test_scope_opener_outlives_a_restart(mount):
    obj = opener_scope(mount, "l.lock")
    child = spawn(["bash", "-c", "exec 9> l.lock; flock 9; sleep 1000 & echo $! > pid.value; wait"],
                  cwd=mount.dir)
    daemon = int(eventually(lambda: os.path.exists(mount.path("pid.value")) and
                            read_all(mount.path("pid.value")).strip(), 10))
    os.kill(mount.worker(), signal.SIGKILL)
    assert obj.size == 0
    child.kill()
    eventually(lambda: obj.size == 1, 10, "returned by the opener's death")
    os.kill(daemon, signal.SIGKILL)


def test_scope_opener_gone_already(s):
    """Whoever takes stands for an opener that has ended."""
    s.set("scope", "opener")
    s.put(b"1\n")
    read, write = os.pipe()
    taken, tell = os.pipe()
    child = fork(_opens_and_leaves, s.path, read, tell, keep=[read, tell])
    grandchild = child.result()
    os.write(write, b"x")
    assert os.read(taken, 1) == b"y"
    assert s.size == 0
    assert s.holders()[0].pid == grandchild
    os.kill(grandchild, signal.SIGKILL)
    eventually(lambda: s.size == 1, 10, "returned by the taker's end")


def _opens_and_leaves(path, read, tell):
    fd = os.open(path, os.O_RDWR)
    pid = os.fork()
    if pid:
        return pid
    os.read(read, 1)
    fcntl.flock(fd, fcntl.LOCK_EX)
    os.write(tell, b"y")
    while True:
        signal.pause()


def test_scope_opener_of_one_who_waited(area):
    """The opener ends while its child still stands in line: the child's permit returns at once."""
    obj = opener_scope(area, "s.sem")
    holder = obj.open()
    fcntl.flock(holder, fcntl.LOCK_EX)
    opener = spawn(["bash", "-c", "exec 9<> s.sem; (flock 9; exec sleep 1000) & wait"], cwd=area.dir)
    obj.await_waiters(1)
    opener.kill()
    os.close(holder)
    eventually(lambda: obj.size == 1 and not obj.waiters(), 10, "nobody has it")


def test_limits(s):
    with unchanged(s), raises(errno.ETIMEDOUT):
        read_all(s.at(0.05))
    with unchanged(s), raises(errno.EAGAIN):
        read_all(s.at(0))
    fd = s.open(limit=0.05)
    with unchanged(s), raises(errno.ETIMEDOUT):
        fcntl.flock(fd, fcntl.LOCK_EX)
