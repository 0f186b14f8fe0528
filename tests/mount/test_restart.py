"""The daemon may be killed, stopped, upgraded: nobody notices, and nothing is lost."""

import errno
import fcntl
import os
import re
import shutil
import signal
import struct
import subprocess
import time

import pytest

from kit import IPCCTL, IPCFS, T, eventually, fork, raises, run
from kit.mount import WRAP, mounted_at
from kit.objects import Obj
from kit.proc import children, state_of, wait_exit
from kit.state import damaged_file, engine_file, mount_file

DEAD = (None, "Z")


@pytest.fixture
def disk(mount_with, tmp_path):
    """A mount whose state directory is on a disk. More options: disk(no_resend=True)."""
    def factory(**options):
        state = tmp_path / "state"
        state.mkdir(mode=0o700, exist_ok=True)
        return mount_with(state=str(state), **options)
    return factory


def end(pid, signo=signal.SIGKILL):
    """Kill a process that need not be ours and wait until it is gone."""
    fd = os.pidfd_open(pid)
    os.kill(pid, signo)
    os.close(fd)
    eventually(lambda: state_of(pid) in DEAD, 10, f"{pid} has ended")


def adopt(mount):
    """The supervisor has changed: the fixture is to look after the new one."""
    if mount.process is not None:
        mount.process.wait(T(10))
        mount.process = None
    mount.pid = eventually(lambda: (lambda p: p if p != mount.pid else None)(
        mount.supervisor()), 10, "a new supervisor")


