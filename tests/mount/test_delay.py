"""What happens to a queue by itself: leases that are too old, messages that are put later. All by echo."""

import errno
import os
import signal
import time

import pytest

from kit import BUILD, eventually, fork, raises, read_all, sh, spawn, write_once

LIB = os.path.join(BUILD, "tests", "lib", "lib")


@pytest.fixture
def q(area):
    return area.make("jobs.queue")


def lease(fd):
    ident, _, message = os.read(fd, 1 << 17).partition(b"\t")
    return ident.decode(), message


def shell(q, script):
    return sh(script, cwd=os.path.dirname(q.path))


# --- ttr and touch -------------------------------------------------------------------------------

def test_the_job_of_a_worker_that_hangs_goes_to_another(q):
    done = shell(q, """
        echo 0.2 > jobs.queue.ctl/ttr; cat jobs.queue.ctl/ttr
        echo job > jobs.queue
        exec 3< jobs.queue.ctl/lease; read -r job <&3; echo "$job"
        read -r job < jobs.queue@30; echo "$job"
        cat jobs.queue.ctl/leased; cat jobs.queue.ctl/unfinished
    """)
    assert done.out.split("\n") == ["0.2", "1\tjob", "job", "1", ""]


def test_it_counts_as_an_attempt(q):
    q.set("max_attempts", 2)
    q.set("ttr", "0.05")
    q.put(b"job\n")
    fd = os.open(q.ctl_path("lease@30"), os.O_RDONLY)
    assert [lease(fd), lease(fd)] == [("1", b"job\n")] * 2
    eventually(lambda: q.ctl("dead") == "1\tjob", 30, "the last attempt makes a dead letter")
    read_all(q.ctl_path("join@0"))


def test_touch_begins_a_lease_anew(q):
    def age():
        return float(q.ctl("leased").split("\t")[2])

    q.put(b"job\n")
    fd = os.open(q.ctl_path("lease"), os.O_RDONLY)
    ident, _ = lease(fd)
    eventually(lambda: age() > 0.2, 30, "it gets older")
    begun = time.monotonic()
    q.set("touch", ident)
    assert age() <= time.monotonic() - begun + 0.001


def test_an_unknown_id(q):
    q.put(b"job\nwaiting\n")
    fd = os.open(q.ctl_path("lease"), os.O_RDONLY)
    lease(fd)
    for name in "touch", "nack", "ack":
        for wrong in "2", "3", "0", "x", "", "-1", "1 x", "1 -1", "1 1 1":
            with raises(errno.EINVAL):
                q.set(name, wrong)
    with raises(errno.EINVAL):
        q.set("ttr", "soon")
    assert q.number("unfinished") == 2 and q.size == 1


# --- nack with a delay ---------------------------------------------------------------------------

def test_nack_with_a_delay(q):
    done = shell(q, """
        printf 'a\\nb\\nc\\n' > jobs.queue
        exec 3< jobs.queue.ctl/lease
        for i in 1 2 3; do read -r _ <&3; done
        echo "1 0.6" > jobs.queue.ctl/nack
        echo "2 0.3" > jobs.queue.ctl/nack
        echo "3" > jobs.queue.ctl/nack
        cat jobs.queue.ctl/delayed
        for i in 1 2 3; do read -r job < jobs.queue@30; echo "$job"; done
    """)
    assert done.out.split() == ["2", "c", "b", "a"]


@pytest.mark.skipif(not os.access(LIB, os.X_OK), reason="no libipcfs in this build")
def test_who_waits_directly_is_served(q, monkeypatch):
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")
    q.put(b"a\nb\n")
    fd = os.open(q.ctl_path("lease"), os.O_RDONLY)
    lease(fd)
    lease(fd)
    clients = [spawn([LIB, "-get", q.path]) for _ in range(2)]
    q.await_waiters(2)
    q.set("nack", "2 0.1")
    q.set("ttr", 0.3)
    assert sorted(c.finish(30).out for c in clients) == ["a\n", "b\n"]


