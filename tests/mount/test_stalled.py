"""An object whose lock a stopped client keeps: nothing waits for longer than it may, and whoever
looks is told at once that it is stalled, by whom and since when.

What may wait does: see test_stopped.py."""

import errno
import fcntl
import json
import os
import re
import select
import signal
import subprocess
import time

import pytest

from kit import (BUILD, DEADLINE, IPCCTL, TIMEOUT, T, eventually, fork, ioc_next, ioc_set,
                 parse_rows, raises, run, sh, spawn)
from kit.proc import state_of
from kit.stopped import HOSTILE, Busy, Holder, Keeper

LIB = os.path.join(BUILD, "tests", "lib", "lib")
pytestmark = pytest.mark.skipif(not os.access(HOSTILE, os.X_OK), reason="no libipcfs in this build")

TYPES = ["queue", "pipe", "event", "sem", "lock", "rlock", "cond", "barrier", "value", "array"]
each_type = pytest.mark.parametrize("kind", TYPES)
STALLED = re.compile(r"pid (\d+) \((.*)\) for (\d+\.\d+) s")


def at_once(fn, *args, **options):
    """Done by a process of its own, which must not wait."""
    client = fork(fn, *args, **options)
    try:
        return client.result(5)
    finally:
        if not client.finished:
            client.kill()


def spent(fn, *codes):
    """How long it takes to fail with one of these."""
    def call():
        start = time.monotonic()
        with raises(*codes):
            fn()
        return time.monotonic() - start
    return at_once(call)


def asleep(client):
    eventually(lambda: state_of(client.pid) == "S", 10, "it waits")
    return client


# --- opening ---------------------------------------------------------------------------------------

@each_type
def test_an_open_knows_its_limit(area, kind):
    obj = area.make(f"x.{kind}")
    names = [obj.at("0.3"), obj.at(0), obj.path]
    holder = Holder(obj)
    for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
        assert spent(lambda: os.open(names[0], flags), errno.ETIMEDOUT) >= 0.29
        spent(lambda: os.open(names[1], flags), errno.EAGAIN)
        spent(lambda: os.open(names[2], flags | os.O_NONBLOCK), errno.EAGAIN)
        spent(lambda: os.open(names[2], flags | os.O_CREAT | os.O_NONBLOCK), errno.EAGAIN)
    holder.go_on()
    assert "handles: 0" in obj.ctl("status"), "nothing was left of those"


@pytest.mark.parametrize("file", ["join", "lease", "stream", "drain"])
def test_a_file_of_ctl_that_waits_knows_its_limit(area, file):
    q = area.make("q.queue")
    holder = Holder(q)
    assert spent(lambda: os.open(q.ctl_path(file + "@0.3"), os.O_RDONLY), errno.ETIMEDOUT) >= 0.29
    spent(lambda: os.open(q.ctl_path(file), os.O_RDONLY | os.O_NONBLOCK), errno.EAGAIN)
    holder.go_on()


def test_shell(area):
    q = area.make("q.queue")
    holder = Holder(q)
    done = sh("cat q.queue@0.3; cat q.queue@0; echo x > q.queue@0; echo x > q.queue@0.3", cwd=area.dir,
              code=1)
    assert [line.rpartition(": ")[2] for line in done.err.splitlines()] == [
        "Connection timed out", "Resource temporarily unavailable",
        "Resource temporarily unavailable", "Connection timed out"]
    holder.go_on()
    assert q.size == 0


@pytest.mark.parametrize("end", [Holder.go_on, Holder.kill], ids=["goes on", "is killed"])
def test_an_open_without_a_limit_waits_and_can_be_ended(area, end):
    q = area.make("q.queue")
    q.put(b"1\n")

    holder = Holder(q)
    waiting, killed = asleep(fork(q.get)), asleep(fork(q.get))
    creating = asleep(fork(lambda: os.open(q.path, os.O_RDWR | os.O_CREAT)))
    killed.kill()
    assert os.listdir(area.dir) == ["q.queue"], "the folder is free"
    area.make("other.event")
    assert not waiting.finished and not creating.finished
    end(holder)
    assert waiting.result() == b"1\n"
    creating.result()


