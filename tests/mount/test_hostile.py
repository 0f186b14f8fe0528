"""A client that may write an object's engine file, and does: it can damage that object, and nothing else.

IPCFS_HOSTILE_ROUNDS (default 1) rounds of each type, IPCFS_SEED for others than usual.
"""

import errno
import os
import random
import time

import pytest

from kit import (BUILD, IPCCTL, ClientTimeout, T, fork, raises, read_all, run, spawn,
                 write_once)

HOSTILE = os.path.join(BUILD, "tests", "lib", "hostile")
LIB = os.path.join(BUILD, "tests", "lib", "lib")
pytestmark = pytest.mark.skipif(not os.access(HOSTILE, os.X_OK), reason="no libipcfs in this build")

ROUNDS = int(os.environ.get("IPCFS_HOSTILE_ROUNDS", "1"))
SEED = int(os.environ.get("IPCFS_SEED", "1"))
TYPES = ["queue", "pipe", "event", "sem", "lock", "rlock", "cond", "barrier", "value", "array"]
LOOKS = ["status", "waiters", "holders"]


def engine_file(obj):
    return os.readlink(obj.ctl_path("shm"))


def attempt(operation):
    """Any answer is fine."""
    try:
        operation()
    except OSError:
        pass


def operations(obj):
    """What a program might do to it; none waits for more than 0.2 s."""
    import fcntl

    def handle(flags, use):
        fd = os.open(obj.at("0.2"), flags)
        try:
            use(fd)
        finally:
            os.close(fd)

    texts = {"queue": b"line\nother\nrest", "pipe": b"x" * 5000, "event": b"1\n", "sem": b"2\n",
             "lock": b"1\n", "rlock": b"1\n", "cond": b"all\n", "barrier": b"2\n", "value": b"+=1\n",
             "array": b"x" * 100}
    ops = [lambda: handle(os.O_RDONLY, lambda fd: os.read(fd, 70000)),
           lambda: handle(os.O_RDWR, lambda fd: os.read(fd, 3) and os.read(fd, 70000)),
           lambda: handle(os.O_RDWR, lambda fd: os.write(fd, texts[obj.type])),
           lambda: handle(os.O_WRONLY, lambda fd: os.write(fd, texts[obj.type])),
           lambda: handle(os.O_RDWR, lambda fd: (fcntl.flock(fd, fcntl.LOCK_EX),
                                                 fcntl.flock(fd, fcntl.LOCK_SH))),
           lambda: os.stat(obj.path)]
    ops += [lambda name=name: obj.raw(name) for name in LOOKS]
    ops.append(lambda: obj.set("cancel", "all"))
    if obj.type in ("queue", "pipe"):
        ops.append(lambda: obj.raw("peek"))
        ops.append(lambda: write_once(obj.at("0.2"), b"y" * 300000 + b"\n", os.O_DIRECT))
    if obj.type == "queue":
        ops += [lambda: read_all(obj.ctl_path("drain")), lambda: obj.set("discard", "all"),
                lambda: handle_lease(obj), lambda: obj.raw("leased"), lambda: obj.raw("dead")]
    if obj.type == "value":
        ops.append(lambda: obj.set("typecode", "q"))
    if obj.type == "array":
        ops += [lambda: obj.set("length", 700), lambda: obj.raw("items"),
                lambda: obj.set("items", "3 5"), lambda: os.truncate(obj.path, 3000)]
    return ops


def handle_lease(obj):
    fd = os.open(obj.ctl_path("lease@0.2"), os.O_RDONLY)
    try:
        os.read(fd, 70000)
    finally:
        os.close(fd)


def user(obj, seed):
    """A program that uses it until it is killed."""
    rng = random.Random(seed)
    ops = operations(obj)
    while True:
        attempt(rng.choice(ops))


def others_work(others):
    q, lock, value = others
    fd = q.open(os.O_RDWR)
    os.write(fd, b"x\n")
    assert os.read(fd, 10) == b"x\n"
    os.close(fd)
    fd = lock.open(os.O_RDWR)
    assert os.read(fd, 10) == b"1\n"
    os.close(fd)
    value.put(b"+=1\n")


def make_others(mount):
    return mount.make("other.queue"), mount.make("other.lock"), mount.make("other.value")


def fill(obj):
    for operation in operations(obj):
        if operation is not operations:
            attempt(operation)


