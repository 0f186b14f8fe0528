"""Read-only handles answer, read-write handles stream, O_NOFOLLOW handles look."""

import errno
import os
import threading

import pytest

from kit import T, fork, raises, read_all, run, sh, unchanged

NB = os.O_NONBLOCK
SHELLS = ["bash", "dash", "busybox sh"]


@pytest.fixture
def q(area):
    return area.make("q.queue")


# --- read-only: a file of answers --------------------------------------------------------------------

def test_seeking_back_gives_the_rest_of_the_message_in_hand(q):
    q.put(b"hello\nnext\n")
    fd = q.open()
    assert os.read(fd, 4096) == b"hello\n"
    assert os.lseek(fd, 2, os.SEEK_SET) == 2
    assert os.read(fd, 4096) == b"llo\n"
    assert os.read(fd, 4096) == b"next\n"
    assert os.lseek(fd, -3, os.SEEK_CUR) == 8
    assert os.read(fd, 4096) == b"xt\n"


def test_small_reads(q):
    q.put(b"hello\nnext\n")
    fd = q.open()
    assert [os.read(fd, 4) for _ in range(4)] == [b"hell", b"o\n", b"next", b"\n"]


def test_one_byte_at_a_time_takes_one_message(q):
    q.put(b"ab\ncd\n")
    fd = q.open()
    assert b"".join(os.read(fd, 1) for _ in range(3)) == b"ab\n"
    assert q.messages() == [b"cd"]


def test_duplicates_share_what_is_in_hand(q):
    q.put(b"abcd\n")
    fd = q.open()
    copy = os.dup(fd)
    assert os.read(fd, 2) == b"ab"
    assert fork(os.read, copy, 10, keep=[copy]).result() == b"cd\n"
    with raises(errno.EAGAIN):
        q.take()


def test_two_handles_share_nothing(q):
    q.put(b"abcd\nxy\n")
    a, b = q.open(), q.open()
    assert os.read(a, 2) == b"ab"
    assert os.read(b, 100) == b"xy\n"
    assert os.read(a, 100) == b"cd\n"


def test_head_takes_one_line(area, q):
    q.put(b"1\n2\n3\n")
    done = sh("head -n1 q.queue; head -n1 < q.queue", cwd=area.dir)
    assert (done.out, done.err) == ("1\n2\n", "")
    assert q.messages() == [b"3"]


def test_head_of_two_lines(area, q):
    q.put(b"1\n2\n3\n")
    assert sh("head -n2 q.queue", cwd=area.dir).out == "1\n2\n"
    assert q.messages() == [b"3"]


@pytest.mark.parametrize("shell", SHELLS)
def test_shell_read_takes_one_message(area, q, shell):
    q.put(b"a b\nsecond\nthird\n")
    done = sh('read -r x < q.queue; echo "[$x]"; read -r x < q.queue; echo "[$x]"', cwd=area.dir, shell=shell)
    assert done.out == "[a b]\n[second]\n"
    assert q.messages() == [b"third"]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("redirect", ["<", "<>"])
def test_shell_reads_from_one_descriptor(area, q, shell, redirect):
    q.put(b"1\n2\n3\n4\n")
    done = sh(f'exec 3{redirect} q.queue; read -r a <&3; read -r b <&3; echo "$a $b"', cwd=area.dir, shell=shell)
    assert done.out == "1 2\n"
    assert q.messages() == [b"3", b"4"]


@pytest.mark.parametrize("shell", SHELLS)
def test_shell_loop_until_closed(area, q, shell):
    q.put(b"".join(b"job %d\n" % i for i in range(20)))
    q.close()
    done = sh('while read -r x; do echo "got $x"; done < q.queue', cwd=area.dir, shell=shell)
    assert done.out == "".join(f"got job {i}\n" for i in range(20))


@pytest.mark.parametrize("shell", SHELLS)
def test_shell_read_and_write_on_one_descriptor(area, q, shell):
    done = sh('exec 3<> q.queue; echo hello >&3; read -r x <&3; echo "$x"', cwd=area.dir, shell=shell)
    assert done.out == "hello\n"


# --- read-write: a stream ----------------------------------------------------------------------------

