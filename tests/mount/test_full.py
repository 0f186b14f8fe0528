"""A full file system below the state directory: who waits there, who is refused, and who goes on."""

import errno
import os
import subprocess
import tempfile

import pytest

from kit import BUILD, Mount, eventually, fork, raises, read_all, run, spawn
from kit.proc import children, stat_fields
from kit.state import objects_folder, spare_file

LIB = os.path.join(BUILD, "tests", "lib", "lib")
NB = os.O_NONBLOCK
MIB = 1 << 20
CHUNK = b"x" * 50000 + b"\n"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small tmpfs")


class Disk:
    """A small tmpfs. What others put there is in one file."""

    def __init__(self, size):
        self.dir = tempfile.mkdtemp(prefix="ipcfs-test-")
        self.balloon = os.path.join(self.dir, "balloon")
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", self.dir], check=True)

    def free(self):
        return os.statvfs(self.dir).f_bavail * os.statvfs(self.dir).f_frsize

    def fill(self):
        """Others take all that is left."""
        fd = os.open(self.balloon, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        with raises(errno.ENOSPC):
            while True:
                os.write(fd, bytes(4096))
        os.close(fd)

    def make_room(self):
        os.unlink(self.balloon)

    def objects(self):
        return sorted(os.listdir(objects_folder(os.path.join(self.dir, "state"))))

    def dispose(self):
        subprocess.run(["umount", self.dir], check=True)
        os.rmdir(self.dir)


@pytest.fixture
def disk_of(mount_with):
    """A mount whose state is on a small file system; `disk` of it."""
    disks = []

    def factory(size="2M", **options):
        disk = Disk(size)
        disks.append(disk)
        mount = mount_with(state=os.path.join(disk.dir, "state"), **options)
        mount.disk = disk
        return mount

    yield factory
    for mount in list(Mount.active):
        mount.dispose()
    for disk in disks:
        disk.dispose()


def fill(q, chunk=CHUNK):
    """Put without waiting until there is no room; how many bytes went in."""
    total = 0
    with raises(errno.ENOSPC):
        while True:
            total += q.put(chunk, NB)
            assert total < 64 * MIB, "no limit"
    return total


def lines(first, last, width=50000):
    return b"".join(b"%0*d\n" % (width, i) for i in range(first, last))


def write_all(path, data):
    """As a program does that knows of short counts; gives the counts."""
    fd, counts = os.open(path, os.O_WRONLY), []
    while data:
        counts.append(os.write(fd, data))
        data = data[counts[-1]:]
    os.close(fd)
    return counts


def read_lines(q, count):
    fd = q.open()
    data = b"".join(os.read(fd, MIB) for _ in range(count))
    os.close(fd)
    return data


# --- who waits --------------------------------------------------------------------------------------

def test_one_large_write_waits_until_it_is_all_in(disk_of):
    """The first lines of it are in when the file system is full."""
    mount = disk_of()
    q = mount.make("q.queue")
    data = lines(0, 100)
    writer = fork(write_all, q.path, data)
    row, = q.await_waiters(1)
    assert row.operation == "write" and q.size > 10
    assert read_lines(q, 100) == data
    assert sum(writer.result()) == len(data)


@pytest.mark.parametrize("name", ["q.queue", "p.pipe"])
def test_each_waits_in_its_turn(disk_of, name):
    mount = disk_of()
    q = mount.make(name, maxbytes=0)
    reader = q.open(os.O_RDONLY)
    total = fill(q)
    writers = []
    for i in range(3):
        writers.append(fork(q.put, b"%d" % i * 50000 + b"\n"))
        q.await_waiters(i + 1)
    data = b""
    while len(data) < total + 3 * 50001:
        data += os.read(reader, MIB)
    assert [w.result() for w in writers] == [50001] * 3
    assert data[total:] == b"".join(b"%d" % i * 50000 + b"\n" for i in range(3))
    os.close(reader)


def test_what_another_object_gives_back_is_enough(disk_of):
    mount = disk_of()
    a, b = mount.make("a.queue"), mount.make("b.queue")
    b.put(b"x\n")
    fill(a)
    writer = fork(b.put, CHUNK)
    b.await_waiters(1)
    a.drain()
    assert writer.result() == len(CHUNK)


def test_a_removed_object_makes_room(disk_of):
    mount = disk_of()
    a, b = mount.make("a.queue"), mount.make("b.queue")
    fill(a)
    writer = fork(b.put, CHUNK)
    b.await_waiters(1)
    os.unlink(a.path)
    assert writer.result() == len(CHUNK)


def test_others_who_make_room_are_noticed(disk_of):
    """Nobody tells the daemon of that, and no request comes."""
    mount = disk_of()
    q = mount.make("q.queue")
    mount.disk.fill()
    writer = fork(write_all, q.path, lines(0, 10))
    q.await_waiters(1)
    mount.disk.make_room()
    assert sum(writer.result()) == 10 * 50001
    assert q.size == 10


def test_waiting_for_others_costs_little(disk_of):
    mount = disk_of()
    queues, event = [mount.make(f"{i}.queue") for i in range(5)], mount.make("e.event")
    mount.disk.fill()
    data = CHUNK * 4            # more than what objects that nobody has open give back
    writers = [fork(q.put, data) for q in queues]
    for q in queues:
        q.await_waiters(1)
    worker, = children(mount.pid)
    before = sum(map(int, stat_fields(worker)[11:13]))
    with raises(errno.ETIMEDOUT):
        read_all(event.at(2))
    used = (sum(map(int, stat_fields(worker)[11:13])) - before) / os.sysconf("SC_CLK_TCK")
    assert used < 0.5, "of two seconds"
    mount.disk.make_room()
    assert [w.result() for w in writers] == [len(data)] * 5


def test_a_signal_and_a_time_limit_end_the_wait(disk_of):
    mount = disk_of()
    q = mount.make("q.queue")
    total = fill(q)
    writer = fork(q.put, CHUNK)
    q.await_waiters(1)
    writer.kill()
    q.await_waiters(0)
    fd = q.open(os.O_WRONLY, limit="0.2")
    with raises(errno.ETIMEDOUT):
        os.write(fd, CHUNK)
    os.close(fd)
    assert len(read_lines(q, q.size)) == total


def test_a_restart_changes_nothing(disk_of):
    mount = disk_of()
    q = mount.make("q.queue")
    data = lines(0, 60)
    writer = fork(write_all, q.path, data)
    q.await_waiters(1)
    worker, = children(mount.pid)
    os.kill(worker, 9)
    q.await_waiters(1)
    assert read_lines(q, 60) == data
    assert sum(writer.result()) == len(data)


@pytest.mark.skipif(not os.access(LIB, os.X_OK), reason="no libipcfs in this build")
def test_direct_clients_wait_too(disk_of):
    mount = disk_of()
    q = mount.make("q.queue")
    q.put(b"first\n")
    mount.disk.fill()
    message = "m" * 60000
    client = spawn([LIB, "-put", q.path, message, message])
    q.await_waiters(1)
    mount.disk.make_room()
    assert client.finish()[0] == 0
    assert q.messages() == [b"first", message.encode(), message.encode()]


# --- who is refused ---------------------------------------------------------------------------------

def test_without_waiting_it_is_a_short_count_and_then_enospc(disk_of):
    mount = disk_of()
    q = mount.make("q.queue")
    data = lines(0, 100)
    fd = q.open(os.O_WRONLY | NB)
    count = os.write(fd, data)
    while True:
        try:
            count += os.write(fd, data[count:])
        except BlockingIOError:
            raise AssertionError("EAGAIN, and there is no limit") from None
        except OSError as error:
            assert error.errno == errno.ENOSPC
            break
    os.close(fd)
    assert count % 50001 == 0 and 0 < count < len(data)
    assert read_lines(q, q.size) == data[:count]


def test_what_is_larger_than_the_file_system_does_not_wait(disk_of):
    mount = disk_of("700K")
    q = mount.make("q.queue", framing="record")
    with raises(errno.ENOSPC):
        fork(q.put, b"x" * 900000).result()
    assert q.size == 0
    q.put(b"small")


def test_an_array_is_refused(disk_of):
    mount = disk_of()
    a = mount.make("a.array")
    os.truncate(a.path, 5000)
    with raises(errno.ENOSPC):
        os.truncate(a.path, 8 * MIB)
    assert a.size == 5000
    fd = a.open(os.O_WRONLY)
    with raises(errno.ENOSPC):
        os.pwrite(fd, b"x", 8 * MIB)
    os.close(fd)
    assert a.size == 5000
    os.truncate(a.path, 10000)


SUFFIXES = ["queue", "pipe", "event", "sem", "lock", "rlock", "cond", "barrier", "value", "array"]


def test_nothing_is_left_of_what_could_not_be_made(disk_of):
    mount = disk_of()
    mount.make("there.queue")
    mount.disk.fill()
    before = mount.disk.objects()
    for suffix in SUFFIXES:
        for flags in (os.O_WRONLY, os.O_RDWR):
            with raises(errno.ENOSPC):
                os.open(mount.path(f"new.{suffix}"), os.O_CREAT | flags)
    assert os.listdir(mount.dir) == ["there.queue"] and mount.disk.objects() == before
    mount.disk.make_room()
    for suffix in SUFFIXES:
        mount.make(f"new.{suffix}")


def test_who_opens_first_is_refused_and_nothing_is_left(disk_of):
    """A name takes no room beyond the file of names; the object's file is made when it is opened."""
    mount = disk_of()
    mount.make("there.queue")
    mount.disk.fill()
    before = mount.disk.objects()
    for suffix in SUFFIXES:
        os.mknod(mount.path(f"new.{suffix}"))
    os.mkdir(mount.path("two.pipe"))
    for suffix in SUFFIXES:
        for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
            with raises(errno.ENOSPC):
                os.open(mount.path(f"new.{suffix}"), flags)
        os.stat(mount.path(f"new.{suffix}"))
    with raises(errno.ENOSPC):
        os.open(mount.path("two.pipe/a"), os.O_RDWR)
    assert mount.disk.objects() == before
    assert len(os.listdir(mount.dir)) == 2 + len(SUFFIXES)
    mount.disk.make_room()
    for suffix in SUFFIXES:
        os.close(os.open(mount.path(f"new.{suffix}"), os.O_RDWR))


def test_names_are_refused_and_none_is_lost(disk_of):
    """Directories take room in the file of names alone."""
    mount = disk_of()
    mount.make("q.queue").put(b"x\n")
    mount.disk.fill()
    made = []
    with raises(errno.ENOSPC):
        while True:
            os.mkdir(mount.path(f"{len(made):0240d}"))
            made.append(f"{len(made):0240d}")
            assert len(made) < 10000, "no limit"
    assert sorted(os.listdir(mount.dir)) == sorted(made + ["q.queue"])
    for limit in range(1, 20):
        os.close(mount.obj("q.queue").open(os.O_RDWR, limit))
    os.rename(mount.path("q.queue"), mount.path("r.queue"))
    mount.remount()
    assert sorted(os.listdir(mount.dir)) == sorted(made + ["r.queue"])
    assert mount.obj("r.queue").messages() == [b"x"]
    mount.disk.make_room()
    os.mkdir(mount.path("one more"))


def test_inodes_that_run_out(disk_of):
    """An array has two files: the second one's refusal takes the first one along."""
    mount = disk_of("2M")
    subprocess.run(["mount", "-o", "remount,nr_inodes=12", mount.disk.dir], check=True)
    made = 0
    with raises(errno.ENOSPC):
        for made in range(20):
            mount.make(f"{made}.sem")
    os.unlink(mount.path(f"{made - 1}.sem"))
    before = mount.disk.objects()
    memory = mount.status()["memory"]
    with raises(errno.ENOSPC):
        mount.make("a.array")
    assert mount.disk.objects() == before
    assert mount.status()["memory"] == memory
    mount.make("a.sem")


# --- who goes on ------------------------------------------------------------------------------------

def test_what_is_there_works_on(disk_of):
    """Opening, waiting, locking and renaming need a little memory, which was put aside for that."""
    mount = disk_of()
    names = [mount.make(f"{i}.event") for i in range(10)]
    lock, q, sem = mount.make("a.lock"), mount.make("q.queue"), mount.make("s.sem")
    q.put(b"1\n2\n")
    mount.disk.fill()
    readers = [fork(e.get) for e in names for _ in range(3)]
    for e in names:
        e.await_waiters(3)
        e.put(b"1\n")
    assert [r.result() for r in readers] == [b"1\n"] * 30
    assert run(["flock", lock.path, "true"]).code == 0
    fd = q.open(limit=1)
    assert os.read(fd, 100) == b"1\n"
    os.close(fd)
    lease = os.open(q.ctl_path("lease"), os.O_RDONLY)
    assert os.read(lease, 100) == b"2\t2\n"
    os.close(lease)
    sem.put(b"3\n")
    assert sem.size == 3
    for i, e in enumerate(names):
        os.rename(e.path, mount.path(f"renamed-{'x' * 200}-{i}.event"))
    assert len(os.listdir(mount.dir)) == 13


def test_the_spare_file_is_filled_again(disk_of):
    mount = disk_of()
    spare = spare_file(mount.state)
    whole = os.stat(spare).st_blocks
    assert whole > 0
    objects = [mount.make(f"{i}.event") for i in range(10)]
    mount.disk.fill()
    fds = [e.open() for e in objects for _ in range(40)]    # more than their files have room for
    assert os.stat(spare).st_blocks < whole
    mount.disk.make_room()
    eventually(lambda: os.stat(spare).st_blocks == whole, 20)
    for fd in fds:
        os.close(fd)


def test_a_mount_on_a_full_file_system_says_so(disk_of):
    mount = disk_of()
    mount.make("q.queue").put(b"1\n")
    mount.unmount()
    os.unlink(spare_file(mount.state))
    mount.disk.fill()
    mount.start()
    assert "the file system is full" in mount.log()
    assert mount.obj("q.queue").take() == b"1\n"
