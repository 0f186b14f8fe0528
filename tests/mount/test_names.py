"""Names: create, rename, remove, folders, attributes, statfs, long names."""

import errno
import os
import stat

import pytest

from kit import fork, raises, sh, unchanged

SUFFIXES = ["queue", "pipe", "event", "sem", "lock"]
ALL_SUFFIXES = SUFFIXES + ["rlock", "cond", "barrier", "value", "array"]
BAD_NAMES = ["plain", "x.txt", "x.queues", "x.QUEUE", "queue", "y.queue.ctl", "a@b.queue", "x@5.queue",
             "y.queue@5", "x.ctl", "x.queue.bak"]


# --- create --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("how", ["touch x.{}", ": > x.{}", ": >> x.{}", "dd if=/dev/null of=x.{} status=none"])
def test_create(area, suffix, how):
    sh(how.format(suffix), cwd=area.dir)
    assert os.listdir(area.dir) == [f"x.{suffix}"]
    info = os.stat(area.path(f"x.{suffix}"))
    assert stat.S_ISREG(info.st_mode)
    assert (info.st_uid, info.st_gid, info.st_nlink) == (os.getuid(), os.getgid(), 1)
    assert area.obj(f"x.{suffix}").ctl("type") == suffix


def test_mknod_of_a_regular_file(area):
    os.mknod(area.path("x.queue"), stat.S_IFREG | 0o600)
    assert os.listdir(area.dir) == ["x.queue"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_are_refused(area, name):
    area.make("x.queue")
    with raises(errno.EINVAL):
        os.close(os.open(area.path(name), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    with raises(errno.EINVAL, errno.EPERM):
        os.mknod(area.path(name), stat.S_IFREG | 0o600)
    assert os.listdir(area.dir) == ["x.queue"]


def test_mode_and_umask(area):
    def create(umask, mode, name):
        os.umask(umask)
        os.close(os.open(area.path(name), os.O_CREAT | os.O_WRONLY, mode))
        return os.stat(area.path(name)).st_mode & 0o7777

    assert fork(create, 0o022, 0o666, "a.queue").result() == 0o644
    assert fork(create, 0o077, 0o666, "b.queue").result() == 0o600
    assert fork(create, 0, 0o666, "c.queue").result() == 0o666


def test_exclusive_create(area):
    q = area.make("q.queue")
    q.put(b"x\n")
    with unchanged(q), raises(errno.EEXIST):
        os.open(q.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.close(os.open(q.path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC))
    assert q.messages() == [b"x"]


@pytest.mark.parametrize("name", ["x.txt", "nope.queue", "nope.queue.ctl", "dir/x.queue", "nope"])
def test_missing_names_stay_enoent(area, name):
    path = area.path(name)
    for call in (os.stat, os.unlink, os.rmdir, os.listdir, lambda p: os.open(p, os.O_RDONLY),
                 lambda p: os.rename(p, area.path("y.queue")), lambda p: os.chmod(p, 0o600)):
        with raises(errno.ENOENT):
            call(path)


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFSOCK])
def test_no_special_files(area, kind):
    with raises(errno.EPERM, errno.EINVAL):
        os.mknod(area.path("x.queue"), kind | 0o600)
    assert os.listdir(area.dir) == []


def test_links_are_refused(area):
    q = area.make("q.queue")
    with unchanged(q), raises(errno.EPERM):
        os.link(q.path, area.path("r.queue"))
    with raises(errno.EPERM):
        os.symlink("q.queue", area.path("s.queue"))
    with raises(errno.EPERM):
        os.symlink("q.queue", area.path("plain"))
    assert os.listdir(area.dir) == ["q.queue"]


# --- remove --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("suffix", SUFFIXES)
def test_remove(area, suffix):
    obj = area.make("x." + suffix)
    sh(f"rm x.{suffix}", cwd=area.dir)
    assert os.listdir(area.dir) == []
    with raises(errno.ENOENT):
        os.stat(obj.ctl_path())


def test_removing_what_is_not_a_name(area):
    q = area.make("q.queue")
    q.put(b"x\n")
    with unchanged(q):
        with raises(errno.EINVAL):
            os.unlink(q.at(5))
        with raises(errno.EINVAL):
            os.rmdir(q.ctl_path())
        with raises(errno.EINVAL, errno.EPERM, errno.EACCES):
            os.unlink(q.ctl_path("status"))
        with raises(errno.ENOTDIR):
            os.rmdir(q.path)


# --- rename --------------------------------------------------------------------------------------------

def test_rename_keeps_everything(area):
    q = area.make("a.queue", maxsize=7)
    q.put(b"1\n2\n")
    ino = os.stat(q.path).st_ino
    fd = q.open(os.O_RDWR)
    sh("mv a.queue b.queue", cwd=area.dir)
    b = area.obj("b.queue")
    assert os.listdir(area.dir) == ["b.queue"]
    assert b.messages() == [b"1", b"2"] and b.ctl("maxsize") == "7"
    assert os.stat(b.path).st_ino == ino
    os.write(fd, b"3\n")
    assert b.size == 3


def test_rename_with_waiters(area):
    q = area.make("a.queue")
    reader = fork(q.get)
    q.await_waiters(1)
    os.rename(q.path, area.path("b.queue"))
    area.obj("b.queue").put(b"x\n")
    assert reader.result() == b"x\n"


def test_rename_over_another_of_the_type(area):
    a, b = area.make("a.queue"), area.make("b.queue")
    a.put(b"from a\n")
    b.put(b"from b\n")
    fd = b.open()
    os.rename(a.path, b.path)
    assert os.listdir(area.dir) == ["b.queue"]
    assert b.messages() == [b"from a"]
    assert os.read(fd, 100) == b"from b\n", "an open handle keeps the replaced one"


def test_rename_between_folders(area):
    os.mkdir(area.path("one"))
    os.mkdir(area.path("two"))
    q = area.make("one/q.queue")
    q.put(b"x\n")
    os.rename(q.path, area.path("two/r.queue"))
    assert area.obj("two/r.queue").messages() == [b"x"]
    assert os.listdir(area.path("one")) == []


@pytest.mark.parametrize("target", ["b.sem", "b.pipe", "b.event", "b.lock"])
def test_rename_to_another_type(area, target):
    q = area.make("a.queue")
    q.put(b"x\n")
    with unchanged(q), raises(errno.EPERM):
        os.rename(q.path, area.path(target))
    done = sh(f"mv a.queue {target}", cwd=area.dir, code=1)
    assert "not permitted" in done.err
    assert os.listdir(area.dir) == ["a.queue"]
    assert q.messages() == [b"x"]


@pytest.mark.parametrize("target", BAD_NAMES)
def test_rename_to_a_bad_name(area, target):
    q = area.make("a.queue")
    area.make("x.queue")
    with unchanged(q), raises(errno.EINVAL, errno.EPERM):
        os.rename(q.path, area.path(target))
    assert sorted(os.listdir(area.dir)) == ["a.queue", "x.queue"]


def test_rename_of_what_is_no_name(area):
    q = area.make("a.queue")
    for source in (q.at(1), q.ctl_path(), q.ctl_path("status")):
        with unchanged(q), raises(errno.EINVAL, errno.EPERM):
            os.rename(source, area.path("b.queue"))


def test_rename_noreplace(area):
    a, b = area.make("a.queue"), area.make("b.queue")
    b.put(b"kept\n")
    sh("mv -n a.queue b.queue", cwd=area.dir, code=None)
    assert b.messages() == [b"kept"]
    assert os.path.exists(a.path)


# --- folders -------------------------------------------------------------------------------------------

def test_folders(area):
    sh("mkdir -p a/b/c && touch a/b/c/q.queue && mv a z", cwd=area.dir)
    assert os.listdir(area.path("z/b/c")) == ["q.queue"]
    with raises(errno.ENOTEMPTY):
        os.rmdir(area.path("z/b"))
    with raises(errno.EINVAL):
        os.rename(area.path("z"), area.path("z/b/z"))
    sh("rm -r z", cwd=area.dir)
    assert os.listdir(area.dir) == []


@pytest.mark.parametrize("name", [f"d.{s}" for s in ALL_SUFFIXES if s != "pipe"] + ["d.ctl", "d@5", "@", "d.queue.ctl"])
def test_folder_names_that_are_refused(area, name):
    with raises(errno.EINVAL):
        os.mkdir(area.path(name))
    os.mkdir(area.path("ok"))
    with raises(errno.EINVAL, errno.EPERM):
        os.rename(area.path("ok"), area.path(name))
    assert os.listdir(area.dir) == ["ok"]


def test_folder_counts_and_types(area):
    os.mkdir(area.path("d"), 0o750)
    info = os.stat(area.path("d"))
    assert stat.S_ISDIR(info.st_mode)
    assert info.st_mode & 0o777 == 0o750
    with raises(errno.EEXIST):
        os.mkdir(area.path("d"))
    area.make("d/q.queue")
    with raises(errno.ENOTEMPTY):
        os.rmdir(area.path("d"))
    with raises(errno.EISDIR, errno.EPERM):
        os.unlink(area.path("d"))


def test_a_folder_of_many(area):
    names = [f"{i:04}.sem" for i in range(1500)]
    for name in names:
        area.make(name)
    assert sorted(os.listdir(area.dir)) == names
    assert len({e.stat().st_ino for e in os.scandir(area.dir)}) == 1500
    assert sh("ls -l | grep -c sem", cwd=area.dir).out == "1500\n"


def test_listing_while_it_changes(area):
    for i in range(300):
        area.make(f"{i:03}.sem")
    seen = []
    with os.scandir(area.dir) as entries:
        for entry in entries:
            seen.append(entry.name)
            os.unlink(entry.path)
    assert sorted(seen) == [f"{i:03}.sem" for i in range(300)]


# --- attributes ----------------------------------------------------------------------------------------

def test_chmod_and_chown(area):
    q = area.make("q.queue")
    os.chmod(q.path, 0o640)
    assert os.stat(q.path).st_mode & 0o7777 == 0o640
    if os.getuid() == 0:
        os.chown(q.path, 1234, 2345)
        assert (os.stat(q.path).st_uid, os.stat(q.path).st_gid) == (1234, 2345)
    fd = q.open(os.O_RDWR)
    os.fchmod(fd, 0o600)
    assert os.fstat(fd).st_mode & 0o7777 == 0o600


def test_times(area):
    q = area.make("q.queue")
    os.utime(q.path, ns=(1_000_000_000_123_456_789, 1_100_000_000_987_654_321))
    info = os.stat(q.path)
    assert (info.st_atime_ns, info.st_mtime_ns) == (1_000_000_000_123_456_789, 1_100_000_000_987_654_321)
    sh("touch q.queue", cwd=area.dir)
    assert os.stat(q.path).st_mtime > 1_200_000_000


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_truncate_is_for_arrays_alone(area, suffix):
    obj = area.make("x." + suffix)
    for size in (0, 10):
        with unchanged(obj), raises(errno.EINVAL):
            os.truncate(obj.path, size)
    fd = obj.open(os.O_RDWR)
    with unchanged(obj), raises(errno.EINVAL):
        os.ftruncate(fd, 0)


def test_each_object_has_its_inode(area):
    a, b = area.make("a.queue"), area.make("b.queue")
    first = os.stat(a.path).st_ino
    fds = [a.open(os.O_WRONLY) for _ in range(4)]
    assert {os.fstat(fd).st_ino for fd in fds} == {first, }
    assert os.stat(a.path).st_ino == first != os.stat(b.path).st_ino


def test_access(area):
    q = area.make("q.queue")
    assert os.access(q.path, os.R_OK | os.W_OK)
    assert not os.access(q.path, os.X_OK)


def test_statfs_speaks_of_memory_and_objects(mount_with):
    mount = mount_with(memory="64M", objects=1000)
    begin = os.statvfs(mount.dir)
    assert abs(begin.f_blocks * begin.f_frsize - (64 << 20)) < 1 << 20
    assert abs(begin.f_files - 1000) <= 1
    assert begin.f_namemax == 255
    q = mount.make("q.queue")
    assert os.statvfs(mount.dir).f_ffree == begin.f_ffree - 1
    for _ in range(8):
        q.put(b"x" * 1000000 + b"\n")
    now = os.statvfs(mount.dir)
    assert (begin.f_bfree - now.f_bfree) * now.f_frsize >= 8_000_000
    os.unlink(q.path)
    end = os.statvfs(mount.dir)
    assert end.f_ffree == begin.f_ffree
    assert (begin.f_bfree - end.f_bfree) * end.f_frsize < 1_000_000
    assert sh("df -h . && df -i .", cwd=mount.dir).code == 0


# --- long names ----------------------------------------------------------------------------------------

def test_the_longest_name(area):
    name = "n" * 249 + ".queue"
    q = area.make(name)
    assert os.listdir(area.dir) == [name]
    q.put(b"x\n")
    assert q.ctl("type") == "queue"
    assert q.status()["size"] == "1"
    fd = q.open(limit="0.25")
    assert os.read(fd, 10) == b"x\n"
    with raises(errno.ETIMEDOUT):
        os.read(fd, 10)
    with raises(errno.EAGAIN):
        os.read(os.open(q.ctl_path("lease@0"), os.O_RDONLY), 10)
    with raises(errno.ENAMETOOLONG):
        area.make("n" * 250 + ".queue")
    with raises(errno.ENAMETOOLONG):
        os.rename(q.path, area.path("n" * 250 + ".queue"))
    with raises(errno.ENAMETOOLONG):
        os.mkdir(area.path("d" * 256))
    assert os.listdir(area.dir) == [name]


def test_bytes_in_names(area):
    for name in ("ü ö.queue", "new\nline.queue", "-rf.queue", "a.b.c.queue", "'q\".queue"):
        q = area.make(name)
        q.put(b"x\n")
        assert q.status()["size"] == "1"
    os.close(os.open(os.fsencode(area.dir) + b"/\xff\xfe.queue", os.O_CREAT | os.O_WRONLY))
    assert len(os.listdir(area.dir)) == 6
