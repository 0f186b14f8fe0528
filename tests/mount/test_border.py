"""Where programs take an object for a regular file: sizes, holes, copies that ask the kernel."""

import errno
import os
import shutil

import pytest

from kit import fork, raises, run, sh, spawn

EVERY_TYPE = ["q.queue", "p.pipe", "e.event", "s.sem", "l.lock", "r.rlock", "c.cond", "b.barrier"]
SEEKABLE = ["v.value", "a.array"]
CTL_SIZE = 4096


# --- SEEK_DATA and SEEK_HOLE ---------------------------------------------------------------------

@pytest.mark.parametrize("command", ["grep number {}", "grep -c number {}", "grep -n 'number 100' {}"])
def test_grep_takes_every_message_of_a_closed_queue(area, command):
    q = area.make("q.queue")
    q.put(b"".join(b"job number %d\n" % i for i in range(1, 101)))
    q.close()
    done = sh(command.format("q.queue"), cwd=area.dir)
    assert "binary" not in done.out + done.err
    assert done.out in ("".join(f"job number {i}\n" for i in range(1, 101)), "100\n",
                        "100:job number 100\n")


@pytest.mark.parametrize("name", EVERY_TYPE)
@pytest.mark.parametrize("whence", [os.SEEK_DATA, os.SEEK_HOLE])
def test_no_other_object_has_holes(area, name, whence):
    obj = area.make(name)
    with raises(errno.EINVAL):
        os.lseek(obj.open(os.O_RDONLY | os.O_NONBLOCK), 0, whence)
    with raises(errno.EINVAL):
        os.lseek(obj.open(os.O_RDONLY | os.O_NOFOLLOW), 0, whence)


@pytest.mark.parametrize("file", ["status", "peek", "join"])
def test_control_files_have_no_holes(area, file):
    q = area.make("q.queue")
    fd = os.open(q.ctl_path(file), os.O_RDONLY)
    for whence in os.SEEK_DATA, os.SEEK_HOLE:
        with raises(errno.EINVAL):
            os.lseek(fd, 0, whence)


def test_an_array_is_data_up_to_its_end(area):
    a = area.make("a.array")
    fd = a.open(os.O_RDWR)
    with raises(errno.ENXIO):
        os.lseek(fd, 0, os.SEEK_DATA)
    os.ftruncate(fd, 10000)
    assert os.lseek(fd, 17, os.SEEK_DATA) == 17
    assert os.lseek(fd, 17, os.SEEK_HOLE) == 10000
    for whence in os.SEEK_DATA, os.SEEK_HOLE:
        with raises(errno.ENXIO):
            os.lseek(fd, 10000, whence)


def test_a_value_is_data_up_to_its_newline(area):
    v = area.make("v.value")
    v.put(b"12345")
    fd = v.open()
    assert os.lseek(fd, 0, os.SEEK_HOLE) == len(os.pread(fd, 100, 0)) == 6
    assert os.lseek(fd, 3, os.SEEK_DATA) == 3
    with raises(errno.ENXIO):
        os.lseek(fd, 6, os.SEEK_DATA)


# --- sizes ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", EVERY_TYPE + SEEKABLE)
def test_control_files_have_the_size_of_sysfs_files(area, name):
    obj = area.make(name)
    for file in os.scandir(obj.ctl_path()):
        assert file.stat(follow_symlinks=False).st_size == CTL_SIZE, file.name
    assert os.lstat(obj.ctl_path("shm")).st_size == len(os.readlink(obj.ctl_path("shm")))


def test_the_mounts_own_control_files_too(area):
    root = os.path.join(area.mount.dir, ".ctl")
    for file in ("status", "version", "waiters", "limits/memory"):
        assert os.stat(os.path.join(root, file)).st_size == CTL_SIZE


@pytest.mark.parametrize("name", EVERY_TYPE + ["v.value"])
@pytest.mark.parametrize("limit", ["0", "2.5", "inf"])
def test_names_with_a_limit_never_have_size_0(area, name, limit):
    obj = area.make(name)
    if obj.type in ("lock", "rlock"):
        assert os.stat(obj.at(limit)).st_size == 1
        obj.open(os.O_RDWR)
        return
    assert obj.size == 0
    assert os.stat(obj.at(limit)).st_size == CTL_SIZE
    assert os.fstat(obj.open(os.O_RDWR, limit)).st_size == CTL_SIZE