def flock_ex(path):
    fd = os.open(path, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def held(path, wait_fd):
    fd = flock_ex(path)
    os.read(wait_fd, 1)
    os.close(fd)
    return True


def timed_get(obj, seconds):
    start = time.monotonic()
    with raises(errno.ETIMEDOUT):
        fd = os.open(obj.at(seconds), os.O_RDONLY)
        os.read(fd, 100)
    return time.monotonic() - start


class Parked:
    """Clients that wait in every manner; check() lets all of them end well."""

    def __init__(self, mount):
        self.empty, self.full = mount.make("empty.queue"), mount.make("full.queue", maxsize=1)
        self.lock, self.event = mount.make("l.lock"), mount.make("e.event")
        self.full.put(b"first\n")
        self.holder = flock_ex(self.lock.path)
        self.readers = []
        for i in range(3):
            self.readers.append(fork(self.empty.get))
            self.empty.await_waiters(i + 1)
        self.writer = fork(self.full.put, b"second\n")
        self.full.await_waiters(1)
        out, self.let_go = os.pipe()
        self.flocker = fork(held, self.lock.path, out, keep=(out,))
        os.close(out)
        self.lock.await_waiters(1)
        self.waiter = fork(self.event.get)
        self.event.await_waiters(1)

    def check(self):
        assert len(self.empty.waiters()) == 3
        for i, reader in enumerate(self.readers):
            self.empty.put(b"%d\n" % i)
            assert reader.result() == b"%d\n" % i, "first come, first served"
        assert self.full.take() == b"first\n"
        assert self.writer.result() == 7
        assert self.full.take() == b"second\n"
        assert self.full.size == 0
        assert not self.flocker.finished
        os.close(self.holder)
        self.lock.await_waiters(0)
        os.write(self.let_go, b"x")
        os.close(self.let_go)
        assert self.flocker.result()
        assert self.lock.size == 1
        self.event.put(b"1\n")
        assert self.waiter.result() == b"1\n"


# --- the worker ----------------------------------------------------------------------------------

def test_worker_killed_with_parked_requests(disk):
    mount = disk()
    parked = Parked(mount)
    for _ in range(3):
        end(mount.worker())
    parked.check()
    assert int(mount.status()["restarts"]) == 3
    assert "was killed by signal 9" in mount.log()


def test_no_request_is_lost_in_a_page_fault(disk):
    """While it dies a process cannot fault pages in, and the kernel gives a request that it could not
    copy EIO: so a worker has its buffer for them in place before it reads one."""
    mount = disk()
    for _ in range(2):
        pid = mount.worker()
        with open(f"/proc/{pid}/smaps", encoding="utf-8") as maps:
            rss = re.findall(r"/memfd:ipcfs.*\n(?:.+\n)*?Rss: +(\d+) kB", maps.read())
        assert sum(map(int, rss)) >= 1024 + 4, "all of the largest request"
        end(pid)


@pytest.mark.parametrize("death", ["worker", "upgrade"])
def test_time_limits_go_on(disk, death):
    mount = disk()
    q = mount.make("q.queue")
    client = fork(timed_get, q, 1.5)
    q.await_waiters(1)
    for _ in range(3):
        if death == "worker":
            end(mount.worker())
        else:
            upgrade(mount)
        time.sleep(0.2)
    assert 1.4 <= client.result() < T(2.5)
    assert q.waiters() == []


def test_a_time_limit_passes_while_no_worker_runs(disk):
    mount = disk()
    q = mount.make("q.queue")
    client = fork(timed_get, q, 0.5)
    q.await_waiters(1)
    pid = mount.worker()
    os.kill(mount.pid, signal.SIGSTOP)
    end(pid)
    time.sleep(0.8)
    os.kill(mount.pid, signal.SIGCONT)
    assert 0.7 <= client.result() < T(3)


def test_clients_that_die_while_no_worker_runs(disk):
    mount = disk()
    q, lock = mount.make("q.queue"), mount.make("l.lock")
    out, let_go = os.pipe()
    holder = fork(held, lock.path, out, keep=(out,))
    eventually(lambda: lock.size == 0)
    dead, alive = fork(q.get), None
    q.await_waiters(1)
    alive = fork(q.get)
    q.await_waiters(2)
    waiting = fork(flock_ex, lock.path)
    lock.await_waiters(1)
    pid = mount.worker()
    os.kill(mount.pid, signal.SIGSTOP)
    end(pid)
    for client in (holder, dead):
        os.kill(client.pid, signal.SIGKILL)
    os.kill(mount.pid, signal.SIGCONT)
    for client in (holder, dead):
        client.wait()
    assert isinstance(waiting.result(), int), "what the dead one held is free"
    q.await_waiters(1)
    q.put(b"x\n")
    assert alive.result() == b"x\n", "the dead one took nothing"
    os.close(let_go)


# --- SIGHUP ----------------------------------------------------------------------------------------

def upgrade(mount):
    old = mount.worker()
    os.kill(mount.pid, signal.SIGHUP)
    eventually(lambda: mount.worker() != old, 10, "a new worker")
    assert mount.alive, "the supervisor keeps its pid"
    assert mount.supervisor() == mount.pid
    assert state_of(old) in DEAD


@pytest.mark.parametrize("args", [("-f",), ()], ids=["foreground", "background"])
def test_upgrade_with_parked_requests(disk, args):
    mount = disk(args=args)
    parked = Parked(mount)
    for _ in range(3):
        upgrade(mount)
    parked.check()


def test_ipcctl_restart(disk):
    mount = disk()
    parked = Parked(mount)
    done = run([IPCCTL, "restart", mount.dir])
    assert done.code == 0, done
    assert "follows worker" in done.out
    parked.check()


def supervisor_of(mount, program):
    """The supervisor's pid if it runs that program; None while there is none, or it just went."""
    try:
        pid = mount.supervisor()
        runs = os.readlink(f"/proc/{pid}/exe").startswith(str(program))
        return pid if runs and f"process {pid} supervises worker" in mount.log() else None
    except (OSError, KeyError):
        return None


def test_upgrade_to_another_file(disk, monkeypatch, tmp_path):
    """The binary is replaced while it runs; one that cannot start does no harm."""
    program = tmp_path / "ipcfs"
    shutil.copy(IPCFS, program)
    monkeypatch.setattr("kit.mount.IPCFS", str(program))
    mount = disk()
    parked = Parked(mount)
    os.rename(shutil.copy(IPCFS, tmp_path / "new"), program)
    upgrade(mount)
    assert os.readlink(f"/proc/{mount.worker()}/exe") == str(program)
    os.unlink(program)                          # there is none: another worker of this one
    upgrade(mount)
    program.write_text("#!/bin/false\n")        # it starts, and fails
    program.chmod(0o755)
    os.kill(mount.pid, signal.SIGHUP)
    adopt(mount)
    eventually(lambda: len(re.findall("takes its place", mount.log())) >= 1)
    mount.pid = eventually(lambda: supervisor_of(mount, program), 20)
    parked.check()


def pump(q, lines, out):
    with open(q.path, "wb", buffering=0) as file:
        for i in range(lines):
            assert file.write(b"%d\n" % i) == len(b"%d\n" % i)
    return out


def collect(q, lines):
    got = []
    with open(q.path, "rb", buffering=0) as file:
        for _ in range(lines):
            got.append(int(file.read(100)))
    return got


def count(lock, value, times):
    for _ in range(times):
        fd = flock_ex(lock.path)
        text = value.get().strip()
        value.put(b"%d\n" % (int(text or b"0") + 1))
        os.close(fd)


def test_a_status_that_is_being_read_ends_where_it_ended(mount):
    q = mount.make("q.queue")
    q.put(b"x\n" * 9)
    fd = os.open(q.ctl_path("status"), os.O_RDONLY)
    text = os.read(fd, 65536)
    assert b"size: 9\n" in text and text.endswith(b"\n")
    q.put(b"x\n" * 100)                     # it is longer now
    end(mount.worker())
    assert os.read(fd, 65536) == b""
    assert b"size: 109\n" in os.pread(fd, 65536, 0)
    os.close(fd)


@pytest.mark.parametrize("how", ["upgrade", "worker", "supervisor"])
def test_under_load(disk, how):
    mount = disk()
    q, lock, value = mount.make("q.queue", maxsize=10), mount.make("l.lock"), mount.make("v.value")
    lines = 20000
    consumer, producer = fork(collect, q, lines), fork(pump, q, lines, True)
    counters = [fork(count, lock, value, 300) for _ in range(3)]
    for _ in range(10):
        if how == "upgrade":
            upgrade(mount)
        elif how == "worker":
            end(mount.worker())
        else:
            end(mount.pid)
            adopt(mount)
            if "supervises" not in mount.log():
                time.sleep(0.01)
        time.sleep(0.05)
    assert producer.result(40)
    assert consumer.result(40) == list(range(lines)), "nothing lost, nothing twice"
    for client in counters:
        client.result(40)
    assert value.get() == b"900\n"


@pytest.mark.parametrize("args", [("-f",), ()], ids=["foreground", "background"])
@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_unmounting_after_an_upgrade(disk, args, signo):
    mount = disk(args=args)
    q = mount.make("q.queue")
    client = fork(q.get)
    q.await_waiters(1)
    upgrade(mount)
    os.kill(mount.pid, signo)
    with raises(errno.ECANCELED, errno.ENOTCONN, errno.ECONNABORTED):
        client.result()
    mount.await_unmounted()
    assert mount.await_exit() == 0
    mount.start()
    assert q.size == 0


# --- the supervisor --------------------------------------------------------------------------------

@pytest.mark.parametrize("args", [("-f",), ()], ids=["foreground", "background"])
def test_supervisor_killed(disk, args):
    mount = disk(args=args)
    parked = Parked(mount)
    old = mount.worker()
    end(mount.pid)
    adopt(mount)
    assert mount.worker() == old, "the worker goes on"
    if args:
        eventually(lambda: "takes its place" in mount.log() and "supervises worker" in mount.log())
    end(old)                        # and the new supervisor is one
    assert mount.worker() != old
    upgrade(mount)
    end(mount.pid)
    adopt(mount)
    parked.check()
    os.kill(mount.pid, signal.SIGTERM)
    mount.await_unmounted()
    pid = mount.pid
    mount.await_exit()
    assert state_of(pid) in DEAD


def test_fusermount_after_the_supervisor_died(disk):
    mount = disk()
    mount.make("q.queue").put(b"x\n")
    end(mount.pid)
    adopt(mount)
    mount.unmount()
    mount.start()
    assert mount.obj("q.queue").take() == b"x\n"


# --- both ------------------------------------------------------------------------------------------

def kill_all(mount):
    pids = mount.pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        wait_exit(pid, T(10))
    if mount.process:
        mount.process.wait(T(10))
    mount.forget()


@pytest.mark.parametrize("state", ["disk", "default"])
def test_both_killed(disk, mount_with, state):
    mount = disk() if state == "disk" else mount_with(state="default")
    q, lock = mount.make("q.queue"), mount.make("l.lock")
    q.put(b"1\n2\n3\n")
    fd = flock_ex(lock.path)
    kill_all(mount)
    with raises(errno.ENOTCONN, errno.ECONNABORTED):
        os.listdir(mount.dir)
    mount.start()
    eventually(lambda: "dead ipcfs" in mount.log())
    eventually(lambda: os.listdir(mount.dir))
    os.close(fd)
    assert q.drain() == b"1\n2\n3\n"
    assert lock.size == 1, "who held it is of the mount that died"
    mount.unmount()
    assert mounted_at(mount.dir) is None, "nothing is left below"


# --- kernels that do not send again ----------------------------------------------------------------

def lost(mount_call):
    with raises(errno.ECONNABORTED):
        mount_call()
    return True


def test_no_resend(disk):
    mount = disk(no_resend=True)
    empty, full = mount.make("empty.queue"), mount.make("full.queue", maxsize=1)
    lock, barrier = mount.make("l.lock"), mount.make("b.barrier")
    barrier.put(b"2\n")
    full.put(b"first\n")
    holder = flock_ex(lock.path)
    clients = [fork(lost, empty.get), fork(lost, lambda: full.put(b"second\n")),
               fork(lost, lambda: flock_ex(lock.path)), fork(lost, barrier.get),
               fork(lost, lambda: os.read(os.open(empty.at(30), os.O_RDONLY), 10))]
    empty.await_waiters(2)
    for obj in (full, lock, barrier):
        obj.await_waiters(1)
    end(mount.worker())
    for client in clients:
        assert client.result(10)
    for obj in (empty, full, lock):
        obj.await_waiters(0)
    assert full.drain() == b"first\n"
    assert lock.size == 0
    os.close(holder)
    eventually(lambda: lock.size == 1)
    empty.put(b"x\n")
    assert empty.take() == b"x\n"
    assert "cannot resend requests" in mount.log()


def pump_again(q, lines):
    fd = os.open(q.path, os.O_WRONLY)
    for i in range(lines):
        while True:
            try:
                os.write(fd, b"%d\n" % i)
                break
            except ConnectionAbortedError:
                pass
    os.close(fd)


def test_no_resend_under_load(disk):
    """Writers that have room never wait: the one request that was in hand is done exactly once."""
    mount = disk(no_resend=True)
    q = mount.make("q.queue")
    clients = [fork(pump_again, q, 5000) for _ in range(3)]
    for _ in range(10):
        end(mount.worker())
        time.sleep(0.05)
    for client in clients:
        client.result(40)
    got = [int(line) for line in q.drain().split()]
    assert sorted(got) == sorted(list(range(5000)) * 3)
    mount.unmount()


# --- ipcctl check ----------------------------------------------------------------------------------

def check(path, *options, code):
    done = run([IPCCTL, "check", *options, path])
    assert done.code == code, done
    return done.out + done.err


def spoil(path, offset=0, data=b"\xff" * 4096):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def engine(mount, obj):
    return engine_file(mount.state, os.stat(obj.path).st_ino)


def tree(folder):
    seen = {}
    for base, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(base, name), "rb") as file:
                seen[os.path.join(base, name)] = file.read()
    return seen


