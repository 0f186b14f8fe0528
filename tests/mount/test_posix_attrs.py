"""What POSIX and Linux say of attributes: modes, owners, setuid and setgid, times, sizes, open's flags."""

import errno
import fcntl
import os
import stat
import time

import pytest

from kit import Folder, Mount, fork, raises, run, unchanged

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root to become others")

ALICE, BOB, STAFF, GUESTS = 20001, 20002, 20011, 20012
CLOCK_REALTIME_COARSE = 5
KINDS = ["q.queue", "p.pipe", "e.event", "s.sem", "l.lock", "r.rlock", "c.cond", "b.barrier", "v.value",
         "a.array", "d", "t.pipe"]
OBJECTS = KINDS[:-2]


@pytest.fixture(scope="module")
def open_mount():
    mount = Mount(public=True, allow_other=True).start()
    os.chmod(mount.dir, 0o777)
    yield mount
    mount.dispose()


@pytest.fixture
def area(open_mount, request):
    folder = Folder(open_mount.path(f"d{abs(hash(request.node.nodeid))}"))
    os.mkdir(folder.dir)
    os.chmod(folder.dir, 0o777)
    return folder


def as_user(uid, fn, *args, **options):
    return fork(fn, *args, uid=uid, **options).result()


def refused(uid, fn, *args, codes=(errno.EPERM,), **options):
    with raises(*codes):
        as_user(uid, fn, *args, **options)


def make(area, name, mode=None, uid=None, gid=-1):
    path = area.path(name)
    if name in ("d", "t.pipe"):
        os.mkdir(path)
    else:
        area.make(name)
    if uid is not None:
        os.chown(path, uid, gid)
    if mode is not None:
        os.chmod(path, mode)
    return path


def mode_of(path):
    return os.stat(path).st_mode & 0o7777


def owner_of(path):
    return os.stat(path).st_uid, os.stat(path).st_gid


def changed(path, before, *fields):
    """Those times have moved on, and no others."""
    now = os.stat(path)
    for field in ("st_atime_ns", "st_mtime_ns", "st_ctime_ns"):
        old, new = getattr(before, field), getattr(now, field)
        if field in fields:
            assert new > old, f"{field} did not move on"
        else:
            assert new == old, f"{field} moved"


def aged(path):
    """Its attributes, with times of long ago and a ctime that is not now any more."""
    os.utime(path, ns=(10**18, 10**18))
    before = os.stat(path)
    tick(before.st_ctime_ns)
    return before


def tick(since):
    """Until the clock that stamps files has moved on."""
    while time.clock_gettime_ns(CLOCK_REALTIME_COARSE) <= since:
        pass


MTIME, CTIME, ATIME = "st_mtime_ns", "st_ctime_ns", "st_atime_ns"

# --- chmod --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", KINDS)
def test_chmod(area, name):
    path = make(area, name, uid=ALICE)
    for mode in (0o111, 0o640, 0o4711, 0o2750, 0o1777, 0o7777, 0):
        before = aged(path)
        os.chmod(path, mode)
        assert mode_of(path) == mode
        changed(path, before, CTIME)
    before = aged(path)
    refused(BOB, os.chmod, path, 0o777)
    assert mode_of(path) == 0
    changed(path, before)
    as_user(ALICE, os.chmod, path, 0o600)
    assert mode_of(path) == 0o600
    fd = os.open(path, os.O_RDONLY)
    os.fchmod(fd, 0o755)
    assert stat.S_IMODE(os.fstat(fd).st_mode) == mode_of(path) == 0o755
    os.close(fd)


