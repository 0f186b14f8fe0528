"""NAME.ctl and the root's .ctl: every file of the five types."""

import errno
import fcntl
import os
import signal

import pytest

from kit import eventually, fork, parse_rows, raises, read_all, run, sh, start_time, unchanged, write_once

COMMON = {"type", "status", "waiters", "holders", "cancel", "shm", "take", "stats"}
FILES = {
    "queue": {"maxsize", "maxbytes", "framing", "closed", "size", "bytes", "unfinished", "done", "join", "peek",
              "drain", "stream", "lease", "ack", "nack", "leased", "max_attempts", "dead", "revive", "discard",
              "ttr", "touch", "delayed", "list", "remove", "finished"},
    "pipe": {"maxbytes", "framing", "bytes", "readers", "writers", "peek"},
    "event": {"value"},
    "sem": {"value", "bound", "undo", "scope", "jobserver"},
    "lock": {"value", "bound", "undo", "scope"},
}
UNLISTED = {"join", "finished", "lease", "drain", "stream", "shm", "data"}
COMMANDS = {"cancel", "done", "ack", "nack", "revive", "discard", "touch", "remove"}
SETTINGS = {  # name: (default, another value, bad values)
    "queue": {"maxsize": ("0", "5", ["x", "-1", "1.5", "1 2"]), "maxbytes": ("0", "500", ["x", "-1"]),
              "framing": ("line", "record", ["bytes", "lines", "1"]), "closed": ("0", "1", ["2", "x", "-1"]),
              "max_attempts": ("0", "3", ["x", "-1"]), "ttr": ("0", "2.5", ["x", "-1"])},
    "pipe": {"maxbytes": ("1048576", "500", ["x", "-1"]), "framing": ("bytes", "record", ["line", "x"])},
    "event": {},
    "sem": {"bound": ("0", "5", ["x", "-1"]), "undo": ("0", "1", ["2", "x"]),
            "scope": ("handle", "process", ["x", "0", "openers"]), "jobserver": ("0", "1", ["2", "x"])},
    "lock": {"undo": ("1", "0", ["2", "x"]), "scope": ("handle", "process", ["x", "0"])},
}
FACTS = {"queue": ["size", "bytes", "unfinished", "delayed"], "pipe": ["bytes", "readers", "writers"],
         "event": ["value"], "sem": ["value"], "lock": ["value"]}
TYPES = list(FILES)


@pytest.fixture(params=TYPES)
def obj(request, area):
    return area.make("x." + request.param)


def test_every_file_is_there(obj):
    for name in COMMON | FILES[obj.type]:
        os.lstat(obj.ctl_path(name))
    with raises(errno.ENOENT):
        os.stat(obj.ctl_path("nonsense"))


def test_files_of_other_types_are_not(obj):
    others = set().union(*FILES.values()) - FILES[obj.type] - COMMON
    for name in others:
        assert not os.path.lexists(obj.ctl_path(name)), name


def test_the_listing(obj):
    listed = set(os.listdir(obj.ctl_path()))
    expected = (COMMON | FILES[obj.type]) - UNLISTED
    assert listed <= expected
    assert expected - COMMANDS <= listed


def test_the_ctl_folder_itself_is_not_listed(area, obj):
    assert os.listdir(area.dir) == [obj.name]
    assert os.path.isdir(obj.ctl_path())


def test_grep_shows_all_without_waiting_or_taking(area, obj):
    if obj.type == "queue":
        obj.put(b"first\nsecond\n")
    elif obj.type != "lock":
        obj.put(b"1\n")
    with unchanged(obj):
        done = sh(f"grep . {obj.name}.ctl/*", cwd=area.dir, timeout=10)
    assert done.err == ""
    assert f"{obj.name}.ctl/type:{obj.type}\n" in done.out
    for name in (*SETTINGS[obj.type], *FACTS[obj.type]):
        assert f"{obj.name}.ctl/{name}:" in done.out
    if obj.type == "queue":
        assert f"{obj.name}.ctl/peek:second\n" in done.out


def test_cat_of_the_folder_takes_nothing(area, obj):
    with unchanged(obj):
        sh(f"cat {obj.name}.ctl/* > /dev/null; ls -la {obj.name}.ctl", cwd=area.dir, timeout=10, code=None)
        sh(f"grep -r . {obj.name}.ctl", cwd=area.dir, timeout=10, code=None)


def test_status_has_all_facts(obj):
    status = obj.status()
    assert status["type"] == obj.type
    for name in (*SETTINGS[obj.type], *FACTS[obj.type]):
        assert status[name] == obj.ctl(name), name