def test_an_open_that_a_signal_ends(area):
    """(The interpreter begins an open() that was interrupted again, unless the handler raises.)"""
    q = area.make("q.queue")
    holder = Holder(q)

    def call():
        def handler(*_):
            raise KeyboardInterrupt
        signal.signal(signal.SIGINT, handler)
        try:
            os.open(q.path, os.O_RDONLY)
        except KeyboardInterrupt:
            return "ended"

    client = asleep(fork(call))
    client.signal(signal.SIGINT)
    assert client.result() == "ended"
    holder.go_on()


def test_a_writer_that_has_waited_is_let_in(area):
    """Of several that open the same name for writing, after their opens had to wait."""
    q = area.make("q.queue")
    first = q.open(os.O_WRONLY)
    again = f"/proc/self/fd/{first}"
    holder = Holder(q)
    writers = [asleep(fork(q.put, b"x\n")) for _ in range(3)]
    writers.append(asleep(fork(lambda: os.write(os.open(again, os.O_WRONLY), b"x\n"), keep=[first])))
    holder.go_on()
    assert [w.result() for w in writers] == [2] * 4
    os.close(first)
    assert q.size == 4


# --- looking ---------------------------------------------------------------------------------------

def listed(obj):
    return sorted(os.listdir(obj.ctl_path()))


def everything(obj):
    return {name: obj.ctl(name) for name in listed(obj)}


def check_stalled(text, pid, least=0):
    match = STALLED.search(text)
    assert match, text
    assert int(match[1]) == pid and "hostile hold" in match[2]
    assert least <= float(match[3]) < 600


@each_type
def test_every_fact_answers_at_once(area, kind):
    obj = area.make(f"x.{kind}")
    before = everything(obj)
    holder = Holder(obj)
    after = at_once(everything, obj)
    assert set(after) == set(before)
    for name, text in after.items():
        if name in ("waiters", "holders"):
            row, = parse_rows(text)
            assert (row.pid, row.operation, row.uid) == (holder.pid, "stalled", os.geteuid())
            assert "hostile hold" in row.command
        elif name == "status":
            facts = dict(line.split(": ", 1) for line in text.splitlines())
            check_stalled(facts.pop("stalled"), holder.pid)
            assert set(facts) == set(obj.status()) - {"stalled"}
        elif name in ("peek", "leased", "dead", "list", "stats"):
            check_stalled(text, holder.pid)
            assert text.startswith("stalled: ")
        elif re.fullmatch(r"\d+", before[name]):
            assert re.fullmatch(r"\d+", text), name
        else:
            assert text == before[name], name
    holder.go_on()
    assert everything(obj) == before


def test_since_when(area):
    q = area.make("q.queue")
    holder = Holder(q)
    at_once(q.ctl, "status")
    eventually(lambda: float(STALLED.search(q.ctl("status"))[3]) > 0.5, 10)
    check_stalled(at_once(q.ctl, "status"), holder.pid, 0.5)
    holder.kill()
    other = Holder(q)
    match = STALLED.search(at_once(q.ctl, "status"))
    assert int(match[1]) == other.pid and float(match[3]) < T(10)
    other.go_on()
    assert "stalled" not in q.ctl("status")


@each_type
def test_handles_that_only_look(area, kind):
    obj = area.make(f"x.{kind}")
    if kind == "array":
        os.truncate(obj.path, 5)
    holder = Holder(obj)

    def look():
        fd = os.open(obj.path, os.O_RDONLY | os.O_NOFOLLOW)
        return os.read(fd, 4096)

    text = at_once(look)
    if kind in ("queue", "pipe", "value"):
        check_stalled(text.decode(), holder.pid)
    elif kind == "array":
        assert text == bytes(5)
    else:
        assert re.fullmatch(rb"\d+\n", text)
    holder.go_on()


def test_handles_that_were_opened_to_look(area):
    """With ctl/take at rw, all that are opened read-only."""
    q = area.make("q.queue", take="rw")
    q.put(b"1\n")
    fd = q.open()
    holder = Holder(q)
    check_stalled(at_once(os.read, fd, 4096, keep=[fd]).decode(), holder.pid)
    with raises(errno.ENOTTY):
        ioc_next(fd)
    holder.go_on()
    os.close(fd)


