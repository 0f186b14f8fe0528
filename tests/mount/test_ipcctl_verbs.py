"""ipcctl put, get, peek, drain, acquire, wait, set, clear, notify, cancel, close, rm, mv, limits, bench."""

import fcntl
import json
import os
import signal
import time

import pytest

from kit import IPCCTL, T, eventually, run, sh, spawn
from kit.proc import state_of

pytestmark = pytest.mark.skipif(not os.access(IPCCTL, os.X_OK), reason=f"no {IPCCTL}: build first")

OK, FAILED, USAGE, WOULD_WAIT, TIME, END, CANCELED, NO_ANSWER = range(8)


def ipcctl(*args, code=OK, data=None, **options):
    done = run([IPCCTL, *map(str, args)], data=None if data is None else data.encode(), **options)
    assert done.code == code, done
    assert code != OK or not done.err, done
    assert code == OK or done.err.startswith("ipcctl"), done
    return done.out


# --- put, get, peek, drain -------------------------------------------------------------------------

def test_put_and_get_are_one_message(area):
    q = area.make("q.queue")
    ipcctl("put", q.path, "one", "", "three words here")
    assert q.messages() == [b"one", b"", b"three words here"]
    assert ipcctl("peek", q.path) == "one\n\nthree words here\n"
    assert [ipcctl("get", q.path) for _ in range(3)] == ["one\n", "\n", "three words here\n"]
    assert q.size == 0


def test_framings_keep_every_byte(area):
    q = area.make("q.queue")
    messages = ["a\nb", "", "\0\x01,:3", "ü日\x7f\n", "x" * 70000]
    text = "".join(f"{len(m.encode())}:{m}," for m in messages)
    ipcctl("put", "-f", "netstring", q.path, data=text)
    assert q.size == len(messages)
    assert ipcctl("get", "-f", "netstring", "-c", 2, q.path) == text[:9]
    assert ipcctl("drain", "--framing=netstring", q.path) == text[9:]
    ipcctl("put", "-f", "null", q.path, data="a\nb\0\0c")
    assert q.size == 3
    assert ipcctl("drain", "-f", "null", q.path) == "a\nb\0\0c\0"
    ipcctl("put", "-f", "record", q.path, data="all\nof\0it\n")
    assert q.size == 1
    assert ipcctl("get", "-f", "record", q.path) == "all\nof\0it\n"
    ipcctl("put", q.path, data="l1\n\nl3")
    assert q.messages() == [b"l1", b"", b"l3"]


@pytest.mark.parametrize("text", ["x", "3:ab", "3:abc", "3:abcd,", "-1:,", "9999999999999999999999:"])
def test_what_is_no_netstring(area, text):
    q = area.make("q.queue")
    ipcctl("put", "-f", "netstring", q.path, data="1:a," + text, code=FAILED)
    assert q.messages() == [b"a"]


def test_put_into_a_byte_pipe_and_get(area):
    p = area.make("p.pipe")
    ipcctl("put", p.path, "a", "b")
    ipcctl("put", "-f", "record", p.path, data="c\0")
    assert ipcctl("get", p.path) == "a\nb\nc\0"


def test_a_message_of_the_largest_size(area):
    q = area.make("q.queue")
    text = "x" * ((1 << 20) - 4096)
    ipcctl("put", "-f", "record", q.path, data=text)
    assert ipcctl("get", "-f", "record", q.path) == text


