"""libipcfs: its own test program in both modes, and mixed with programs that use files."""

import errno
import fcntl
import os
import re
import select
import shutil
import signal
import subprocess
import time

import pytest

from kit import BUILD, T, eventually, fork, raises, sh, spawn, write_once

LIB = os.path.join(BUILD, "tests", "lib", "lib")
pytestmark = pytest.mark.skipif(not os.access(LIB, os.X_OK), reason="no libipcfs in this build")

NAMES = sh(f"{LIB} --list").out.split() if os.access(LIB, os.X_OK) else []

# Of the test program's cases leaks count; a client that is cut off in the middle has some.
LEAKS = os.environ.get("ASAN_OPTIONS", "")


@pytest.fixture(autouse=True)
def no_leaks_of_clients(monkeypatch):
    monkeypatch.setenv("ASAN_OPTIONS", LEAKS + ":detect_leaks=0")


@pytest.fixture(params=["direct", "files"])
def mode(request, monkeypatch):
    if request.param == "files":
        monkeypatch.setenv("IPCFS_NO_DIRECT", "1")
    return request.param


# What the kernel does not let be otherwise through files, as ipcfs.h says.
ONLY_DIRECT = {
    "lock_interrupts": "flock(2) is restarted by the kernel",
    "fsize": "a time limit in the offset is beyond RLIMIT_FSIZE",
}