def test_a_closed_queue_waits_for_what_is_delayed(q):
    q.put(b"a\n")
    fd = os.open(q.ctl_path("lease"), os.O_RDONLY)
    lease(fd)
    readers = [fork(read_all, q.path), fork(read_all, q.ctl_path("lease"))]
    q.await_waiters(2)
    q.set("nack", "1 0.3")
    q.close()
    assert sorted(r.result() for r in readers) in ([b"", b"a\n"], [b"", b"1\ta\n"])


def test_a_delay_outlasts_the_worker_and_the_mount(mount_with):
    mount = mount_with()
    q = mount.make("jobs.queue")
    q.put(b"a\nb\n")
    fd = os.open(q.ctl_path("lease"), os.O_RDONLY)
    lease(fd)
    lease(fd)
    q.set("nack", "1 1")
    q.set("nack", "2 4")
    os.close(fd)
    assert q.size == 0
    os.kill(mount.worker(), signal.SIGKILL)
    eventually(lambda: q.size, 30, "nobody has it open, and the size tells")
    mount.remount()
    eventually(lambda: q.size == 2, 30, "the other one comes after a clean mount, by itself")
    assert q.messages() == [b"a", b"b"]


# --- list and remove -----------------------------------------------------------------------------

def rows(q):
    return [line.split("\t") for line in q.ctl("list").splitlines()]


def test_list_shows_all_that_is_in_it(q):
    q.put(b"one\ntwo\nthree\nfour\nfive\n")
    fd = os.open(q.ctl_path("lease"), os.O_RDONLY)
    for _ in range(4):
        lease(fd)
    q.set("nack", "1")
    q.set("nack", "3 2000")
    q.set("nack", "2 1000")
    assert [(r[0], r[2], r[3], r[4]) for r in rows(q)] == [
        ("5", "0", "ready", "five"), ("1", "1", "ready", "one"), ("4", "1", "leased", "four"),
        ("2", "1", "delayed", "two"), ("3", "1", "delayed", "three")]
    assert all(0 <= float(r[1]) < 1000 for r in rows(q))
    eventually(lambda: float(rows(q)[0][1]) > 0.1, 30, "they get older")


def test_list_has_one_line_for_each_message(q):
    messages = [b"a\nb", b"tab\tnul\0 back\\slash", "grün".encode(), b"", b"\x1b[31m\x7f\xff"]
    q.set("framing", "record")
    for message in messages[:3] + messages[4:]:
        q.put(message)
    q.set("framing", "line")
    q.put(b"\n")
    assert [line.split(b"\t")[4] for line in q.raw("list").splitlines()] == [
        b"a\\nb", b"tab\\tnul\\0000 back\\\\slash", "grün".encode(), b"\\0033[31m\\0177\xff", b""]
    done = sh("""cut -f5 jobs.queue.ctl/list | head -n1 | { read -r text; printf '%b' "$text"; }""",
              cwd=os.path.dirname(q.path))
    assert done.out == "a\nb"


def test_remove(q):
    done = shell(q, """
        printf 'a\\nb\\nc\\n' > jobs.queue
        awk -F'\\t' '$5 == "b" { print $1 }' jobs.queue.ctl/list > jobs.queue.ctl/remove
        cat jobs.queue.ctl/peek jobs.queue.ctl/unfinished
    """)
    assert done.out.split() == ["a", "c", "2"]
    for wrong in "2", "9", "0", "x", "", "all":
        with raises(errno.EINVAL):
            q.set("remove", wrong)
    fd = os.open(q.ctl_path("lease"), os.O_RDONLY)
    lease(fd)
    with raises(errno.EINVAL):
        q.set("remove", "1")
    q.set("nack", "1 1000")
    assert q.set("remove", "1\n3") == 4
    assert rows(q) == [] and q.number("unfinished") == 0


# --- front and later -----------------------------------------------------------------------------

def test_front_by_echo(q):
    done = shell(q, """
        printf 'a\\nb\\n' > jobs.queue
        echo urgent > jobs.queue.ctl/front
        printf 'x\\ny\\n' >> jobs.queue.ctl/front
        cat jobs.queue.ctl/peek
    """)
    assert done.out.split() == ["y", "x", "urgent", "a", "b"]