def test_exit_statuses_of_waiting(area):
    q = area.make("q.queue", maxsize=2)
    ipcctl("get", "-n", q.path, code=WOULD_WAIT)
    begin = time.monotonic()
    ipcctl("get", "-t", 0.3, q.path, code=TIME)
    assert 0.3 <= time.monotonic() - begin < T(10)
    ipcctl("get", f"{q.path}@0.1", code=TIME)
    done = run([IPCCTL, "put", "-n", q.path, "1", "2", "3"])
    assert done.code == WOULD_WAIT and "2 were put" in done.err
    ipcctl("put", "--timeout=0.1", q.path, "3", code=TIME)
    ipcctl("close", q.path)
    ipcctl("put", q.path, "3", code=END)
    assert ipcctl("get", "--all", q.path) == "1\n2\n"
    ipcctl("get", q.path, code=END)
    assert ipcctl("drain", q.path) == ""
    ipcctl("close", "--reopen", q.path)
    ipcctl("put", q.path, "4")
    ipcctl("get", "-c", "many", q.path, code=USAGE)
    ipcctl("get", "-t", "soon", q.path, code=USAGE)
    ipcctl("get", "-f", "nonsense", q.path, code=USAGE)
    ipcctl("get", area.path("none.queue"), code=FAILED)
    assert q.messages() == [b"4"]


def test_a_cancelled_get(area):
    q = area.make("q.queue")
    program = spawn([IPCCTL, "get", q.path])
    q.await_waiters(1)
    ipcctl("cancel", q.path, "everybody", code=FAILED)
    ipcctl("cancel", q.path, os.getpid())
    assert program.running
    ipcctl("cancel", q.path, q.waiters()[0].pid)
    assert program.finish().code == CANCELED
    program = spawn([IPCCTL, "get", q.path])
    q.await_waiters(1)
    ipcctl("cancel", q.path, "all")
    assert program.finish().code == CANCELED


@pytest.mark.parametrize("command", ["get -a", "drain"])
def test_a_full_disk_takes_nothing(area, command):
    q = area.make("q.queue")
    q.put(b"1\n2\n3\n4\n5\n")
    done = sh(f"exec {IPCCTL} {command} {q.path} > /dev/full", code=None)
    assert done.code == FAILED and "No space left" in done.err
    eventually(lambda: q.size == 5)
    assert q.messages() == [b"1", b"2", b"3", b"4", b"5"]


def test_get_waits_and_a_stopped_one_goes_on(area):
    q = area.make("q.queue")
    program = spawn([IPCCTL, "get", "-c", "2", q.path])
    q.await_waiters(1)
    os.kill(program.pid, signal.SIGSTOP)
    eventually(lambda: state_of(program.pid) == "T")
    os.kill(program.pid, signal.SIGCONT)
    ipcctl("put", q.path, "a", "b")
    assert program.finish().out == "a\nb\n"


def test_a_killed_get_waits_no_more(area):
    q = area.make("q.queue")
    program = spawn([IPCCTL, "get", q.path])
    q.await_waiters(1)
    os.kill(program.pid, signal.SIGKILL)
    program.kill()
    q.await_waiters(0)


def test_put_and_get_of_other_types(area):
    sem, event = area.make("s.sem"), area.make("e.event")
    ipcctl("put", sem.path, 3)
    assert ipcctl("get", sem.path) == "1\n" and sem.size == 2
    ipcctl("get", "-n", event.path, code=WOULD_WAIT)
    ipcctl("get", "-t", "0.1", event.path, code=TIME)
    ipcctl("put", event.path, "nonsense", code=FAILED)
    ipcctl("put", event.path, "set")
    assert ipcctl("get", event.path) == "1\n"
    assert ipcctl("peek", sem.path, event.path) == "2\n1\n"
    ipcctl("drain", sem.path, code=FAILED)


# --- set, clear, notify, barrier -------------------------------------------------------------------

