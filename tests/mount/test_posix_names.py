"""What POSIX and Linux say of names and paths: too long, missing, not searchable, not writable, sticky."""

import errno
import os
import stat

import pytest

from kit import Folder, Mount, fork, raises

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root to become others")

ALICE, BOB = 20001, 20002
NAME_MAX, PATH_MAX = 255, 4096


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


def refused(uid, fn, *args, codes=(errno.EACCES,), **options):
    with raises(*codes):
        as_user(uid, fn, *args, **options)


def create(path, mode=0o644):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))


def open_close(path, flags=os.O_RDONLY):
    os.close(os.open(path, flags))


def mknod(path):
    os.mknod(path, stat.S_IFREG | 0o644)


# What takes a path, and does something else to it than to make it.
USES = {
    "stat": os.stat, "lstat": os.lstat, "access": lambda p: open_close(p, os.O_PATH),
    "open": open_close, "open to write": lambda p: open_close(p, os.O_WRONLY),
    "chmod": lambda p: os.chmod(p, 0o600), "chown": lambda p: os.chown(p, ALICE, ALICE),
    "lchown": lambda p: os.lchown(p, ALICE, ALICE), "truncate": lambda p: os.truncate(p, 10),
    "utime": os.utime, "unlink": os.unlink, "rmdir": os.rmdir, "listdir": os.listdir,
    "statvfs": os.statvfs, "readlink": os.readlink, "chdir": os.chdir,
    "rename": lambda p: os.rename(p, os.path.dirname(os.path.dirname(p)) + "/r.queue"),
}
# What makes it.
MAKES = {
    "create": create, "mkdir": os.mkdir, "mknod": mknod, "mkfifo": os.mkfifo,
    "symlink": lambda p: os.symlink("x", p),
}


def rename_to(area):
    """rename(2) to a path, of an object that is there."""
    def rename(path):
        if not os.path.exists(area.path("from.queue")):
            area.make("from.queue")
        os.rename(area.path("from.queue"), path)
    return rename


def link_to(area):
    def link(path):
        if not os.path.exists(area.path("from.queue")):
            area.make("from.queue")
        os.link(area.path("from.queue"), path)
    return link


def all_calls(area):
    return {**USES, **MAKES, "rename to": rename_to(area), "link to": link_to(area),
            "link from": lambda p: os.link(p, area.path("l.queue"))}


def each(calls, path, *codes):
    """Every call is refused with one of these."""
    for what, call in calls.items():
        try:
            with raises(*codes):
                call(path)
        except AssertionError as error:
            raise AssertionError(f"{what}: {error}") from None


# --- too long ---------------------------------------------------------------------------------------

LONG = "n" * (NAME_MAX + 1 - len(".queue")) + ".queue"


@pytest.mark.parametrize("name", [
    LONG, "n" * (NAME_MAX + 1), "n" * 1000, "n" * 1025, LONG + ".ctl", LONG + "@1", LONG + "@inf",
    "@" * (NAME_MAX + 1), "n" * 252 + "@none"], ids=lambda n: f"{n[:1]}…{n[-9:]} {len(n)}")
def test_a_name_that_is_too_long(area, name):
    each(all_calls(area), area.path(name), errno.ENAMETOOLONG)
    os.mkdir(area.path("d"))
    each(all_calls(area), area.path("d/" + name), errno.ENAMETOOLONG)
    each(USES, area.path(f"{name}/x.queue"), errno.ENAMETOOLONG)


def test_a_name_that_is_too_long_where_there_are_no_names(area):
    q = area.make("q.queue")
    os.mkdir(area.path("t.pipe"))
    for folder in (q.ctl_path(), area.path("t.pipe")):
        each({"stat": os.stat, "open": open_close}, f"{folder}/{LONG}", errno.ENAMETOOLONG)


@pytest.mark.parametrize("name", [
    LONG[1:], LONG[1:] + ".ctl", LONG[1:] + "@1", LONG[1:] + "@0.000000001", "n" * NAME_MAX])
def test_a_missing_name_that_is_not_too_long(area, name):
    each(USES, area.path(name), errno.ENOENT)


