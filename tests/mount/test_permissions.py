"""Who may do what: checked as other users, on mounts with allow_other and without."""

import errno
import os

import pytest

from kit import Folder, fork, raises, read_all, unchanged, write_once

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root to become others")

ALICE, BOB = 20001, 20002


@pytest.fixture(scope="module")
def open_mount():
    from kit import Mount
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


def made_by(uid, area, name, mode, **settings):
    """An object of that user's."""
    def create():
        os.umask(0)
        obj = area.make(name, **settings)
        os.chmod(obj.path, mode)

    as_user(uid, create)
    return area.obj(name)


def refused(uid, fn, *args, codes=(errno.EACCES,)):
    with raises(*codes):
        as_user(uid, fn, *args)


def open_close(path, flags):
    os.close(os.open(path, flags))


def test_without_allow_other_nobody_else_gets_in(mount_with):
    mount = mount_with(public=True)
    q = mount.make("q.queue")
    os.chmod(q.path, 0o666)
    refused(ALICE, os.stat, q.path)
    refused(ALICE, os.listdir, mount.dir)


def test_an_object_belongs_to_its_maker(area):
    q = made_by(ALICE, area, "q.queue", 0o600)
    info = os.stat(q.path)
    assert (info.st_uid, info.st_gid) == (ALICE, ALICE)


@pytest.mark.parametrize("mode,reads,writes", [
    (0o600, False, False), (0o604, True, False), (0o602, False, True), (0o606, True, True)])
@pytest.mark.parametrize("name", ["q.queue", "p.pipe", "e.event", "s.sem", "l.lock"])
def test_modes(area, name, mode, reads, writes):
    obj = made_by(ALICE, area, name, mode)
    for flags, allowed in ((os.O_RDONLY, reads), (os.O_WRONLY, writes), (os.O_RDWR, reads and writes)):
        for path in (obj.path, obj.at(1)):
            if allowed:
                as_user(BOB, open_close, path, flags)
            else:
                refused(BOB, open_close, path, flags)
    for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
        as_user(ALICE, open_close, obj.path, flags)


def test_group_mode(area):
    q = made_by(ALICE, area, "q.queue", 0o640)
    os.chown(q.path, -1, BOB)
    as_user(BOB, open_close, q.path, os.O_RDONLY)
    refused(BOB, open_close, q.path, os.O_WRONLY)


def test_ctl_facts_are_for_who_may_read(area):
    secret = made_by(ALICE, area, "secret.queue", 0o600)
    shown = made_by(ALICE, area, "shown.queue", 0o644)
    for name in ("status", "size", "peek", "waiters", "holders", "maxsize", "lease", "join", "drain", "stream"):
        refused(BOB, open_close, secret.ctl_path(name), os.O_RDONLY)
        as_user(BOB, open_close, shown.ctl_path(name), os.O_RDONLY)
    for name in ("lease@0", "stream@0"):
        refused(BOB, open_close, secret.ctl_path(name), os.O_RDONLY)


@pytest.mark.parametrize("by_name", [True, False])
def test_a_chmod_shuts_ctl_at_once(area, by_name):
    """The kernel keeps the directory's attributes for a moment."""
    q = area.make("q.queue")
    ctl = os.open(q.ctl_path(), os.O_RDONLY)

    def look():
        with raises(errno.EACCES):
            os.open("size", os.O_RDONLY, dir_fd=ctl)

    for i in range(50):
        mode = 0o600 if i % 2 else 0o644
        os.stat(q.ctl_path("size"))
        os.chmod(q.path, mode)
        assert (os.stat(q.ctl_path()) if by_name else os.fstat(ctl)).st_mode & 0o777 == (0o500 if i % 2 else 0o555)
    fork(look, uid=ALICE, keep=[ctl]).result()
    with raises(errno.EACCES):
        fork(q.ctl, "size", uid=ALICE).result()


def test_write_only_users_see_nothing(area):
    q = made_by(ALICE, area, "q.queue", 0o622)
    as_user(BOB, q.put, b"x\n")
    for name in ("peek", "drain", "stream", "lease"):
        refused(BOB, q.raw, name)
    assert q.messages() == [b"x"]


def test_settings_are_the_owners(area):
    q = made_by(ALICE, area, "q.queue", 0o666)
    for name, value in (("maxsize", 5), ("maxbytes", 5), ("framing", "record"), ("closed", 1),
                        ("max_attempts", 3), ("cancel", "all")):
        with unchanged(q):
            refused(BOB, q.set, name, value, codes=(errno.EACCES, errno.EPERM))
    as_user(ALICE, q.set, "maxsize", 5)
    assert q.ctl("maxsize") == "5"
    s = made_by(ALICE, area, "s.sem", 0o666)
    for name, value in (("bound", 5), ("undo", 1), ("scope", "process")):
        with unchanged(s):
            refused(BOB, s.set, name, value, codes=(errno.EACCES, errno.EPERM))
        as_user(ALICE, s.set, name, value)