def test_a_stream_gives_the_rest_first(q):
    q.put(b"hello\nnext\n")
    fd = q.open(os.O_RDWR)
    assert [os.read(fd, n) for n in (1, 1, 100, 100)] == [b"h", b"e", b"llo\n", b"next\n"]


def test_a_stream_has_no_position(q):
    q.put(b"hello\nnext\n")
    fd = q.open(os.O_RDWR)
    os.read(fd, 100)
    with raises(errno.ESPIPE):
        os.lseek(fd, 0, os.SEEK_SET)
    assert os.read(fd, 100) == b"next\n"


@pytest.mark.parametrize("name,reply", [("q.queue", b"x\n"), ("p.pipe", b"x\n"), ("e.event", b"1\n"),
                                        ("s.sem", b"1\n")])
def test_a_waiting_read_never_holds_up_a_write_on_the_same_descriptor(area, name, reply):
    obj = area.make(name)
    fd = obj.open(os.O_RDWR)
    got = []
    reader = threading.Thread(target=lambda: got.append(os.read(fd, 100)), daemon=True)
    reader.start()
    obj.await_waiters(1)
    writer = fork(os.write, fd, reply, keep=[fd])
    assert writer.result(5) == len(reply)
    reader.join(T(10))
    assert got == [reply]


def test_readers_may_share_a_read_write_descriptor(q):
    fd = q.open(os.O_RDWR)
    readers = []
    for i in range(4):
        readers.append(fork(os.read, fd, 100, keep=[fd]))
        q.await_waiters(i + 1)
    readers[0].kill()
    readers[2].kill()
    q.await_waiters(2)
    q.put(b"1\n2\n")
    assert [readers[1].result(), readers[3].result()] == [b"1\n", b"2\n"]


# --- split reads -------------------------------------------------------------------------------------

@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR])
@pytest.mark.parametrize("length", [10, 4096, 131072, 1 << 20])
def test_a_split_read_never_waits_for_more(area, flags, length):
    """A buffer of many requests, an answer of fewer: the read returns with what there is."""
    p = area.make("p.pipe", maxbytes=4 << 20)
    w = p.open(os.O_WRONLY)
    fd = p.open(flags)
    assert os.write(w, b"x" * length) == length
    got = 0
    while got < length:
        got += len(os.read(fd, 3 << 20))
    assert got == length
    assert p.waiters() == []


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR])
def test_a_read_of_exactly_the_message(q, flags):
    fd = q.open(flags)
    for size in (10, 4096, 131072, (1 << 20) - 4096):
        q.put(b"x" * (size - 1) + b"\n")
        got = os.read(fd, size)
        while len(got) < size:
            got += os.read(fd, size - len(got))
        assert len(got) == size and got.endswith(b"\n")


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR])
def test_a_vector_read(q, flags):
    fd = q.open(flags)
    q.put(b"abcdef\n")
    buffers = [bytearray(3), bytearray(3), bytearray(3000000)]
    assert os.readv(fd, buffers) == 7
    assert b"".join(buffers)[:7] == b"abcdef\n"


# --- O_NOFOLLOW: looking -----------------------------------------------------------------------------

LOOK = os.O_RDONLY | os.O_NOFOLLOW


@pytest.mark.parametrize("name,fill,seen", [
    ("q.queue", None, b""), ("q.queue", b"a\nb\n", b"a\nb\n"), ("p.pipe", b"data", b"data"), ("p.pipe", None, b""),
    ("e.event", None, b"0"), ("e.event", b"1\n", b"1"), ("s.sem", None, b"0"), ("s.sem", b"3\n", b"3"),
    ("l.lock", None, b"1")])
def test_a_look_shows_and_takes_nothing(area, name, fill, seen):
    obj = area.make(name)
    if fill:
        obj.put(fill)
    with unchanged(obj):
        assert read_all(obj.path, os.O_NOFOLLOW).rstrip(b"\n") == seen.rstrip(b"\n")
        assert read_all(obj.path, os.O_NOFOLLOW).rstrip(b"\n") == seen.rstrip(b"\n")


def test_a_look_at_a_held_lock(area):
    lock = area.make("l.lock", undo=0)
    lock.take()
    with unchanged(lock):
        assert read_all(lock.path, os.O_NOFOLLOW) == b"0\n"


