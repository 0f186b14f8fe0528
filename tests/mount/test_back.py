"""A message that a reader has read in part goes back whole when it closes, by whatever death."""

import errno
import os
import select
import shutil
import signal

import pytest

from kit import eventually, fork, raises, run, sh

THREE = b"resize cat\nsecond\nthird\n"
ALL = [b"resize cat", b"second", b"third"]
NODE = """require("fs").readFile("q.queue", (e, text) => { if (e) throw e; process.stdout.write(text) })"""

# Each reads three bytes of the queue, and is content with them.
READERS = {
    "node": ["node", "-e", NODE],
    "python": ["/usr/bin/python3", "-c", "print(open('q.queue', 'rb', buffering=0).read(3).decode())"],
    "dd": ["dd", "bs=1", "count=3", "if=q.queue", "status=none"],
    "head": ["head", "-c3", "q.queue"],
    "od": ["od", "-N3", "-c", "q.queue"],
    "perl": ["perl", "-e", "open F, 'q.queue'; sysread F, $x, 3; print $x"],
    "busybox dd": ["busybox", "dd", "bs=3", "count=1", "if=q.queue"],
    "bash": ["bash", "-c", "read -n 3 x <> q.queue; echo $x"],
    "dash": ["dash", "-c", "exec 3<> q.queue; dd bs=1 count=3 <&3 2> /dev/null"],
}


@pytest.fixture
def q(area):
    return area.make("q.queue")


def part(obj, size, flags=os.O_RDONLY):
    """A process that reads so many bytes, says which, and stays."""
    ready, says = os.pipe()

    def read():
        fd = os.open(obj.path, flags)
        os.write(says, os.read(fd, size))
        signal.pause()

    child = fork(read, keep=[says])
    os.close(says)
    got = os.read(ready, 1 << 16)
    os.close(ready)
    return child, got


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("closed", [0, 1])
def test_programs_that_read_a_part(q, area, name, closed):
    if not shutil.which(READERS[name][0]):
        pytest.skip(f"no {name}")
    q.put(THREE)
    q.set("closed", closed)
    done = run(READERS[name], cwd=area.dir)
    assert done.code == 0
    assert done.out.replace(" ", "").find("res") >= 0
    assert q.messages() == ALL
    assert q.number("unfinished") == 3


@pytest.mark.parametrize("script, taken", [
    ("read -r x < q.queue", 1), ("head -n1 q.queue", 1), ("exec 3< q.queue; head -n1 <&3; head -n1 <&3", 2),
    ("head -n2 q.queue", 2), ("head -c 11 q.queue", 1), ("head -c 10 q.queue", 1), ("head -c 12 q.queue", 1),
    ("dd bs=4 count=4 if=q.queue", 1), ("while read -r x; do :; done < q.queue", 3),
])
def test_what_was_read_whole_is_taken(q, area, script, taken):
    q.put(THREE)
    q.close()
    sh(script, cwd=area.dir)
    assert q.messages() == ALL[taken:]


@pytest.mark.parametrize("signo", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR, os.O_RDONLY | os.O_DIRECT])
def test_a_reader_that_is_killed(q, signo, flags):
    q.put(THREE)
    reader, got = part(q, 4, flags)
    assert got == b"resi"
    assert q.messages() == ALL[1:]
    reader.kill(signo)
    assert eventually(lambda: q.size == 3) and q.messages() == ALL


def test_a_reader_that_waits_gets_it(q):
    q.put(b"job\n")
    fd = q.open()
    assert os.read(fd, 1) == b"j"
    waiting = fork(q.get)
    q.await_waiters(1)
    os.close(fd)
    assert waiting.result() == b"job\n"


def test_a_poller_is_told(q):
    q.put(b"job\n")
    fd, other = q.open(), q.open(os.O_RDONLY | os.O_NONBLOCK)
    assert os.read(fd, 1) == b"j"
    poller = select.poll()
    poller.register(other, select.POLLIN)
    assert poller.poll(0) == []
    child = fork(poller.poll, 20000, keep=[other])
    os.close(fd)
    assert child.result()[0][1] & select.POLLIN
    assert os.read(other, 100) == b"job\n"


