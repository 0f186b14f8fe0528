"""The numbers that the project is judged by: a thousand waiters, many writers, a million lines."""

import ctypes
import errno
import fcntl
import os
import resource
import select
import signal
import struct
import time

import pytest

from kit import INSTRUMENTED, T, eventually, fork, raises, read_all, run, sh, spawn, unchanged
from kit.proc import die_with_parent, state_of, wait_exit

THOUSAND = 1000


class Crowd:
    """Many processes, each of which runs fn once; results come through one pipe."""

    def __init__(self, count, fn):
        self.receive, send = os.pipe()
        self.pids = []
        for index in range(count):
            pid = os.fork()
            if pid == 0:
                die_with_parent()
                try:
                    os.write(send, struct.pack("=i64s", index, fn()))
                finally:
                    os._exit(0)
            self.pids.append(pid)
        os.close(send)

    def next(self):
        """(index, what fn returned) of the next that finishes."""
        ready = select.select([self.receive], [], [], T(30))[0]
        assert ready, "nobody finished"
        index, data = struct.unpack("=i64s", os.read(self.receive, 68))
        return index, data.rstrip(b"\0")


@pytest.mark.limit(180)
def test_a_thousand_waiting_readers(mount):
    q = mount.make("q.queue")
    [fork(q.get) for _ in range(20)]
    q.await_waiters(20)
    q.set("cancel", "all")
    threads, memory = mount.threads(), mount.memory()

    crowd = Crowd(THOUSAND, q.get)
    rows = q.await_waiters(THOUSAND, 60)
    assert mount.threads() == threads, "waiting costs no thread"
    if not INSTRUMENTED:
        each = (mount.memory() - memory) / THOUSAND
        assert each < 4096, f"{each:.0f} bytes for each waiter"

    begin = time.monotonic()
    assert run(["ls", "-l", mount.dir], timeout=5).code == 0
    other = mount.make("other.queue")
    other.put(b"x\n")
    assert other.take() == b"x\n"
    assert time.monotonic() - begin < T(2), "they hold up nobody"

    by_pid = {pid: index for index, pid in enumerate(crowd.pids)}
    order = [by_pid[row.pid] for row in rows]
    q.put(b"first\n")
    assert crowd.next() == (order[0], b"first\n"), "one put wakes the first in line"
    assert len(q.waiters()) == THOUSAND - 1

    for index in order[1::2]:
        os.kill(crowd.pids[index], 9)
    for index in order[1::2]:
        assert wait_exit(crowd.pids[index], T(20)) is not None, "killed at once"
    left = order[2::2]
    rows = q.await_waiters(len(left), 30)
    assert [by_pid[row.pid] for row in rows] == left, "the others keep their places"
    for i, index in enumerate(left):
        q.put(b"%d\n" % i)
        assert crowd.next() == (index, b"%d\n" % i)
    assert (q.size, q.waiters()) == (0, [])
    assert mount.threads() == threads


