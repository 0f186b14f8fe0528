"""ctl/stats: what has happened to an object, through files and libipcfs, restarts and mounts."""

import os
import signal

import pytest

from kit import BUILD, eventually, fork, run, sh

LIB = os.path.join(BUILD, "tests", "lib", "lib")


def stats(obj):
    lines = obj.ctl("stats").splitlines()
    return {key: float(value) if "." in value else int(value) for key, value in (line.split(": ") for line in lines)}


def some(obj, *names):
    found = stats(obj)
    return [found[name] for name in names]


def test_a_shell_s_work_is_counted(area):
    q = area.make("a.queue")
    sh("for i in 1 2 3; do echo $i > a.queue; done; read x < a.queue; read x < a.queue", cwd=area.dir)
    assert some(q, "puts", "gets", "high_water", "waits") == [3, 2, 3, 0]
    assert set(stats(q)) == {"puts", "gets", "high_water", "waits", "wakeups", "timeouts", "cancels", "oldest", "longest_wait"}


def test_those_who_wait(area):
    q = area.make("a.queue")
    reader = fork(lambda: q.get())
    q.await_waiters(1)
    eventually(lambda: stats(q)["longest_wait"] > 0.01)
    q.put(b"x\n")
    assert reader.result() == b"x\n"
    sh("read x < a.queue@0.05", cwd=area.dir, code=1)
    waiting = fork(lambda: run(["cat", q.path]))
    q.await_waiters(1)
    q.set("cancel", "all")
    waiting.wait()
    assert some(q, "waits", "wakeups", "timeouts", "cancels") == [3, 1, 1, 1]
    assert stats(q)["longest_wait"] == 0


def test_they_survive_all_but_the_object(mount):
    q, s = mount.make("a.queue"), mount.make("s.sem")
    held = mount.make("h.queue")
    held.put(b"stays\n")
    sh("echo 1 > a.queue; read x < a.queue; echo 5 > s.sem; read x < s.sem", cwd=mount.dir)

    def as_before():
        assert some(q, "puts", "gets") == [1, 1]
        assert some(s, "puts", "gets") == [5, 1]
        assert some(held, "puts", "gets") == [1, 0]

    as_before()
    worker = mount.worker()
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: mount.worker() != worker)
    as_before()
    mount.remount()
    as_before()
    q.put(b"2\n")
    mount.remount()
    assert some(q, "puts", "gets") == [2, 1]
    os.unlink(q.path)
    q = mount.make("a.queue")
    assert some(q, "puts", "gets") == [0, 0]


@pytest.mark.skipif(not os.access(LIB, os.X_OK), reason="no libipcfs in this build")
def test_direct_clients_are_counted_too(area):
    q, lock, sem, event = (area.make("d." + kind) for kind in ("queue", "lock", "sem", "event"))
    for args in (("-count", q.path, "100"), ("-get", q.path, "40"), ("-release", sem.path, "5"), ("-set", event.path),
                 ("-put", q.path, "once more")):
        assert run([LIB, *args]).code == 0
    assert some(q, "puts", "gets", "high_water") == [101, 40, 100]
    assert some(sem, "puts", "gets") == [5, 0]
    assert some(event, "puts") == [1]
    assert run([LIB, "-bench", lock.path, "lock"], timeout=60).code == 0
    assert some(lock, "gets") == [1000000]  # by one instruction each, but the first
    drained = area.make("e.queue")
    assert run([LIB, "-bench", drained.path, ""], timeout=60).code == 0
    assert some(drained, "puts", "gets", "high_water") == [1000000, 1000000, 1]
