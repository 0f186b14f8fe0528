"""A damaged engine file costs that object only: EIO and a line in the log; nothing stops the daemon."""

import errno
import os
import random

import pytest

from kit import ClientTimeout, fork, raises, read_all, run


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
    overwrite(os.path.join(mount.state, "mount"), 0, random.Random(4).randbytes(4096))
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
