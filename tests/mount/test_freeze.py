"""No name ever leads to an inode that a blocked request has locked.

The kernel holds an inode's lock until a WRITE to it is answered. Who waits for that lock cannot be
killed, and rm and mv hold the directory's lock meanwhile. So each way of blocking on an object is
tried with every operation that the kernel has on its name and on its directory.
"""

import ctypes
import errno
import fcntl
import os
import signal
import stat

import pytest

from kit import BUILD, ClientTimeout, eventually, fork, raises, spawn, stacks
from kit.proc import state_of

HOSTILE = os.path.join(BUILD, "tests", "lib", "hostile")
NB = os.O_NONBLOCK
libc = ctypes.CDLL(None, use_errno=True)


# --- what the kernel can do with a name -------------------------------------------------------

def _call(name, *args):
    if getattr(libc, name)(*[a.encode() if isinstance(a, str) else a for a in args]) < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def _opened(path, flags, mode=0o644):
    os.close(os.open(path, flags, mode))


def _handle(path):
    buf = ctypes.create_string_buffer(136)
    ctypes.cast(buf, ctypes.POINTER(ctypes.c_uint))[0] = 128
    _call("name_to_handle_at", -100, path, buf, ctypes.byref(ctypes.c_int()), 0)


def _watch(path):
    fd = libc.inotify_init()
    try:
        _call("inotify_add_watch", fd, path, 0xfff)
    finally:
        os.close(fd)


def _bind(path):
    if os.geteuid():
        return
    _call("unshare", 0x20000)
    _call("mount", None, "/", None, 0x44000, None)
    _call("mount", path, path, None, 0x1000, None)
    os.stat(path)
    _call("umount2", path, 2)


def _statx(path):
    _call("statx", -100, path, 0, 0xfff, ctypes.create_string_buffer(256))


def _xattr(call, *more):
    return lambda p: _call(call, p, *more)


def _o_path(path):
    fd = os.open(path, os.O_PATH)
    os.fstat(fd)
    os.close(fd)


LOOK = [
    ("stat", os.stat), ("lstat", os.lstat), ("statx", _statx), ("statvfs", os.statvfs),
    ("access", lambda p: os.access(p, os.W_OK)), ("readlink", os.readlink),
    ("open O_PATH", _o_path), ("name_to_handle_at", _handle), ("inotify_add_watch", _watch),
    ("getxattr", _xattr("getxattr", "user.a", None, 0)),
    ("listxattr", _xattr("listxattr", None, 0)), ("bind mount", _bind),
    ("stat @", lambda p: os.stat(p + "@500")), ("listdir", os.listdir), ("stat ctl", lambda p: os.stat(p + ".ctl")),
    ("listdir ctl", lambda p: os.listdir(p + ".ctl")), ("chdir", os.chdir), ("chroot", os.chroot),
]
OPEN = [
    ("open read", lambda p: _opened(p, os.O_RDONLY | NB)),
    ("open look", lambda p: _opened(p, os.O_RDONLY | os.O_NOFOLLOW | NB)),
    ("open write", lambda p: _opened(p, os.O_WRONLY | NB)),
    ("open both", lambda p: _opened(p, os.O_RDWR | NB)),
    ("open O_TRUNC", lambda p: _opened(p, os.O_WRONLY | os.O_TRUNC | NB)),
    ("open read O_TRUNC", lambda p: _opened(p, os.O_RDONLY | os.O_TRUNC | NB)),
    ("open O_CREAT", lambda p: _opened(p, os.O_WRONLY | os.O_CREAT | NB)),
    ("open O_CREAT O_TRUNC", lambda p: _opened(p, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | NB)),
    ("open O_EXCL", lambda p: _opened(p, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NB)),
    ("open @", lambda p: _opened(p + "@500", os.O_RDWR)),
    ("seek to the end", lambda p: os.lseek(os.open(p, os.O_RDONLY | NB), 0, os.SEEK_END)),
    ("fsync", lambda p: os.fsync(os.open(p, os.O_WRONLY | NB))),
    ("fchmod", lambda p: os.fchmod(os.open(p, os.O_RDONLY | NB), 0o644)),
    ("fchmod of a writer", lambda p: os.fchmod(os.open(p, os.O_WRONLY | NB), 0o644)),
]
CHANGE = [
    ("chmod", lambda p: os.chmod(p, 0o644)), ("chown", lambda p: os.chown(p, os.geteuid(), -1)),
    ("lchown", lambda p: os.lchown(p, -1, os.getegid())), ("utime", lambda p: os.utime(p)),
    ("utime @", lambda p: os.utime(p + "@500")), ("chmod @", lambda p: os.chmod(p + "@500", 0o644)),
    ("truncate", lambda p: os.truncate(p, 0)),
    ("setxattr", _xattr("setxattr", "user.a", "b", 1, 0)),
    ("removexattr", _xattr("removexattr", "user.a")),
    ("link from", lambda p: os.link(p, p.replace("x.", "y."))),
    ("link onto", lambda p: os.link(p + "2", p)), ("symlink onto", lambda p: os.symlink("a", p)),
    ("mkdir onto", os.mkdir), ("mknod onto", lambda p: os.mknod(p, stat.S_IFREG | 0o644)),
    ("rmdir", lambda p: p.endswith("b.pipe") or os.rmdir(p + "/")),
    ("unlink @", lambda p: os.unlink(p + "@500")),
]


