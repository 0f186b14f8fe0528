"""`holders` names who keeps what is held, also when the process that took it has ended."""

import fcntl
import json
import os
import subprocess

import pytest

from kit import IPCCTL, IPCFS, children, eventually, fork, run, spawn
from kit.objects import parse_rows, read_all


@pytest.fixture
def bash(area):
    """A script in the folder, up to where it says "ready"; `read` makes it wait there."""
    begun = []

    def begin(script):
        process = spawn(["bash", "-c", script], cwd=area.dir, stdin=subprocess.PIPE)
        begun.append(process)
        assert process.hear() == "ready"
        return process

    yield begin
    for process in begun:
        process.kill()


def pids(obj):
    return [row.pid for row in obj.holders()]


@pytest.mark.parametrize("name", ["a.lock", "a.rlock", "a.sem", "a.value", "a.cond", "a.array"])
def test_the_shell_is_named_and_not_flock(area, bash, name):
    obj = area.make(name)
    if name == "a.sem":
        obj.put(b"1\n")
    shell = bash(f"exec 8<{name}; flock 8; echo ready; read x")
    row, = obj.holders()
    assert row.pid == shell.pid and row.operation == "flock"
    command, remark = row.command.split("\t")
    assert "bash -c exec" in command
    assert remark.startswith("taken by ") and remark.endswith(", which has ended")
    taker = int(remark.split()[2].rstrip(","))
    assert not os.path.exists(f"/proc/{taker}")
    here = os.path.relpath(area.dir, area.mount.dir)
    root = read_all(area.mount.path(".ctl/holders")).decode()
    assert [line.split("\t")[:2] for line in root.splitlines()] == [[f"{here}/{name}", str(shell.pid)]]


def test_a_lease_whose_line_head_has_read(area, bash):
    queue = area.make("q.queue")
    queue.put(b"one\n")
    shell = bash("exec 3<q.queue.ctl/lease; head -n1 <&3 >/dev/null; echo ready; read x")
    row, = queue.holders()
    assert (row.pid, row.operation) == (shell.pid, "lease") and "which has ended" in row.command


def test_everybody_who_has_it_is_named(area, bash):
    lock = area.make("a.lock")
    shell = bash("exec 8<a.lock; flock 8; sleep 1000 & sleep 1001 8<&- & echo ready; read x")

    def sleeper(seconds):
        return [pid for pid in children(shell.pid)
                if read_all(f"/proc/{pid}/cmdline") == f"sleep\0{seconds}\0".encode()]

    heir, = eventually(lambda: sleeper(1000), 10)
    eventually(lambda: sleeper(1001), 10)
    assert pids(lock) == [shell.pid, heir], "the shell first"


def test_the_shell_that_opened_it_has_ended(area):
    lock = area.make("a.lock")
    shell = spawn(["bash", "-c", "exec 8<a.lock; flock 8; sleep 1000 >/dev/null 2>&1 & echo $!"], cwd=area.dir)
    sleeper = int(shell.hear())
    assert shell.finish().code == 0
    row, = lock.holders()
    assert row.pid == sleeper and "which has ended" in row.command
    os.kill(sleeper, 9)
    eventually(lambda: not lock.holders(), 10, "it is given back")


def test_others_who_have_the_same_file_open_are_not_named(area, bash):
    lock = area.make("a.lock")
    others = [bash("exec 8<a.lock; echo ready; read x") for _ in range(3)]
    shell = bash("exec 8<a.lock; flock 8; echo ready; read x")
    others += [bash("exec 8<a.lock; echo ready; read x") for _ in range(3)]
    assert pids(lock) == [shell.pid]
    os.kill(shell.pid, 9)
    eventually(lambda: not lock.holders(), 10)
    assert all(other.running for other in others)