@pytest.mark.parametrize("name", ["q.queue", "d"])
def test_setgid_is_for_members_of_the_group(area, name):
    path = make(area, name, 0o755, ALICE, STAFF)
    as_user(ALICE, os.chmod, path, 0o2755, gid=STAFF)
    assert mode_of(path) == 0o2755
    as_user(ALICE, os.chmod, path, 0o755, gid=GUESTS)
    as_user(ALICE, os.chmod, path, 0o2755, gid=GUESTS)
    assert mode_of(path) == 0o755, "it is ignored"
    as_user(ALICE, os.chmod, path, 0o2755, gid=GUESTS, groups=[STAFF])
    assert mode_of(path) == 0o2755


# --- chown --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", KINDS)
def test_chown(area, name):
    path = make(area, name)
    for uid, gid in ((123, 456), (0, 0), (2**31 + 5, 2**32 - 3)):
        before = aged(path)
        os.chown(path, uid, gid)
        assert owner_of(path) == (uid, gid)
        changed(path, before, CTIME)
    os.chown(path, ALICE, STAFF)
    before = aged(path)
    for uid, gid in ((BOB, -1), (-1, BOB), (BOB, BOB), (ALICE, -1)):
        refused(BOB, os.chown, path, uid, gid)
    for uid, gid in ((BOB, -1), (-1, 999), (BOB, STAFF), (0, 0)):
        refused(ALICE, os.chown, path, uid, gid, gid=STAFF, groups=[GUESTS])
    assert owner_of(path) == (ALICE, STAFF)
    changed(path, before)
    as_user(ALICE, os.chown, path, -1, GUESTS, gid=STAFF, groups=[GUESTS])
    assert owner_of(path) == (ALICE, GUESTS)
    as_user(ALICE, os.chown, path, ALICE, STAFF, gid=STAFF, groups=[GUESTS])
    assert owner_of(path) == (ALICE, STAFF)
    as_user(BOB, os.chown, path, -1, -1)
    assert owner_of(path) == (ALICE, STAFF)


@pytest.mark.parametrize("name", OBJECTS)
def test_chown_takes_setuid_off(area, name):
    path = make(area, name, uid=ALICE, gid=STAFF)
    for uid, gid in ((BOB, -1), (-1, GUESTS), (ALICE, STAFF)):      # by root
        os.chmod(path, 0o6755)
        os.chown(path, uid, gid)
        assert mode_of(path) == 0o755
    os.chmod(path, 0o6755)
    as_user(ALICE, os.chown, path, -1, GUESTS, gid=STAFF, groups=[GUESTS])
    assert mode_of(path) == 0o755
    os.chmod(path, 0o2644)      # not executable by its group: that is no setgid
    os.chown(path, BOB, -1)
    assert mode_of(path) == 0o2644


def test_chown_of_a_directory_keeps_setgid(area):
    path = make(area, "d", 0o2775, ALICE, STAFF)
    as_user(ALICE, os.chown, path, -1, GUESTS, gid=STAFF, groups=[GUESTS])
    assert mode_of(path) == 0o2775


# --- setuid, setgid and writing --------------------------------------------------------------------------

WRITES = {"q.queue": b"x\n", "p.pipe": b"x", "e.event": b"1", "s.sem": b"1", "v.value": b"7", "a.array": b"x",
          "c.cond": b"1", "b.barrier": b"2"}


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR])
@pytest.mark.parametrize("name", WRITES)
def test_writing_takes_setuid_and_setgid_off(area, name, flags):
    path = make(area, name, uid=ALICE, gid=STAFF)

    def write():
        fd = os.open(path, flags)
        os.write(fd, WRITES[name])
        return stat.S_IMODE(os.fstat(fd).st_mode)

    for user in (BOB, ALICE):       # the owner is no exception
        for mode, left in ((0o4777, 0o777), (0o2777, 0o777), (0o6777, 0o777), (0o2767, 0o2767),
                           (0o6767, 0o2767), (0o1777, 0o1777)):
            os.chmod(path, mode)
            assert as_user(user, write) == left
            assert mode_of(path) == left
    os.chmod(path, 0o6777)
    assert write() == 0o6777, "root may keep them"