def test_set_and_clear(area):
    event, value, array = area.make("e.event"), area.make("v.value"), area.make("a.array", length=4)
    ipcctl("set", event.path)
    assert event.size == 1
    ipcctl("clear", event.path)
    assert event.size == 0
    ipcctl("set", value.path, "some text")
    assert ipcctl("peek", value.path) == "some text\n"
    ipcctl("set", value.path, 5)
    ipcctl("set", value.path, "+=2")
    ipcctl("set", value.path, "cas 5 6", code=WOULD_WAIT)
    assert ipcctl("peek", value.path) == "7\n"
    ipcctl("clear", value.path)
    assert value.size == 0
    ipcctl("set", array.path, 2, 9)
    assert array.ctl("items").split() == ["0", "0", "9", "0"]
    ipcctl("set", array.path, 4, 9, code=FAILED)
    ipcctl("set", area.make("q.queue").path, code=USAGE)
    ipcctl("clear", area.obj("q.queue").path, code=FAILED)


def test_notify_and_waiting_for_a_condition(area):
    cond = area.make("c.cond")
    waits = [spawn([IPCCTL, "wait", cond.path]) for _ in range(3)]
    cond.await_waiters(3)
    ipcctl("notify", cond.path)
    cond.await_waiters(2)
    ipcctl("notify", cond.path, "all")
    assert [w.finish().code for w in waits] == [OK] * 3
    ipcctl("wait", "-t", 0.1, cond.path, code=TIME)
    ipcctl("notify", area.make("e.event").path, code=FAILED)


def test_a_barrier(area):
    barrier = area.make("b.barrier")
    ipcctl("set", barrier.path, 2)
    other = spawn([IPCCTL, "wait", barrier.path])
    barrier.await_waiters(1)
    assert ipcctl("wait", barrier.path) == "1\n"
    assert other.finish().out == "0\n"
    ipcctl("wait", "-t", 0.1, barrier.path, code=TIME)
    ipcctl("wait", barrier.path, code=CANCELED)     # broken by that


# --- wait ------------------------------------------------------------------------------------------

def test_wait_for_an_event(area):
    event = area.make("e.event")
    ipcctl("wait", "-n", event.path, code=WOULD_WAIT)
    program = spawn([IPCCTL, "wait", event.path])
    event.await_waiters(1)
    ipcctl("set", event.path)
    assert program.finish().code == OK
    ipcctl("wait", "-n", event.path)


def test_wait_for_any_takes_nothing(area):
    names = ["a.queue", "b.event", "c.sem", "d.value"]
    paths = [area.make(name).path for name in names]
    lock = area.make("e.lock")
    fd = lock.open()
    fcntl.flock(fd, fcntl.LOCK_EX)
    paths.append(lock.path)
    changes = [lambda: area.obj("a.queue").put(b"x\n"), lambda: area.obj("b.event").put(b"1\n"),
               lambda: area.obj("c.sem").put(b"1\n"), lambda: area.obj("d.value").put(b"5\n"),
               lambda: fcntl.flock(fd, fcntl.LOCK_UN)]
    ipcctl("wait", "--any", "-n", *paths, code=WOULD_WAIT)
    ipcctl("wait", "--any", "-t", 0.2, *paths, code=TIME)
    for path, change in zip(list(paths), changes):
        program = spawn([IPCCTL, "wait", "--any", *paths])
        eventually(lambda: lock.status()["handles"] == "2")     # it opens them in order
        assert program.running
        change()
        assert program.finish().out == path + "\n"
        paths.remove(path)
    os.close(fd)
    assert area.obj("a.queue").size == 1 and area.obj("c.sem").size == 1 and lock.size == 1


def test_wait_for_all(area):
    a, b = area.make("a.event"), area.make("b.queue")
    program = spawn([IPCCTL, "wait", "--all", a.path, b.path])
    a.put(b"1\n")
    assert program.hear() == a.path
    a.put(b"0\n")       # it has been ready
    assert program.running
    b.put(b"x\n")
    assert program.finish().out.split() == [b.path]
    ipcctl("wait", "--all", "-t", 0.1, a.path, b.path, code=TIME)