@pytest.mark.limit(180)
def test_a_thousand_waiting_writers(mount):
    q = mount.make("q.queue", maxsize=1)
    q.put(b"0\n")
    threads = mount.threads()

    def write():
        q.put(b"%d\n" % os.getpid())
        return b"done"

    crowd = Crowd(THOUSAND, write)
    rows = q.await_waiters(THOUSAND, 60)
    assert mount.threads() == threads
    assert all(state_of(pid) == "S" for pid in crowd.pids), "no writer in D state"
    for pid in crowd.pids[::2]:
        os.kill(pid, 9)
    for pid in crowd.pids[::2]:
        assert wait_exit(pid, T(20)) is not None
    killed = set(crowd.pids[::2])
    q.await_waiters(THOUSAND // 2, 30)
    fd = q.open()
    got = [int(os.read(fd, 100)) for _ in range(THOUSAND // 2 + 1)]
    assert got == [0] + [row.pid for row in rows if row.pid not in killed]
    q.await_waiters(0)
    assert q.size == 0


def test_one_event_for_a_thousand(mount):
    e = mount.make("e.event")
    crowd = Crowd(500, e.get)
    e.await_waiters(500, 60)
    e.put(b"1\n")
    assert sorted(crowd.next()[0] for _ in range(500)) == list(range(500))


def test_eight_shell_writers_on_a_full_queue(area):
    """> and >>, one killed, one with a limit: the others are unharmed, nobody is unkillable."""
    q = area.make("q.queue", maxsize=1)
    q.put(b"full\n")
    writers = [spawn(["bash", "-c", f"echo {i} {'>' if i % 2 else '>>'} q.queue"], cwd=area.dir) for i in range(8)]
    limited = spawn(["bash", "-c", f"echo limited > q.queue@{T(0.5)}"], cwd=area.dir)
    rows = q.await_waiters(9)
    pids = {w.pid: w for w in writers}
    assert {r.pid for r in rows} == set(pids) | {limited.pid}
    assert all(state_of(pid) == "S" for pid in pids), "no process in D state"
    begin = time.monotonic()
    assert run(["ls", "-l", area.dir], timeout=5).code == 0
    assert time.monotonic() - begin < T(2)
    assert writers[3].kill() == -9
    assert limited.finish().code != 0
    assert all(state_of(pid) == "S" for pid in pids if pid != writers[3].pid)
    q.await_waiters(7)
    fd = q.open()
    got = [os.read(fd, 100) for _ in range(8)]
    line = [r.pid for r in rows if r.pid not in (writers[3].pid, limited.pid)]
    number = {w.pid: b"%d\n" % i for i, w in enumerate(writers)}
    assert got == [b"full\n"] + [number[pid] for pid in line]
    assert [w.finish().code for i, w in enumerate(writers) if i != 3] == [0] * 7
    assert q.size == 0


def test_writers_by_open_name_again_and_again(area):
    """ESTALE of the second open writer must never leak out, however they race."""
    q = area.make("q.queue")

    def write(n):
        for i in range(200):
            q.put(b"%d %d\n" % (n, i), os.O_CREAT if i % 2 else 0)

    writers = [fork(write, n) for n in range(8)]
    for writer in writers:
        writer.result(60)
    seen = [tuple(map(int, m.split())) for m in q.messages()]
    assert sorted(seen) == [(n, i) for n in range(8) for i in range(200)]
    for n in range(8):
        assert [i for m, i in seen if m == n] == list(range(200)), "each writer's order"


@pytest.mark.limit(300)
@pytest.mark.parametrize("count", [100000 if INSTRUMENTED else 1000000])
def test_a_million_lines_through_a_stream(mount, count, tmp_path):
    q = mount.make("q.queue", maxbytes=1 << 20)
    base = mount.state_bytes()
    reader = spawn(["bash", "-c", f"cat q.queue.ctl/stream > {tmp_path}/out"], cwd=mount.dir)
    writer = spawn(["bash", "-c", f"seq {count} > q.queue"], cwd=mount.dir)
    most = 0

    def finished():
        nonlocal most
        most = max(most, mount.state_bytes() - base)
        assert q.number("bytes") <= 1 << 20
        return not writer.running

    eventually(finished, 120)
    assert writer.finish(5).code == 0
    q.close()
    assert reader.finish(60).code == 0
    sh(f"seq {count} | cmp - {tmp_path}/out")
    assert most < 32 << 20, "memory is bounded by maxbytes"
    assert (q.size, q.number("bytes")) == (0, 0)


@pytest.mark.limit(300)
def test_a_million_lines_at_rest(mount):
    count = 100000 if INSTRUMENTED else 1000000
    q = mount.make("q.queue")
    assert sh(f"seq {count} > q.queue", cwd=mount.dir, timeout=60).code == 0
    assert q.size == count
    assert sh(f"cat q.queue.ctl/drain | cmp - <(seq {count})", cwd=mount.dir, timeout=60).code == 0
    assert q.size == 0


@pytest.mark.limit(180)
@pytest.mark.parametrize("bound", [0, 100])
def test_eight_writers_four_readers_every_line_once_and_whole(area, bound):
    q = area.make("q.queue", maxsize=bound)
    lines = 500 if INSTRUMENTED else 5000

    def write(n):
        fd = q.open(os.O_WRONLY)
        pending = b""
        for i in range(lines):
            pending += b"%d:%d:%s\n" % (n, i, b"x" * (i % 50))
            if i % (n + 1) == 0:  # runs of lines, cut in the middle of one
                cut = len(pending) - (3 if n % 2 else 0)
                cut = os.write(fd, pending[:cut])
                pending = pending[cut:]
        while pending:
            pending = pending[os.write(fd, pending):]
        os.close(fd)

    readers = [fork(read_all, q.path) for _ in range(4)]
    q.await_waiters(4)
    writers = [fork(write, n) for n in range(8)]
    for writer in writers:
        writer.result(120)
    q.close()
    parts = [r.result(120) for r in readers]
    got = []
    for part in parts:
        seen = {}
        for line in part.splitlines():
            n, i, tail = line.split(b":")
            assert tail == b"x" * (int(i) % 50), "whole"
            assert seen.get(n, -1) < int(i), "each reader sees each writer's lines in order"
            seen[n] = int(i)
            got.append((int(n), int(i)))
    assert sorted(got) == [(n, i) for n in range(8) for i in range(lines)], "every line once"


def test_kills_among_writers_and_readers(area):
    """Whoever dies, every other message arrives exactly once and whole."""
    q = area.make("q.queue", maxsize=50)

    def write(n):
        for i in range(10 ** 9):
            q.put(b"%d:%d:end\n" % (n, i))

    def read():
        fd, got = q.open(), []
        while True:
            part = os.read(fd, 4096)
            if not part:
                return got
            got.append(part)

    readers = [fork(read) for _ in range(2)]
    writers = [fork(write, n) for n in range(4)]
    seen = q.number
    for victim in range(4):
        before = seen("unfinished")
        eventually(lambda: seen("unfinished") > before + 200, 30)
        writers[victim].kill()
    q.await_waiters(2, 30)
    q.close()
    got = [m for r in readers for m in r.result()]
    assert all(m.count(b"\n") == 1 and m.endswith(b":end\n") for m in got)
    assert len(set(got)) == len(got)
    for n in range(4):
        numbers = sorted(int(m.split(b":")[1]) for m in got if m.startswith(b"%d:" % n))
        assert numbers == list(range(len(numbers))), "no gap"


def test_a_thousand_objects_with_waiters(mount):
    objects = [mount.make(f"{i}.event") for i in range(THOUSAND)]
    threads = mount.threads()
    fds = [o.open(os.O_RDONLY) for o in objects[:200]]
    clients = [fork(os.read, fd, 10, keep=[fd]) for fd in fds]
    path = mount.path(".ctl/waiters")
    eventually(lambda: len(read_all(path).splitlines()) == 200, 20)
    assert mount.threads() == threads
    for obj in objects:
        obj.put(b"1\n")
    assert {c.result() for c in clients} == {b"1\n"}
    assert run(["rm", "-r"] + [o.path for o in objects], timeout=20).code == 0


def test_an_object_in_use_takes_one_page(mount):
    """Its engine file has the header, whoever has it open, and the short things that it holds."""
    fds = []
    for name, text in (
        ("q.queue", b"one short message\n"),
        ("p.pipe", b"some bytes"),
        ("e.event", b"1\n"),
        ("v.value", b"a short text\n"),
        ("s.sem", b"1\n"),
        ("l.lock", b""),
        ("r.rlock", b""),
        ("c.cond", b""),
        ("b.barrier", b""),
    ):
        obj = mount.make(name)
        fd = obj.open(os.O_RDWR)
        if text:
            assert os.write(fd, text) == len(text)
        if not text and name != "b.barrier":
            fcntl.flock(fd, fcntl.LOCK_EX)
        fds.append(fd)
        file = os.stat(f"{mount.state}/objects/{os.stat(obj.path).st_ino}")
        assert (file.st_size, file.st_blocks * 512) == (4096, 4096), name
    for fd in fds:
        os.close(fd)
    assert os.stat(mount.path("q.queue")).st_size == 1


@pytest.mark.limit(180)
def test_more_objects_in_use_than_are_mapped(mount_with):
    """The worker maps some 4,000 at a time, whatever is open; a process may have 65,530 mappings."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = 6000
    if hard < count + 200:
        pytest.skip(f"a process may open {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 200), hard))
    mount = mount_with()
    fds = []
    try:
        for i in range(count):
            fds.append(os.open(mount.path(f"{i}.queue"), os.O_CREAT | os.O_RDWR))
        with open(f"/proc/{mount.worker()}/maps") as maps:
            assert sum("/objects/" in line for line in maps) < 4500
        for fd in fds[:50] + fds[-50:]:
            assert os.write(fd, b"x\n") == 2
        for i in (0, 49, 100, count - 1):
            assert os.stat(mount.path(f"{i}.queue")).st_size == (i != 100)
        for fd in fds[:50] + fds[-50:]:
            assert os.read(fd, 100) == b"x\n"
    finally:
        for fd in fds:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_interrupts_in_a_race(area):
    """Signals that arrive while the answer is on its way: what was taken is what was delivered."""
    s = area.make("s.sem")
    libc = ctypes.CDLL(None, use_errno=True)

    def client():
        signal.signal(signal.SIGUSR1, lambda *_: None)
        fd, buffer, took = s.open(os.O_RDWR), ctypes.create_string_buffer(10), 0
        while True:
            if libc.read(fd, buffer, 10) == 2:
                took += 1
            elif ctypes.get_errno() != errno.EINTR:
                return took, ctypes.get_errno()

    child = fork(client)
    s.await_waiters(1)
    for _ in range(500):
        child.signal(signal.SIGUSR1)
        s.put(b"1\n")
        child.signal(signal.SIGUSR1)
    eventually(lambda: s.size == 0)
    eventually(lambda: (s.set("cancel", "all"), child.finished)[1])
    assert child.result() == (500, errno.ECANCELED)
    assert s.size == 0


def test_flocks_under_kills(area):
    lock = area.make("l.lock")

    def hold():
        while True:
            fd = lock.open()
            fcntl.flock(fd, fcntl.LOCK_EX)
            os.close(fd)

    clients = [fork(hold) for _ in range(8)]
    for client in clients[:-1]:
        eventually(lambda: lock.waiters())
        client.kill()
    clients[-1].kill()      # alone it never waits
    fd = lock.open()
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    other = lock.open()
    with unchanged(lock), raises(errno.EAGAIN):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_names_that_nobody_uses(mount):
    """They take little, and the next worker does not read them."""
    before, count = mount.state_bytes(), 20000
    os.mkdir(mount.path("d"))
    for i in range(count):
        os.mknod(mount.path(f"d/object-{i}.queue"))
    assert mount.state_bytes() - before < 256 * count
    worker = mount.worker()
    os.kill(worker, signal.SIGKILL)
    assert os.stat(mount.path("d")).st_size == count
    worker = mount.worker()
    with open(f"/proc/{worker}/smaps", encoding="utf-8") as file:
        rows = file.read().split("\n")
    at = next(i for i, row in enumerate(rows) if row.endswith("/mount"))
    rss = next(row for row in rows[at:] if row.startswith("Rss:"))
    assert int(rss.split()[1]) < 1024, "of 3 MiB of names it has read less than one"
    listed = os.listdir(mount.path("d"))
    assert listed == [f"object-{i}.queue" for i in range(count)]
    for name in listed[::2]:
        os.unlink(mount.path("d/" + name))
    assert os.listdir(mount.path("d")) == listed[1::2]