def test_check_of_a_mount(disk):
    mount = disk()
    q = mount.make("q.queue")
    os.mkdir(mount.path("sub"))
    mount.make("sub/l.lock")
    assert "2 objects, 0 damaged" in check(mount.dir, code=0)
    assert "in use" in check(mount.state, code=1)
    assert "unmount" in check(mount.dir, "--repair", code=1)
    path = engine(mount, q)
    mount.unmount()
    spoil(path)
    mount.start()
    text = check(mount.dir, code=1)
    assert "q.queue: damaged" in text and "2 objects, 1 damaged" in text


def test_check_and_repair_of_a_state(disk):
    mount = disk()
    os.mkdir(mount.path("sub"))
    names = ["sub/bad.queue", "missing.sem", "good.queue", "held.lock", "a.array", "v.value"]
    objects = {name: mount.make(name) for name in names}
    objects["good.queue"].put(b"1\n2\n")
    objects["sub/bad.queue"].put(b"".join(b"%d" % i + b"x" * 1000 + b"\n" for i in range(3)))     # more than a page
    files = {name: engine(mount, obj) for name, obj in objects.items()}
    fd = flock_ex(objects["held.lock"].path)
    kill_all(mount)
    os.close(fd)
    subprocess.run(["umount", "-l", mount.dir], check=True)
    before = tree(mount.state)
    assert "6 objects, 0 damaged" in check(mount.state, code=0)
    assert tree(mount.state) == before, "looking changes nothing"
    os.unlink(files["missing.sem"])
    spoil(files["sub/bad.queue"], 4096)
    shutil.copy(files["v.value"], engine_file(mount.state, 999))
    before = tree(mount.state)
    text = check(mount.state, code=1)
    assert "6 objects, 3 damaged" in text and "sub/bad.queue: " in text and "missing.sem" in text
    assert tree(mount.state) == before
    text = check(mount.state, "--repair", code=0)
    assert "3 messages are lost" in text and "held.lock: 1 handles" in text
    assert os.path.exists(damaged_file(files["sub/bad.queue"]))
    assert "6 objects, 0 damaged" in check(mount.state, code=0)
    mount.start()
    assert objects["good.queue"].drain() == b"1\n2\n"
    assert objects["held.lock"].size == 1
    objects["sub/bad.queue"].put(b"x\n")
    assert objects["sub/bad.queue"].take() == b"x\n"
    objects["missing.sem"].put(b"1\n")