def test_wait_for_the_end_of_the_work(area):
    q = area.make("q.queue")
    q.put(b"job\n")
    ipcctl("wait", "--join", "-n", q.path, code=WOULD_WAIT)
    program = spawn([IPCCTL, "wait", "--join", q.path])
    q.await_waiters(1)
    q.take()
    q.set("done", 1)
    assert program.finish().code == OK
    ipcctl("wait", "--join", area.make("e.event").path, code=FAILED)


def test_wrong_waits(area):
    a = area.make("a.event")
    ipcctl("wait", code=USAGE)
    ipcctl("wait", a.path, a.path, code=USAGE)
    ipcctl("wait", "--any", "--all", a.path, code=USAGE)
    ipcctl("wait", "--any", a.path, area.path("none.event"), code=FAILED)
    ipcctl("wait", "--any", a.path, "/etc/passwd", code=FAILED)


# --- acquire ---------------------------------------------------------------------------------------

def test_acquire_keeps_it_until_its_input_ends(area):
    lock = area.make("l.lock")
    fd = lock.open()
    fcntl.flock(fd, fcntl.LOCK_EX)
    read, write = os.pipe()
    program = spawn([IPCCTL, "acquire", lock.path], stdin=read)
    os.close(read)
    lock.await_waiters(1)
    fcntl.flock(fd, fcntl.LOCK_UN)
    assert program.hear() == lock.path
    assert len(lock.holders()) == 1
    done = run([IPCCTL, "acquire", "-n", lock.path])
    assert done.code == WOULD_WAIT and str(lock.holders()[0].pid) in done.err
    assert run([IPCCTL, "acquire", "-t", "0.1", lock.path]).code == TIME
    os.write(write, b"this is not looked at\n")
    assert program.running
    os.close(write)
    assert program.finish().code == OK
    eventually(lambda: lock.size == 1)
    os.close(fd)


def test_acquire_for_a_process(area):
    lock = area.make("l.lock")
    other = spawn(["sleep", "1000"])
    ipcctl("acquire", "-p", other.pid, lock.path)
    assert lock.size == 0
    assert run([IPCCTL, "run", "-n", lock.path, "--", "true"]).code == 1
    other.kill()
    eventually(lambda: lock.size == 1)
    ipcctl("acquire", "-p", other.pid, lock.path, code=FAILED)
    ipcctl("acquire", "-p", "me", lock.path, code=USAGE)
    assert lock.size == 1


def test_acquire_shared_and_what_has_no_lock(area):
    lock = area.make("l.lock")
    assert run([IPCCTL, "acquire", "-s", lock.path], data=b"").code == OK
    ipcctl("acquire", area.make("q.queue").path, code=FAILED)
    ipcctl("acquire", area.path("none.lock"), code=FAILED)


# --- rm, mv, limits, bench -------------------------------------------------------------------------

def test_rm(area):
    for name in ("a.queue", "b.lock"):
        area.make(name)
    os.mkdir(area.path("t.pipe"))
    os.mkdir(area.path("folder"))
    ipcctl("rm", *map(area.path, ("a.queue", "b.lock", "t.pipe")))
    assert os.listdir(area.dir) == ["folder"]
    ipcctl("rm", area.path("a.queue"), code=FAILED)
    ipcctl("rm", "-f", area.path("a.queue"))
    ipcctl("rm", area.path("folder"), code=FAILED)
    assert os.listdir(area.dir) == ["folder"]


def test_rm_is_for_objects(tmp_path):
    plain = tmp_path / "plain.queue"
    plain.write_text("kept")
    ipcctl("rm", "-f", plain, code=FAILED)
    assert plain.read_text() == "kept"


def test_mv(area):
    q = area.make("a.queue")
    q.put(b"x\n")
    os.mkdir(area.path("d"))
    ipcctl("mv", q.path, area.path("b.queue"))
    assert area.obj("b.queue").messages() == [b"x"]
    ipcctl("mv", area.path("b.queue"), area.path("b.lock"), code=FAILED)
    area.make("c.queue")
    ipcctl("mv", area.path("b.queue"), area.path("c.queue"), code=FAILED)
    assert area.obj("c.queue").size == 0
    ipcctl("mv", "-f", area.path("b.queue"), area.path("c.queue"))
    ipcctl("mv", area.path("c.queue"), area.path("d"))
    assert area.obj("d/c.queue").messages() == [b"x"]
    ipcctl("mv", area.path("d/c.queue"), "/tmp/c.queue", code=FAILED)