def test_a_state_that_is_not_0_shows_at_a_name_with_a_limit(area):
    q = area.make("q.queue")
    q.put(b"1\n2\n3\n")
    assert os.stat(q.at(2)).st_size == 3


# --- programs that ask the size first, or have the kernel copy ------------------------------------

COPIES = {
    "shutil": lambda source, target: shutil.copyfile(source, target),
    "busybox": lambda source, target: sh(f"busybox cat '{source}' > '{target}'"),
    "busybox-cp": lambda source, target: run(["busybox", "cp", source, target]),
    "node": lambda source, target: run([
        "node", "-e", "fs.writeFileSync(process.argv[2], fs.readFileSync(process.argv[1]))",
        source, target]),
    "cp": lambda source, target: run(["cp", source, target]),
    "perl": lambda source, target: run([
        "perl", "-MFile::Copy", "-e", "copy($ARGV[0], $ARGV[1]) or die $!", source, target]),
}


@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize("file", ["maxsize", "peek", "status"])
def test_copies_of_control_files_are_whole(area, tmp_path, copy, file):
    q = area.make("q.queue", maxsize=12345)
    q.put(b"one\ntwo\n")
    target = str(tmp_path / "copy")
    COPIES[copy](q.ctl_path(file), target)
    with open(target, "rb") as got:
        assert got.read() == q.raw(file)


@pytest.mark.parametrize("program", ["cat", "busybox cat"])
def test_a_join_waits_with_every_cat(area, program):
    q = area.make("q.queue")
    q.put(b"x\n")
    waiter = spawn([*program.split(), q.ctl_path("join")])
    q.await_waiters(1)
    assert waiter.running
    q.take()
    q.set("done", 1)
    assert waiter.finish().code == 0


@pytest.mark.parametrize("name", ["e.event", "q.queue", "s.sem"])
@pytest.mark.parametrize("program", ["cat", "busybox cat"])
def test_at_inf_waits_with_every_cat(area, name, program):
    obj = area.make(name)
    waiter = spawn([*program.split(), obj.at("inf")])
    obj.await_waiters(1)
    assert waiter.running
    obj.put(b"1\n")
    if obj.type == "queue":
        obj.close()
    assert waiter.finish() == (0, "1\n", "")


def test_inf_has_no_time_limit(area):
    e = area.make("e.event")
    reader = fork(lambda: os.read(e.open(limit="inf"), 10))
    e.await_waiters(1)
    e.put(b"1")
    assert reader.result() == b"1\n"
    with raises(errno.EAGAIN):
        os.read(area.make("f.event").open(os.O_RDONLY | os.O_NONBLOCK, "inf"), 10)


@pytest.mark.parametrize("limit", ["Inf", "infinity", "nan", "in", "inf1", "-inf"])
def test_no_other_word_is_a_limit(area, limit):
    e = area.make("e.event")
    with raises(errno.EINVAL):
        os.stat(e.at(limit))


def test_sendfile_and_splice_never_see_a_false_end(area):
    """As uutils' cat does it: refused, so that the program reads instead."""
    e = area.make("e.event")
    pipe = os.pipe()
    for move in (lambda fd: os.sendfile(pipe[1], fd, 0, 4096), lambda fd: os.splice(fd, pipe[1], 4096)):
        with raises(errno.EINVAL):
            move(e.open(limit="inf"))
        with raises(errno.EINVAL):
            move(os.open(area.make("q.queue", ).ctl_path("join"), os.O_RDONLY))
        os.unlink(area.path("q.queue"))


# --- mounting over what is there --------------------------------------------------------------------

def test_a_mount_point_that_is_not_empty_is_said_so(mount_with):
    mount = mount_with(start=False)
    with open(os.path.join(mount.dir, "x.lock"), "w", encoding="ascii"):
        pass
    mount.start()
    line = [line for line in mount.log().splitlines() if "not empty" in line]
    assert len(line) == 1 and mount.dir in line[0] and "x.lock" in line[0]
    assert os.listdir(mount.dir) == []
    mount.unmount()
    assert os.listdir(mount.dir) == ["x.lock"]
    os.unlink(os.path.join(mount.dir, "x.lock"))


def test_an_empty_mount_point_is_nothing_to_speak_of(mount):
    assert "not empty" not in mount.log()