NEVER_USED = ["a.queue", "b.lock", "c.value", "d.array", "sub/e.pipe"]


def test_check_of_objects_that_were_never_used(disk):
    """They have no engine file; one that was used and has lost its own is damaged."""
    mount = disk()
    os.mkdir(mount.path("sub"))
    for name in NEVER_USED:
        os.mknod(mount.path(name))
    q = mount.make("used.queue")
    q.put(b"1\n")
    path = engine(mount, q)
    mount.unmount()
    assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]
    assert "6 objects, 0 damaged" in check(mount.state, code=0)
    assert "6 objects, 0 damaged" in check(mount.state, "--repair", code=0)
    os.unlink(path)
    text = check(mount.state, code=1)
    assert "used.queue: its file is missing" in text and "6 objects, 1 damaged" in text
    mount.start()
    with raises(errno.EIO):
        os.open(q.path, os.O_RDONLY)
    assert Obj(mount.dir, "a.queue").size == 0


def test_an_object_begins_with_the_settings_of_its_own_time(disk):
    mount = disk(framing="record", take="rw")
    os.mknod(mount.path("old.queue"))
    mount.remount(framing="line", take="any")
    os.mknod(mount.path("new.queue"))
    old, new = Obj(mount.dir, "old.queue"), Obj(mount.dir, "new.queue")
    for _ in range(2):
        assert (old.ctl("framing"), old.ctl("take")) == ("record", "rw")
        assert (new.ctl("framing"), new.ctl("take")) == ("line", "any")
        old.put(b"1\n")        # the newline is the record's
        new.put(b"1\n")
    assert (old.ctl("bytes"), new.ctl("bytes")) == ("4", "2")


