"""Mounting and unmounting: options, refusals, signals, persistence."""

import errno
import fcntl
import os
import shutil
import signal
import subprocess

import pytest

from kit import IPCFS, T, eventually, fork, raises, read_all, run, spawn
from kit.mount import WRAP, await_mount_change, mounted_at

OPTIONS = ("state=", "memory=", "objects=", "message=", "framing=", "take=")


def ipcfs(*args, **options):
    return run(WRAP + [IPCFS, *args], **options)


# --- words -----------------------------------------------------------------------------------------

def test_help():
    done = ipcfs("-h")
    assert done.code == 0
    for word in OPTIONS + ("-f", "-d", "-V", "-o", "allow_other"):
        assert word in done.out + done.err, word
    assert "sage" in done.out + done.err


def test_version():
    done = ipcfs("-V")
    assert done.code == 0
    assert "ipcfs" in done.out.lower() and any(c.isdigit() for c in done.out)


def refused(mount, *args):
    """ipcfs ARGS must end by itself, soon, with a sentence and without a mount."""
    done = ipcfs(*args, timeout=15)
    assert done.code > 0, done
    assert done.err.strip(), "a sentence says why"
    assert mounted_at(mount.dir) is None
    return done.err


@pytest.mark.parametrize("option", ["nonsense", "memory=lots", "memory=-1", "memory=", "objects=x", "objects=-3",
                                    "message=x", "framing=letters", "take=all", "state="])
def test_bad_options(mount_with, option):
    mount = mount_with(start=False)
    state = "" if option.startswith("state") else f"state={mount.state},"
    text = refused(mount, "-f", "-o", f"{state}{option}", mount.dir)
    assert option.partition("=")[0] in text


def test_no_mount_point(mount_with):
    mount = mount_with(start=False)
    refused(mount, "-f", "-o", f"state={mount.state}")
    refused(mount, "-f", "-o", f"state={mount.state}", mount.dir + "/missing")
    with open(mount.base + "/file", "w", encoding="ascii"):
        pass
    refused(mount, "-f", "-o", f"state={mount.state}", mount.base + "/file")


def test_a_state_folder_in_use(mount_with):
    first = mount_with()
    q = first.make("q.queue")
    second = mount_with(start=False, state=first.state)
    text = refused(second, "-f", "-o", f"state={first.state}", second.dir)
    assert first.state in text
    q.put(b"x\n")
    assert q.take() == b"x\n", "the first goes on"


@pytest.mark.parametrize("mode", [0o755, 0o711, 0o770, 0o777, 0o1777])
def test_a_state_folder_that_is_not_private(mount_with, mode):
    mount = mount_with(start=False)
    os.chmod(mount.state, mode)
    text = refused(mount, "-f", "-o", f"state={mount.state}", mount.dir)
    assert mount.state in text
    assert os.listdir(mount.state) == []


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_a_state_folder_of_someone_else(mount_with):
    mount = mount_with(start=False)
    os.chown(mount.state, 20001, 20001)
    refused(mount, "-f", "-o", f"state={mount.state}", mount.dir)


def test_a_state_folder_is_made_when_missing(mount_with):
    mount = mount_with(start=False)
    mount.state += "/new"
    mount.start()
    assert os.stat(mount.state).st_mode & 0o777 == 0o700
    mount.make("q.queue").put(b"x\n")
    mount.unmount()
    mount.state = os.path.dirname(mount.state)


def test_usual_mount_options(mount_with):
    mount = mount_with(nosuid=True, nodev=True, noatime=True, fsname="mine")
    mount.make("q.queue")
    with open("/proc/self/mounts", encoding="utf-8") as file:
        line, = [l for l in file if mount.dir in l]
    assert line.startswith("mine ") and "fuse.ipcfs" in line and "nosuid" in line


def test_default_framing(mount_with):
    mount = mount_with(framing="record")
    q = mount.make("q.queue")
    assert q.ctl("framing") == "record"
    q.put(b"a\nb")
    assert q.take() == b"a\nb"
    assert mount.make("p.pipe").ctl("framing") == "bytes"


def test_debug_stays_in_the_foreground_and_talks(mount_with):
    mount = mount_with(args=["-d"])
    mount.make("q.queue").put(b"x\n")
    assert len(mount.log()) > 100


# --- in the background -----------------------------------------------------------------------------

def test_without_f_it_returns_when_mounted(mount_with):
    mount = mount_with(args=[])
    q = mount.make("q.queue")
    q.put(b"x\n")
    assert q.take() == b"x\n"
    assert os.readlink(f"/proc/{mount.pid}/cwd") == "/"
    mount.unmount()


