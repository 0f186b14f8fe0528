"""No command of ipcctl hangs: with a daemon that is stopped or gone, or an object that is stuck."""

import os
import signal
import time

import pytest

from kit import IPCCTL, T, run, spawn
from kit.proc import state_of
from kit.stopped import HOSTILE, Holder
from kit.timing import eventually

pytestmark = pytest.mark.skipif(not os.access(IPCCTL, os.X_OK), reason=f"no {IPCCTL}: build first")

NO_ANSWER = 7


def every_command(mount):
    """All that work on a mount, as they must end soon."""
    q, lock, event, cond = (mount.path(n) for n in ("q.queue", "l.lock", "e.event", "c.cond"))
    return [["ls", mount.dir], ["ls", "--tree", mount.dir], ["show", q], ["show", "--json", mount.dir],
            ["holders", q], ["waiters", mount.dir], ["peek", q], ["stats", q], ["limits", q],
            ["limits", q, "maxsize=3"], ["limits", mount.dir], ["put", "-n", q, "x"],
            ["put", "-t", "1", q, "x"], ["get", "-n", q], ["get", "-t", "1", q], ["drain", q],
            ["run", "-n", lock, "--", "true"], ["run", "-w", "1", lock, "--", "true"],
            ["acquire", "-n", lock], ["acquire", "-t", "1", lock], ["wait", "-n", event],
            ["wait", "-t", "1", "--any", q, event], ["wait", "-t", "1", "--join", q], ["set", event],
            ["clear", event], ["notify", cond], ["cancel", q, "all"], ["close", q],
            ["create", mount.path("new.queue")], ["mv", q, mount.path("r.queue")], ["rm", lock],
            ["bench", mount.dir], ["check", mount.dir], ["save", mount.dir, f"{mount.base}/copy"],
            ["load", f"{mount.base}/none", mount.dir],
            ["why", q], ["deadlocks", mount.dir], ["graph", mount.dir], ["metrics", mount.dir],
            ["top", "-b", "-n", "1", mount.dir]]


def make(mount):
    for name in ("q.queue", "l.lock", "e.event", "c.cond"):
        mount.make(name)


def outcomes(commands):
    """All at once, for each may take its seconds."""
    begin = time.monotonic()
    running = [(args, spawn([IPCCTL, *args])) for args in commands]
    done = [(args, program.finish(60)) for args, program in running]
    assert time.monotonic() - begin < T(60)
    return done


def stop(pid):
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: state_of(pid) == "T")


def test_a_stopped_daemon(mount):
    make(mount)
    pid = mount.worker()
    stop(pid)
    try:
        done = outcomes(every_command(mount))
    finally:
        os.kill(pid, signal.SIGCONT)
    for args, one in done:
        assert one.code == NO_ANSWER, (args, one)
        assert "answer" in one.err, (args, one)
    eventually(lambda: mount.obj("q.queue").status()["handles"] == "0")


def test_a_daemon_that_stops_while_it_has_the_request(mount):
    """Not even SIGKILL ends the process that waits then: whoever reads its output sees an end."""
    q = mount.make("q.queue")
    programs = [spawn([IPCCTL, "get", "-t", "1", q.path]), spawn([IPCCTL, "get", "-t", "1", q.path])]
    q.await_waiters(2)
    pid = mount.worker()
    stop(pid)
    try:
        done = [program.finish() for program in programs]
    finally:
        os.kill(pid, signal.SIGCONT)
    assert [one.code for one in done] == [NO_ANSWER] * 2
    q.await_waiters(0)
    q.put(b"x\n")
    assert q.take() == b"x\n"


def test_a_wait_without_a_limit_outlasts_a_stopped_daemon(mount):
    q = mount.make("q.queue")
    program = spawn([IPCCTL, "get", q.path])
    q.await_waiters(1)
    pid = mount.worker()
    stop(pid)
    assert run([IPCCTL, "ls", mount.dir]).code == NO_ANSWER    # takes longer than any patience
    assert program.running
    os.kill(pid, signal.SIGCONT)
    q.put(b"x\n")
    assert program.finish().out == "x\n"


def test_a_daemon_that_is_gone(mount):
    make(mount)
    mount.tainted = True
    supervisor, worker = mount.supervisor(), mount.worker()
    os.kill(supervisor, signal.SIGSTOP)     # it must not start another
    os.kill(worker, signal.SIGKILL)
    os.kill(supervisor, signal.SIGKILL)
    eventually(lambda: not mount.pids())
    for args, one in outcomes(every_command(mount)):
        assert one.code in (1, 125), (args, one)
        assert "ipcctl: " in one.err, (args, one)


@pytest.mark.skipif(not os.access(HOSTILE, os.X_OK), reason="no libipcfs in this build")
def test_a_stuck_object(mount):
    make(mount)
    holders = [Holder(mount.obj(name)) for name in ("q.queue", "l.lock")]
    looks = ("ls", "show", "holders", "waiters", "peek", "check", "create")
    stuck = ("put", "get", "drain", "run", "acquire", "limits", "close")
    for args, one in outcomes([args for args in every_command(mount) if args[0] not in ("mv", "rm", "bench", "load")]):
        if args[0] in looks or args[-1] == mount.dir or args[0] == "limits" and len(args) == 2:
            assert one.code == 0, (args, one)
        elif args[0] in stuck:
            assert one.code and one.err.startswith("ipcctl: "), (args, one)
    assert "stalled" in run([IPCCTL, "ls", mount.dir]).out
    for holder in holders:
        holder.kill()