def scribbled(mount, others, kind, seed):
    victim = mount.make(f"victim.{kind}")
    if kind == "barrier":
        victim.put(b"3\n")
    if kind == "sem":
        victim.put(b"3\n")
    if kind == "queue":
        victim.put(b"".join(b"message %d\n" % i for i in range(200)))
    worker = mount.worker()
    users = [fork(user, victim, seed + i) for i in range(3)]
    direct = [spawn([LIB, "-bench", victim.path, "lock" if kind not in ("queue", "pipe") else ""])
              for _ in range(2)]
    start = time.monotonic()
    scribbler = spawn([HOSTILE, "scribble", engine_file(victim), str(seed)])
    assert scribbler.hear() == "scribbling", scribbler.finish()
    waits = []
    while time.monotonic() < start + 0.4:
        at = time.monotonic()
        others_work(others)
        os.listdir(mount.dir)
        os.stat(victim.path)
        waits.append(time.monotonic() - at)
    assert max(waits) < T(2), f"seed {seed}: others waited for {max(waits):.1f} s"
    scribbler.kill()
    # What is left of it answers, and whoever uses it can be killed.
    last = fork(lambda: [attempt(op) for op in operations(victim)] and None)
    try:
        last.result(30)
    except ClientTimeout as error:
        raise AssertionError(f"seed {seed}: {error}") from None
    for client in users:
        client.kill()
    for client in direct:
        client.kill()
    assert mount.worker() == worker, f"seed {seed}: the worker died\n{mount.log()}"
    others_work(others)
    os.unlink(victim.path)
    new = mount.make(f"victim.{kind}")
    fill(new)
    assert new.ctl("type") == kind
    new.raw("status")
    os.unlink(new.path)


@pytest.mark.limit(60 * ROUNDS)
@pytest.mark.parametrize("kind", TYPES)
def test_scribbling_costs_that_object_only(mount, kind):
    others = make_others(mount)
    for i in range(ROUNDS):
        scribbled(mount, others, kind, SEED * 1000 + 100 * TYPES.index(kind) + i)
    count = int(others[2].raw("status").decode().split("length: ")[0] != "")
    assert count
    mount.remount()
    others_work(others)


def test_the_tool_names_what_is_damaged(mount):
    good, bad = mount.make("good.queue"), mount.make("bad.queue")
    good.put(b"1\n")
    bad.put(b"1\n2\n")
    path = engine_file(bad)
    mount.unmount()
    offset = int(run([HOSTILE, "field", "handles"]).out)
    run([HOSTILE, "set", path, str(offset), str(0x1234567 | 5 << 32)])
    done = run([IPCCTL, "check", mount.state])
    assert done.code != 0 and "bad.queue" in done.out + done.err, done
    assert "good.queue" not in (done.out + done.err).replace("good.queue: ok", ""), done
    mount.start()


def test_a_message_whose_file_is_cut_while_it_is_read(mount):
    """A reply that the kernel cannot read from the file would be none, and its reader would hang."""
    q = mount.make("q.queue", framing="record")
    write_once(q.path, b"x" * 60000)
    # (the first page of the message is there, the rest is not)
    size = os.stat(engine_file(q)).st_size
    getter = fork(lambda: os.read(q.open(os.O_RDONLY), 70000))
    assert getter.result() == b"x" * 60000
    write_once(q.path, b"y" * 60000)
    data = open(engine_file(q), "rb").read()
    os.truncate(engine_file(q), (data.index(b"y" * 60000) // 4096 + 2) * 4096)
    assert os.stat(engine_file(q)).st_size < size
    with raises(errno.EIO):
        fork(lambda: os.read(q.open(os.O_RDONLY), 70000)).result(5)


def test_a_file_of_zeros_is_damaged(mount):
    q = mount.make("q.queue")
    fd = q.open(os.O_RDWR)
    os.write(fd, b"1\n")
    path = engine_file(q)
    size = os.stat(path).st_size
    os.truncate(path, 0)
    os.truncate(path, size)
    with raises(errno.EIO):
        fork(lambda: os.read(fd, 10), keep=[fd]).result(5)
    with raises(errno.EIO):
        q.take()
    os.close(fd)


def test_a_size_that_no_file_can_have(mount):
    """The kernel takes no negative size, and gives EIO for all of the directory."""
    s, event = mount.make("s.sem"), mount.make("e.event")
    for obj in (s, event):
        run([HOSTILE, "set", engine_file(obj), run([HOSTILE, "field", "body"]).out.strip(), str(2**64 - 5)])
    assert os.stat(s.path).st_size >= 0
    assert run(["ls", "-la", mount.dir]).code == 0
    assert len([entry.stat() for entry in os.scandir(mount.dir)]) == 2


def test_an_unknown_type_code_of_an_array(mount):
    a = mount.make("a.array", length=10)
    run([HOSTILE, "set", engine_file(a), run([HOSTILE, "field", "typecode"]).out.strip(), "0"])
    worker = mount.worker()
    for operation in (lambda: a.set("items", "1 2"), lambda: a.raw("items"), lambda: a.set("length", 5),
                      lambda: a.raw("length")):
        attempt(operation)
    assert mount.worker() == worker