def test_an_array_is_memory(area):
    """What is there is read and written whoever keeps the lock."""
    a = area.make("a.array")
    a.put(b"12345")
    fd = a.open(os.O_RDWR)
    holder = Holder(a)
    assert at_once(os.pread, fd, 9, 1, keep=[fd]) == b"2345"
    assert at_once(os.pwrite, fd, b"x", 1, keep=[fd]) == 1
    assert at_once(a.ctl, "items").split() == ["49", "120", "51", "52", "53"]
    holder.go_on()
    os.close(fd)


def test_a_look_at_an_array_outlives_its_name(area):
    a = area.make("a.array")
    a.put(b"12345")
    fd = os.open(a.path, os.O_RDONLY | os.O_NOFOLLOW)
    assert os.read(fd, 2) == b"12"
    os.unlink(a.path)
    assert os.read(fd, 9) == b"345" and os.read(fd, 9) == b""
    os.close(fd)


def test_tools_that_read_a_tree(area):
    """Nothing that only looks waits, whatever it meets."""
    objects = [area.make(f"x.{kind}") for kind in TYPES]
    holders = [Holder(obj) for obj in objects]
    done = run(["grep", "-r", "-c", "stalled", area.dir])
    assert {os.path.basename(line.rpartition(":")[0]) for line in done.out.splitlines()
            if not line.endswith(":0")} == {"x.queue", "x.pipe", "x.value"}
    assert run(["ls", "-l", area.dir]).code == 0
    assert run(["tar", "-cf", "/dev/null", "-C", area.dir, "."]).code == 0
    for holder in holders:
        holder.kill()


def test_the_mounts_own_files(mount):
    objects = [mount.make("q.queue"), mount.make("a.lock"), mount.make("other.event")]
    fds = [obj.open(os.O_RDWR) for obj in objects]
    waiter = fork(objects[2].get)
    objects[2].await_waiters(1)
    holders = [Holder(obj) for obj in objects[:2]]
    root = mount.obj("")
    read = {name: at_once(lambda: open(mount.path(f".ctl/{name}"), encoding="utf-8").read())
            for name in ("status", "waiters", "holders", "deadlocks", "version")}
    assert "\nstalled: 2\n" in read["status"]
    assert read["deadlocks"] == ""
    for name in ("waiters", "holders"):
        rows = [line.split("\t") for line in read[name].splitlines()]
        assert {row[0].strip("/"): int(row[1]) for row in rows if row[4] == "stalled"} == {
            "q.queue": holders[0].pid, "a.lock": holders[1].pid}
    assert [line for line in read["waiters"].splitlines() if line.startswith("other.event\t")]
    assert root.path.startswith(mount.dir)
    for holder in holders:
        holder.go_on()
    assert "\nstalled: 0\n" in open(mount.path(".ctl/status"), encoding="utf-8").read()
    waiter.kill()
    for fd in fds:
        os.close(fd)


def test_changing_attributes_and_names(area):
    """What changes names and attributes needs no lock of the object."""
    q = area.make("q.queue")
    holder = Holder(q)

    def change():
        os.chmod(q.path, 0o600)
        os.chown(q.path, -1, os.getegid())
        os.utime(q.path, (1, 2))
        os.rename(q.path, area.path("r.queue"))
        os.stat(area.path("r.queue"))
        os.unlink(area.path("r.queue"))
        return os.listdir(area.dir)

    assert at_once(change) == []
    holder.go_on()


# --- writing to .ctl -------------------------------------------------------------------------------

def test_settings_wait_as_other_writes(area):
    q = area.make("q.queue")
    holder = Holder(q)
    assert spent(lambda: os.write(os.open(q.ctl_path("maxsize"), os.O_WRONLY | os.O_NONBLOCK), b"7"),
                 errno.EAGAIN) < T(5)
    waiting = asleep(fork(q.set, "maxsize", 3))
    killed = asleep(fork(q.set, "closed", 1))
    killed.kill()
    assert not waiting.finished
    holder.go_on()
    waiting.result()
    assert (q.number("maxsize"), q.number("closed")) == (3, 0)


# --- poll ------------------------------------------------------------------------------------------

def poll_events(fd, mask, seconds):
    poller = select.poll()
    poller.register(fd, mask)
    return [event for _, event in poller.poll(seconds * 1000)]