def test_a_look_does_not_count_as_a_reader(area):
    p = area.make("p.pipe")
    w = p.open(os.O_WRONLY)
    read_all(p.path, os.O_NOFOLLOW)
    assert os.write(w, b"x") == 1, "no reader came, so none has gone"


@pytest.mark.parametrize("command", [
    "grep -r needle .", "tar cf /dev/null --ignore-failed-read .", "tar cf - . | cat > /dev/null",
    "cp -r . $OUT/copy", "cp -a . $OUT/copy", "rsync -r . $OUT/copy"])
def test_tree_walkers_take_nothing_and_do_not_wait(area, tmp_path, command):
    """They copy what they see; the exit code may tell of sizes that were not what st_size said."""
    os.mkdir(area.path("sub"))
    objects = [area.make(n) for n in ("q.queue", "p.pipe", "e.event", "s.sem", "l.lock", "sub/empty.queue")]
    objects[0].put(b"needle\nhay\n")
    objects[1].put(b"needle in a pipe")
    objects[3].put(b"2\n")
    with unchanged(*objects):
        done = sh(command, cwd=area.dir, env={"OUT": str(tmp_path)}, timeout=15, code=None)
    if command.startswith("grep"):
        assert "q.queue:needle" in done.out and "p.pipe" in done.out
        assert "hay" not in done.out


# --- unlinked in use -----------------------------------------------------------------------------------

def test_a_removed_object_lives_while_it_is_open(q):
    fd = q.open(os.O_RDWR)
    q.put(b"1\n")
    os.unlink(q.path)
    assert not os.path.exists(q.path)
    assert os.read(fd, 10) == b"1\n"
    os.write(fd, b"2\n")
    assert os.fstat(fd).st_size == 1
    assert os.fstat(fd).st_nlink == 0
    assert os.read(fd, 10) == b"2\n"


def test_waiters_stay_through_a_removal(q):
    writer = q.open(os.O_WRONLY)
    reader = fork(q.get)
    q.await_waiters(1)
    os.unlink(q.path)
    os.write(writer, b"still\n")
    assert reader.result() == b"still\n"


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY, os.O_RDWR])
def test_a_removed_object_opens_again_through_proc(q, flags):
    fd = q.open(os.O_RDWR)
    os.unlink(q.path)
    again = os.open(f"/proc/self/fd/{fd}", flags)
    if flags == os.O_RDONLY:
        os.write(fd, b"x\n")
        assert os.read(again, 10) == b"x\n"
    else:
        os.write(again, b"y\n")
        assert os.read(fd, 10) == b"y\n"


def test_many_writers_through_proc(q):
    """A reopen has no LOOKUP: a second open writer must be granted all the same."""
    fd = q.open(os.O_WRONLY)
    fds = [os.open(f"/proc/self/fd/{fd}", os.O_WRONLY) for _ in range(5)]
    for i, each in enumerate(fds):
        os.write(each, b"%d\n" % i)
    assert q.messages() == [b"0", b"1", b"2", b"3", b"4"]


def test_dev_stdout(area, q):
    sh("echo a > q.queue; (echo b > /dev/stdout; echo c >> /dev/stdout) > q.queue",
       cwd=area.dir)
    assert q.messages() == [b"a", b"b", b"c"]


def test_a_new_object_of_the_name_is_another(area, q):
    q.put(b"old\n")
    fd = q.open(os.O_RDONLY | NB)
    os.unlink(q.path)
    new = area.make("q.queue")
    new.put(b"new\n")
    assert os.read(fd, 10) == b"old\n"
    with raises(errno.EAGAIN):
        os.read(fd, 10)
    assert new.take() == b"new\n"


def test_its_memory_comes_back(area):
    q = area.make("big.queue")
    before = area.mount.state_bytes()
    for _ in range(16):
        q.put(b"x" * 500000 + b"\n")
    assert area.mount.state_bytes() > before + 7000000
    fd = q.open()
    os.unlink(q.path)
    assert len(os.read(fd, 1 << 20)) > 0
    os.close(fd)
    os.listdir(area.dir)  # any request made after the close
    assert area.mount.state_bytes() < before + 1000000


def test_stat_program_and_wc(area, q):
    q.put(b"1\n2\n")
    assert run(["stat", "-c", "%s %F %h", q.path]).out == "2 regular file 1\n"