@pytest.mark.limit(90)
@pytest.mark.parametrize("name", NAMES)
def test_in_c(request, area, mode, name):
    if name in ONLY_DIRECT and request.node.callspec.params["mode"] == "files":
        pytest.skip(ONLY_DIRECT[name])
    env = os.environ | {"IPCFS_MOUNT": area.dir, "ASAN_OPTIONS": LEAKS}
    done = subprocess.run([LIB, name], env=env, timeout=T(80), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout


def lib(command, obj, *args):
    return spawn([LIB, f"-{command}", obj.path, *map(str, args)])


def end(proc):
    code, out, err = proc.finish()
    assert code == 0, err
    return out


@pytest.fixture
def q(area):
    return area.make("jobs.queue")


def test_put_wakes_read_and_echo_wakes_get(q, mode):
    shell = spawn(["bash", "-c", 'read -r job < "$0" && echo "got $job"', q.path])
    q.await_waiters(1)
    end(lib("put", q, "one"))
    assert end(shell) == "got one\n"
    getter = lib("get", q)
    q.await_waiters(1)
    sh(f"echo two > {q.path}")
    assert end(getter) == "two\n"


def test_set_wakes_cat_and_echo_wakes_wait(area, mode):
    e = area.make("go.event")
    cat = spawn(["cat", e.path])
    waiter = lib("wait", e)
    e.await_waiters(2)
    end(lib("set", e))
    assert (end(cat), end(waiter)) == ("1\n", "0\n")
    sh(f"echo 0 > {e.path}")
    waiter = lib("wait", e)
    e.await_waiters(1)
    sh(f"echo 1 > {e.path}")
    end(waiter)


def test_first_come_first_served_among_both(q, mode):
    waiters = []
    for i in range(8):
        waiters.append(lib("get", q) if i % 2 else spawn(["head", "-n1", q.path]))
        q.await_waiters(i + 1)
    for i in range(8):
        if i % 3:
            end(lib("put", q, f"m{i}"))
        else:
            sh(f"echo m{i} > {q.path}")
    assert [end(w) for w in waiters] == [f"m{i}\n" for i in range(8)]


def test_writers_of_both_kinds_stand_in_one_line(q, mode):
    q.set("maxsize", 1)
    q.put(b"0\n")
    writers = []
    for i in range(1, 7):
        writers.append(lib("put", q, i) if i % 2 else spawn(["bash", "-c", f"echo {i} > {q.path}"]))
        q.await_waiters(i)
    assert [q.get() for _ in range(7)] == [b"%d\n" % i for i in range(7)]
    for writer in writers:
        end(writer)
    # and a direct reader lets them in
    q.put(b"0\n")
    writer = spawn(["bash", "-c", f"echo 1 > {q.path}"])
    q.await_waiters(1)
    assert end(lib("get", q, 2)) == "0\n1\n"
    end(writer)


def test_poll_sees_a_put(q, mode):
    fd = q.open(os.O_RDONLY)
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    assert poller.poll(0) == []
    putter = spawn(["bash", "-c", f"sleep 0.3; {LIB} -put {q.path} x"])
    assert poller.poll(T(10) * 1000)
    end(putter)
    os.close(fd)


def test_death_returns_the_lock_to_both(area, mode):
    lock = area.make("a.lock")
    holder = lib("hold", lock)
    eventually(lambda: lock.size == 0, 10, "held")
    assert len(lock.holders()) == 1
    shell, direct = spawn(["flock", lock.path, "echo", "mine"]), lib("hold", lock)
    lock.await_waiters(2)
    holder.kill()
    eventually(lambda: len(lock.waiters()) <= 1, 10, "one of them has it")
    if shell.running:
        direct.kill()
    assert end(shell) == "mine\n"
    direct.kill()
    eventually(lambda: lock.size == 1, 10, "free")


def test_a_condition_polls_for_a_lock_that_a_direct_client_has(area, mode):
    lock, cond = area.make("m.lock"), area.make("c.cond", lock="m.lock")
    fd, own = cond.open(os.O_RDWR | os.O_NONBLOCK), lock.open(os.O_RDWR)
    epoll = select.epoll()
    epoll.register(fd, select.EPOLLIN | select.EPOLLET)
    fcntl.flock(own, fcntl.LOCK_EX)
    with raises(errno.EAGAIN):
        os.read(fd, 10)
    holder = spawn([LIB, "-close", lock.path], stdin=subprocess.PIPE)
    assert holder.hear() == "held"
    cond.put(b"1\n")
    assert epoll.poll(T(20)) == [(fd, select.EPOLLIN)]
    with raises(errno.EAGAIN):
        os.read(fd, 10)
    assert epoll.poll(0.1) == []
    holder.say()
    assert holder.hear() == "closed"
    assert epoll.poll(T(20)) == [(fd, select.EPOLLIN)]
    assert os.read(fd, 10) == b"1\n"
    holder.kill()


# --- locks that are held by the fast word: fast.h --------------------------------------------------

HOSTILE = os.path.join(BUILD, "tests", "lib", "hostile")
LOCKS = ["lock", "rlock", "cond", "value", "array"]


def owner_of(obj, mode):
    """A process that holds it, directly by the word: nobody has looked at the object since."""
    file, at = os.readlink(obj.ctl_path("shm")), sh(f"{HOSTILE} field fast").out.strip()
    for _ in range(20):
        holder = lib("own", obj)
        assert holder.hear() == "held"
        if mode != "direct" or int(sh(f"{HOSTILE} get {file} {at}").out) > 1:   # neither off nor free
            return holder
        holder.kill()       # the daemon has looked, because of an earlier close
    raise AssertionError("it is never held by the word")


def taker(obj):
    if obj.path.endswith("lock"):
        return spawn(["head", "-n1", obj.path])
    return spawn(["flock", obj.path, "echo", "1"])


@pytest.mark.parametrize("kind", LOCKS)
def test_death_of_who_holds_it_by_the_word(area, mode, kind):
    obj = area.make(f"a.{kind}")
    for _ in range(2):
        owner_of(obj, mode).kill()
        assert end(taker(obj)) == "1\n"


@pytest.mark.parametrize("kind", LOCKS)
def test_a_try_asks_the_daemon_only_where_a_close_can_be_on_its_way(mount, kind):
    def attempt():
        client.say()
        return client.hear()

    obj = mount.make(f"a.{kind}")
    holder, client = owner_of(obj, "direct"), spawn([LIB, "-try", obj.path], stdin=subprocess.PIPE)
    assert client.hear() == "ready"
    worker = mount.worker()
    os.kill(worker, signal.SIGSTOP)
    try:
        for _ in range(1000):
            assert attempt() == "Resource temporarily unavailable"
    finally:
        os.kill(worker, signal.SIGCONT)
    holder.kill()
    assert attempt() == "Success"


@pytest.mark.parametrize("kind", LOCKS)
def test_who_holds_it_by_the_word_is_seen(area, mode, kind):
    obj = area.make(f"a.{kind}")
    holder = owner_of(obj, mode)
    if kind in ("lock", "rlock"):
        assert sh(f"stat -c %s {obj.path}").out == "0\n"
    row, = obj.holders()
    assert row.pid == holder.pid
    shell = taker(obj)
    obj.await_waiters(1)
    assert shell.running
    holder.kill()
    assert end(shell) == "1\n"
    eventually(lambda: not obj.holders(), 10, "nobody has it")


@pytest.mark.parametrize("kind", ["lock", "rlock", "value"])
def test_a_file_gets_its_turn_among_direct_ones(area, mode, kind):
    obj, turns = area.make(f"a.{kind}"), 1000 if mode == "direct" else 5
    loops = [lib("loop", obj, turns) for _ in range(2)]
    for _ in range(10):
        for loop in loops:
            assert loop.hear() == "more"
        assert end(taker(obj)) == "1\n"
    for loop in loops:
        loop.kill()
    assert end(taker(obj)) == "1\n"


# --- numbers ----------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def comma(tmp_path_factory):
    """The environment of a locale with a decimal comma: made here, for few machines have one."""
    if not shutil.which("localedef"):
        pytest.skip("no localedef here (Debian: libc-bin)")
    folder = tmp_path_factory.mktemp("locales")
    (folder / "source").write_text("comment_char %\nescape_char /\nLC_NUMERIC\ndecimal_point \",\"\n"
                                   "thousands_sep \".\"\ngrouping 3;3\nEND LC_NUMERIC\n")
    made = subprocess.run(["localedef", "--no-archive", "-c", "-i", "./source", "./comma"], cwd=folder,
                          capture_output=True, text=True, timeout=T(60), check=False)
    if not (folder / "comma" / "LC_NUMERIC").exists():
        pytest.skip(f"localedef makes no locale: {made.stderr}")
    return {"LOCPATH": str(folder), "LC_ALL": "comma"}


def test_numbers_have_a_point_under_any_locale(area, mode, comma):
    def add(n):
        return end(spawn([LIB, "-add", value.path, str(n)], env=comma))

    value = area.make("n.value")
    value.put(b"41.5\n")
    assert add(1) == "42 42 0,5\n"
    assert value.take() == b"42.5\n"
    value.put(b"1234567.25\n")
    assert add(-1) == "1234566 1234566 0,5\n"
    assert value.take() == b"1234566.25\n"
    value.set("typecode", "d")
    value.put(b"0.1\n")
    assert add(3) == "3 3 0,5\n"
    assert value.take() == b"3.1\n"
    with raises(errno.EINVAL):
        value.put(b"0,1\n")


def test_join_hears_of_done_by_file(q, mode):
    q.put(b"1\n2\n")
    joiner = lib("join", q)
    q.await_waiters(1)
    q.get(), q.get()
    q.set("done", 2)
    end(joiner)


def test_waiting_getter_that_dies_takes_nothing(q, mode):
    for _ in range(10):
        getter = lib("get", q)
        q.await_waiters(1)
        getter.kill()
        q.await_waiters(0)
    q.put(b"x\n")
    assert q.take() == b"x\n"


def test_cancel_and_close_end_waits(q, mode):
    getter = lib("get", q)
    q.await_waiters(1)
    q.set("cancel", getter.pid)
    assert getter.finish().err == "Operation canceled\n"
    getter = lib("get", q)
    q.await_waiters(1)
    q.close()
    assert end(getter) == ""


@pytest.mark.limit(60)
def test_many_of_both_lose_nothing(q, mode):
    q.set("maxsize", 7)
    count = 1500
    putters = [lib("count", q, count), lib("count", q, count),
               spawn(["bash", "-c", f"seq 0 {count - 1} > {q.path}"])]
    getters = [lib("get", q, 10**9), lib("get", q, 10**9), spawn(["cat", q.path])]
    for putter in putters:
        code, _, err = putter.finish(50)
        assert code == 0, err
    q.close()
    got = sorted(int(n) for getter in getters for n in end(getter).split())
    assert got == sorted(list(range(count)) * 3)


def test_growing_beyond_what_there_is(q, mode):
    end(lib("count", q, 20000))
    assert q.size == 20000
    assert q.raw("drain").split() == [b"%d" % i for i in range(20000)]


@pytest.mark.limit(60)
def test_memory_limit(mount_with, mode):
    mount = mount_with(memory="4M")
    q = mount.make("jobs.queue")
    putter = spawn([LIB, "-count", q.path, "200000"])
    eventually(lambda: q.waiters(), 30, "the memory is used up")
    assert q.size > 1000
    reader = spawn(["bash", "-c", f"head -n 200000 {q.path}.ctl/stream | wc -l"])
    assert end(reader) == "200000\n"
    end(putter)


def test_restart_of_the_daemon(mount, mode):
    q = mount.make("jobs.queue")
    getter = lib("get", q, 2)
    q.await_waiters(1)
    worker, = set(mount.pids()) - {mount.pid}
    os.kill(worker, signal.SIGKILL)
    end(lib("put", q, "one"))
    q.put(b"two\n")
    assert end(getter) == "one\ntwo\n"


def test_unmount_sends_direct_waiters_away(mount, mode):
    q = mount.make("jobs.queue")
    getter = lib("get", q)
    q.await_waiters(1)
    os.kill(mount.pid, signal.SIGTERM)
    code, _, err = getter.finish(10)
    assert (code, err) in ((1, "Operation canceled\n"), (1, "Transport endpoint is not connected\n"))
    assert mount.await_exit() == 0


EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../doc/examples")


def library():
    """The folder of a libipcfs.so for programs that are built without sanitizers."""
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
    for folder in (os.path.join(BUILD, "core"), os.path.join(root, "build", "core")):
        so = os.path.join(folder, "libipcfs.so.0")
        if not os.path.exists(so):
            continue
        with open(so, "rb") as file:
            if not re.search(rb"__[at]san_init", file.read()):
                return folder
    pytest.skip("only a sanitizer's library is built")
    return None


def test_example_in_python(q, mode):
    so = os.path.join(library(), "libipcfs.so.0")
    program = spawn(["/usr/bin/python3", os.path.join(EXAMPLES, "ipcfs.py"), q.path],
                    env={"LIBIPCFS": so})
    q.put(b"one\ntwo\n")
    eventually(lambda: q.number("unfinished") == 0, 10, "both are done")
    q.close()
    assert end(program) == "one\ntwo\n"


def test_example_in_c(area, tmp_path, mode):
    core = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../core/client")
    sh(f"cc -Wall -Werror {EXAMPLES}/worker.c -I{core} -o {tmp_path}/worker "
       f"-L{library()} -Wl,-rpath,{library()} -lipcfs")
    q, slots = area.make("jobs.queue"), area.make("slots.sem")
    slots.put(b"1\n")
    program = spawn([f"{tmp_path}/worker", area.dir])
    q.put(b"resize\n")
    eventually(lambda: q.number("unfinished") == 0, 10, "it is done")
    q.close()
    assert end(program) == "working on resize\n"
    assert slots.size == 1


def test_memory_that_a_direct_client_frees_goes_to_who_waits_for_it_elsewhere(mount_with):
    """Also what it has freed before; and while it lives, for its death would free it anyway."""
    mount = mount_with(memory="12M")
    full, other = mount.make("full.queue"), mount.make("other.queue")
    for queue in (full, other):
        queue.set("framing", "record")
    count = 0
    with raises(errno.EAGAIN, errno.ENOSPC):
        while True:
            write_once(full.path, b"x" * 60000, os.O_WRONLY | os.O_NONBLOCK)
            count += 1
    writers = [fork(lambda: write_once(other.path, b"y" * 900000)) for _ in range(3)]
    eventually(lambda: len(other.waiters()) >= 1, 10, "they wait for memory")
    def take(queue, n):
        return spawn(["bash", "-c", f"exec {LIB} -get {queue.path} {n} > /dev/null"])

    getter = take(full, count + 1)
    eventually(lambda: full.size == 0, 60, "it has taken all, and sleeps")
    start = time.monotonic()
    assert [w.result() for w in writers] == [900000] * 3
    assert time.monotonic() - start < 4.5, "only because a sleeper asks every five seconds"
    assert getter.running, "it still has the queue open"
    full.put(b"the last")
    getter.finish()
    # The same with memory that was free before anybody wanted it.
    getter = take(other, 3 * 14 + 1)        # in pieces of 64 KiB
    eventually(lambda: other.size == 0 and len(other.waiters()) == 1, 10, "it has taken all")
    for _ in range(count - 10):
        assert write_once(full.path, b"z" * 60000, os.O_NONBLOCK) == 60000
    assert getter.running
