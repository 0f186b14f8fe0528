"""ipcctl save and load: a copy of the objects while everything runs, and back."""

import fcntl
import os
import signal

import pytest

from kit import IPCCTL, eventually, fork, run, sh, spawn
from kit.stopped import HOSTILE, Holder

pytestmark = pytest.mark.skipif(not os.access(IPCCTL, os.X_OK), reason=f"no {IPCCTL}: build first")


def ipcctl(*args, code=0, **options):
    done = run([IPCCTL, *map(str, args)], **options)
    assert done.code == code, done
    return done


@pytest.fixture
def copy(tmp_path):
    return tmp_path / "copy"


def records(path):
    """[(kind, numbers, bytes)] of a saved object."""
    data, found = path.read_bytes(), []
    assert data.startswith(b"ipcfs object 1\n")
    at = len(b"ipcfs object 1\n")
    while at < len(data):
        line, _, _ = data[at:].partition(b"\n")
        kind, *numbers = line.decode().split()
        at += len(line) + 1
        size = int(numbers.pop())
        found.append((kind, [int(n) for n in numbers], data[at:at + size]))
        assert data[at + size:at + size + 1] == b"\n"
        at += size + 1
    assert found[-1][0] == "end"
    return found


def messages(path):
    return [text for kind, _, text in records(path) if kind in ("message", "dead", "delayed")]


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def equal(one, other):
    assert files(one) == files(other)
    for name in files(one):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def make_one_of_each(m):
    os.mkdir(m.path("d"))
    os.mkdir(m.path("d/e"), 0o750)
    os.mkdir(m.path("t.pipe"))
    q = m.make("d/q.queue", maxsize=20, max_attempts=3)
    q.put(b"one\n\nthree\n")
    m.make("r.queue", framing="record").put(b"a\nb\0c")
    m.make("closed.queue").put(b"x\n")
    m.obj("closed.queue").set("closed", 1)
    m.make("p.pipe").put(b"bytes\0")
    m.make("m.pipe", framing="record").put(b"packet")
    with open(m.path("t.pipe/a"), "wb") as a, open(m.path("t.pipe/b"), "wb") as b:
        a.write(b"there")
        b.write(b"back")
    m.make("e.event").put(b"1\n")
    m.sem("s.sem", 3, bound=5)
    m.make("free.lock")
    m.make("taken.lock").set("undo", 0)
    assert m.obj("taken.lock").take() == b"1\n"
    m.make("r.rlock", scope="process")
    m.make("c.cond").set("lock", "free.lock")
    m.make("b.barrier").put(b"4\n")
    m.make("v.value", typecode="i").put(b"-7\n")
    m.make("text.value").put("ü text".encode())
    m.make("odd.value").put(b"a\nb\0c d \n\n")
    m.make("a.array", typecode="H", length=3).set("items", "1 513")
    m.make("odd \n name ü.queue").put(b"odd\n")
    m.make("empty.queue")
    os.chmod(m.path("s.sem"), 0o604)
    os.chown(m.path("v.value"), 1234, 4321)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives objects away")
def test_everything_comes_back(mount, mount_with, copy, tmp_path):
    make_one_of_each(mount)
    assert "19 objects saved" in ipcctl("save", mount.dir, copy).out
    other = mount_with()
    assert "19 objects loaded" in ipcctl("load", copy, other.dir).out
    ipcctl("save", other.dir, tmp_path / "again")
    equal(copy, tmp_path / "again")
    for name in ("d", "d/e", "s.sem", "v.value", "t.pipe", "d/q.queue"):
        one, two = os.lstat(mount.path(name)), os.lstat(other.path(name))
        assert (one.st_mode, one.st_uid, one.st_gid) == (two.st_mode, two.st_uid, two.st_gid), name
    for folder in (mount, other):
        assert folder.obj("d/q.queue").messages() == [b"one", b"", b"three"]
        assert folder.obj("r.queue").raw("peek") == b"a\nb\0c"
        assert folder.obj("c.cond").ctl("lock") == "free.lock"
        assert folder.obj("a.array").ctl("items").split() == ["0", "513", "0"]
        assert folder.obj("v.value").ctl("typecode") == "i"
        assert folder.obj("taken.lock").size == 0
    assert other.obj("closed.queue").take() == b"x\n" and other.obj("closed.queue").take() == b""
    assert sorted(os.listdir(other.dir)) == sorted(os.listdir(mount.dir))
    assert ipcctl("check", other.dir).out.startswith("19 objects, 0 damaged")