def test_settings(obj):
    for name, (default, other, bad) in SETTINGS[obj.type].items():
        assert obj.ctl(name) == default
        for value in bad:
            with unchanged(obj), raises(errno.EINVAL):
                obj.set(name, value)
        obj.set(name, other)
        assert obj.ctl(name) == other == obj.status()[name]
        write_once(obj.ctl_path(name), default.encode(), os.O_TRUNC)  # as the shell opens; no newline
        assert obj.ctl(name) == default


def test_settings_from_the_shell(area, obj):
    for name, (_, other, _) in SETTINGS[obj.type].items():
        sh(f"echo {other} > {obj.name}.ctl/{name}", cwd=area.dir)
        assert sh(f"cat {obj.name}.ctl/{name}", cwd=area.dir).out == other + "\n"


def test_facts_cannot_be_written(obj):
    for name in FACTS[obj.type] + ["type", "status", "waiters", "holders"]:
        with unchanged(obj), raises(errno.EACCES, errno.EPERM, errno.EINVAL):
            obj.set(name, "1")


def test_nothing_is_made_or_removed_in_a_ctl_folder(area, obj):
    with unchanged(obj):
        for call in (lambda: os.open(obj.ctl_path("new"), os.O_CREAT | os.O_WRONLY),
                     lambda: os.open(obj.ctl_path("new.queue"), os.O_CREAT | os.O_WRONLY),
                     lambda: os.mkdir(obj.ctl_path("new")), lambda: os.unlink(obj.ctl_path("status")),
                     lambda: os.rename(obj.ctl_path("status"), area.path("y.queue")),
                     lambda: os.symlink("x", obj.ctl_path("link"))):
            with raises(errno.EACCES, errno.EPERM, errno.EINVAL):
                call()


def test_ctl_of_what_is_missing(area):
    for name in ("none.queue.ctl", "none.queue.ctl/status", "plain.ctl"):
        with raises(errno.ENOENT):
            os.stat(area.path(name))


def test_ctl_follows_a_rename(area, obj):
    os.rename(obj.path, area.path("y." + obj.type))
    renamed = area.obj("y." + obj.type)
    assert renamed.ctl("type") == obj.type
    assert not os.path.exists(obj.ctl_path())


def test_an_open_ctl_file_is_fresh_when_read_again(obj):
    fd = os.open(obj.ctl_path("waiters"), os.O_RDONLY)
    assert os.read(fd, 100) == b""
    assert os.pread(fd, 100, 0) == b""
    again = os.open(obj.ctl_path("status"), os.O_RDONLY)
    first = os.pread(again, 10000, 0)
    assert b"".join(os.pread(again, 7, i) for i in range(0, len(first), 7)) == first


def test_shm_leads_to_the_engines_file(area, obj):
    target = os.readlink(obj.ctl_path("shm"))
    assert os.path.isabs(target)
    assert os.path.realpath(target).startswith(os.path.realpath(area.mount.state) + "/")
    if os.getuid() == 0:
        assert os.stat(target).st_size > 0


# --- waiters, holders, cancel ----------------------------------------------------------------------

@pytest.fixture
def waited(obj):
    """An object whose readers wait."""
    if obj.type == "lock":
        obj.set("undo", 0)
        obj.take()
    return obj


GIVE = {"queue": b"x\n", "pipe": b"x", "event": b"1\n", "sem": b"1\n", "lock": b"1\n"}


def test_cancel_a_pid(waited):
    readers = []
    for i in range(3):
        readers.append(fork(waited.get))
        waited.await_waiters(i + 1)
    waited.set("cancel", readers[1].pid)
    with raises(errno.ECANCELED):
        readers[1].result()
    assert [w.pid for w in waited.waiters()] == [readers[0].pid, readers[2].pid]
    waited.put(GIVE[waited.type])
    assert readers[0].result()


def test_cancel_all(waited):
    readers = [fork(waited.get) for _ in range(5)]
    waited.await_waiters(5)
    waited.set("cancel", "all")
    for reader in readers:
        with raises(errno.ECANCELED):
            reader.result()
    assert waited.waiters() == []
    waited.put(GIVE[waited.type])
    assert waited.take(), "cancelling spoils nothing"


def test_cancel_of_writers_and_locks(area):
    q = area.make("q.queue", maxsize=1)
    q.put(b"x\n")
    writer = fork(q.put, b"y\n")
    q.await_waiters(1)
    q.set("cancel", writer.pid)
    with raises(errno.ECANCELED):
        writer.result()
    assert q.messages() == [b"x"]
    lock = area.make("l.lock")
    fd = lock.open()
    fcntl.flock(fd, fcntl.LOCK_EX)
    waiter = fork(lambda: fcntl.flock(lock.open(), fcntl.LOCK_EX))
    lock.await_waiters(1)
    lock.set("cancel", "all")
    with raises(errno.ECANCELED):
        waiter.result()
    assert lock.holders()[0].pid == os.getpid(), "holders are not waiters"