def test_a_duplicate_keeps_it(q):
    q.put(b"job\n")
    fd = q.open()
    copy = os.dup(fd)
    assert os.read(fd, 1) == b"j"
    os.close(fd)
    assert q.size == 0
    assert os.read(copy, 100) == b"ob\n"
    os.close(copy)
    assert q.size == 0


def test_a_full_queue_takes_it_back(q):
    q.set("maxsize", 1)
    q.put(b"one\n")
    fd = q.open()
    assert os.read(fd, 1) == b"o"
    q.put(b"two\n")
    os.close(fd)
    assert q.messages() == [b"one", b"two"]
    with raises(errno.EAGAIN):
        q.put(b"three\n", os.O_NONBLOCK)


def test_attempts(q):
    q.set("max_attempts", 2)
    q.put(THREE)
    for left in (3, 2):
        fd = q.open()
        assert os.read(fd, 3) == b"res"
        os.close(fd)
        assert q.size == left
    assert q.ctl("dead").endswith("\tresize cat")
    assert q.number("unfinished") == 2
    q.set("revive", "all")
    assert sorted(q.messages()) == sorted(ALL)


def test_stream_and_drain(q):
    q.put(THREE)
    for name in ("stream", "drain"):
        fd = os.open(q.ctl_path(name), os.O_RDONLY)
        assert os.read(fd, 2) == b"re"
        os.close(fd)
        assert q.messages() == ALL
    fd = os.open(q.ctl_path("stream"), os.O_RDONLY)
    assert os.read(fd, 20) == b"resize cat\nsecond\n"
    assert os.read(fd, 4) == b"thir"
    os.close(fd)
    assert q.messages() == ALL[2:]


def test_a_seek_to_before_the_message_begins_anew(q):
    q.put(THREE)
    fd = q.open()
    assert os.read(fd, 100) == b"resize cat\n"
    assert os.read(fd, 3) == b"sec"
    os.lseek(fd, 0, os.SEEK_SET)
    assert os.read(fd, 100) == b"second\n"


def test_a_seek_to_behind_the_message_takes_it(q):
    q.put(THREE)
    fd = q.open()
    assert os.read(fd, 3) == b"res"
    os.lseek(fd, 100, os.SEEK_SET)
    assert os.read(fd, 100) == b"second\n"
    os.close(fd)
    assert q.messages() == ALL[2:]


def test_a_remount_puts_it_back(mount):
    q = mount.make("q.queue")
    q.put(THREE)
    reader, got = part(q, 3)
    assert got == b"res"
    mount.abort()
    reader.kill()
    mount.start()
    assert q.messages() == ALL


# --- pipes -------------------------------------------------------------------------------------------

def test_a_record_of_a_pipe(area):
    p = area.make("p.pipe", framing="record")
    w = p.open(os.O_WRONLY)
    os.write(w, b"first record")
    os.write(w, b"second")
    reader, got = part(p, 5)
    assert got == b"first"
    assert (p.size, p.number("readers"), p.number("writers")) == (6, 1, 1)
    reader.kill()
    assert eventually(lambda: p.size == 18)
    assert (p.number("readers"), p.number("writers")) == (0, 1)
    os.close(w)
    fd = p.open()
    assert [os.read(fd, 100) for _ in range(3)] == [b"first record", b"second", b""]


def test_a_record_of_a_two_way_pipe(area):
    os.mkdir(area.path("t.pipe"))
    a = os.open(area.path("t.pipe/a"), os.O_RDWR | os.O_DIRECT)
    b = os.open(area.path("t.pipe/b"), os.O_RDWR | os.O_DIRECT)
    other = os.open(area.path("t.pipe/b"), os.O_RDWR | os.O_DIRECT)
    os.write(a, b"to b")
    os.write(b, b"to a")
    assert os.read(b, 2) == b"to"
    os.close(b)
    assert os.read(other, 100) == b"to b"
    assert os.read(a, 100) == b"to a"


def test_bytes_that_were_read_are_gone(area):
    p = area.make("p.pipe")
    p.put(b"abcdef")
    assert p.take(3) == b"abc"
    assert p.take() == b"def"
