"""Leases: crash-safe work, acknowledgement, attempts, dead letters."""

import errno
import os
import signal

import pytest

from kit import eventually, fork, raises, read_all, sh, unchanged, write_once


@pytest.fixture
def q(area):
    return area.make("jobs.queue")


def lease_fd(q, flags=os.O_RDONLY, limit=""):
    return os.open(q.ctl_path("lease" + limit), flags)


def lease(fd):
    ident, _, message = os.read(fd, 1 << 17).partition(b"\t")
    return ident.decode(), message


def test_a_lease_gives_id_and_message(q):
    q.put(b"one\ntwo\n")
    fd = lease_fd(q)
    first, message = lease(fd)
    assert message == b"one\n"
    second, message = lease(fd)
    assert message == b"two\n"
    assert first.isdigit() and second.isdigit() and first != second
    assert q.size == 0
    assert q.number("unfinished") == 2


def test_ack_finishes(q):
    q.put(b"one\n")
    fd = lease_fd(q)
    ident, _ = lease(fd)
    q.set("ack", ident)
    assert (q.number("unfinished"), q.ctl("leased")) == (0, "")
    os.close(fd)
    assert q.size == 0, "acked, so it does not come back"
    read_all(q.ctl_path("join@0"))


def test_close_gives_back_to_the_tail_what_was_not_acked(q):
    q.put(b"1\n2\n3\n4\n")
    fd = lease_fd(q)
    ids = [lease(fd)[0] for _ in range(3)]
    q.set("ack", ids[1])
    os.close(fd)
    assert q.messages() == [b"4", b"1", b"3"]
    assert q.number("unfinished") == 3


