"""Line framing: unfinished lines, who completes them, and killed writers."""

import errno
import os
import signal
import sys

import pytest

from kit import fork, raises, sh, unchanged

NB = os.O_NONBLOCK
LIMIT = (1 << 20) - 4096


@pytest.fixture
def q(area):
    return area.make("q.queue")


def test_a_line_in_parts(q):
    fd = q.open(os.O_WRONLY)
    for part in (b"al", b"ph", b"a\nbe", b"ta\n"):
        assert os.write(fd, part) == len(part)
    assert q.messages() == [b"alpha", b"beta"]


def test_an_unfinished_line_is_not_there_yet(q):
    fd = q.open(os.O_WRONLY)
    os.write(fd, b"one\ntwo")
    assert q.messages() == [b"one"]
    assert (q.size, q.number("bytes")) == (1, 3)
    os.write(fd, b"\n")
    assert q.messages() == [b"one", b"two"]


def test_a_byte_at_a_time(q):
    fd = q.open(os.O_WRONLY)
    for byte in b"ab\n\nc\n":
        os.write(fd, bytes([byte]))
    assert q.messages() == [b"ab", b"", b"c"]


def test_writev_is_one_run_of_bytes(q):
    fd = q.open(os.O_WRONLY)
    assert os.writev(fd, [b"a", b"b\n", b"c\n", b"d"]) == 6
    assert q.messages() == [b"ab", b"c"]


def test_bytes_are_kept_as_they_are(q):
    q.put(b"a\r\n" + b"\0\x01\xff\n" + "ümläut\n".encode())
    assert q.drain() == b"a\r\n" + b"\0\x01\xff\n" + "ümläut\n".encode()


def test_close_completes(q):
    q.put(b"no newline")
    assert q.messages() == [b"no newline"]
    assert q.take() == b"no newline\n"


def test_close_of_a_duplicate_completes(q):
    fd = q.open(os.O_WRONLY)
    os.write(fd, b"first")
    os.close(os.dup(fd))
    assert q.messages() == [b"first"]
    os.write(fd, b"second\n")
    assert q.messages() == [b"first", b"second"]


def test_another_process_closing_its_copy_completes_nothing(q):
    fd = q.open(os.O_WRONLY)
    os.write(fd, b"one ")
    fork(os.close, fd, keep=[fd]).result()
    assert q.size == 0
    os.write(fd, b"line\n")
    assert q.messages() == [b"one line"]


def test_a_line_that_a_child_began_on_a_shared_handle(q):
    fd = q.open(os.O_WRONLY)
    child = fork(os.write, fd, b"child's", keep=[fd])
    child.result()
    assert q.messages() == [b"child's"], "its exit closed the copy it wrote through"
    os.close(fd)
    assert q.size == 1


def test_an_end_without_close_completes(q):
    for code in (0, 3, 9, 15):
        def leave():
            os.write(q.open(os.O_WRONLY), b"exit %d" % code)
            os._exit(code)  # low bits of an exit status are not a signal
        fork(leave).wait()
    assert q.messages() == [b"exit 0", b"exit 3", b"exit 9", b"exit 15"]


@pytest.mark.parametrize("signo", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM])
def test_a_killed_writer_leaves_no_half_line(q, signo):
    def half():
        fd = q.open(os.O_WRONLY)
        os.write(fd, b"whole\nhalf")
        signal.signal(signo, signal.SIG_DFL) if signo != signal.SIGKILL else None
        os.kill(os.getpid(), signo)

    status = fork(half).wait()
    assert os.WTERMSIG(status) == signo
    assert q.messages() == [b"whole"]
    q.close()
    assert q.drain() == b"whole\n"


def test_a_killed_writer_on_a_handle_that_others_keep(q):
    fd = q.open(os.O_WRONLY)

    def half():
        os.write(fd, b"half")
        os.kill(os.getpid(), signal.SIGKILL)

    fork(half, keep=[fd]).wait()
    assert q.size == 0
    os.write(fd, b"mine\n")
    os.close(fd)
    assert q.messages() == [b"mine"], "the dead one's part is not glued to ours"