def test_ids_attempts_and_places_come_back(area, copy):
    q = area.make("q.queue", max_attempts=2)
    q.put(b"".join(b"%d\n" % n for n in range(1, 7)))
    lease = os.open(q.ctl_path("lease"), os.O_RDONLY)

    def lease_one():
        return os.read(lease, 4096).split(b"\t")[0].decode()

    first, second, third = lease_one(), lease_one(), lease_one()
    q.set("nack", first)                        # one attempt, at the tail
    q.set("nack", f"{second} 1000")             # delayed
    for _ in range(2):                          # the third: dead
        if third != "3":
            third = lease_one()
        q.set("nack", third)
        while third == "3" and q.ctl("dead") == "" and (got := lease_one()) != "3":
            q.set("ack", got)
    before = q.ctl("dead")
    assert before == "3\t3"
    ipcctl("save", area.dir, copy)
    saved = {text: (kind, numbers[:2]) for kind, numbers, text in records(copy / "tree" / "q.queue")
             if kind in ("message", "dead", "delayed")}
    assert saved[b"3"] == ("dead", [3, 2]) and saved[b"2"] == ("delayed", [2, 1])
    os.mkdir(area.path("other"))
    ipcctl("load", copy, area.path("other"))
    other = area.obj("other/q.queue")
    assert other.ctl("dead") == before
    assert other.number("delayed") == 1 and other.status()["unfinished"] == q.status()["unfinished"]
    other.set("revive", 3)
    assert b"3" in other.messages()
    other.put(b"new\n")
    os.close(lease)
    ipcctl("save", area.path("other"), str(copy) + "2")
    ids = [numbers[0] for kind, numbers, _ in records(copy.with_name("copy2") / "tree" / "q.queue")
           if kind in ("message", "delayed")]
    assert len(set(ids)) == len(ids) and max(ids) == 7, "the next one has the next ID"


def test_what_is_due_later_comes_in_its_time(area, copy):
    q = area.make("q.queue")
    q.put(b"later\n")
    lease = os.open(q.ctl_path("lease"), os.O_RDONLY)
    message = os.read(lease, 100).split(b"\t")[0].decode()
    q.set("nack", f"{message} 3")
    os.close(lease)
    ipcctl("save", area.dir, copy)
    q.set("closed", 1)
    os.mkdir(area.path("other"))
    ipcctl("load", copy, area.path("other"))
    assert area.obj("other/q.queue").get() == b"later\n"


def test_holders_do_not_travel(area, copy):
    lock, sem, q = area.make("l.lock"), area.sem("s.sem", 3), area.make("q.queue")
    q.put(b"leased\n")
    fds = [lock.open(), sem.open(), os.open(q.ctl_path("lease"), os.O_RDONLY)]
    for fd in fds[:2]:
        fcntl.flock(fd, fcntl.LOCK_EX)
    os.read(fds[2], 100)
    assert (lock.size, sem.size, q.size) == (0, 2, 0)
    ipcctl("save", area.dir, copy)
    assert (lock.size, sem.size, q.size) == (0, 2, 0)
    os.mkdir(area.path("other"))
    ipcctl("load", copy, area.path("other"))
    other = [area.obj(f"other/{o.name}") for o in (lock, sem, q)]
    assert [o.size for o in other] == [1, 3, 1]
    assert not other[0].holders() and other[2].ctl("leased") == ""
    for fd in fds:
        os.close(fd)


def test_a_copy_is_of_one_moment(area, tmp_path):
    """A worker leases and gives back all the time: each copy has every message once."""
    q = area.make("q.queue")
    names = {b"%d" % n for n in range(50)}
    q.put(b"".join(n + b"\n" for n in names))
    script = f"""
        exec 3< {q.ctl_path('lease')}
        while read -r id rest <&3; do echo $id > {q.ctl_path('nack')}; done"""
    workers = [spawn(["bash", "-c", script]) for _ in range(3)]
    eventually(lambda: int(q.status()["handles"]) >= 3)
    for n in range(8):
        ipcctl("save", area.dir, tmp_path / f"copy{n}")
        found = messages(tmp_path / f"copy{n}" / "tree" / "q.queue")
        assert len(found) == 50 and set(found) == names
    for worker in workers:
        assert worker.running
        worker.kill()


# --- copies that are not whole ---------------------------------------------------------------------

def test_a_save_that_is_killed_is_recognised(mount, copy):
    if not os.access(HOSTILE, os.X_OK):
        pytest.skip("no libipcfs in this build")
    mount.make("q.queue").put(b"x\n")
    holder = Holder(mount.obj("q.queue"))       # it waits for this one
    program = spawn([IPCCTL, "save", mount.dir, str(copy)])
    eventually(lambda: (copy / "tree" / "q.queue").exists())
    os.killpg(program.pid, signal.SIGKILL)
    program.kill()
    holder.kill()
    os.mkdir(mount.path("other"))
    done = ipcctl("load", copy, mount.path("other"), code=1)
    assert "not finished" in done.err
    assert os.listdir(mount.path("other")) == []