def test_repair_of_a_damaged_namespace(disk):
    mount = disk()
    q = mount.make("q.queue")
    q.put(b"1\n2\n")
    number = os.stat(q.path).st_ino
    mount.unmount()
    spoil(mount_file(mount.state))
    assert "namespace" in check(mount.state, code=1)
    assert f"recovered-{number}.queue" in check(mount.state, "--repair", code=0)
    mount.start()
    assert mount.obj(f"recovered-{number}.queue").drain() == b"1\n2\n"
    assert mount.make("new.queue").size == 0


def test_another_version_is_refused(disk):
    mount = disk()
    mount.make("q.queue")
    mount.unmount()
    path = mount_file(mount.state)
    spoil(path, 8, b"\x63\0\0\0")
    before = tree(mount.state)
    for options in ((), ("--repair",)):
        assert "another version" in check(mount.state, *options, code=1)
    assert tree(mount.state) == before
    done = run(WRAP + [IPCFS, "-f", "-o", f"state={mount.state}", mount.dir])
    assert done.code > 0 and "another version" in done.err


def test_check_of_something_else(tmp_path):
    assert "neither" in check(str(tmp_path), code=1)
    assert check(str(tmp_path / "missing"), code=1)


# --- who waits for a directory that somebody else has locked -----------------------------------------