def _name(path, number):
    return os.path.join(os.path.dirname(path), f"new{number}." + path.rpartition(".")[2])


AROUND = [          # in the directory, and then with its siblings
    ("listdir of the directory", lambda p: os.listdir(os.path.dirname(p))),
    ("scandir with stat", lambda p: [e.stat() for e in os.scandir(os.path.dirname(p))]),
    ("stat of the directory", lambda p: os.stat(os.path.dirname(p))),
    ("utime of the directory", lambda p: os.utime(os.path.dirname(p))),
    ("look-up of what is not there", lambda p: os.path.exists(p + ".none")),
    ("create", lambda p: _opened(_name(p, 1), os.O_WRONLY | os.O_CREAT | os.O_EXCL)),
    ("mknod", lambda p: os.mknod(_name(p, 2), stat.S_IFREG | 0o644)),
    ("mkdir", lambda p: os.mkdir(os.path.dirname(p) + "/sub")),
    ("write to a sibling", lambda p: _opened(_name(p, 1), os.O_WRONLY | os.O_TRUNC)),
    ("rename of a sibling", lambda p: os.rename(_name(p, 1), _name(p, 3))),
    ("rename onto a sibling", lambda p: os.rename(_name(p, 3), _name(p, 2))),
    ("unlink of a sibling", lambda p: os.unlink(_name(p, 2))),
    ("rmdir of a sibling", lambda p: os.rmdir(os.path.dirname(p) + "/sub")),
]


def _rename_back(path):
    other = _name(path, 4)
    os.rename(path, other)
    os.stat(other)
    os.rename(other, path)


def _rename_onto(path):
    other = _name(path, 5)
    _opened(other, os.O_WRONLY | os.O_CREAT)
    os.rename(other, path)


def _remove(path):
    os.unlink(path)


LAST = [("rename from and back", _rename_back), ("rename onto", _rename_onto), ("unlink", _remove)]
IN_TWOWAY = [("unlink of an end", _remove)]


class _Late(Exception):
    pass


def _tell(report, text):
    os.write(report, text.encode() + b"\n")


def _try_all(path, operations, report):
    """Each in turn. What may wait as any read waits (killably) is interrupted after a moment."""
    def late(_signo, _frame):
        raise _Late

    signal.signal(signal.SIGALRM, late)
    for name, operation in operations:
        _tell(report, name)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.5, 0.5)
            operation(path)
        except (OSError, _Late):
            pass
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def _one_each(path, operations, report):
    """The same, a short-lived process for each: new threads find what others left."""
    for operation in operations:
        pid = os.fork()
        if pid == 0:
            try:
                _try_all(path, [operation], report)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)


def check(mount, path, operations, waiters=()):
    """All of them return, whoever makes them, and those who wait can still be killed."""
    for runner in (_try_all, _one_each):
        if runner is _one_each:
            operations = [o for o in operations if o not in LAST[1:] and o not in IN_TWOWAY]
        receive, send = os.pipe()
        client = fork(runner, path, operations, send, keep=[send])
        os.close(send)
        try:
            client.result(30)
        except ClientTimeout:
            done = os.read(receive, 1 << 16).decode().split("\n")
            report = stacks([client.pid] + [w.pid for w in waiters])
            mount.tainted = True
            mount.abort()
            raise AssertionError(f"hangs: {done[-2]!r} (state {state_of(client.pid)})\n{report}") from None
        finally:
            os.close(receive)
    for waiter in waiters:
        assert state_of(waiter.pid) in "SR", "it waits no more"


ALL = LOOK + OPEN + CHANGE + AROUND + LAST


# --- ways to be blocked -------------------------------------------------------------------------

def put(path, data, flags=0):
    fd = os.open(path, os.O_WRONLY | flags)
    return os.write(fd, data)


def full_queue(area):
    q = area.make("x.queue", maxsize=1)
    q.put(b"a\n")
    return q


def waits(obj, *writers):
    obj.await_waiters(len(writers))
    return list(writers)


def plain(area):
    q = full_queue(area)
    return q, waits(q, fork(put, q.path, b"b\n"))


def many(area):
    q = full_queue(area)
    return q, waits(q, *[fork(put, q.path, b"b\n") for _ in range(10)])


