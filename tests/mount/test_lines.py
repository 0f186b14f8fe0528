"""Line framing: unfinished lines, who completes them, and killed writers."""

import errno
import os
import signal
import sys
import threading

import pytest

from kit import eventually, fork, raises, sh, unchanged
from kit.proc import children, state_of

NB = os.O_NONBLOCK
LIMIT = (1 << 20) - 4096


TOLD = tuple(int(n) for n in os.uname().release.split(".")[:2]) >= (6, 15)
told = pytest.mark.skipif(not TOLD, reason="this kernel does not tell how a process ended that is gone")


@pytest.fixture
def q(area):
    return area.make("q.queue")


@pytest.fixture
def untold(mount_with):
    """A queue as on a kernel that does not tell how a process ended that is gone."""
    return mount_with(no_ends=True).make("q.queue")


@pytest.fixture
def tidy(q):
    """A queue to which whole lines are written: a close of its next handle is not told (FLUSH)."""
    q.put(b"tidy\n")
    assert q.take() == b"tidy\n"
    return q


@pytest.fixture(params=[pytest.param("q", marks=told), pytest.param("tidy", marks=told), "untold"])
def each(request):
    """A queue of each kind."""
    return request.getfixturevalue(request.param)


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


@told
def test_the_last_close_completes(q):
    fd = q.open(os.O_WRONLY)
    os.write(fd, b"first ")
    os.close(os.dup(fd))
    assert q.size == 0
    os.write(fd, b"second")
    other = os.dup(fd)
    os.close(fd)
    assert q.size == 0
    os.close(other)
    assert q.messages() == [b"first second"]


def test_any_close_of_the_writer_completes_where_the_kernel_does_not_tell(untold):
    fd = untold.open(os.O_WRONLY)
    os.write(fd, b"first")
    os.close(os.dup(fd))
    assert untold.messages() == [b"first"]
    os.write(fd, b"second\n")
    assert untold.messages() == [b"first", b"second"]


@told
@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_a_line_in_two_commands_of_a_shell(area, q, shell):
    sh("exec 3> q.queue; printf 'a ' >&3; printf 'b\\n' >&3; printf c >&3; (printf ' d' >&3)", cwd=area.dir, shell=shell)
    assert q.messages() == [b"a b", b"c d"]


def test_what_was_closed_is_there_at_once(area, each):
    for i in range(200):
        fd = each.open(os.O_WRONLY)
        os.write(fd, b"%d" % i)
        os.close(fd)
        assert each.take() == b"%d\n" % i


def test_what_another_process_closed_is_there_at_once(area, each):
    for i in range(20):
        assert fork(each.put, b"%d" % i).result() == len(str(i))
        assert each.take() == b"%d\n" % i
        sh(f"printf {i} > q.queue; read -r x < q.queue@0; [ $x = {i} ]", cwd=os.path.dirname(each.path))


def test_another_process_closing_its_copy_completes_nothing(each):
    fd = each.open(os.O_WRONLY)
    os.write(fd, b"one ")
    fork(os.close, fd, keep=[fd]).result()
    assert each.size == 0
    os.write(fd, b"line\n")
    assert each.messages() == [b"one line"]


@told
def test_a_line_that_a_child_began_on_a_shared_handle(q):
    fd = q.open(os.O_WRONLY)
    fork(os.write, fd, b"child's", keep=[fd]).result()
    assert q.size == 0, "the handle is open"
    fork(os.write, fd, b" and sibling's", keep=[fd]).result()
    os.close(fd)
    assert q.messages() == [b"child's and sibling's"]


def test_an_end_without_close_completes(each):
    for code in (0, 3, 9, 15):
        def leave():
            os.write(each.open(os.O_WRONLY), b"exit %d" % code)
            os._exit(code)  # low bits of an exit status are not a signal
        fork(leave).wait()
    assert each.messages() == [b"exit 0", b"exit 3", b"exit 9", b"exit 15"]