def test_background_refusals_still_tell_the_caller(mount_with):
    first = mount_with()
    second = mount_with(start=False, state=first.state)
    refused(second, "-o", f"state={first.state}", second.dir)


def test_default_state_folder(mount_with):
    """One per mount point, private, below /dev/shm; the same one again at the next mount."""
    one, two = mount_with(start=False, state="default"), mount_with(start=False, state="default")
    one.own_state = two.own_state = False
    one.start(), two.start()
    a, b = one.make("q.queue"), two.make("q.queue")
    a.put(b"one\n")
    b.put(b"two\n")
    states = [os.path.dirname(os.path.dirname(os.readlink(o.ctl_path("shm")))) for o in (a, b)]
    assert states[0] != states[1]
    for state in states:
        assert state.startswith("/dev/shm/")
        assert os.stat(state).st_mode & 0o777 == 0o700
    one.remount()
    assert a.messages() == [b"one"]
    assert b.messages() == [b"two"]
    for mount, obj in ((one, a), (two, b)):
        os.unlink(obj.path)
        mount.unmount()
    for state in states:
        run(["rm", "-r", state])


# --- the end ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_signals_unmount_cleanly(mount, signo):
    mount.make("q.queue").put(b"kept\n")
    os.kill(mount.pid, signo)
    mount.await_unmounted()
    assert mount.await_exit() == 0
    mount.check_log()
    assert os.listdir(mount.dir) == []
    mount.start()
    assert mount.obj("q.queue").messages() == [b"kept"]


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_signals_send_every_waiter_away(mount, signo):
    q, full = mount.make("q.queue"), mount.make("full.queue", maxsize=1)
    full.put(b"kept\n")
    readers = [fork(q.get) for _ in range(20)]
    writers = [fork(full.put, b"lost\n") for _ in range(5)]
    q.await_waiters(20)
    full.await_waiters(5)
    os.kill(mount.pid, signo)
    for client in readers + writers:
        with raises(errno.ECANCELED, errno.EINTR, errno.ENOTCONN, errno.ECONNABORTED, errno.ENODEV, errno.EIO):
            client.result()
    assert mount.await_exit() == 0
    mount.start()
    assert mount.obj("full.queue").messages() == [b"kept"]
    assert mount.obj("q.queue").waiters() == []
    mount.obj("q.queue").put(b"x\n")
    assert mount.obj("q.queue").take() == b"x\n"


def test_fusermount(mount):
    mount.make("q.queue")
    mount.unmount()
    assert not mount.is_mounted()


def test_busy_until_the_last_handle_closes(mount):
    q = mount.make("q.queue")
    fd = q.open()
    assert run(["fusermount3", "-u", mount.dir]).code != 0
    q.put(b"x\n")
    assert os.read(fd, 10) == b"x\n"
    os.close(fd)
    mount.unmount()


def test_lazy_unmount_with_waiters(mount):
    q = mount.make("q.queue")
    reader = fork(q.get)
    q.await_waiters(1)
    writer = q.open(os.O_WRONLY)
    assert run(["fusermount3", "-u", "-z", mount.dir]).code == 0
    os.write(writer, b"x\n")
    assert reader.result() == b"x\n"
    os.close(writer)
    assert mount.await_exit() == 0


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_umount_program(mount):
    mount.make("q.queue")
    assert run(["umount", mount.dir]).code == 0
    assert mount.await_exit() == 0
    mount.check_log()


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_forced_umount_with_waiters(mount):
    q = mount.make("q.queue")
    reader = fork(q.get)
    q.await_waiters(1)
    run(["umount", "-f", mount.dir])
    with raises(errno.ECONNABORTED, errno.ENOTCONN, errno.EINTR, errno.ECANCELED, errno.EIO):
        reader.result()
    run(["umount", "-l", mount.dir])
    mount.await_exit()


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_mount_program(mount_with):
    """mount -t fuse.ipcfs, as fstab has it."""
    mount = mount_with(start=False)
    # "-t fuse.ipcfs" looks for ipcfs on the system's PATH alone; PROGRAM#SOURCE says where it is.
    done = run(["mount", "-t", "fuse", "-o", f"state={mount.state},nosuid",
                os.path.abspath(IPCFS) + "#ipcfs", mount.dir])
    assert done.code == 0, done
    assert mounted_at(mount.dir)
    q = mount.make("q.queue")
    q.put(b"x\n")
    assert run(["umount", mount.dir]).code == 0


# --- a new mount on the same state -------------------------------------------------------------------