def test_reading_opening_and_what_is_refused_take_nothing_off(area):
    path = make(area, "q.queue", 0o6777, ALICE)
    os.close(os.open(path, os.O_WRONLY))

    def use():
        fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_TRUNC)
        with raises(errno.EAGAIN):
            os.read(fd, 10)
        fcntl.fcntl(fd, fcntl.F_GETFL)
        os.close(fd)

    as_user(BOB, use)
    assert mode_of(path) == 0o6777
    with open(path + ".ctl/closed", "w", encoding="ascii") as file:
        file.write("1")

    def write():
        fd = os.open(path, os.O_WRONLY)
        with raises(errno.EPIPE):
            os.write(fd, b"x\n")

    as_user(BOB, write)
    assert mode_of(path) == 0o6777


def test_truncating_takes_them_off(area):
    path = make(area, "a.array", uid=ALICE)

    def by_descriptor(size):
        fd = os.open(path, os.O_WRONLY)
        os.ftruncate(fd, size)

    for size, cut in enumerate((os.truncate, lambda p, n: by_descriptor(n),
                                lambda p, n: os.posix_fallocate(os.open(p, os.O_WRONLY), 0, n))):
        os.chmod(path, 0o6777)
        as_user(BOB, cut, path, 100 + size)
        assert mode_of(path) == 0o777
        assert os.stat(path).st_size == 100 + size


# --- new objects ------------------------------------------------------------------------------------------

def test_umask_and_mode(area):
    def create(umask, mode, name):
        os.umask(umask)
        if name.endswith("queue"):
            os.close(os.open(area.path(name), os.O_CREAT | os.O_WRONLY, mode))
        else:
            os.mkdir(area.path(name), mode)
        return mode_of(area.path(name))

    for i, suffix in enumerate((".queue", "", ".pipe")):
        assert as_user(ALICE, create, 0, 0o777, f"a{i}{suffix}") == 0o777
        assert as_user(ALICE, create, 0o027, 0o777, f"b{i}{suffix}") == 0o750
        assert as_user(ALICE, create, 0o777, 0o777, f"c{i}{suffix}") == 0
        assert as_user(ALICE, create, 0o022, 0o151, f"d{i}{suffix}") == 0o151
    assert as_user(ALICE, create, 0, 0o4755, "s.queue") == 0o4755
    assert owner_of(area.path("s.queue")) == (ALICE, ALICE)


def test_a_setgid_directory_gives_its_group(area):
    folder = make(area, "d", 0o2777, ALICE, STAFF)

    def create():
        os.umask(0)
        os.close(os.open(folder + "/q.queue", os.O_CREAT | os.O_WRONLY, 0o666))
        os.mkdir(folder + "/sub", 0o755)
        os.mkdir(folder + "/t.pipe", 0o755)
        os.close(os.open(folder + "/x.queue", os.O_CREAT | os.O_WRONLY, 0o2775))

    as_user(BOB, create)
    assert {owner_of(f"{folder}/{n}") for n in ("q.queue", "sub", "t.pipe", "x.queue")} == {(BOB, STAFF)}
    assert mode_of(folder + "/sub") == 0o2755
    assert mode_of(folder + "/q.queue") == 0o666
    assert mode_of(folder + "/x.queue") == 0o775, "setgid of a group that its maker is not in"


def test_open_can_make_what_nobody_may_use(area):
    def create():
        fd = os.open(area.path("q.queue"), os.O_CREAT | os.O_RDWR, 0)
        os.write(fd, b"x\n")
        assert os.read(fd, 10) == b"x\n"

    as_user(ALICE, create)
    assert mode_of(area.path("q.queue")) == 0
    refused(ALICE, os.open, area.path("q.queue"), os.O_RDONLY, codes=(errno.EACCES,))


