"""ipcctl: ls, show, holders, waiters, create, run, doctor."""

import fcntl
import json
import os
import shutil
import signal
import time

import pytest

from kit import IPCCTL, T, eventually, fork, run, spawn
from kit.mount import BUILD

pytestmark = pytest.mark.skipif(not os.access(IPCCTL, os.X_OK), reason=f"no {IPCCTL}: build first")


def ipcctl(*args, code=0, **options):
    done = run([IPCCTL, *map(str, args)], **options)
    assert code is None or done.code == code, done
    return done


def held(obj):
    holder = fork(lambda: (fcntl.flock(obj.open(), fcntl.LOCK_EX), signal.pause()))
    eventually(lambda: obj.holders())
    return holder


def test_help_and_version():
    text = ipcctl("--help").out
    for word in ("ls", "show", "holders", "waiters", "create", "run", "doctor"):
        assert word in text
    assert any(c.isdigit() for c in ipcctl("--version").out)


def test_usage_errors(area):
    for args in ([], ["nonsense"], ["show"], ["create"], ["run"], ["ls", "--nonsense"]):
        done = ipcctl(*args, code=None)
        assert done.code != 0 and done.err, args


# --- ls --------------------------------------------------------------------------------------------

def test_ls_is_a_table_of_all_objects(mount):
    os.mkdir(mount.path("d"))
    q = mount.make("jobs.queue")
    q.put(b"1\n2\n3\n")
    mount.make("d/ready.event").put(b"1\n")
    mount.sem("slots.sem", 4)
    reader = fork(mount.make("idle.queue").get)
    mount.obj("idle.queue").await_waiters(1)
    out = ipcctl("ls", mount.dir).out
    lines = {next(w for w in line.split() if "." in w and w.rsplit(".")[-1] in ("queue", "event", "sem")): line
             for line in out.splitlines()[1:]}
    # As find prints them: with the path that was asked for in front, to be pasted elsewhere.
    names = [mount.path(n) for n in ("jobs.queue", "d/ready.event", "slots.sem", "idle.queue")]
    assert set(lines) == set(names)
    assert "3" in lines[names[0]].split()
    assert "4" in lines[names[2]].split()
    assert out.splitlines()[0].isupper(), "a headline"
    assert not reader.finished
    assert q.size == 3


def objects_of(text):
    data = json.loads(text)
    if isinstance(data, dict):
        data = next(v for v in data.values() if isinstance(v, list))
    return data


def test_ls_json(mount):
    mount.sem("s.sem", 2)
    name = "odd \"name\"\n\t\\ü.queue"
    mount.make(name).put(b"x\n")
    rows = {os.path.relpath(row["name"], mount.dir): row
            for row in objects_of(ipcctl("ls", "--json", mount.dir).out)}
    assert set(rows) == {"s.sem", name}
    for key in ("type", "name", "state", "waiters", "holders", "memory"):
        assert key in rows["s.sem"]
    assert rows["s.sem"]["type"] == "sem"
    assert rows["s.sem"]["waiters"] == 0
    assert rows[name]["memory"] > 0


def test_ls_of_an_empty_mount(mount):
    ipcctl("ls", mount.dir)
    assert objects_of(ipcctl("ls", "--json", mount.dir).out) == []


def test_ls_counts_waiters_and_holders(mount):
    lock = mount.make("l.lock")
    held(lock)
    waiters = [fork(lambda: fcntl.flock(lock.open(), fcntl.LOCK_EX)) for _ in range(2)]
    lock.await_waiters(2)
    row, = objects_of(ipcctl("ls", "--json", mount.dir).out)
    assert (row["waiters"], row["holders"]) == (2, 1)
    assert len(waiters) == 2


def test_ls_of_what_is_no_mount(tmp_path):
    done = ipcctl("ls", tmp_path, code=None)
    assert done.code != 0 and str(tmp_path) in done.err


# --- show, holders, waiters ------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["q.queue", "p.pipe", "e.event", "s.sem", "l.lock"])
def test_show(area, name):
    obj = area.make(name)
    out = ipcctl("show", obj.path).out
    for key, value in obj.status().items():
        assert key in out and value in out


def test_show_of_what_is_missing(area):
    done = ipcctl("show", area.path("none.queue"), code=None)
    assert done.code != 0 and "none.queue" in done.err


def test_holders_and_waiters(area):
    lock = area.make("l.lock")
    holder = held(lock)
    waiter = fork(lambda: fcntl.flock(lock.open(), fcntl.LOCK_EX))
    lock.await_waiters(1)
    out = ipcctl("holders", lock.path).out
    assert str(holder.pid) in out and str(waiter.pid) not in out
    out = ipcctl("waiters", lock.path).out
    assert str(waiter.pid) in out and str(holder.pid) not in out


# --- create ----------------------------------------------------------------------------------------

def test_create_with_settings(area):
    path = area.path("jobs.queue")
    ipcctl("create", path, "maxsize=5", "framing=record", "max_attempts=3")
    q = area.obj("jobs.queue")
    assert [q.ctl(n) for n in ("maxsize", "framing", "max_attempts")] == ["5", "record", "3"]
    ipcctl("create", area.path("plain.event"))
    assert area.obj("plain.event").size == 0


def test_create_of_what_exists(area):
    q = area.make("q.queue")
    q.put(b"kept\n")
    done = ipcctl("create", q.path, "maxsize=5", code=None)
    assert done.code != 0 and "q.queue" in done.err
    assert (q.messages(), q.ctl("maxsize")) == ([b"kept"], "0")