def test_front_waits_for_room(q):
    q.set("maxsize", 1)
    q.put(b"a\n")
    with raises(errno.EAGAIN):
        write_once(q.ctl_path("front@0"), b"x\n")
    with raises(errno.ETIMEDOUT):
        write_once(q.ctl_path("front@0.05"), b"x\n")
    with raises(errno.EAGAIN):
        write_once(q.ctl_path("later@0"), b"5\tx\n")
    writer = fork(write_once, q.ctl_path("front"), b"x\n")
    q.await_waiters(1)
    assert q.take() == b"a\n"
    assert writer.result() == 2
    assert q.messages() == [b"x"]
    q.close()
    for name in "front", "later":
        with raises(errno.EPIPE):
            write_once(q.ctl_path(name), b"5\tx\n")


def test_later_by_echo(q):
    done = shell(q, """
        printf '0.6\\tc\\n0.3\\tb\\n' > jobs.queue.ctl/later
        printf '0\\ta' > jobs.queue.ctl/later
        cut -f1,3- jobs.queue.ctl/list
        cat jobs.queue.ctl/unfinished
        for i in 1 2 3; do read -r job < jobs.queue@30; echo "$job"; done
    """)
    assert done.out.split("\n") == ["3\t0\tready\ta", "2\t0\tdelayed\tb", "1\t0\tdelayed\tc", "3",
                                    "a", "b", "c", ""]


def test_later_is_whole_whatever_the_writes_are(q):
    lines = b"".join(b"%d.%d\tjob %d %s\n" % (i % 3, i % 10, i, b"x" * (i % 50)) for i in range(2000))
    with open(q.ctl_path("later"), "wb", buffering=0) as f:
        for at in range(0, len(lines), 37):
            assert f.write(lines[at:at + 37]) == len(lines[at:at + 37])
    eventually(lambda: q.size == 2000, 60, "all are put")
    assert sorted(q.messages()) == sorted(line.split(b"\t")[1] for line in lines.splitlines())


def test_later_refuses_what_it_does_not_understand(q):
    for wrong in b"x\n", b"5\n", b"5 x\n", b"-5\tx\n", b"\tx\n", b"\n":
        with raises(errno.EINVAL):
            write_once(q.ctl_path("later"), wrong)
    assert write_once(q.ctl_path("later"), b"1000\tx\nnot\n") == 7
    assert (q.number("delayed"), q.number("unfinished")) == (1, 1)


def test_a_closed_queue_ends_when_the_last_delayed_one_is_gone(q):
    write_once(q.ctl_path("later"), b"0.2\ta\n1000\tb\n")
    q.close()
    reader = fork(read_all, q.path)
    joiner = fork(read_all, q.ctl_path("join"))
    q.await_waiters(2)
    eventually(lambda: q.number("delayed") == 1, 30, "the first is delivered")
    q.await_waiters(2)
    q.set("remove", 2)
    assert reader.result() == b"a\n"
    q.set("done", 1)
    assert joiner.result() == b"0\n"


def test_later_outlasts_worker_and_mount_though_nobody_has_it_open(mount_with):
    mount = mount_with()
    q = mount.make("jobs.queue")
    write_once(q.ctl_path("later"), b"1\ta\n4\tb\n1000\tc\n")
    os.kill(mount.worker(), signal.SIGKILL)
    eventually(lambda: q.size == 1, 30, "a is put")
    mount.remount()
    assert q.number("delayed") == 2
    eventually(lambda: q.size == 2, 30, "b is put")
    assert q.messages() == [b"a", b"b"]
    assert [r[3] for r in rows(q)] == ["ready", "ready", "delayed"]


def test_front_and_later_are_for_who_may_write(q):
    for name in "front", "later":
        assert os.stat(q.ctl_path(name)).st_mode & 0o444 == 0
        with raises(errno.EACCES):
            os.open(q.ctl_path(name), os.O_RDONLY)
    assert not {"front", "later"} & set(os.listdir(q.ctl_path()))