# --- open -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["q.queue", "v.value", "a.array"])
def test_open_asks_the_first_class_that_fits(area, name):
    path = make(area, name, uid=ALICE, gid=STAFF)
    who = {"owner": (ALICE, STAFF, 6), "group": (BOB, STAFF, 3), "other": (BOB, BOB, 0)}
    flags = {4: os.O_RDONLY, 2: os.O_WRONLY, 6: os.O_RDWR}
    for uid, gid, shift in who.values():
        for bits in range(8):
            os.chmod(path, 0o777 & ~(7 << shift) | bits << shift)
            for need, mode in flags.items():
                if bits & need == need:
                    as_user(uid, lambda m: os.close(os.open(path, m)), mode, gid=gid)
                else:
                    refused(uid, os.open, path, mode, codes=(errno.EACCES,), gid=gid)
    os.chmod(path, 0o444)
    refused(BOB, os.open, path, os.O_RDONLY | os.O_TRUNC, codes=(errno.EACCES,))


def test_open_of_directories(area):
    for name in ("d", "t.pipe"):
        path = make(area, name)
        for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_CREAT, os.O_RDONLY | os.O_TRUNC,
                      os.O_WRONLY | os.O_CREAT):
            with raises(errno.EISDIR):
                os.open(path, flags)
        with raises(errno.EEXIST):
            os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        os.close(os.open(path, os.O_RDONLY | os.O_DIRECTORY))
        with raises(errno.EISDIR):
            os.truncate(path, 0)


def test_an_object_is_no_program(area):
    """Whatever its mode says: nothing is taken by the attempt."""
    path = make(area, "q.queue", 0o777)
    with open(path, "wb", buffering=0) as file:
        file.write(b"#!/bin/sh\n")
    with unchanged(area.obj("q.queue")):
        done = run(["/usr/bin/env", path])
        assert done.code in (126, 127), done
    os.chmod(path, 0o666)
    with raises(errno.EACCES):
        os.execv(path, [path])


# --- times ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", KINDS)
def test_times_are_set_as_told(area, name):
    path = make(area, name)
    for pair in ((1_900_000_000_123_456_789, 1_000_000_000_987_654_321), (0, 1), (-1, -10**18),
                 (2**31 * 10**9, 2**32 * 10**9 + 999_999_999), (-2**31 * 10**9, 8 * 10**18)):
        before = os.stat(path).st_ctime_ns
        tick(before)
        os.utime(path, ns=pair)
        now = os.stat(path)
        assert (now.st_atime_ns, now.st_mtime_ns) == pair
        assert now.st_ctime_ns > before
    fd = os.open(path, os.O_RDONLY)
    os.utime(fd, ns=(5, 6))
    assert (os.stat(path).st_atime_ns, os.fstat(fd).st_mtime_ns) == (5, 6)
    os.close(fd)


def set_times(path, atime, mtime):
    """utimensat(2): nanoseconds, "now" or "omit"."""
    import ctypes

    class Timespec(ctypes.Structure):
        _fields_ = [("sec", ctypes.c_long), ("nsec", ctypes.c_long)]

    special = {"now": (1 << 30) - 1, "omit": (1 << 30) - 2}
    pair = (Timespec * 2)(*[Timespec(0, special[t]) if t in special else Timespec(*divmod(t, 10**9))
                            for t in (atime, mtime)])
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.utimensat(-100, os.fsencode(path), pair, 0) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)


@pytest.mark.parametrize("name", ["q.queue", "a.array", "d", "t.pipe"])
def test_times_now_and_omitted(area, name):
    path = make(area, name)
    before = aged(path)
    set_times(path, "omit", 3 * 10**18)
    changed(path, before, MTIME, CTIME)
    before = aged(path)
    set_times(path, "now", "omit")
    changed(path, before, ATIME, CTIME)
    before = aged(path)
    set_times(path, "omit", "now")
    changed(path, before, MTIME, CTIME)
    before = aged(path)
    set_times(path, "omit", "omit")
    changed(path, before)
    start = time.time_ns()
    set_times(path, "now", "now")
    now = os.stat(path)
    assert start - 10**8 <= now.st_atime_ns <= time.time_ns() and now.st_atime_ns - now.st_mtime_ns < 10**9