@pytest.mark.parametrize("after", ["goes on", "is killed", "worker dies"])
def test_poll(mount, after):
    q = mount.make("q.queue")
    fd = q.open(os.O_RDWR)
    holder = Holder(q)
    assert at_once(poll_events, fd, select.POLLIN, 0, keep=[fd]) == []
    assert at_once(poll_events, fd, select.POLLIN | select.POLLOUT, 0.2, keep=[fd]) == []
    reader = asleep(fork(poll_events, fd, select.POLLIN, 60, keep=[fd]))
    writer = asleep(fork(poll_events, fd, select.POLLOUT, 60, keep=[fd]))

    def wait_by_epoll():
        epoll = select.epoll()
        epoll.register(fd, select.EPOLLOUT | select.EPOLLET)
        os.write(1, b"")
        return [event for _, event in epoll.poll(60)]

    edge = asleep(fork(wait_by_epoll, keep=[fd]))
    if after == "worker dies":
        worker, = set(mount.pids()) - {mount.pid}
        os.kill(worker, signal.SIGKILL)
        mount.make("other.queue")
    if after == "is killed":
        holder.kill()
    else:
        holder.go_on()
    assert writer.result() == [select.POLLOUT]
    assert edge.result() == [select.EPOLLOUT]
    assert not reader.finished
    q.put(b"x\n")
    assert reader.result() == [select.POLLIN]
    os.close(fd)


def test_poll_asked_before(area):
    """Two poll one handle, for one thing each; the second asks while it is stalled."""
    q = area.make("q.queue", maxsize=1)
    q.put(b"1\n")
    fd = q.open(os.O_RDWR)
    writer = asleep(fork(poll_events, fd, select.POLLOUT, 60, keep=[fd]))
    holder = Holder(q)
    assert at_once(poll_events, fd, select.POLLERR, 0.1, keep=[fd]) == []
    holder.go_on()
    assert q.take() == b"1\n"
    assert writer.result() == [select.POLLOUT]
    os.close(fd)


# --- requests by ioctl -----------------------------------------------------------------------------

def test_ioctls(area):
    q = area.make("q.queue")
    q.put(b"1\n")
    fd = q.open(os.O_RDWR)
    holder = Holder(q)

    def set_and_read():
        assert ioc_next(fd) == -1
        ioc_set(fd, TIMEOUT, 200_000_000)
        with raises(errno.ETIMEDOUT):
            os.read(fd, 10)
        ioc_set(fd, TIMEOUT, -1)
        ioc_set(fd, DEADLINE, time.monotonic_ns() + 200_000_000)
        with raises(errno.ETIMEDOUT):
            os.write(fd, b"2\n")
        with raises(errno.EINVAL):
            ioc_set(fd, DEADLINE, -2)

    at_once(set_and_read, keep=[fd])
    holder.go_on()
    assert ioc_next(fd) == 2
    assert os.read(fd, 10) == b"1\n"
    with raises(errno.ETIMEDOUT):           # the deadline has passed
        os.read(fd, 10)
    os.close(fd)


# --- flock -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["sem", "lock", "rlock", "cond", "value", "array"])
def test_flock(area, kind):
    obj = area.make(f"x.{kind}")
    fd, limited = obj.open(os.O_RDWR), os.open(obj.at("0.3"), os.O_RDWR)
    holder = Holder(obj)
    spent_keeping(fd, lambda: fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB), errno.EAGAIN)
    spent_keeping(fd, lambda: fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB), errno.EAGAIN)
    for how in (fcntl.LOCK_EX, fcntl.LOCK_UN):
        assert spent_keeping(limited, lambda: fcntl.flock(limited, how), errno.ETIMEDOUT) >= 0.29
    waiting = asleep(fork(fcntl.flock, fd, fcntl.LOCK_EX, keep=[fd]))
    waiting.kill()
    holder.go_on()
    if kind == "sem":
        obj.put(b"1\n")
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(fd)
    os.close(limited)


def spent_keeping(fd, fn, code):
    def call():
        start = time.monotonic()
        with raises(code):
            fn()
        return time.monotonic() - start
    return at_once(call, keep=[fd])