def test_the_longest_name_and_what_goes_with_it(area):
    q = area.make(LONG[1:])
    q.put(b"1\n2\n")
    assert q.ctl("size") == "2"
    with open(q.at("0.5"), "rb", buffering=0) as file:
        assert file.read(10) == b"1\n"
    with open(q.at("inf"), "rb", buffering=0) as file:
        assert file.read(10) == b"2\n"
    for limit in ("1", "0.123456789"):
        for refuse in (os.unlink, lambda p: os.rename(p, area.path("r.queue"))):
            with raises(errno.EINVAL):
                refuse(q.at(limit))
    os.rename(q.path, area.path("s.queue"))
    os.rename(area.path("s.queue"), q.path)
    os.mkdir(area.path("d" * NAME_MAX))
    os.rename(area.path("d" * NAME_MAX), area.path("e" * NAME_MAX))
    os.rmdir(area.path("e" * NAME_MAX))
    os.mkdir(area.path("t" * (NAME_MAX - 5) + ".pipe"))
    assert os.stat(area.path("t" * (NAME_MAX - 5) + ".pipe.ctl/type"))


def deep_path(top, last, length=PATH_MAX - 1):
    """A path of exactly that length that ends in `last`, with its directories made."""
    path = top
    while length - len(path) - 1 > NAME_MAX:
        path += "/" + "d" * 120
        os.mkdir(path)
    return f"{path}/{'n' * (length - len(path) - 1 - len(last))}{last}"


@pytest.mark.parametrize("relative", [False, True])
def test_the_longest_path(area, relative):
    top = area.dir
    old = os.getcwd()
    if relative:        # then its absolute one is longer than that
        os.chdir(area.dir)
        top = "."
    try:
        path = deep_path(top, ".queue")
        folder = deep_path(os.path.dirname(path), "")
        assert len(path) == len(folder) == PATH_MAX - 1
        create(path)
        os.rename(path, f"{top}/short.queue")
        os.rename(f"{top}/short.queue", path)
        with open(path, "r+b", buffering=0) as file:
            file.write(b"x\n")
            assert file.read(10) == b"x\n"
        for call in (os.stat, lambda p: os.chmod(p, 0o640), lambda p: os.chown(p, BOB, BOB), os.utime):
            call(path)
        assert os.stat(path).st_uid == BOB
        with raises(errno.EPERM):
            os.rename(path, path[:-6] + ".event")
        os.unlink(path)
        os.mkdir(folder)
        os.rename(folder, f"{top}/short")
        os.rename(f"{top}/short", folder)
        os.rmdir(folder)
        with raises(errno.EINVAL):
            create(path[:-6] + "queues")
        each({**USES, **MAKES, "rename to": rename_to(area)}, path + "x", errno.ENAMETOOLONG)
    finally:
        os.chdir(old)