def test_work_files_are_for_who_may_read(area):
    q = made_by(ALICE, area, "q.queue", 0o644)
    q.put(b"1\n2\n3\n")

    def work():
        fd = os.open(q.ctl_path("lease"), os.O_RDONLY)
        for name in ("ack", "nack"):
            write_once(q.ctl_path(name), os.read(fd, 100).split(b"\t")[0] + b"\n")
        q.set("done", 1)

    as_user(BOB, work)
    assert q.number("unfinished") == 1
    hidden = made_by(ALICE, area, "hidden.queue", 0o622)
    hidden.put(b"1\n")
    for name in ("ack", "nack", "done", "revive", "discard"):
        with unchanged(hidden):
            refused(BOB, hidden.set, name, "1")


@pytest.mark.parametrize("bits,may", [(0o600, False), (0o644, False), (0o666, True)])
def test_a_condition_gives_nobody_a_lock_of_others(area, bits, may):
    import fcntl

    made_by(BOB, area, "bobs.lock", bits)
    cond = made_by(ALICE, area, "alices.cond", 0o666)
    as_user(ALICE, cond.set, "lock", "bobs.lock")

    def take():
        fd = cond.open(os.O_RDWR)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    if may:
        as_user(ALICE, take)
    else:
        refused(ALICE, take)
    as_user(BOB, take)


def test_attributes_are_the_owners(area):
    q = made_by(ALICE, area, "q.queue", 0o666)
    refused(BOB, os.chmod, q.path, 0o600, codes=(errno.EPERM,))
    refused(BOB, os.chown, q.path, BOB, -1, codes=(errno.EPERM,))
    refused(ALICE, os.chown, q.path, BOB, -1, codes=(errno.EPERM,))
    as_user(ALICE, os.chmod, q.path, 0o600)
    refused(BOB, open_close, q.path, os.O_RDONLY)


def test_folders_guard_names(area):
    os.mkdir(area.path("d"))
    os.chmod(area.path("d"), 0o755)
    d = Folder(area.path("d"))
    q = d.make("q.queue")
    os.chmod(q.path, 0o666)
    refused(BOB, d.make, "new.queue")
    refused(BOB, os.unlink, q.path)
    refused(BOB, os.rename, q.path, d.path("r.queue"))
    as_user(BOB, q.put, b"x\n")
    os.chmod(area.path("d"), 0o700)
    refused(BOB, os.stat, q.path)
    refused(BOB, os.stat, q.ctl_path())
    refused(BOB, read_all, q.ctl_path("status"))


def test_sticky_folders(area):
    os.mkdir(area.path("d"))
    os.chmod(area.path("d"), 0o1777)
    d = Folder(area.path("d"))
    q = made_by(ALICE, d, "q.queue", 0o666)
    refused(BOB, os.unlink, q.path, codes=(errno.EPERM, errno.EACCES))
    as_user(ALICE, os.unlink, q.path)


def test_a_handle_opened_before_chmod_goes_on(area):
    q = made_by(ALICE, area, "q.queue", 0o666)
    fd = q.open(os.O_WRONLY)
    os.chmod(q.path, 0)
    os.write(fd, b"x\n")
    assert q.messages() == [b"x"]


def test_waiters_show_the_uid(area):
    q = made_by(ALICE, area, "q.queue", 0o644)
    reader = fork(q.get, uid=BOB)
    row, = q.await_waiters(1)
    assert (row.pid, row.uid) == (reader.pid, BOB)
    refused(BOB, q.set, "cancel", "all", codes=(errno.EACCES, errno.EPERM))
    as_user(ALICE, q.set, "cancel", "all")
    with raises(errno.ECANCELED):
        reader.result()


def test_the_mounts_own_ctl(open_mount, area):
    """Waiters of objects that a user may not read are not shown to them in the root's lists."""
    q = made_by(ALICE, area, "hidden.queue", 0o600)
    reader = fork(q.get, uid=ALICE)
    q.await_waiters(1)
    path = open_mount.path(".ctl/waiters")
    assert str(reader.pid).encode() in read_all(path)
    try:
        text = as_user(BOB, read_all, path)
    except PermissionError:
        return
    assert b"hidden.queue" not in text


def test_limits_are_the_owners(open_mount):
    path = open_mount.path(".ctl/limits/memory")
    before = read_all(path)
    with raises(errno.EACCES, errno.EPERM):
        as_user(BOB, write_once, path, b"1000000\n")
    assert read_all(path) == before


def test_the_state_folder_is_private(open_mount):
    assert os.stat(open_mount.state).st_mode & 0o077 == 0
    refused(BOB, os.listdir, open_mount.state)