@pytest.mark.parametrize("signo", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_worker_gives_back(q, signo):
    q.put(b"job\n")

    def work():
        lease(lease_fd(q))
        os.kill(os.getpid(), signo)

    assert os.WTERMSIG(fork(work).wait()) == signo
    assert q.messages() == [b"job"]


def test_nack_gives_back_to_the_tail(q):
    q.put(b"1\n2\n")
    fd = lease_fd(q)
    ident, _ = lease(fd)
    q.set("nack", ident)
    assert q.messages() == [b"2", b"1"]
    assert q.ctl("leased") == ""
    assert q.number("unfinished") == 2
    with unchanged(q), raises(errno.EINVAL):
        q.set("nack", ident)


@pytest.mark.parametrize("name", ["ack", "nack"])
@pytest.mark.parametrize("text", ["999999", "abc", "-1", "1x"])
def test_an_unknown_id(q, name, text):
    q.put(b"1\n2\n")
    fd = lease_fd(q)
    lease(fd)
    with unchanged(q), raises(errno.EINVAL):
        q.set(name, text)


def test_ack_twice(q):
    q.put(b"1\n2\n")
    ident, _ = lease(lease_fd(q))
    q.set("ack", ident)
    with unchanged(q), raises(errno.EINVAL):
        q.set("ack", ident)


def test_another_process_may_ack(q):
    q.put(b"1\n")
    fd = lease_fd(q)
    ident, _ = lease(fd)
    fork(q.set, "ack", ident).result()
    os.close(fd)
    assert q.size == 0


def test_leased_lists_what_is_out(q):
    q.put(b"a b\tc\n")
    worker = fork(lambda: (lease(lease_fd(q)), signal.pause()))
    line = eventually(lambda: q.ctl("leased"), 10, "the lease is listed")
    ident, attempt, seconds, pid, message = line.split("\t", 4)
    assert ident.isdigit()
    assert (attempt, int(pid), message) == ("1", worker.pid, "a b\tc")
    assert float(seconds) >= 0
    worker.kill()
    assert q.ctl("leased") == ""


def test_attempts_are_counted(q):
    q.put(b"x\n")
    for attempt in (1, 2, 3):
        fd = lease_fd(q)
        lease(fd)
        assert q.ctl("leased").split("\t")[1] == str(attempt)
        os.close(fd)
    assert q.messages() == [b"x"], "no limit by default"
    assert q.ctl("max_attempts") == "0"


def test_a_lease_waits_for_a_put(q):
    worker = fork(lambda: lease(lease_fd(q))[1])
    row, = q.await_waiters(1)
    assert (row.pid, row.operation) == (worker.pid, "lease")
    q.put(b"now\n")
    assert worker.result() == b"now\n"
    assert q.messages() == [b"now"], "the worker left without ack"


def test_a_given_back_message_wakes_a_waiting_reader(q):
    q.put(b"x\n")
    fd = lease_fd(q)
    lease(fd)
    reader = fork(q.get)
    q.await_waiters(1)
    os.close(fd)
    assert reader.result() == b"x\n"


def test_limits(q):
    with raises(errno.EAGAIN):
        lease(lease_fd(q, os.O_RDONLY | os.O_NONBLOCK))
    with raises(errno.ETIMEDOUT):
        lease(lease_fd(q, limit="@0.05"))
    with raises(errno.EAGAIN):
        lease(lease_fd(q, limit="@0"))


def test_a_given_back_message_may_exceed_maxsize(area):
    q = area.make("jobs.queue", maxsize=1)
    q.put(b"1\n")
    fd = lease_fd(q)
    lease(fd)
    q.put(b"2\n", os.O_NONBLOCK)
    os.close(fd)
    assert q.messages() == [b"2", b"1"]


# --- close of the queue --------------------------------------------------------------------------

def test_lease_on_a_closed_queue_waits_for_what_could_come_back(q):
    q.put(b"1\n")
    fd = lease_fd(q)
    ident, _ = lease(fd)
    q.close()
    other = fork(read_all, q.ctl_path("lease"))
    q.await_waiters(1)
    assert not other.finished
    q.set("ack", ident)
    assert other.result() == b""


def test_lease_on_a_closed_queue_gets_what_comes_back(q):
    q.put(b"1\n")
    fd = lease_fd(q)
    lease(fd)
    q.close()
    other = fork(lambda: lease(lease_fd(q))[1])
    q.await_waiters(1)
    os.close(fd)
    assert other.result() == b"1\n"


def test_plain_readers_of_a_closed_queue_get_eof(q):
    q.close()
    assert read_all(q.path) == b""
    assert read_all(q.ctl_path("lease")) == b""


# --- dead letters --------------------------------------------------------------------------------

def kill_off(q, times):
    for _ in range(times):
        fd = lease_fd(q)
        lease(fd)
        os.close(fd)


def test_after_max_attempts_a_message_is_dead(area):
    q = area.make("jobs.queue", max_attempts=2)
    q.put(b"poison\n")
    kill_off(q, 1)
    assert q.messages() == [b"poison"]
    assert q.raw("dead") == b""
    kill_off(q, 1)
    assert q.size == 0
    ident, message = q.ctl("dead").split("\t")
    assert ident.isdigit() and message == "poison"
    assert q.number("unfinished") == 0, "dead letters count as done"


def test_nack_counts_as_an_attempt(area):
    q = area.make("jobs.queue", max_attempts=1)
    q.put(b"poison\n")
    q.set("nack", lease(lease_fd(q))[0])
    assert q.size == 0
    assert q.ctl("dead").endswith("\tpoison")


def test_a_dying_message_ends_a_join(area):
    q = area.make("jobs.queue", max_attempts=1)
    q.put(b"x\n")
    join = fork(q.raw, "join")
    q.await_waiters(1)
    kill_off(q, 1)
    join.result()


def test_revive_one(area):
    q = area.make("jobs.queue", max_attempts=1)
    q.put(b"1\n2\n")
    kill_off(q, 2)
    ident, message = q.ctl("dead").splitlines()[0].split("\t")
    q.set("revive", ident)
    assert q.messages() == [message.encode()]
    assert len(q.ctl("dead").splitlines()) == 1
    assert q.number("unfinished") == 1
    fd = lease_fd(q)
    lease(fd)
    assert q.ctl("leased").split("\t")[1] == "1", "attempts begin anew"


def test_revive_all(area):
    q = area.make("jobs.queue", max_attempts=1)
    q.put(b"1\n2\n3\n")
    kill_off(q, 3)
    q.set("revive", "all")
    assert sorted(q.messages()) == [b"1", b"2", b"3"]
    assert q.raw("dead") == b""
    assert q.number("unfinished") == 3


def test_discard(area):
    q = area.make("jobs.queue", max_attempts=1)
    q.put(b"1\n2\n3\n")
    kill_off(q, 3)
    q.set("discard", q.ctl("dead").split("\t")[0])
    assert len(q.ctl("dead").splitlines()) == 2
    q.set("discard", "all")
    assert q.raw("dead") == b""
    assert (q.size, q.number("unfinished")) == (0, 0)


@pytest.mark.parametrize("name", ["revive", "discard"])
@pytest.mark.parametrize("text", ["424242", "some", ""])
def test_unknown_dead_letters(area, name, text):
    q = area.make("jobs.queue", max_attempts=1)
    q.put(b"1\n")
    kill_off(q, 1)
    with unchanged(q), raises(errno.EINVAL):
        q.set(name, text)


# --- as in the manual ----------------------------------------------------------------------------

WORKER = r"""
exec 3< jobs.queue.ctl/lease
while IFS=$'\t' read -r id job <&3; do
    echo "$job" >> "$OUT"
    echo "$id" > jobs.queue.ctl/ack
done
"""


def test_bash_workers(area, q, tmp_path):
    out = tmp_path / "out"
    workers = [fork(lambda: sh(WORKER, cwd=area.dir, env={"OUT": str(out)}, timeout=40).code)
               for _ in range(3)]
    q.await_waiters(3)
    q.put(b"".join(b"job %d\n" % i for i in range(90)))
    read_all(q.ctl_path("join@30"))
    q.close()
    assert [w.result(40) for w in workers] == [0, 0, 0]
    assert sorted(out.read_text().split("\n")[:-1]) == sorted(f"job {i}" for i in range(90))


def test_workers_that_die_lose_nothing(q):
    q.put(b"".join(b"%d\n" % i for i in range(60)))
    q.close()

    def work(deadly):
        fd, done = lease_fd(q), []
        while True:
            data = os.read(fd, 1000)
            if not data:
                return done
            ident, _, message = data.partition(b"\t")
            if deadly and len(done) == 5:
                os.kill(os.getpid(), signal.SIGKILL)
            write_once(q.ctl_path("ack"), ident + b"\n")
            done.append(int(message))

    deadly = [fork(work, True) for _ in range(3)]
    for worker in deadly:
        worker.wait()
    assert q.size == 60 - 15 and q.number("unfinished") == 45
    done = fork(work, False).result()
    assert len(done) == len(set(done)) == 45
    assert q.number("unfinished") == 0


# --- the end of a closed queue -----------------------------------------------------------------------

def test_a_worker_that_prefetches_sees_the_end(q):
    q.put(b"1\n2\n")
    q.close()
    done = sh("exec 3< jobs.queue.ctl/lease; cat <&3; head -n2 jobs.queue.ctl/leased", cwd=os.path.dirname(q.path))
    assert done.out.split("\n")[:2] == ["1\t1", "2\t2"]
    assert len(done.out.splitlines()) == 4, "it has acknowledged none"
    assert q.messages() == [b"1", b"2"]


def test_the_end_waits_for_what_others_hold(q):
    q.put(b"1\n2\n")
    mine, other = lease_fd(q), lease_fd(q)
    ident, _ = lease(mine)
    lease(other)
    q.close()
    with raises(errno.EAGAIN):
        read_all(q.ctl_path("lease@0"))
    waiting = fork(os.read, mine, 100, keep=[mine])
    q.await_waiters(1)
    q.set("ack", ident)
    assert len(q.waiters()) == 1
    os.close(other)
    assert waiting.result() == b"2\t2\n"


def test_prefetchers_do_not_wait_for_each_other(q):
    q.put(b"1\n2\n3\n")
    fds = [lease_fd(q) for _ in range(3)]
    for fd in fds:
        lease(fd)
    readers = [fork(os.read, fd, 100, keep=[fd]) for fd in fds]
    free = lease_fd(q)
    idle = fork(os.read, free, 100, keep=[free])
    q.await_waiters(4)
    q.close()
    assert [reader.result() for reader in readers] == [b""] * 3
    assert len(q.await_waiters(1)) == 1
    os.close(fds[1])
    assert idle.result() == b"2\t2\n"