def shell(area):
    q = full_queue(area)
    return q, waits(q, spawn(["bash", "-c", f"exec 9>{q.path}; echo b >&9"]))


def several_requests(area):
    q = area.make("x.queue", maxbytes=1500000)
    q.set("maxsize", 0)
    return q, waits(q, fork(put, q.path, (b"x" * 9999 + b"\n") * 300))


def record(area):
    q = area.make("x.queue", maxsize=1, framing="record")
    q.put(b"a")
    return q, waits(q, fork(put, q.path, b"b" * 500000, os.O_DIRECT))


def time_limit(area):
    q = full_queue(area)
    return q, waits(q, fork(put, q.at(500), b"b\n"))


def created(area):
    def create_and_fill():
        fd = os.open(area.path("x.queue"), os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        area.obj("x.queue").set("maxsize", 1)
        os.write(fd, b"a\n")
        os.write(fd, b"b\n")

    child = fork(create_and_fill)
    q = area.obj("x.queue")
    eventually(lambda: os.path.exists(q.path), 10, "it is made")
    return q, waits(q, child)


def pipe(area):
    p = area.make("x.pipe", maxbytes=4096)
    p.open(os.O_RDONLY | NB)        # or the first one that is opened and closed would be the last
    return p, waits(p, fork(put, p.path, b"x" * 100000))


def readers_and_locks(area):
    s = area.make("x.sem")
    fd = s.open(os.O_RDWR)
    clients = [fork(s.get), fork(lambda: fcntl.flock(s.open(), fcntl.LOCK_EX)),
               fork(lambda: fcntl.flock(s.open(os.O_RDWR), fcntl.LOCK_EX)),
               fork(os.read, fd, 10, keep=[fd])]
    os.close(fd)
    return s, waits(s, *clients)


def by_descriptor(area):
    """A file that was opened to read, and is opened again to write: no name is looked up."""
    def reopen():
        fd = os.open(q.path, os.O_RDONLY)
        put(f"/proc/self/fd/{fd}", b"b\n")

    q = full_queue(area)
    for _ in range(8):              # many look, so that the name leads to its own inode number again
        fork(os.stat, q.path).result()
    return q, waits(q, fork(reopen))


BLOCKED = [plain, many, shell, several_requests, record, time_limit, created, pipe, readers_and_locks,
           by_descriptor]


@pytest.mark.limit(200)
@pytest.mark.parametrize("block", BLOCKED, ids=lambda f: f.__name__)
def test_while_others_wait(area, block):
    obj, waiters = block(area)
    check(area.mount, obj.path, ALL, waiters)
    for waiter in waiters:
        waiter.kill()


@pytest.mark.limit(200)
def test_two_way_pipe(area):
    os.mkdir(area.path("x.pipe"))
    end = os.path.join(area.path("x.pipe"), "a")
    with open(area.path("x.pipe.ctl/maxbytes"), "w", encoding="ascii") as file:
        file.write("4096\n")
    writer = fork(put, end, b"x" * 100000)
    two = area.obj("x.pipe")
    two.await_waiters(1)
    check(area.mount, end, LOOK + OPEN + CHANGE, [writer])
    check(area.mount, area.path("x.pipe"), LOOK + CHANGE + LAST[:1], [writer])
    check(area.mount, end, IN_TWOWAY, [writer])
    writer.kill()


@pytest.mark.limit(200)
def test_one_who_waits_for_memory(mount_with):
    mount = mount_with(memory="8M")
    full, q = mount.make("full.queue"), mount.make("x.queue")
    fd = full.open(os.O_WRONLY | NB)
    try:
        while True:
            os.write(fd, b"x" * 100000 + b"\n")
    except OSError as error:
        assert error.errno == errno.ENOSPC
    os.close(fd)
    writer = fork(put, q.path, b"x" * 900000 + b"\n")
    q.await_waiters(1)
    check(mount, q.path, LOOK + OPEN + CHANGE + AROUND + LAST[:1], [writer])
    writer.kill()


@pytest.mark.limit(200)
def test_one_who_waited_before_a_restart(mount):
    q = mount.make("x.queue", maxsize=1)
    q.put(b"a\n")
    writers = waits(q, fork(put, q.path, b"b\n"))
    writers.append(fork(put, q.at(500), b"c\n"))        # behind it in the line
    q.await_waiters(2)
    worker, = set(mount.pids()) - {mount.pid}
    os.kill(worker, signal.SIGKILL)
    q.await_waiters(2)
    check(mount, q.path, ALL[:-2], writers)
    assert q.take() == b"a\n"
    assert writers[0].result() == 2
    assert q.take() == b"b\n"
    assert writers[1].result() == 2


@pytest.mark.limit(200)
@pytest.mark.skipif(not os.access(HOSTILE, os.X_OK), reason="no libipcfs in this build")
@pytest.mark.parametrize("kind", ["x.queue", "x.value", "x.sem", "x.queue.ctl/maxsize"])
def test_one_whose_object_is_held_up(area, kind):
    """A stopped direct client has the object's lock: whatever needs that is put aside."""
    name = kind.partition(".ctl")[0]
    obj = area.make(name)
    path = area.path(kind)
    fd = os.open(path, os.O_WRONLY)
    holder = spawn([HOSTILE, "hold", os.readlink(obj.ctl_path("shm"))])
    eventually(lambda: state_of(holder.pid) == "T", 10, "it is stopped with the lock")
    writer = fork(os.write, fd, b"5\n", keep=[fd])
    eventually(lambda: state_of(writer.pid) == "S", 10, "it waits")
    check(area.mount, path, LOOK + [o for o in OPEN if "O_TRUNC" in o[0]] + CHANGE +
          (AROUND if path == obj.path else []), [writer])
    if path == obj.path:
        check(area.mount, path, LAST[:1], [writer])
    os.kill(holder.pid, signal.SIGCONT)
    holder.finish()
    assert writer.result() == 2
    os.close(fd)


@pytest.mark.skipif(not os.access(HOSTILE, os.X_OK), reason="no libipcfs in this build")
def test_writes_to_an_array_do_not_wait(area):
    array = area.make("x.array")
    array.put(b"123456")
    fd = array.open(os.O_RDWR)
    holder = spawn([HOSTILE, "hold", os.readlink(array.ctl_path("shm"))])
    eventually(lambda: state_of(holder.pid) == "T", 10, "it is stopped with the lock")
    assert os.pwrite(fd, b"ab", 1) == 2
    with raises(errno.EAGAIN):
        os.pwrite(fd, b"longer", 3)
    check(area.mount, array.path, LOOK + CHANGE + AROUND + LAST[:1])
    os.kill(holder.pid, signal.SIGCONT)
    holder.finish()
    assert os.pread(fd, 10, 0) == b"1ab456"
    os.close(fd)


def test_sendfile_of_an_array_sees_what_others_write(area):
    array = area.make("x.array")
    array.put(b"11111111")
    reader = array.open()
    for data in (b"2222", b"3333"):
        write = os.memfd_create("copy")
        assert os.sendfile(write, reader, 0, 8) == 8
        os.close(write)
        array.put(data)
        with open(os.memfd_create("copy"), "r+b") as copy:
            assert os.sendfile(copy.fileno(), reader, 0, 8) == 8
            assert os.pread(copy.fileno(), 8, 0) == data + b"1111"
    os.close(reader)


# --- names and attributes are as they were --------------------------------------------------------

def test_the_size_is_never_stale(area):
    """LOOKUP tells attributes that are valid for a moment, but for no longer than they are true."""
    q = area.make("x.queue")
    for i in range(50):
        q.put(b"x\n")
        fd = os.open(q.path, os.O_RDWR)
        assert os.fstat(fd).st_size == os.stat(q.path).st_size == 2 * i + 1
        look = os.open(q.path, os.O_PATH)
        os.write(fd, b"y\n")
        assert os.fstat(look).st_size == os.fstat(fd).st_size == os.stat(q.path).st_size == 2 * i + 2
        os.chmod(q.path, 0o600 + i % 2)
        assert os.fstat(look).st_mode & 0o777 == os.fstat(fd).st_mode & 0o777 == 0o600 + i % 2
        assert os.stat(q.path).st_ino == os.fstat(fd).st_ino
        os.close(fd)
        os.close(look)


@pytest.mark.parametrize("name", ["x.queue", "e.event", "v.value", "a.array", "p.pipe/a"])
def test_what_was_listed_is_never_stale(area, name):
    """ls -l needs no request for each entry; what changes right behind it shows all the same."""
    if name == "p.pipe/a":
        os.mkdir(area.path("p.pipe"))
    else:
        area.make(name)
    path = area.path(name)
    write_end = area.path("p.pipe/b" if name == "p.pipe/a" else name)
    fd = os.open(write_end, os.O_RDWR)
    other_end = os.open(path, os.O_RDWR)
    for i in range(60):
        for entry in os.scandir(os.path.dirname(path)):
            entry.stat()
        mode = 0o640 + (i % 2) * 0o004
        os.chmod(path, mode)
        assert os.stat(path).st_mode & 0o777 == mode
        for entry in os.scandir(os.path.dirname(path)):
            entry.stat()
        os.write(fd, {"e.event": b"1" if i % 2 else b"0", "v.value": b"1" * (i + 1)}.get(name, b"x\n"))
        expected = {"e.event": i % 2, "x.queue": i + 1, "v.value": i + 1}.get(name, 2 * i + 2)
        assert os.stat(path).st_size == expected
    os.close(other_end)