@pytest.mark.parametrize("kind", ["cond", "value", "array"])
def test_the_lock_that_ctl_lock_names(area, kind):
    """Its holder stalls those objects too, and their limits hold."""
    lock, obj = area.make("a.lock"), area.make(f"x.{kind}", lock="a.lock")
    fd, limited = obj.open(os.O_RDWR), os.open(obj.at("0.3"), os.O_RDWR)
    holder = Holder(lock)
    spent_keeping(fd, lambda: fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB), errno.EAGAIN)
    assert spent_keeping(limited, lambda: fcntl.flock(limited, fcntl.LOCK_EX), errno.ETIMEDOUT) >= 0.29
    if kind == "cond":
        assert spent_keeping(limited, lambda: os.read(limited, 10), errno.ETIMEDOUT) >= 0.29
    assert "stalled" not in at_once(obj.ctl, "status"), "that one is not"
    holder.go_on()
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(fd)
    os.close(limited)


# --- closing ---------------------------------------------------------------------------------------

def test_a_close_does_not_wait(area):
    q = area.make("q.queue")
    fd = q.open(os.O_WRONLY)
    os.write(fd, b"begun")
    copy = os.dup(fd)
    holder = Holder(q)
    start = time.monotonic()
    os.close(copy)          # completes the line
    os.close(fd)
    assert time.monotonic() - start < T(5)
    holder.go_on()
    eventually(lambda: q.ctl("status"), 10)
    assert q.take() == b"begun\n"


def test_a_close_is_done_although_the_handle_stays(mount_with):
    q = mount_with(no_ends=True).make("q.queue")  # (elsewhere only the last close completes a line)
    fd = q.open(os.O_WRONLY)
    os.write(fd, b"begun")
    holder = Holder(q)
    os.close(os.dup(fd))
    holder.go_on()
    os.write(fd, b"another\n")
    assert q.take() == b"begun\n" and q.take() == b"another\n"
    os.close(fd)


def test_a_line_whose_writer_was_killed_meanwhile_is_dropped(area):
    q = area.make("q.queue")

    def begin():
        fd = q.open(os.O_WRONLY)
        os.write(fd, b"begun")
        os.write(ready, b"x")
        signal.pause()

    wait, ready = os.pipe()
    writer = fork(begin, keep=[ready])
    assert os.read(wait, 1) == b"x"
    holder = Holder(q)
    writer.kill()
    holder.go_on()
    eventually(lambda: q.status()["handles"] == "0", 10)
    assert q.size == 0