def test_cancel_what_is_no_pid(obj):
    for text in ("x", "-1", "1.5", "everyone"):
        with unchanged(obj), raises(errno.EINVAL):
            obj.set("cancel", text)


@pytest.mark.parametrize("name", ["s.sem", "l.lock"])
def test_a_holder_row_is_complete(area, name):
    obj = area.make(name)
    if name == "s.sem":
        obj.put(b"2\n")
    holder = fork(lambda: (fcntl.flock(obj.open(), fcntl.LOCK_EX), signal.pause()))
    row = eventually(lambda: (obj.holders() or [None])[0])
    assert (row.pid, row.start, row.uid, row.operation) == \
        (holder.pid, start_time(holder.pid), os.getuid(), "flock")
    assert row.seconds >= 0 and "py" in row.command
    holder.kill()
    assert obj.holders() == []


# --- the root's .ctl -------------------------------------------------------------------------------

def test_root_files(area):
    root = area.mount
    assert ".ctl" not in os.listdir(root.dir)
    listed = set(os.listdir(root.path(".ctl")))
    assert listed >= {"status", "version", "waiters", "holders", "deadlocks", "limits"}
    assert set(os.listdir(root.path(".ctl/limits"))) == {"memory", "objects", "message"}
    for name in ("status", "version", "waiters", "holders", "deadlocks",
                 "limits/memory", "limits/objects", "limits/message"):
        text = read_all(root.path(".ctl/" + name))
        assert not text or text.endswith(b"\n"), name
    assert b": " in read_all(root.path(".ctl/status"))


def test_root_version_is_the_programs(area):
    from kit import IPCFS
    version = read_all(area.mount.path(".ctl/version")).decode().strip()
    assert version and version in run([IPCFS, "-V"]).out


def test_root_limits_are_numbers(area):
    for name in ("memory", "objects", "message"):
        assert int(read_all(area.mount.path(".ctl/limits/" + name))) > 0


def root_rows(area, name):
    """Rows of the root's list: path first, then as in NAME.ctl."""
    found = []
    for line in read_all(area.mount.path(".ctl/" + name)).decode().splitlines():
        path, _, rest = line.partition("\t")
        row, = parse_rows(rest)
        found.append((path.lstrip("/"), row))
    return found


def test_root_waiters_and_holders(area):
    q, lock = area.make("q.queue"), area.make("l.lock")
    here = os.path.relpath(area.dir, area.mount.dir)
    reader = fork(q.get)
    q.await_waiters(1)
    fd = lock.open()
    fcntl.flock(fd, fcntl.LOCK_EX)
    waiters, holders = root_rows(area, "waiters"), root_rows(area, "holders")
    assert [(p, r.pid, r.operation) for p, r in waiters] == [(here + "/q.queue", reader.pid, "read")]
    assert [(p, r.pid, r.operation) for p, r in holders] == [(here + "/l.lock", os.getpid(), "flock")]


def test_root_ctl_is_not_to_be_changed(area):
    for call in (lambda p: os.unlink(p + "/status"), os.rmdir, lambda p: os.rename(p, area.path("d")),
                 lambda p: os.mkdir(p + "/new"), lambda p: os.close(os.open(p + "/x.queue", os.O_CREAT | os.O_WRONLY))):
        with raises(errno.EINVAL, errno.EPERM, errno.EACCES):
            call(area.mount.path(".ctl"))


# --- deadlocks -------------------------------------------------------------------------------------

def test_no_deadlock_no_line(area):
    a = area.make("a.lock")
    fd = a.open()
    fcntl.flock(fd, fcntl.LOCK_EX)
    waiter = fork(lambda: fcntl.flock(a.open(), fcntl.LOCK_EX))
    a.await_waiters(1)
    assert read_all(area.mount.path(".ctl/deadlocks")) == b""
    waiter.kill()


@pytest.mark.parametrize("count", [2, 3])
def test_a_cycle_is_one_line(area, count):
    locks = [area.make(f"lock{i}.lock") for i in range(count)]

    def philosopher(mine, other, gate):
        fcntl.flock(mine.open(), fcntl.LOCK_EX)
        os.read(gate, 1)
        fcntl.flock(other.open(), fcntl.LOCK_EX)

    gate_read, gate = os.pipe()
    clients = [fork(philosopher, locks[i], locks[(i + 1) % count], gate_read, keep=[gate_read])
               for i in range(count)]
    for lock in locks:
        eventually(lambda: lock.size == 0)
    os.write(gate, b"x" * count)
    for lock in locks:
        lock.await_waiters(1)
    os.close(gate), os.close(gate_read)
    path = area.mount.path(".ctl/deadlocks")
    line, = read_all(path).decode().splitlines()
    for client, lock in zip(clients, locks):
        assert str(client.pid) in line and lock.name in line
    clients[0].kill()
    for client in reversed(clients[1:]):
        client.result()
    assert read_all(path) == b""