def test_limits(area):
    q = area.make("q.queue")
    ipcctl("limits", q.path, "maxsize=7", "framing=record")
    assert (q.ctl("maxsize"), q.ctl("framing")) == ("7", "record")
    rows = json.loads(ipcctl("limits", "--json", q.path))["settings"]
    assert {"key": "maxsize", "value": "7"} in rows
    assert "unfinished" not in {row["key"] for row in rows}, "a fact"
    done = run([IPCCTL, "limits", q.path, "maxsize=8", "framing=line", "maxbytes=lots"])
    assert done.code == FAILED and "maxbytes=lots" in done.err
    assert (q.ctl("maxsize"), q.ctl("framing")) == ("7", "record"), "all or none"
    done = run([IPCCTL, "limits", q.path, "maxsize=8", "size=1"])
    assert done.code == FAILED and "max_attempts" in done.err
    assert q.ctl("maxsize") == "7"
    ipcctl("limits", q.path, "maxsize", code=USAGE)


def test_limits_of_a_mount(mount):
    ipcctl("limits", mount.dir, "objects=100")
    assert "objects  100\n" in ipcctl("limits", mount.dir)
    ipcctl("limits", mount.dir, "objects=none", code=FAILED)
    ipcctl("limits", mount.dir, "uptime=1", code=FAILED)


def test_stats(area):
    q, event = area.make("q.queue"), area.make("e.event")
    ipcctl("put", q.path, "a", "b")
    ipcctl("get", q.path)
    counted = {row["key"]: row["value"] for row in json.loads(ipcctl("stats", "--json", q.path))["stats"]}
    assert (counted["puts"], counted["gets"], counted["high_water"]) == (2, 1, 2)
    lines = ipcctl("stats", q.path, event.path).splitlines()
    assert lines[0].split() == ["NAME", "KEY", "VALUE"]
    assert [q.path, "puts", "2"] in [line.split() for line in lines]
    ipcctl("stats", area.path("none.queue"), code=FAILED)
    ipcctl("stats", area.dir, code=FAILED)


def test_bench(area):
    rows = json.loads(ipcctl("bench", "--json", area.dir, timeout=60))["operations"]
    assert len(rows) == 4
    assert all(row["files"] > 0 for row in rows)
    assert all(row["direct"] is None or 0 < row["direct"] < row["files"] for row in rows)
    assert os.listdir(area.dir) == []
    ipcctl("bench", "/tmp", code=FAILED)


# --- all of them -----------------------------------------------------------------------------------

def commands():
    lines = run([IPCCTL, "--help"]).out.split("Commands:\n")[1].split("\n\n")[0]
    return [line.split()[0] for line in lines.splitlines()]


@pytest.mark.parametrize("name", commands() if os.access(IPCCTL, os.X_OK) else [])
def test_every_command_has_help_and_a_place_in_the_manual(name):
    done = run([IPCCTL, name, "--help"])
    assert done.code == 0 and done.out.startswith(f"Usage: ipcctl {name} ")
    assert max(map(len, done.out.splitlines())) <= 90
    assert run([IPCCTL, name, "--nonsense"]).code in (USAGE, 125)
    manual = os.path.join(os.path.dirname(__file__), "..", "..", "tools", "ipcctl.1")
    with open(manual, encoding="utf-8") as page:
        text = page.read()
    assert any(name in line.split() for line in text.replace(",", " ").splitlines()
               if line.startswith((".Cm", ".Ss ipcctl")))