def test_closing_gives_back_although_the_lock_was_kept_for_too_long(area):
    lock = area.make("a.lock")
    fd = lock.open(os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    keeper = Keeper(lock)
    with raises(errno.EIO):
        fork(lambda: lock.open(os.O_RDWR)).result(30)
    os.close(fd)
    text = at_once(lock.ctl, "status")
    assert "stalled: pid %d (" % keeper.pid in text
    with raises(errno.EIO):
        lock.open(os.O_RDWR)
    keeper.kill()
    eventually(lambda: lock.size == 1, 10, "the lock is free")
    assert lock.status()["handles"] == "0"


# --- who stood in line before ------------------------------------------------------------------------

def full_queue(area):
    q = area.make("x.queue", maxsize=1)
    q.put(b"1\n")
    return q


def own_lock(area):
    lock = area.make("x.lock")
    fcntl.flock(lock.open(os.O_RDWR), fcntl.LOCK_EX)    # closed with this process's others
    return lock


def cond_with_lock(area):
    area.make("a.lock")
    return area.make("x.cond", lock="a.lock")


def wait_in_cond(cond):
    fd = cond.open(os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    os.read(fd, 10)


WAITS = {
    "read": (lambda area: area.make("x.queue"), lambda obj: obj.get()),
    "write": (full_queue, lambda obj: obj.put(b"2\n")),
    "flock": (own_lock, lambda obj: fcntl.flock(obj.open(os.O_RDWR), fcntl.LOCK_EX)),
    "lease": (lambda area: area.make("x.queue"),
              lambda obj: os.read(os.open(obj.ctl_path("lease"), os.O_RDONLY), 10)),
    "event": (lambda area: area.make("x.event"), lambda obj: obj.get()),
    "barrier": (lambda area: area.make("x.barrier", parties=3), lambda obj: obj.get()),
    "cond": (lambda area: area.make("x.cond"), wait_in_cond),
    "cond with a lock": (cond_with_lock, wait_in_cond),
}


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("how", ["at once", "after a signal"])
def test_a_waiter_is_killed(area, wait, how):
    """At once, although nobody can see what became of its wait; and it leaves nothing behind."""
    make, call = WAITS[wait]
    obj = make(area)

    def client():
        signal.signal(signal.SIGUSR1, lambda *_: None)
        call(obj)

    waiter, other = fork(client), fork(client)
    obj.await_waiters(2)
    holder = Holder(obj)
    if how == "after a signal":
        waiter.signal(signal.SIGUSR1)
    waiter.kill()
    assert not other.finished
    holder.go_on()
    if wait == "barrier":
        with raises(errno.ECANCELED):       # as whenever one of its waiters dies
            other.result()
    else:
        left, = obj.await_waiters(1)
        assert left.pid == other.pid
        other.kill()
    obj.await_waiters(0)


# --- somebody who runs -----------------------------------------------------------------------------

def test_a_holder_that_runs_is_told_of_too(area):
    q = area.make("q.queue")
    fd = q.open(os.O_RDWR)
    keeper = Keeper(q)
    assert f"stalled: pid {keeper.pid} (" in at_once(q.ctl, "peek")
    assert at_once(poll_events, fd, select.POLLOUT, 0, keep=[fd]) == []
    poller = asleep(fork(poll_events, fd, select.POLLOUT, 60, keep=[fd]))
    keeper.kill()
    assert poller.result() == [select.POLLOUT]
    os.close(fd)


def test_looking_at_a_busy_object_tells_the_truth(area):
    """Somebody who takes and gives the lock all the time does not stall it."""
    q = area.make("q.queue")
    q.put(b"x\n" * 5)
    bench = [spawn([LIB, "-bench", q.path]) for _ in range(2)]
    for _ in range(50):
        assert "stalled" not in q.ctl("waiters")
    for b in bench:
        b.kill()


# --- two-way pipes ---------------------------------------------------------------------------------

def test_two_way_pipe(area):
    os.mkdir(area.path("p.pipe"))
    pipe = area.obj("p.pipe")
    ends = [os.path.join(pipe.path, end) for end in "ab"]
    os.close(os.open(ends[0], os.O_RDWR))
    holder = Holder(pipe)
    for end in ends:
        assert spent(lambda: os.open(end, os.O_RDWR | os.O_NONBLOCK), errno.EAGAIN) < T(5)
        check_stalled(at_once(lambda: open(os.open(end, os.O_RDONLY | os.O_NOFOLLOW), "rb").read()).decode(),
                      holder.pid)
    check_stalled(at_once(pipe.ctl, "status"), holder.pid)
    holder.go_on()


# --- ipcctl ----------------------------------------------------------------------------------------

def ipcctl(*args):
    return run([IPCCTL, *args], timeout=10)


def test_ipcctl(mount):
    q, lock = mount.make("q.queue"), mount.make("a.lock")
    free = mount.make("free.event")
    q.put(b"1\n")
    fds = [obj.open(os.O_RDWR) for obj in (q, lock, free)]
    holder = Holder(q)
    for args in (["ls", mount.dir], ["ls", q.path], ["show", q.path], ["show", mount.dir],
                 ["check", mount.dir], ["waiters", mount.dir], ["holders", mount.dir],
                 ["waiters", q.path], ["holders", q.path]):
        done = ipcctl(*args)
        assert done.code == 0 and "stalled" in done.out, (args, done)
        if args != ["show", mount.dir]:
            assert str(holder.pid) in done.out and "hostile" in done.out, (args, done)
    rows = {os.path.basename(row["name"]): row
            for row in json.loads(ipcctl("ls", "--json", mount.dir).out)["objects"]}
    check_stalled(rows["q.queue"]["state"], holder.pid)
    assert rows["a.lock"]["state"] == "free" and rows["free.event"]["state"] == "clear"
    assert ipcctl("check", mount.dir).out.endswith("3 objects, 0 damaged, 1 stalled\n")
    done = ipcctl("check", mount.state)
    assert done.code == 1 and "in use" in done.err
    other = Holder(lock)
    assert ipcctl("run", "-n", lock.path, "true").code == 1
    done = ipcctl("run", "-w", "0.3", lock.path, "true")
    assert done.code == 1 and str(other.pid) in done.err
    holder.go_on()
    other.go_on()
    assert ipcctl("run", "-w", "10", lock.path, "true").code == 0
    for fd in fds:
        os.close(fd)


# --- libipcfs --------------------------------------------------------------------------------------

@pytest.mark.parametrize("env", [{}, {"IPCFS_NO_DIRECT": "1"}], ids=["direct", "files"])
@pytest.mark.parametrize("kind", ["queue", "sem", "lock", "event", "barrier", "value", "array"])
def test_library_tries(area, kind, env):
    obj = area.make(f"x.{kind}")
    client = spawn([LIB, "-limits", obj.path, kind], stdin=subprocess.PIPE, env=env)
    assert client.hear() == "open"
    holder = Holder(obj)
    done = client.finish(data=b"go\n")
    lines = [line.split("\t") for line in done.out.splitlines()]
    assert lines and done.code == 0
    half = len(lines) // 2 or 1
    for i, (call, error, seconds) in enumerate(lines):
        assert error == ("EAGAIN" if i < half else "ETIMEDOUT"), lines
        assert float(seconds) < T(3), lines
    holder.go_on()
    assert obj.status()["waiters"] == "0"


@pytest.mark.parametrize("env", [{}, {"IPCFS_NO_DIRECT": "1"}], ids=["direct", "files"])
@pytest.mark.parametrize("kind", ["lock", "rlock", "sem", "cond", "value", "array"])
@pytest.mark.parametrize("limit", [0, 1])
def test_who_has_lost_the_processor_is_waited_for(area, kind, env, limit):
    """Whoever may not wait, or not for long, still gets what is free."""
    obj = area.make(f"x.{kind}")
    if kind == "sem":
        obj.put(b"1\n")
    client = spawn([LIB, "-try", obj.path, str(limit)], stdin=subprocess.PIPE, env=env)

    assert client.hear() == "ready"
    busy = Busy(obj)
    start = time.monotonic()
    client.say("go")
    assert client.hear() == os.strerror(errno.ETIMEDOUT if limit else errno.EAGAIN)
    assert time.monotonic() - start > 0.9, "it may be without a processor for some tenths of a second"
    client.say("go")
    busy.go_on()
    assert client.hear() == "Success"
    client.kill()


def test_who_has_lost_the_processor_is_waited_for_by_files(area):
    lock = area.make("x.lock")
    array = area.make("x.array", typecode="B", length=9)
    names = [lock.at("0.001"), lock.at(0)]
    fds = [os.open(name, os.O_RDWR) for name in names] + [lock.open(os.O_RDWR)]
    calls = [(lock, lambda: os.open(names[0], os.O_RDONLY), errno.ETIMEDOUT),
             (lock, lambda: os.open(names[1], os.O_RDONLY), errno.EAGAIN),
             (lock, lambda: os.read(fds[0], 9), errno.ETIMEDOUT),
             (lock, lambda: os.read(fds[1], 9), errno.EAGAIN),
             (lock, lambda: fcntl.flock(fds[2], fcntl.LOCK_EX | fcntl.LOCK_NB), errno.EAGAIN),
             (array, lambda: os.truncate(array.path, 5), errno.EAGAIN)]
    for obj, call, code in calls:
        busy = Busy(obj)
        start = time.monotonic()
        with raises(code):
            call()
        assert time.monotonic() - start > 0.9
        busy.go_on()
    busy = Busy(lock)
    waiting = fork(os.read, fds[1], 9, keep=fds)
    looking = fork(lock.ctl, "waiters")
    busy.go_on()
    assert waiting.result() == b"1\n"
    assert looking.result() == ""
    for fd in fds:
        os.close(fd)


def test_library_opens(area):
    q = area.make("q.queue")
    holder = Holder(q)
    done = run([LIB, "-how", q.path, str(os.O_RDWR | os.O_NONBLOCK)])
    assert done.code == 1 and "Resource temporarily unavailable" in done.err
    done = run([LIB, "-how", q.at("0.3"), str(os.O_RDWR)])
    assert done.code == 1 and "Connection timed out" in done.err
    holder.go_on()
    done = run([LIB, "-how", q.path, str(os.O_RDWR | os.O_NONBLOCK)])
    assert done.out.splitlines() == ["direct", "put ok", "get said"]