def test_a_writer_killed_while_it_waits(area):
    q = area.make("q.queue", maxsize=1)
    writer = fork(q.put, b"1\n2\n3")
    q.await_waiters(1)
    writer.kill()
    q.await_waiters(0)
    assert q.drain() == b"1\n"
    assert q.size == 0


def test_lines_of_two_writers_never_mix(q):
    a, b = q.open(os.O_WRONLY), q.open(os.O_WRONLY)
    os.write(a, b"a")
    os.write(b, b"b")
    os.write(a, b"A\n")
    os.write(b, b"B\n")
    assert q.messages() == [b"aA", b"bB"]


def test_close_never_waits_even_on_a_full_queue(area):
    q = area.make("q.queue", maxsize=1)
    fd = q.open(os.O_WRONLY)
    os.write(fd, b"tail")
    q.put(b"full\n")
    os.close(fd)
    assert q.messages() == [b"full", b"tail"]
    with unchanged(q), raises(errno.EAGAIN):
        q.put(b"x\n", NB)


@pytest.mark.parametrize("parts", [(LIMIT + 1,), (LIMIT, 1), (1000, LIMIT - 500), (600000, 600000)])
def test_a_line_too_long_leaves_nothing_behind(q, parts):
    fd = q.open(os.O_WRONLY)
    for size in parts[:-1]:
        assert os.write(fd, b"x" * size) == size
    with raises(errno.EMSGSIZE):
        os.write(fd, b"x" * parts[-1])
    os.close(fd)
    assert q.size == 0
    assert q.number("bytes") == 0


def test_lines_before_one_too_long(q):
    data = b"good\n" + b"x" * (LIMIT + 1) + b"\n"
    fd = q.open(os.O_WRONLY)
    try:
        assert os.write(fd, data) == 5
    except OSError as error:
        assert error.errno == errno.EMSGSIZE
        assert q.size == 0
    else:
        assert q.messages() == [b"good"]


def test_an_unfinished_line_over_maxbytes(area):
    q = area.make("q.queue", maxbytes=10)
    fd = q.open(os.O_WRONLY)
    os.write(fd, b"12345678")
    with raises(errno.EMSGSIZE):
        os.write(fd, b"9abc\n")
    os.write(fd, b"ok\n")
    assert q.messages() == [b"ok"]


def test_shell_redirections(area, q):
    sh("printf abc > q.queue", cwd=area.dir)
    sh("{ printf d; printf e; } > q.queue", cwd=area.dir)
    sh("echo f >> q.queue", cwd=area.dir)
    sh("echo g | cat > q.queue", cwd=area.dir)
    assert q.messages() == [b"abc", b"de", b"f", b"g"]


def test_line_buffered_and_unbuffered_programs(area, q):
    sh(f"{sys.executable} -u -c 'print(1); print(2, end=\"\")' > q.queue", cwd=area.dir)
    sh("stdbuf -o0 printf '3\\n4' > q.queue", cwd=area.dir)
    assert q.messages() == [b"1", b"2", b"3", b"4"]


def test_an_interrupted_write_counts_whole_lines(area):
    q = area.make("q.queue", maxsize=3)
    data = b"".join(b"line %d\n" % i for i in range(10))

    def write():
        signal.signal(signal.SIGUSR1, lambda *_: None)
        return os.write(q.open(os.O_WRONLY), data)

    writer = fork(write)
    q.await_waiters(1)
    writer.signal(signal.SIGUSR1)
    assert writer.result() == len(b"line 0\n" * 3)
    assert q.messages() == [b"line 0", b"line 1", b"line 2"]
    q.await_waiters(0)


def test_the_rest_of_an_interrupted_write_can_follow(area):
    q = area.make("q.queue", maxsize=2)
    data = b"".join(b"%d\n" % i for i in range(6))

    def write():
        signal.signal(signal.SIGUSR1, lambda *_: None)
        fd, left, calls = q.open(os.O_WRONLY), data, 0
        while left:
            left = left[os.write(fd, left):]
            calls += 1
        return calls

    writer = fork(write)
    q.await_waiters(1)
    writer.signal(signal.SIGUSR1)
    fd = q.open()
    assert b"".join(os.read(fd, 100) for _ in range(6)) == data
    assert writer.result() in (1, 2)