def create_and_remove(path):
    while True:
        os.close(os.open(path, os.O_CREAT | os.O_RDONLY))
        os.unlink(path)


def open_anew(path):
    """Its name is to lead elsewhere (fs/state/expire.c): the kernel is told so, and locks the directory."""
    while True:
        fd = os.open(path, os.O_CREAT | os.O_RDONLY | os.O_NONBLOCK)
        os.close(os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK))
        os.close(fd)
        os.unlink(path)


@pytest.fixture
def crowded(mount):
    """A directory whose lock is always wanted, by clients and by the daemon itself."""
    os.mkdir(mount.path("d"))
    clients = [fork(create_and_remove, mount.path(f"d/{i}.event")) for i in range(6)]
    clients += [fork(open_anew, mount.path(f"d/{i}.queue")) for i in range(3)]
    for name in ("0.event", "0.queue"):
        eventually(lambda name=name: name in os.listdir(mount.path("d")))
    mount.clients = clients
    yield mount
    for client in clients:
        client.kill()


def test_a_killed_worker_ends_whoever_has_its_directory_locked(crowded):
    for _ in range(40):
        pid = crowded.worker()
        os.kill(pid, signal.SIGKILL)
        eventually(lambda pid=pid: children(crowded.pid) - {pid}, 20, "another worker")


def test_a_daemon_that_is_told_to_stop_ends_whoever_has_a_directory_locked(crowded):
    os.kill(crowded.supervisor(), signal.SIGTERM)
    assert crowded.await_exit(20) == 0


# ---- the index of names, in the mount file ----

NODE = 112  # bytes of a node before its name
SAME_BY_ID, SAME_BY_NAME, ORDER = 40, 44, 32


def node_of(state, name):
    """Where the node of this name begins in the mount file."""
    with open(mount_file(state), "rb") as file:
        data = file.read()
    assert data.count(b"\0" + name + b"\0") == 1, "found once"
    return data.index(b"\0" + name + b"\0") + 1 - NODE


def some_names(mount):
    """Folders in each other with objects in them: their paths, in the order of READDIR."""
    os.makedirs(mount.path("outer/inner"))
    names = [f"{folder}object-{i}.queue" for folder in ("", "outer/", "outer/inner/")
             for i in range(3)]
    for name in names:
        mount.make(name).put(name.encode() + b"\n")
    return names