@pytest.mark.parametrize("args", [("x.queue", "maxsize=lots"), ("x.queue", "nonsense=1"), ("x.queue", "maxsize"),
                                  ("x.txt",), ("x.sem", "framing=line")])
def test_create_that_fails_leaves_nothing(area, args):
    done = ipcctl("create", area.path(args[0]), *args[1:], code=None)
    assert done.code != 0 and done.err
    assert os.listdir(area.dir) == []


# --- run -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["l.lock", "s.sem"])
def test_run_holds_while_the_command_runs(area, name):
    obj = area.make(name)
    if name == "s.sem":
        obj.put(b"1\n")
    done = ipcctl("run", obj.path, "--", "sh", "-c", f"cat {obj.ctl_path('value')}; exit 7", code=7)
    assert done.out == "0\n"
    assert obj.size == 1


def test_run_waits_for_the_lock(area):
    lock = area.make("l.lock")
    holder = held(lock)
    program = spawn([IPCCTL, "run", lock.path, "--", "echo", "in"])
    lock.await_waiters(1)
    assert program.running
    holder.kill()
    done = program.finish()
    assert (done.code, done.out) == (0, "in\n")


def test_run_without_waiting(area):
    lock = area.make("l.lock")
    held(lock)
    done = ipcctl("run", "-n", lock.path, "--", "echo", "in", code=1)
    assert done.out == ""
    lock.await_waiters(0)


def test_run_with_a_limit_names_the_holder(area):
    lock = area.make("l.lock")
    holder = held(lock)
    begin = time.monotonic()
    done = ipcctl("run", "-w", "0.2", lock.path, "--", "echo", "in", code=1)
    assert 0.2 <= time.monotonic() - begin < T(10)
    assert done.out == ""
    assert str(holder.pid) in done.err, "it names the holder"


def test_run_killed_returns_the_lock(area):
    lock = area.make("l.lock")
    program = spawn([IPCCTL, "run", lock.path, "--", "sleep", "100"])
    eventually(lambda: lock.size == 0)
    os.killpg(program.pid, signal.SIGKILL)
    program.kill()
    eventually(lambda: lock.size == 1)


def test_run_of_a_missing_command(area):
    lock = area.make("l.lock")
    done = ipcctl("run", lock.path, "--", "/nonexistent/command", code=None)
    assert done.code in (69, 126, 127) and done.err
    assert lock.size == 1


def test_run_on_what_cannot_be_held(area):
    q = area.make("q.queue")
    done = ipcctl("run", q.path, "--", "echo", "in", code=None)
    assert done.code != 0 and done.out == "" and done.err


def test_doctor():
    done = ipcctl("doctor", code=None)
    assert done.code in (0, 1)
    assert "fuse" in done.out.lower()
    assert len(done.out.splitlines()) >= 4


LACK = os.path.abspath(os.path.join(BUILD, "tests", "lib", "lack.so"))


def verdicts(lack=""):
    """What doctor says of each check, on a machine that lacks something: tests/lib/lack.c. Without
    the mounts that there are and their state directories, which other tests make and remove."""
    asan = os.environ.get("ASAN_OPTIONS", "")
    env = {"LD_PRELOAD": LACK, "LACK": lack, "ASAN_OPTIONS": f"{asan}:verify_asan_link_order=0"}
    done = run([IPCCTL, "doctor", "--json"], env=env)
    return {row["check"]: row["result"] for row in json.loads(done.out)["checks"]
            if not row["check"].startswith(("mount ", "files in /dev/shm/"))}


@pytest.mark.parametrize("lack, check, verdict", [
    ("futex", "futex", "fail"), ("memfd", "memfd", "fail"), ("pidfd", "pidfd", "warn"),
    ("fallocate", "files in /dev/shm", "fail"), ("holes", "files in /dev/shm", "warn")])
def test_doctor_finds_what_is_lacking(lack, check, verdict):
    whole, lacking = verdicts(), verdicts(lack)
    assert (whole[check], lacking[check]) == ("ok", verdict)


def test_doctor_asks_for_nothing_that_is_not_used():
    assert verdicts("robust mutexes") == verdicts()


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
@pytest.mark.parametrize("setting, check, verdict", [
    ("mount -t proc -o hidepid=2 proc /proc", "/proc", "warn"),
    ("mount -t tmpfs -o mode=755 none /dev/shm", "/dev/shm", "fail"),
    ("mount -t tmpfs -o size=8k,mode=1777 none /dev/shm; head -c 8k /dev/zero > /dev/shm/x", "files in /dev/shm", "warn"),
    ("mount -t tmpfs none /run; mkdir -p /run/systemd/system /run/systemd/seats", "RemoveIPC", "warn")])
def test_doctor_of_another_machine(mount_with, setting, check, verdict):
    """As a user, in a mount namespace that is as said."""
    program = shutil.copy(IPCCTL, mount_with(start=False, public=True).base)
    done = run(["unshare", "-m", "bash", "-c", setting + """
        exec setpriv --reuid=20077 --regid=20077 --clear-groups "$0" doctor --json""", program])
    found = {row["check"]: row["result"] for row in json.loads(done.out)["checks"]}
    assert found[check] == verdict, done.out


def test_doctor_looks_at_the_state_of_a_mount(mount):
    assert f"files in {mount.state}" in ipcctl("doctor", mount.dir, code=None).out


def test_commands_take_nothing(area):
    q = area.make("q.queue")
    q.put(b"1\n")
    for command in ("show", "holders", "waiters"):
        ipcctl(command, q.path)
    ipcctl("ls", area.mount.dir)
    assert q.messages() == [b"1"]