@pytest.mark.parametrize("signo", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM])
def test_a_killed_writer_leaves_no_half_line(each, signo):
    def half():
        fd = each.open(os.O_WRONLY)
        os.write(fd, b"whole\nhalf")
        signal.signal(signo, signal.SIG_DFL) if signo != signal.SIGKILL else None
        os.kill(os.getpid(), signo)

    status = fork(half).wait()
    assert os.WTERMSIG(status) == signo
    assert each.messages() == [b"whole"]
    each.close()
    assert each.drain() == b"whole\n"


def test_a_killed_process_whose_thread_wrote(each):
    def half():
        writer = threading.Thread(target=lambda: os.write(fd, b"half"))
        fd = each.open(os.O_WRONLY)
        writer.start()
        writer.join()
        os.kill(os.getpid(), signal.SIGKILL)

    fork(half).wait()
    assert each.size == 0


@told
def test_a_killed_program_that_went_on_as_another(area, q):
    sh("exec 3> q.queue; printf half >&3; exec sh -c 'kill -9 $$'", cwd=area.dir, code=-9)
    assert q.size == 0


def test_a_killed_writer_on_a_handle_that_others_keep(each):
    fd = each.open(os.O_WRONLY)

    def half():
        os.write(fd, b"half")
        os.kill(os.getpid(), signal.SIGKILL)

    fork(half, keep=[fd]).wait()
    assert each.size == 0
    os.write(fd, b"mine\n")
    fork(half, keep=[fd]).wait()
    os.close(fd)
    assert each.messages() == [b"mine"], "the dead one's part is not glued to ours"


def kill_worker(mount):
    """… while its supervisor is stopped, so that there is no other until SIGCONT."""
    os.kill(mount.pid, signal.SIGSTOP)
    eventually(lambda: state_of(mount.pid) == "T", 10, "the supervisor is stopped")
    worker, = children(mount.pid)
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: state_of(worker) == "Z", 10, "the worker is dead")


def change_supervisor(mount):
    os.kill(mount.pid, signal.SIGHUP)
    eventually(lambda: mount.status()["restarts"] != "0", 20, "the program has started anew")


@told
@pytest.mark.parametrize("signo", [signal.SIGKILL, signal.SIGTERM])
def test_a_writer_that_is_killed_when_it_has_closed(area, q, signo):
    """… at once, when the daemon may not know of its close yet."""
    for i in range(30):
        sh(f"printf {i} > q.queue; kill -{signo} $$", cwd=area.dir, code=-signo)
    assert q.messages() == [b"%d" % i for i in range(30)]


@told
@pytest.mark.parametrize("tidy", [True, False])
@pytest.mark.parametrize("killed", [True, False])
@pytest.mark.parametrize("when", ["before", "between", "after", "upgraded"])
def test_a_writer_that_ends_around_a_restart(mount, killed, when, tidy):
    """between: while there is no worker."""
    q = mount.make("q.queue")
    if tidy:
        q.put(b"tidy\n")
        q.take()
    begun, tell = os.pipe()
    go, end = os.pipe()

    def half():
        os.write(q.open(os.O_WRONLY), b"half")
        os.write(tell, b".")
        os.read(go, 1)

    def ends(gone=True):
        os.kill(child.pid, signal.SIGKILL) if killed else os.write(end, b".")
        if gone:
            child.wait()

    child = fork(half, keep=[tell, go])
    assert os.read(begun, 1) == b"."
    if when == "upgraded":
        change_supervisor(mount)
        ends()
    elif when == "before":
        ends()
    if when != "upgraded":
        kill_worker(mount)
        if when == "between":
            ends(gone=tidy)     # otherwise it has to tell the worker first
        os.kill(mount.pid, signal.SIGCONT)
        child.wait() if when == "between" else None
    if when == "after":
        assert q.size == 0
        ends()
    assert q.messages() == ([] if killed else [b"half"])


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
