"""A damaged engine file costs that object only: EIO and a line in the log; nothing stops the daemon."""

import errno
import os
import random
import select
import threading

import pytest

from kit import BUILD, T, ClientTimeout, fork, raises, read_all, run, spawn
from kit.state import mount_file

LIB = os.path.join(BUILD, "tests", "lib", "lib")


def engine_file(obj):
    return os.readlink(obj.ctl_path("shm"))


def overwrite(path, offset, data):
    fd = os.open(path, os.O_RDWR)
    os.pwrite(fd, data, offset)
    os.close(fd)


def damaged_mount(mount, damage):
    """Objects with content; the file of one is damaged between two mounts."""
    victim, healthy = mount.make("victim.queue"), mount.make("healthy.queue")
    for obj in (victim, healthy):
        obj.put(b"1\n2\n3\n")
    path = engine_file(victim)
    mount.unmount()
    damage(path)
    mount.start()
    victim.engine = path
    return victim, healthy


def attempt(operation, *codes):
    """Any end is fine but a wrong error: an answer, one of the errors, or a wait that can be killed."""
    client = fork(lambda: operation() and None)
    try:
        client.result(3)
    except OSError as error:
        assert error.errno in codes, error
    except ClientTimeout:
        client.kill()


DAMAGES = {
    "zeroed header": lambda p: overwrite(p, 0, bytes(4096)),
    "noise in the header": lambda p: overwrite(p, 0, random.Random(1).randbytes(4096)),
    "noise everywhere": lambda p: overwrite(p, 0, random.Random(2).randbytes(os.stat(p).st_size)),
    "empty": lambda p: os.truncate(p, 0),
    "cut short": lambda p: os.truncate(p, 100),
    "missing": os.unlink,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_only_that_object_is_lost(mount, damage):
    victim, healthy = damaged_mount(mount, damage)
    for operation in (victim.take, lambda: victim.put(b"x\n"), lambda: victim.ctl("size")):
        with raises(errno.EIO):
            operation()
    assert healthy.messages() == [b"1", b"2", b"3"]
    healthy.put(b"4\n")
    assert [healthy.take() for _ in range(4)] == [b"1\n", b"2\n", b"3\n", b"4\n"]
    assert mount.log().strip(), "the log says so"
    assert run(["ls", "-la", mount.dir], timeout=10).code in (0, 1)
    mount.make("new.queue").put(b"fine\n")


@pytest.mark.parametrize("damage", ["zeroed header", "cut short"])
def test_a_damaged_object_can_be_removed(mount, damage):
    victim, _ = damaged_mount(mount, DAMAGES[damage])
    os.unlink(victim.path)
    assert os.listdir(mount.dir) == ["healthy.queue"]
    mount.make("victim.queue").put(b"again\n")


def test_a_missing_file_is_called_missing(mount):
    victim, _ = damaged_mount(mount, os.unlink)
    with raises(errno.EIO):
        victim.take()
    assert "victim.queue: its file is missing" in mount.log()


def test_noise_at_random_places_never_stops_the_daemon(mount):
    """Every result but the daemon's end is fine: the right content, or EIO."""
    rng = random.Random(7)
    for round_ in range(15):
        q = mount.make(f"{round_}.queue")
        q.put(b"".join(b"message %d\n" % i for i in range(100)))
        path = engine_file(q)
        size = os.stat(path).st_size
        mount.unmount()
        for _ in range(rng.choice((1, 4, 40))):
            overwrite(path, rng.randrange(0, size - 8), rng.randbytes(8))
        mount.start()
        for operation in (lambda: q.put(b"x\n"), q.take, lambda: q.raw("peek"), lambda: q.raw("status"),
                          lambda: q.raw("drain"), lambda: q.raw("waiters"), lambda: q.raw("holders")):
            attempt(operation, errno.EIO, errno.EAGAIN, errno.EPIPE, errno.ENOSPC, errno.EMSGSIZE)
        assert mount.alive
        os.unlink(q.path)


def test_noise_while_it_is_in_use(mount):
    q, other = mount.make("q.queue"), mount.make("other.queue")
    q.put(b"1\n2\n")
    overwrite(engine_file(q), 0, random.Random(3).randbytes(4096))
    for operation in (lambda: q.put(b"x\n"), q.take, lambda: q.raw("status")):
        attempt(operation, errno.EIO, errno.EAGAIN)
    other.put(b"fine\n")
    assert other.take() == b"fine\n"


def test_a_file_cut_while_it_is_in_use(mount):
    """The mapping's pages are gone: SIGBUS for whoever touches them; only this object may notice."""
    q, other = mount.make("q.queue"), mount.make("other.queue")
    q.put(b"".join(b"message %d\n" % i for i in range(100000)))
    os.truncate(engine_file(q), 0)
    for operation in (lambda: q.put(b"x\n"), q.take, lambda: q.raw("status")):
        attempt(operation, errno.EIO)
    other.put(b"fine\n")
    assert other.take() == b"fine\n"


def test_a_damaged_namespace_is_a_refusal_and_no_crash(mount_with):
    mount = mount_with()
    mount.make("q.queue")
    mount.unmount()
    overwrite(mount_file(mount.state), 0, random.Random(4).randbytes(4096))
    done = run(mount.argv(), timeout=20)
    assert done.code not in (0, 124) and done.code > 0, done
    assert done.err.strip(), "a sentence says why"
    assert not mount.is_mounted()
    assert "Sanitizer" not in done.err


def test_the_log_names_the_damaged_object(mount):
    victim, _ = damaged_mount(mount, DAMAGES["zeroed header"])
    with raises(errno.EIO):
        read_all(victim.path)
    text = mount.log()
    assert "victim.queue" in text or os.path.basename(victim.engine) in text


# --- who waits when the damage is found ------------------------------------------------------------

SPOIL = {
    "zeroed header": lambda p: overwrite(p, 0, bytes(4096)),
    "zeros everywhere": lambda p: overwrite(p, 0, bytes(os.stat(p).st_size)),
    "noise everywhere": DAMAGES["noise everywhere"],
}


def await_poll(fd, timeout):
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return [events for _, events in poller.poll(T(timeout) * 1000)]


@pytest.mark.parametrize("spoil", SPOIL.values(), ids=SPOIL.keys())
def test_whoever_waits_is_told(mount, spoil):
    q, other = mount.make("q.queue"), mount.make("other.queue")
    readers = [fork(q.get) for _ in range(3)]
    q.await_waiters(3)
    fd, told = q.open(os.O_RDONLY | os.O_NONBLOCK), []
    watcher = threading.Thread(target=lambda: told.extend(await_poll(fd, 20)), daemon=True)
    watcher.start()
    spoil(engine_file(q))
    with raises(errno.EIO):
        q.put(b"x\n")
    for reader in readers:
        with raises(errno.EIO):
            reader.result()
    watcher.join(T(20))
    assert told and told[0] & select.POLLERR
    os.close(fd)
    other.put(b"fine\n")
    assert other.take() == b"fine\n"


def lib(command, obj, *args):
    return spawn([LIB, f"-{command}", obj.path, *map(str, args)])


def sleeping_get(mount):
    return mount.make("d.queue"), "get"


def sleeping_put(mount):
    q = mount.make("d.queue", maxsize=1)
    q.put(b"full\n")
    return q, "put"


def sleeping_wait(mount):
    return mount.make("d.event"), "wait"


def sleeping_barrier(mount):
    return mount.make("d.barrier", parties=4), "wait"


def sleeping_acquire(mount):
    lock = mount.make("d.lock", undo=0)
    lock.take()
    return lock, "hold"


def sleeping_sem(mount):
    return mount.sem("d.sem", 0), "hold"


@pytest.mark.skipif(not os.access(LIB, os.X_OK), reason="no libipcfs in this build")
@pytest.mark.parametrize("setup", [sleeping_get, sleeping_put, sleeping_wait, sleeping_barrier,
                                   sleeping_acquire, sleeping_sem], ids=lambda f: f.__name__)
@pytest.mark.parametrize("spoil", SPOIL.values(), ids=SPOIL.keys())
def test_direct_clients_that_sleep_are_told(mount, setup, spoil):
    obj, command = setup(mount)
    clients = [lib(command, obj, "x" if command == "put" else 1) for _ in range(3)]
    obj.await_waiters(3)
    spoil(engine_file(obj))
    with raises(errno.EIO):
        obj.ctl("status")
    for client in clients:
        code, _, err = client.finish(30)
        assert (code, err.strip()) == (1, os.strerror(errno.EIO))
    assert "damaged" in mount.log()


@pytest.mark.skipif(not os.access(LIB, os.X_OK), reason="no libipcfs in this build")
def test_damage_that_a_direct_client_finds_is_told_to_all(mount):
    q = mount.make("q.queue", maxsize=1)
    q.put(b"full\n")
    writer, client = fork(q.put, b"x\n"), lib("put", q, "y")
    q.await_waiters(2)
    # Its first message leads nowhere: whoever takes it sees that.
    overwrite(engine_file(q), q_head(engine_file(q)), b"\1\0\0\0")
    code, _, err = lib("get", q, 2).finish(30)
    assert (code, err.strip()) == (1, os.strerror(errno.EIO))
    code, _, err = client.finish(30)
    assert (code, err.strip()) == (1, os.strerror(errno.EIO))
    with raises(errno.EIO):
        writer.result()


def q_head(path):
    """Where struct ipc_queue has the reference of the first message: behind three 64-bit words."""
    with open(path, "rb") as file:
        header = file.read(4096)
    body = 128 + 16 + 127 * 16
    body = (body + 63) // 64 * 64
    assert int.from_bytes(header[body:body + 8], "little") == 1, "maxsize"
    return body + 24