def test_the_process_that_took_it_is_the_only_line(area):
    lock = area.make("a.lock")
    holder = spawn(["flock", "a.lock", "sh", "-c", "echo ready; exec sleep 1000"], cwd=area.dir)
    assert holder.hear() == "ready"
    row, = lock.holders()
    assert row.pid == holder.pid and row.command.startswith("flock a.lock sh")
    assert "\t" not in row.command
    holder.kill()
    row, = lock.holders()
    assert "taken by" in row.command, "its child keeps the lock"
    os.kill(row.pid, 9)
    eventually(lambda: not lock.holders(), 10)


def test_a_lock_of_another_object(area, bash):
    """It is held by a handle that no process has: the value's."""
    lock, value = area.make("a.lock"), area.make("v.value")
    value.set("lock", "a.lock")
    other = bash("exec 8<a.lock; echo ready; read x")
    shell = bash("exec 8<v.value; flock 8; echo ready; read x")
    assert pids(lock) == [shell.pid] and other.running


def test_the_taker_has_closed_it_but_lives(area):
    lock = area.make("a.lock")

    def take_and_pass_on():
        fd = lock.open()
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.set_inheritable(fd, True)
        heir = subprocess.Popen(["sleep", "1000"], close_fds=False, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(fd)
        found = parse_rows(lock.ctl("holders"))
        heir.kill()
        heir.wait()
        return os.getpid(), heir.pid, found

    me, heir, (row,) = fork(take_and_pass_on).result()
    assert row.pid == heir and f"taken by {me} (" in row.command and "has closed it" in row.command


def test_looking_waits_for_nobody_who_is_stopped(area, bash):
    lock = area.make("a.lock")
    shell = bash("exec 8<a.lock; flock 8; echo ready; read x")
    os.kill(shell.pid, 19)
    assert pids(lock) == [shell.pid]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_the_processes_of_other_users(mount_with):
    """A daemon of root's sees everybody; the owner is named, whoever asks."""
    mount = mount_with(public=True, allow_other=True)
    lock = mount.make("a.lock")
    os.chmod(lock.path, 0o666)

    def keep():
        fd = lock.open()
        taker = os.fork()
        if taker == 0:
            fcntl.flock(fd, fcntl.LOCK_EX)
            os._exit(0)
        os.waitpid(taker, 0)
        return [row.pid for row in lock.holders()], os.getpid(), taker

    found, me, _ = fork(keep, uid=1234, gid=1234).result()
    assert found == [me]


@pytest.mark.skipif(os.geteuid() != 0, reason="takes away a right of root's")
def test_what_the_daemon_may_not_see_it_says(mount_with, tmp_path):
    """It may not look into processes that have more rights than it has itself."""
    program = tmp_path / "ipcfs"
    program.write_text(f"""#!/bin/sh
        exec setpriv --bounding-set=-sys_ptrace --inh-caps=-sys_ptrace {IPCFS} "$@"\n""")
    program.chmod(0o755)
    mount = mount_with(program=str(program))
    lock = mount.make("a.lock")
    shell = spawn(["bash", "-c", "exec 8<a.lock; flock 8; echo ready; read x"], cwd=mount.dir,
                  stdin=subprocess.PIPE)
    assert shell.hear() == "ready"
    row, = lock.holders()
    assert row.pid == shell.pid and "what it has open cannot be seen" in row.command
    shell.kill()


def test_ipcctl_shows_the_remark(area, bash):
    lock = area.make("a.lock")
    shell = bash("exec 8<a.lock; flock 8; echo ready; read x")
    text = run([IPCCTL, "holders", lock.path]).out
    assert str(shell.pid) in text and "remark: taken by " in text
    row, = json.loads(run([IPCCTL, "holders", "-J", lock.path]).out)["holders"]
    assert row["pid"] == shell.pid and row["remark"].endswith("which has ended")
    assert "\t" not in row["command"]
    done = run([IPCCTL, "run", "-n", lock.path, "true"])
    assert done.code == 1 and f"pid {shell.pid} (bash" in done.err and "; taken by" in done.err
