"""take=rw: a handle that is opened read-only looks, and takes nothing."""

import errno
import fcntl
import os
import select
import signal

import pytest

from kit import ioc_next, raises, read_all, run, sh, unchanged

LOOKS = {"q.queue": b"one\ntwo\n", "p.pipe": b"bytes", "e.event": b"1\n", "s.sem": b"3\n",
         "l.lock": b"1\n", "r.rlock": b"1\n", "c.cond": b"0\n", "b.barrier": b"0\n",
         "v.value": b"text\n"}
FILL = {"q.queue": b"one\ntwo\n", "p.pipe": b"bytes", "e.event": b"1", "s.sem": b"3", "v.value": b"text"}


def make(folder, name):
    obj = folder.make(name)
    if name in FILL:
        os.write(obj.open(os.O_RDWR), FILL[name])
    return obj


@pytest.mark.parametrize("name", LOOKS)
def test_a_read_only_handle_looks(area, name):
    obj = make(area, name)
    obj.set("take", "rw")
    with unchanged(obj):
        assert read_all(obj.path) == LOOKS[name]
        fd = obj.open()
        assert os.read(fd, 3) == LOOKS[name][:3]
        assert os.pread(fd, 100, 1) == LOOKS[name][1:]
        os.close(fd)


@pytest.mark.parametrize("name", ["q.queue", "p.pipe", "e.event", "s.sem", "l.lock"])
def test_it_never_waits(area, name):
    obj = area.make(name)
    obj.set("take", "rw")
    if name == "l.lock":
        assert os.read(obj.open(os.O_RDWR), 10) == b"1\n"
    assert len(read_all(obj.path)) in (0, 2)
    assert len(read_all(obj.at("inf"))) in (0, 2)
    fd = obj.open()
    assert select.select([fd], [], [], 0)[0] == [fd]
    with raises(errno.ENOTTY):
        ioc_next(fd)


def test_read_write_handles_take_as_ever(area):
    q = make(area, "q.queue")
    q.set("take", "rw")
    assert sh("read -r job <> q.queue; echo $job", cwd=area.dir).out == "one\n"
    assert q.messages() == [b"two"]
    q.close()
    assert q.raw("stream") == b"two\n"
    assert q.size == 0


def test_flock_borrows_through_a_read_only_handle(area):
    lock = area.make("l.lock")
    lock.set("take", "rw")
    fd = lock.open()
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert (lock.size, read_all(lock.path)) == (0, b"0\n")
    os.close(fd)
    assert lock.size == 1
    assert run(["flock", "-n", lock.path, "true"]).code == 0


def test_it_does_not_count_as_a_reader(area):
    p = area.make("p.pipe")
    p.set("take", "rw")
    w = p.open(os.O_WRONLY)
    read_all(p.path)
    assert os.write(w, b"x") == 1, "no reader came, so none has gone"
    assert p.number("readers") == 0


def test_it_can_be_taken_back(area):
    q = make(area, "q.queue")
    q.set("take", "rw")
    look = q.open()
    q.set("take", "any")
    assert q.take() == b"one\n"
    assert os.read(look, 100) == b"two\n", "a handle stays what it was opened as"
    assert q.messages() == [b"two"]


@pytest.mark.parametrize("walker", [
    "git init -q . && git add -A", "find . -type f -exec grep -c x {} +", "cat *", "cp * $OUT",
    "sha1sum *", "head -c 5 *", "wc *", "perl -ne 1 *"])
def test_walkers_take_nothing(area, tmp_path, walker):
    names = [n for n in LOOKS if n != "v.value"]
    objects = [make(area, name) for name in names]
    for obj in objects:
        obj.set("take", "rw")
    os.mkdir(area.path("sub"))
    if walker.startswith("git"):     # its own files cannot be here
        walker = f"git --git-dir={tmp_path}/git --work-tree=. init -q && git --git-dir={tmp_path}/git --work-tree=. add -A"
    with unchanged(*objects):
        sh(walker, cwd=area.dir, env={"OUT": str(tmp_path)}, code=None)


def test_the_mount_option_is_for_new_objects_and_stays(mount_with):
    mount = mount_with()
    old = mount.make("old.queue")
    mount.remount(take="rw")
    new = mount.make("new.queue")
    assert (old.ctl("take"), new.ctl("take")) == ("any", "rw")
    del mount.options["take"]
    mount.remount()
    assert mount.make("newer.event").ctl("take") == "rw"
    assert new.ctl("take") == "rw"
    mount.remount(take="any")
    assert mount.make("newest.sem").ctl("take") == "any"


def test_a_look_goes_on_after_a_restart(mount):
    q = mount.make("q.queue")
    q.put(b"".join(b"line %d\n" % i for i in range(1000)))
    q.set("take", "rw")
    fd = q.open()
    first = os.read(fd, 100)
    os.kill(mount.worker(), signal.SIGKILL)
    rest = b"".join(iter(lambda: os.read(fd, 4096), b""))
    assert (first + rest).splitlines()[-1] == b"line 999"
    assert q.size == 1000