def test_a_full_disk(area, copy):
    q = area.make("big.queue")
    q.put(b"x" * 500000 + b"\n")
    done = sh(f'trap "" XFSZ; ulimit -f 64; exec {IPCCTL} save {area.dir} {copy}', code=1)
    assert "incomplete" in done.err
    assert not (copy / "ipcfs-save").exists()
    assert "not finished" in ipcctl("load", copy, area.dir, code=1).err
    assert os.listdir(area.dir) == ["big.queue"] and q.size == 1


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: data.replace(b"message", b"massage"),
                                    lambda data: b"", lambda data: data.replace(b" 5\nhello", b" 6\nhello"),
                                    lambda data: data.replace(b"type 5\nqueue", b"type 4\npipe")])
def test_a_damaged_copy(area, copy, damage):
    area.make("q.queue").put(b"hello\n")
    area.make("z.event")
    ipcctl("save", area.dir, copy)
    path = copy / "tree" / "q.queue"
    path.write_bytes(damage(path.read_bytes()))
    os.mkdir(area.path("other"))
    done = ipcctl("load", copy, area.path("other"), code=1)
    assert "q.queue: the copy is damaged" in done.err
    assert os.listdir(area.path("other")) == ["z.event"]


def test_a_stuck_object_is_left_out(mount, copy):
    if not os.access(HOSTILE, os.X_OK):
        pytest.skip("no libipcfs in this build")
    mount.make("q.queue").put(b"x\n")
    mount.make("r.queue").put(b"y\n")
    holder = Holder(mount.obj("q.queue"))
    done = ipcctl("save", mount.dir, copy, code=1)
    assert "q.queue: left out: stalled" in done.err and "1 objects saved, 1 left out" in done.out
    holder.kill()
    os.mkdir(mount.path("other"))
    done = ipcctl("load", copy, mount.path("other"))
    assert "1 objects had been left out" in done.err
    assert os.listdir(mount.path("other")) == ["r.queue"]


def test_into_what_is_not_empty(area, copy):
    copy.mkdir()
    (copy / "mine").write_text("kept")
    ipcctl("save", area.dir, copy, code=1)
    assert files(copy) == ["mine"]
    ipcctl("load", copy, area.dir, code=1)
    ipcctl("load", copy / "none", area.dir, code=1)
    ipcctl("save", "/tmp", copy, code=1)


# --- load over what is there -----------------------------------------------------------------------

def test_load_over_existing_names(area, copy):
    q = area.make("q.queue")
    q.put(b"old\n")
    area.make("r.queue").put(b"r\n")
    ipcctl("save", area.dir, copy)
    q.drain()
    q.put(b"new\n")
    os.unlink(area.path("r.queue"))
    done = ipcctl("load", copy, area.dir, code=1)
    assert "q.queue: is there already" in done.err and "nothing was loaded" in done.err
    assert os.listdir(area.dir) == ["q.queue"] and q.messages() == [b"new"]
    fd = q.open(os.O_RDWR)
    ipcctl("load", "--force", copy, area.dir)
    assert sorted(os.listdir(area.dir)) == ["q.queue", "r.queue"]
    assert area.obj("q.queue").messages() == [b"old"]
    assert os.read(fd, 100) == b"new\n", "who has it open keeps it"
    os.close(fd)


def test_what_a_killed_load_left_is_swept(area, copy):
    area.make("q.queue")
    ipcctl("save", area.dir, copy)
    dead = fork(lambda: None)
    dead.wait()
    os.mkdir(area.path("other"))
    area.make(f"other/.ipcctl-load-{dead.pid}.queue")
    area.make(f"other/.ipcctl-load-{os.getpid()}.queue")
    ipcctl("load", copy, area.path("other"))
    assert sorted(os.listdir(area.path("other"))) == [f".ipcctl-load-{os.getpid()}.queue", "q.queue"]


def test_a_load_without_memory(area, mount_with, copy):
    area.make("a.event").put(b"1\n")
    q = area.make("big.queue")
    for _ in range(20):
        q.put(b"x" * 900000 + b"\n")
    ipcctl("save", area.dir, copy)
    small = mount_with(memory="4M")
    done = ipcctl("load", copy, small.dir, code=1)
    assert "big.queue: No space left" in done.err, done
    assert os.listdir(small.dir) == ["a.event"]