def test_whose_times_may_be_set(area):
    path = make(area, "q.queue", 0o644, ALICE)
    before = aged(path)
    for pair in ((1, 2), ("now", 2), ("omit", 2), (1, "omit"), ("omit", "now"), ("now", "omit")):
        refused(BOB, set_times, path, *pair, codes=(errno.EPERM, errno.EACCES))
    refused(BOB, set_times, path, "now", "now", codes=(errno.EACCES,))
    changed(path, before)
    as_user(BOB, set_times, path, "omit", "omit")
    as_user(ALICE, set_times, path, 1, 2)
    os.chmod(path, 0o666)
    as_user(BOB, set_times, path, "now", "now")     # who may write may say "now", and no more
    refused(BOB, set_times, path, 1, 2)
    refused(BOB, set_times, path, "omit", "now", codes=(errno.EPERM, errno.EACCES))


def test_what_changes_the_times_of_an_object(area):
    path = make(area, "q.queue")
    before = aged(path)
    with open(path, "wb", buffering=0) as file:
        file.write(b"1\n2\n")
    changed(path, before, MTIME, CTIME)
    before = aged(path)
    with open(path, "rb", buffering=0) as file:
        file.read(10)
    changed(path, before, ATIME)
    before = aged(path)
    os.rename(path, area.path("r.queue"))
    path = area.path("r.queue")
    changed(path, before, CTIME)
    before = aged(path)
    for look in (os.stat, lambda p: os.close(os.open(p, os.O_RDWR | os.O_TRUNC)),
                 lambda p: os.stat(p + ".ctl/size"), lambda p: os.access(p, os.R_OK)):
        look(path)
    changed(path, before)
    fd = os.open(path, os.O_RDONLY)
    before = aged(path)
    os.unlink(path)
    assert os.fstat(fd).st_ctime_ns > before.st_ctime_ns
    os.close(fd)
    first, second = make(area, "1.queue"), make(area, "2.queue")
    fd = os.open(second, os.O_RDONLY)
    before = aged(second)
    os.rename(first, second)
    assert os.fstat(fd).st_ctime_ns > before.st_ctime_ns, "the one that was replaced"
    os.close(fd)


def test_what_changes_the_times_of_an_array(area):
    path = make(area, "a.array")
    for change in (lambda: os.truncate(path, 100), lambda: os.truncate(path, 10),
                   lambda: os.ftruncate(os.open(path, os.O_RDWR), 20),
                   lambda: os.pwrite(os.open(path, os.O_WRONLY), b"x", 5),
                   lambda: os.posix_fallocate(os.open(path, os.O_WRONLY), 0, 50)):
        before = aged(path)
        change()
        changed(path, before, MTIME, CTIME)
    before = aged(path)
    with raises(errno.EINVAL):
        os.truncate(path, -1)
    changed(path, before)


def test_what_changes_the_times_of_a_directory(area):
    folder = make(area, "d")
    other = area.path("other")
    os.mkdir(other)
    steps = [lambda: os.close(os.open(folder + "/q.queue", os.O_CREAT | os.O_WRONLY)),
             lambda: os.mkdir(folder + "/sub"), lambda: os.mkdir(folder + "/t.pipe"),
             lambda: os.mknod(folder + "/m.event", stat.S_IFREG | 0o600),
             lambda: os.rename(folder + "/q.queue", folder + "/r.queue"),
             lambda: os.rename(folder + "/r.queue", other + "/r.queue"),
             lambda: os.rename(other + "/r.queue", folder + "/q.queue"),
             lambda: os.rename(folder + "/sub", other + "/sub"), lambda: os.rmdir(folder + "/t.pipe"),
             lambda: os.unlink(folder + "/q.queue")]
    for number, step in enumerate(steps):
        before = aged(folder)
        step()
        try:
            changed(folder, before, MTIME, CTIME)
        except AssertionError as error:
            raise AssertionError(f"step {number}: {error}") from None
    before = aged(folder)
    for call, codes in ((lambda: os.close(os.open(folder + "/plain", os.O_CREAT)), (errno.EINVAL,)),
                        (lambda: os.unlink(folder + "/no.queue"), (errno.ENOENT,)),
                        (lambda: os.rename(folder + "/m.event", folder + "/m.queue"), (errno.EPERM,)),
                        (lambda: os.link(folder + "/m.event", folder + "/n.event"), (errno.EPERM,)),
                        (lambda: os.mkdir(folder + "/x.queue"), (errno.EINVAL,))):
        with raises(*codes):
            call()
    changed(folder, before)
    for end in ("a", "b"):
        os.mkdir(folder + "/t.pipe") if end == "a" else None
        os.unlink(f"{folder}/t.pipe/{end}")