def test_a_tree_that_is_deeper_than_any_path(area):
    top = os.open(area.dir, os.O_RDONLY)
    fd = os.dup(top)
    for _ in range(3000):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("q.queue", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.rename("q.queue", "up.queue", src_dir_fd=fd, dst_dir_fd=top)
    os.rename("up.queue", "q.queue", src_dir_fd=top, dst_dir_fd=fd)
    with raises(errno.EINVAL):
        os.rename("d", "x", src_dir_fd=top, dst_dir_fd=fd)
    os.mkdir("e", dir_fd=fd)
    os.rename("e", "e", src_dir_fd=fd, dst_dir_fd=top)
    os.rename("d", "f", src_dir_fd=top, dst_dir_fd=top)
    assert os.listdir(fd) == ["q.queue"]
    os.close(fd)
    os.close(top)


# --- what is in the way ------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["q.queue", "v.value", "a.array", "q.queue.ctl/size", "q.queue@1", "t.pipe/a"])
def test_a_component_that_is_no_directory(area, name):
    area.make("q.queue"), area.make("v.value"), area.make("a.array")
    os.mkdir(area.path("t.pipe"))
    each(all_calls(area), area.path(name) + "/x.queue", errno.ENOTDIR)
    each({"open": lambda p: open_close(p, os.O_DIRECTORY)}, area.path(name), errno.ENOTDIR)
    each({"stat": os.stat, "open": open_close, "rmdir": os.rmdir}, area.path(name) + "/", errno.ENOTDIR)


def test_a_component_that_is_missing(area):
    each(all_calls(area), area.path("no/x.queue"), errno.ENOENT)
    each(USES, area.path("x.queue"), errno.ENOENT)
    each({"rename to": rename_to(area)}, area.path("no/q.queue"), errno.ENOENT)
    area.make("q.queue")
    with raises(errno.ENOENT):
        os.rename(area.path("no.queue"), area.path("q.queue"))


def test_too_many_links(area, tmp_path):
    """Symbolic links lead in from outside; within there are only those of .ctl."""
    os.symlink(tmp_path / "two", tmp_path / "one")
    os.symlink(tmp_path / "one", tmp_path / "two")
    each({k: v for k, v in USES.items() if k not in (
        "lstat", "lchown", "unlink", "rmdir", "readlink", "rename", "access")}, str(tmp_path / "one"), errno.ELOOP)
    q = area.make("q.queue")
    os.symlink(q.path, tmp_path / "in")
    os.chmod(tmp_path / "in", 0o611)
    assert os.stat(q.path).st_mode & 0o7777 == 0o611
    each({"open": lambda p: open_close(p, os.O_NOFOLLOW)}, str(tmp_path / "in"), errno.ELOOP)
    each({"open": lambda p: open_close(p, os.O_NOFOLLOW)}, q.ctl_path("shm"), errno.ELOOP)
    assert stat.S_ISLNK(os.lstat(q.ctl_path("shm")).st_mode)


def test_a_directory_that_may_not_be_searched(area):
    os.mkdir(area.path("d"), 0o700)
    os.chown(area.path("d"), ALICE, ALICE)
    path = area.path("d/x.queue")
    as_user(ALICE, create, path)
    for what, call in {**USES, **MAKES}.items():
        refused(BOB, call, path)
        refused(BOB, call, area.path("d/missing.queue"))
        if what in ("stat", "chmod", "open", "utime"):
            as_user(ALICE, call, path)
    as_user(BOB, create, area.path("bobs.queue"))
    refused(BOB, os.rename, area.path("bobs.queue"), path)
    os.chmod(area.path("d"), 0o600)     # readable is not enough, for its owner either
    refused(ALICE, os.stat, path)
    refused(ALICE, os.stat, path + ".ctl")
    refused(ALICE, open_close, path + "@1")
    assert as_user(ALICE, os.listdir, area.path("d")) == ["x.queue"]
    os.chmod(area.path("d"), 0o100)
    as_user(ALICE, os.stat, path)
    refused(ALICE, os.listdir, area.path("d"))


def test_a_directory_that_may_not_be_written(area):
    os.mkdir(area.path("d"), 0o755)
    os.chown(area.path("d"), ALICE, ALICE)
    create(area.path("d/x.queue"))
    os.chmod(area.path("d/x.queue"), 0o666)
    os.mkdir(area.path("d/sub"), 0o777)
    for call in MAKES.values():
        refused(BOB, call, area.path("d/new.queue"), codes=(errno.EACCES, errno.EPERM))
    refused(BOB, os.mkdir, area.path("d/new"))
    refused(BOB, os.mkdir, area.path("d/new.pipe"))
    refused(BOB, os.unlink, area.path("d/x.queue"))
    refused(BOB, os.rmdir, area.path("d/sub"))
    refused(BOB, os.rename, area.path("d/x.queue"), area.path("x.queue"))
    as_user(BOB, create, area.path("bobs.queue"))
    refused(BOB, os.rename, area.path("bobs.queue"), area.path("d/bobs.queue"))
    refused(BOB, os.rename, area.path("bobs.queue"), area.path("d/x.queue"))
    as_user(BOB, open_close, area.path("d/x.queue"), os.O_CREAT | os.O_WRONLY)  # it is there already
    assert sorted(os.listdir(area.path("d"))) == ["sub", "x.queue"]
    as_user(ALICE, os.unlink, area.path("d/x.queue"))


# --- sticky directories -----------------------------------------------------------------------------

@pytest.mark.parametrize("dir_owner,owner,may", [
    (ALICE, ALICE, {ALICE}), (ALICE, BOB, {ALICE, BOB}), (0, BOB, {BOB}), (0, ALICE, {ALICE}),
    (BOB, 0, {BOB}), (0, 0, set())])
@pytest.mark.parametrize("what", ["unlink", "rename", "rename over", "rmdir", "rename dir", "rename over dir"])
def test_sticky(area, dir_owner, owner, may, what):
    folder = area.path("d")
    os.mkdir(folder)
    os.chown(folder, dir_owner, dir_owner)
    os.chmod(folder, 0o1777)
    directory = "dir" in what
    make, name = (os.mkdir, "sub") if directory else (create, "x.queue")
    for user in (ALICE, BOB):
        path, mine = f"{folder}/{name}", area.path(f"{user}{name}")
        make(path)
        os.chown(path, owner, owner)
        as_user(user, make, mine)
        call = {"unlink": (os.unlink, path), "rmdir": (os.rmdir, path),
                "rename": (os.rename, path, f"{folder}/n.queue"),
                "rename dir": (os.rename, path, f"{folder}/n"),
                "rename over": (os.rename, mine, path),
                "rename over dir": (os.rename, mine, path)}[what]
        if user in may:
            as_user(user, *call)
        else:
            refused(user, *call, codes=(errno.EPERM, errno.EACCES))
            assert os.path.exists(path)
        for entry in os.listdir(folder):
            (os.rmdir if directory else os.unlink)(f"{folder}/{entry}")


# --- rename -----------------------------------------------------------------------------------------

def test_rename_of_one_kind_to_another(area):
    """Whatever the kernel does not refuse itself is EPERM, so that no mv copies."""
    area.make("q.queue"), area.make("r.queue"), area.make("e.event"), area.make("p.pipe")
    for name in ("d", "empty", "full", "t.pipe", "u.pipe"):
        os.mkdir(area.path(name))
    area.make("full/x.queue")
    table = {
        ("q.queue", "e.event"): errno.EPERM, ("q.queue", "new.event"): errno.EPERM,
        ("q.queue", "d"): errno.EISDIR, ("q.queue", "t.pipe"): errno.EISDIR,
        ("d", "q.queue"): errno.ENOTDIR, ("d", "new.queue"): errno.EPERM,
        ("d", "full"): errno.ENOTEMPTY, ("d", "t.pipe"): errno.EPERM, ("d", "new.pipe"): errno.EPERM,
        ("t.pipe", "d"): errno.EPERM, ("t.pipe", "new"): errno.EPERM, ("p.pipe", "t.pipe"): errno.EISDIR,
        ("t.pipe", "p.pipe"): errno.ENOTDIR, ("d", "d/sub"): errno.EINVAL, ("full", "full/a"): errno.EINVAL,
        ("t.pipe", "t.pipe/x.pipe"): errno.EINVAL, ("q.queue", "t.pipe/a"): errno.EPERM,
        ("t.pipe/a", "b.pipe"): errno.EPERM, ("d/.", "n"): errno.EBUSY, ("d/..", "n"): errno.EBUSY,
        ("d", "full/."): errno.EBUSY, ("d", "full/.."): errno.EBUSY, ("q.queue", "no/q.queue"): errno.ENOENT,
        ("q.queue", "r.queue/x.queue"): errno.ENOTDIR, ("q.queue", "plain"): errno.EINVAL,
        ("q.queue", "x@1.queue"): errno.EINVAL, ("d", "a@b"): errno.EINVAL, ("q.queue", "q.queue/"): errno.ENOTDIR,
    }
    before = sorted(os.listdir(area.dir))
    for (source, target), code in table.items():
        try:
            with raises(code):
                os.rename(area.path(source), area.path(target))
        except AssertionError as error:
            raise AssertionError(f"{source} to {target}: {error}") from None
    assert sorted(os.listdir(area.dir)) == before
    os.rename(area.path("q.queue"), area.path("q.queue"))
    os.rename(area.path("q.queue"), area.path("r.queue"))
    os.rename(area.path("d"), area.path("empty"))
    os.rename(area.path("t.pipe"), area.path("u.pipe"))
    os.rename(area.path("full"), area.path("empty"))
    assert sorted(os.listdir(area.dir)) == ["e.event", "empty", "p.pipe", "r.queue", "u.pipe"]
    assert os.listdir(area.path("empty")) == ["x.queue"]


def test_rename_of_a_directory_moves_what_leads_up(area):
    for name in ("one", "two", "one/d", "one/d/sub"):
        os.mkdir(area.path(name))
    fd = os.open(area.path("one/d/sub"), os.O_RDONLY)
    links = {name: os.stat(area.path(name)).st_nlink for name in ("one", "two")}
    assert links == {"one": 3, "two": 2}
    os.rename(area.path("one/d"), area.path("two/e"))
    assert (os.stat(area.path("one")).st_nlink, os.stat(area.path("two")).st_nlink) == (2, 3)
    up = os.open("../..", os.O_RDONLY, dir_fd=fd)
    assert os.path.samestat(os.fstat(up), os.stat(area.path("two")))
    os.rename(area.path("two/e"), area.path("two/f"))
    assert os.stat(area.path("two")).st_nlink == 3
    for descriptor in (fd, up):
        os.close(descriptor)


def test_a_directory_that_may_not_be_written_does_not_move(area):
    """Its entry that leads up would have to be."""
    for name in ("one", "two", "one/d"):
        os.mkdir(area.path(name))
        os.chmod(area.path(name), 0o777)
    os.chmod(area.path("one/d"), 0o755)
    refused(BOB, os.rename, area.path("one/d"), area.path("two/d"))
    as_user(BOB, os.rename, area.path("one/d"), area.path("one/e"))
    os.chmod(area.path("one/e"), 0o777)
    as_user(BOB, os.rename, area.path("one/e"), area.path("two/e"))


# --- making and removing ------------------------------------------------------------------------------

@pytest.mark.parametrize("there", ["q.queue", "e.event", "a.array", "d", "t.pipe"])
def test_what_is_there_already(area, there):
    if "." in there and there != "t.pipe":
        area.make(there)
    else:
        os.mkdir(area.path(there))
    each({**MAKES, "link to": link_to(area)}, area.path(there), errno.EEXIST)
    os.close(os.open(area.path("z.queue"), os.O_CREAT | os.O_EXCL | os.O_WRONLY))


def test_removing(area):
    q = area.make("q.queue")
    for name in ("d", "t.pipe"):
        os.mkdir(area.path(name))
        with raises(errno.EISDIR):
            os.unlink(area.path(name))
    each({"rmdir": os.rmdir}, q.path, errno.ENOTDIR)
    area.make("d/x.queue")
    each({"rmdir": os.rmdir}, area.path("d"), errno.ENOTEMPTY)
    each({"rmdir": os.rmdir}, area.path("d/."), errno.EINVAL)
    each({"rmdir": os.rmdir}, area.path("d/.."), errno.ENOTEMPTY)
    os.unlink(area.path("d/x.queue"))
    os.rmdir(area.path("d"))
    os.rmdir(area.path("t.pipe"))
    with raises(errno.ENOENT):
        os.rmdir(area.path("d"))


def test_the_mount_point_stays(open_mount):
    with raises(errno.EBUSY):
        os.rmdir(open_mount.dir)
    with raises(errno.EBUSY):
        os.rename(open_mount.dir, open_mount.dir + "2")


def test_an_open_object_outlives_its_name(area):
    q = area.make("q.queue")
    fd = q.open(os.O_RDWR)
    assert os.fstat(fd).st_nlink == 1
    os.unlink(q.path)
    assert os.fstat(fd).st_nlink == 0
    assert os.write(fd, b"x\n") == 2
    assert os.read(fd, 10) == b"x\n"
    create(q.path)
    assert os.fstat(fd).st_ino != os.stat(q.path).st_ino
    os.close(fd)


def test_neither_links_nor_special_files(area):
    q = area.make("q.queue")
    os.mkdir(area.path("d"))
    each({"link": lambda p: os.link(q.path, p), "symlink": lambda p: os.symlink(q.path, p),
          "fifo": os.mkfifo, "socket": lambda p: os.mknod(p, stat.S_IFSOCK | 0o600),
          "device": lambda p: os.mknod(p, stat.S_IFCHR | 0o600, os.makedev(1, 3))},
         area.path("new.queue"), errno.EPERM)
    with raises(errno.EPERM):
        os.link(area.path("d"), area.path("e"))
    assert sorted(os.listdir(area.dir)) == ["d", "q.queue"]
    assert os.stat(q.path).st_nlink == 1