@pytest.mark.parametrize("field", (SAME_BY_ID, SAME_BY_NAME, ORDER, ORDER + 4))
def test_repair_of_a_bent_index(disk, field):
    mount = disk()
    names = some_names(mount)
    os.chmod(mount.path("outer/object-1.queue"), 0o640)
    os.rename(mount.path("outer/inner"), mount.path("inner-moved"))
    names = [name.replace("outer/inner", "inner-moved") for name in names]
    os.unlink(mount.path("outer/object-2.queue"))
    mount.make("outer/object-9.queue").put(b"outer/object-9.queue\n")
    names[names.index("outer/object-2.queue")] = "outer/object-9.queue"
    listed = os.listdir(mount.path("inner-moved"))
    mount.unmount()
    spoil(mount_file(mount.state), node_of(mount.state, b"object-9.queue") + field, b"\xf0\xff\xff\x00")
    before = tree(mount.state)
    assert "the namespace: " in check(mount.state, code=1)
    assert tree(mount.state) == before, "looking changes nothing"
    done = run([IPCFS, "-f", "-o", f"state={mount.state}", mount.dir])
    assert done.code == 1 and "--repair" in done.err, done
    assert "what was readable of it" in check(mount.state, "--repair", code=0)
    assert "9 objects, 0 damaged" in check(mount.state, code=0)
    mount.start()
    assert os.listdir(mount.path("inner-moved")) == listed
    for name in names:
        assert mount.obj(name).take()[-15:] == name[-14:].encode() + b"\n"
    assert os.stat(mount.path("outer/object-1.queue")).st_mode & 0o777 == 0o640


SLOTS = 3040  # where the blocks in the header page begin


def root_node(data):
    """Where the root's node begins: it has the id 1, no parent, and no name."""
    for place in range(0, len(data) - NODE, 16):
        ident, parent = struct.unpack_from("<QQ", data, place + 8)
        if (ident, parent) == (1, 0) and struct.unpack_from("<H", data, place + NODE - 4)[0] == 0:
            return place
    raise AssertionError("no root")