# --- sizes ------------------------------------------------------------------------------------------------

def test_truncate_of_arrays(area):
    path = make(area, "a.array", uid=ALICE)
    for size in (0, 1, 4096, 4097, 1_234_567, 567, 0):
        os.truncate(path, size)
        assert os.stat(path).st_size == size
    with open(path, "r+b", buffering=0) as file:
        file.write(b"x" * 12345)
        os.ftruncate(file.fileno(), 23456)
        assert os.pread(file.fileno(), 30000, 0) == b"x" * 12345 + bytes(23456 - 12345)
        os.ftruncate(file.fileno(), 3)
        os.ftruncate(file.fileno(), 5)
        assert os.pread(file.fileno(), 10, 0) == b"xxx\0\0", "what was cut off does not come back"
    for size in (-1, -2**40):
        with raises(errno.EINVAL):
            os.truncate(path, size)
    for size in (2**63 - 1, 2**62):
        with raises(errno.EFBIG, errno.EINVAL, errno.ENOSPC):
            os.truncate(path, size)
    assert os.stat(path).st_size == 5
    fd = os.open(path, os.O_RDONLY)
    with raises(errno.EINVAL, errno.EBADF):
        os.ftruncate(fd, 0)
    os.close(fd)
    os.chmod(path, 0o644)
    refused(BOB, os.truncate, path, 0, codes=(errno.EACCES,))
    os.chmod(path, 0o444)
    refused(ALICE, os.truncate, path, 0, codes=(errno.EACCES,))


@pytest.mark.parametrize("name", [n for n in OBJECTS if n != "a.array"])
def test_room_is_made_for_arrays_alone(area, name):
    """posix_fallocate(3) does not read and write a byte here and there instead."""
    path = make(area, name)
    with unchanged(area.obj(name)):
        for flags in (os.O_WRONLY, os.O_RDWR):
            fd = os.open(path, flags)
            with raises(errno.EINVAL):
                os.posix_fallocate(fd, 0, 10)
            os.close(fd)


def test_room_for_an_array(area):
    path = make(area, "a.array")
    fd = os.open(path, os.O_RDWR)
    os.write(fd, b"abc")
    os.posix_fallocate(fd, 1, 9999)
    assert os.fstat(fd).st_size == 10000
    os.posix_fallocate(fd, 0, 5)
    assert os.fstat(fd).st_size == 10000
    assert os.pread(fd, 20000, 0) == b"abc" + bytes(9997)
    with raises(errno.EINVAL):
        os.posix_fallocate(fd, 0, 0)
    with raises(errno.EINVAL):
        os.posix_fallocate(fd, -1, 1)
    with raises(errno.EFBIG, errno.ENOSPC):
        os.posix_fallocate(fd, 0, 2**62)
    assert os.fstat(fd).st_size == 10000
    os.close(fd)
    fd = os.open(path, os.O_RDONLY)
    with raises(errno.EBADF):
        os.posix_fallocate(fd, 0, 20000)
    os.close(fd)