def test_a_new_mount_brings_every_object_back(mount):
    os.mkdir(mount.path("d"), 0o750)
    q = mount.make("d/q.queue", maxsize=10, max_attempts=2)
    q.put(b"1\n\n3\n")
    record = mount.make("r.queue", framing="record")
    record.put(b"\0\n\xff")
    p, e, s, lock = (mount.make(n) for n in ("p.pipe", "e.event", "s.sem", "l.lock"))
    p.put(b"bytes")
    e.put(b"1\n")
    s.put(b"5\n")
    s.take()
    s.set("bound", 9)
    lock.set("undo", 0)
    lock.take()
    os.chmod(q.path, 0o640)
    os.utime(e.path, ns=(10**18, 10**18))
    closed = mount.make("closed.queue")
    closed.put(b"last\n")
    closed.close()
    objects = (q, record, p, e, s, lock, closed)
    before = [o.snapshot() for o in objects]
    stats = [(o.st_mode, o.st_uid, o.st_ino, o.st_mtime_ns) for o in map(os.stat, objects)]
    for _ in range(2):
        mount.remount()
        assert [o.snapshot() for o in objects] == before
        assert [(o.st_mode, o.st_uid, o.st_ino, o.st_mtime_ns) for o in map(os.stat, objects)] == stats
        assert os.stat(mount.path("d")).st_mode & 0o777 == 0o750
    assert [q.take() for _ in range(3)] == [b"1\n", b"\n", b"3\n"]
    assert record.take() == b"\0\n\xff"
    assert read_all(closed.path) == b"last\n"


def test_what_was_borrowed_or_leased_at_the_end_is_back(mount):
    s, q = mount.make("s.sem"), mount.make("q.queue")
    s.put(b"1\n")
    q.put(b"job\n")
    a = s.open()
    fcntl.flock(a, fcntl.LOCK_EX)
    b = os.open(q.ctl_path("lease"), os.O_RDONLY)
    assert os.read(b, 100).endswith(b"job\n")
    os.kill(mount.pid, signal.SIGTERM)
    assert mount.await_exit() == 0
    os.close(a), os.close(b)
    if mount.is_mounted():
        run(["fusermount3", "-u", "-z", mount.dir])
    mount.start()
    assert s.size == 1
    assert q.messages() == [b"job"]
    assert s.holders() == []


def test_new_ids_after_a_remount_are_new(mount):
    inodes = set()
    for i in range(4):
        obj = mount.make(f"{i}.queue")
        inodes.add(os.stat(obj.path).st_ino)
        mount.remount()
    assert len(inodes) == 4


def test_two_mounts_side_by_side(mount_with):
    one, two = mount_with(), mount_with()
    a, b = one.make("q.queue"), two.make("q.queue")
    reader = fork(a.get)
    a.await_waiters(1)
    b.put(b"b\n")
    assert a.size == 0 and len(a.waiters()) == 1
    a.put(b"a\n")
    assert reader.result() == b"a\n"
    one.unmount()
    assert b.take() == b"b\n"
    one.start()
    with raises(errno.EXDEV):
        os.rename(one.obj("q.queue").path, two.path("r.queue"))


def test_the_daemon_survives_a_client_storm_at_unmount(mount):
    """Clients come and go while it is told to end: an error for them, code 0 for it."""
    q = mount.make("q.queue")

    def client():
        count = 0
        try:
            while True:
                q.put(b"x\n")
                q.take()
                count += 1
        except OSError:
            return count

    clients = [fork(client) for _ in range(4)]
    eventually(lambda: q.size >= 0)
    os.kill(mount.pid, signal.SIGTERM)
    for child in clients:
        child.result()
    assert mount.await_exit() == 0
    mount.check_log()


def test_foreground_output_goes_to_stderr(mount_with):
    """And an ordinary life says nothing bad."""
    mount = mount_with(start=False)
    program = spawn(WRAP + [IPCFS, "-f", "-o", f"state={mount.state}", mount.dir])
    assert await_mount_change(mount.is_mounted, 20, program.pid)
    done = subprocess.run(["timeout", "10", "fusermount3", "-u", mount.dir], check=False)
    assert done.returncode == 0
    code, out, _ = program.finish(T(20))
    assert (code, out) == (0, "")


def test_long_mount_points_do_not_share_their_default_state(mount_with, tmp_path):
    """Their names are too long for a directory's: a hash of the whole path stands for each."""
    states = []
    for letter in "ab":
        target = os.path.join(tmp_path, letter * 120, letter * 120)
        os.makedirs(target)
        assert run([IPCFS, target]).code == 0
        try:
            with open(os.path.join(target, ".ctl/status"), encoding="utf-8") as status:
                states += [line[7:].strip() for line in status if line.startswith("state: ")]
        finally:
            run(["fusermount3", "-u", target])
    assert len(set(states)) == 2
    for state in states:
        shutil.rmtree(state)