def test_repair_finds_a_root_that_no_chain_leads_to(disk):
    mount = disk()
    names = some_names(mount)
    os.chmod(mount.dir, 0o751)
    os.chown(mount.dir, 12, 34)
    mount.unmount()
    with open(mount_file(mount.state), "rb") as file:
        data = bytearray(file.read())
    root = struct.pack("<I", root_node(data) // 16)
    found = [i for i in range(SLOTS, len(data), 4) if data[i:i + 4] == root]
    assert found
    for place in found:
        spoil(mount_file(mount.state), place, b"\xf0\xff\xff\x00")
    assert "the namespace: " in check(mount.state, code=1)
    check(mount.state, "--repair", code=0)
    mount.start()
    assert not [name for name in os.listdir(mount.dir) if name.startswith("recovered")]
    root = os.stat(mount.dir)
    assert (root.st_mode & 0o7777, root.st_uid, root.st_gid) == (0o751, 12, 34)
    for name in names:
        assert mount.obj(name).take() == name.encode() + b"\n"


def test_a_root_that_is_lost_costs_its_owner_only(disk):
    mount = disk()
    names = some_names(mount)
    mount.unmount()
    with open(mount_file(mount.state), "rb") as file:
        spoil(mount_file(mount.state), root_node(file.read()) + 8, b"\0" * 8)
    check(mount.state, "--repair", code=0)
    mount.start()
    for name in names:
        assert mount.obj(name).take() == name.encode() + b"\n"


def test_a_folder_that_is_lost_costs_its_name_only(disk):
    mount = disk()
    names = some_names(mount)
    objects = {name: os.stat(mount.path(name)).st_ino for name in names}
    mount.unmount()
    node = node_of(mount.state, b"inner")
    spoil(mount_file(mount.state), node + 8, b"\0" * 8)
    check(mount.state, "--repair", code=0)
    mount.start()
    assert not os.path.exists(mount.path("outer/inner"))
    for name in names:
        if "inner" in name:
            name = f"recovered-{objects[name]}-{os.path.basename(name)}"
        assert os.path.basename(name)[-14:].encode() in mount.obj(name).take()


def die_of_it(mount, *sentences):
    """The supervisor gives up, after each worker has said what is wrong."""
    assert mount.await_exit() == 1
    for sentence in sentences:
        assert sentence in mount.log()
    subprocess.run(["umount", "-l", mount.dir], check=True)
    with open(mount.log_path, "w", encoding="utf-8"):
        pass


def test_a_damaged_index_is_found_while_it_is_used(disk):
    """The worker says what it has found and ends; the next one checks all, and says so, too."""
    mount = disk()
    some_names(mount)
    place = node_of(mount.state, b"outer") + ORDER
    bent = b"\xf0\xff\xff\x00"
    with open(mount_file(mount.state), "rb") as file:
        file.seek(place)
        sound = file.read(4)
    # A killed worker's successor does not look at all names, …
    spoil(mount_file(mount.state), place, bent)
    worker = mount.worker()
    end(worker)
    eventually(lambda: mount.worker() not in (None, worker), 10, "another worker")
    assert mount.obj("object-0.queue").size == 1
    # … but that of one that failed by itself does.
    end(mount.worker(), signal.SIGUSR1)  # (which no sanitizer takes for a fault)
    die_of_it(mount, "mount: is damaged (", "is dead until it is mounted again")
    spoil(mount_file(mount.state), place, sound)
    mount.start()
    assert sorted(os.listdir(mount.path("outer"))) == [
        "inner", "object-0.queue", "object-1.queue", "object-2.queue"]
    # A request meets it.
    spoil(mount_file(mount.state), place, bent)
    with raises(errno.ECONNABORTED, errno.ENOTCONN):
        os.listdir(mount.dir)
    die_of_it(mount, "the mount file: engine file 0 is damaged: ", "mount: is damaged (")
    spoil(mount_file(mount.state), place, sound)
    mount.start()
    assert mount.obj("outer/object-0.queue").take() == b"outer/object-0.queue\n"


# --- nobody is left to answer, and a process of the daemon's waits in the kernel -----------------------

def stop_while_it_tells(mount):
    """Stop the worker while a process of its own waits for a directory that a client has locked (state "D")."""
    def stopped():
        worker = mount.worker()
        os.kill(worker, signal.SIGSTOP)
        eventually(lambda: state_of(worker) == "T", 10, "it is stopped")
        if "D" in {state_of(pid) for pid in children(worker)}:
            return worker
        os.kill(worker, signal.SIGCONT)
        return None
    return eventually(stopped, 60, "somebody waits for the directory")


def await_clients(clients):
    for client in clients:
        eventually(lambda client=client: state_of(client.pid) in DEAD, 20, "a client ends")


def test_a_supervisor_that_gives_up_leaves_nobody_waiting(crowded):
    worker = stop_while_it_tells(crowded)
    spoil(mount_file(crowded.state), 0, b"\0\0\0\0")
    os.kill(worker, signal.SIGKILL)
    assert crowded.await_exit() == 1
    await_clients(crowded.clients)
    with raises(errno.ENOTCONN):
        os.listdir(crowded.dir)
    crowded.tainted = True


def test_a_supervisor_that_is_stopped_between_two_workers_leaves_nobody_waiting(crowded):
    worker = stop_while_it_tells(crowded)
    spoil(mount_file(crowded.state), 0, b"\0\0\0\0")
    os.kill(crowded.pid, signal.SIGTERM)
    os.kill(worker, signal.SIGKILL)
    assert crowded.await_exit() == 1
    await_clients(crowded.clients)
    crowded.tainted = True
