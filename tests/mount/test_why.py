"""ipcctl why, deadlocks and graph."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import xml.etree.ElementTree

import pytest

from kit import IPCCTL, children, eventually, read_all, run, spawn
from kit.stopped import Holder


@pytest.fixture
def bash(area):
    """A script in a folder, up to where it says "ready"; `read` makes it wait for say()."""
    begun = []

    def begin(script, cwd=None):
        process = spawn(["bash", "-c", script], cwd=cwd or area.dir, stdin=subprocess.PIPE)
        begun.append(process)
        assert process.hear() == "ready"
        return process

    yield begin
    for process in begun:
        for pid in children(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        process.kill()


def ipcctl(*words):
    return run([IPCCTL, *map(str, words)])


def cross(area, bash):
    """Two shells that wait for each other."""
    area.make("a.lock"), area.make("b.lock")
    one = bash("exec 8<a.lock 9<b.lock; flock 8; echo ready; read x; flock 9; :")
    two = bash("exec 8<a.lock 9<b.lock; flock 9; echo ready; read x; flock 8; :")
    one.say(), two.say()
    for name in ("a.lock", "b.lock"):
        area.obj(name).await_waiters(1)
    eventually(lambda: all(len(children(shell.pid)) == 1 for shell in (one, two)), 10)
    eventually(lambda: read_all(area.mount.path(".ctl/deadlocks")), 10)
    return one, two


def tree(node):
    """All that `why --json` says, one after the other."""
    yield node
    for below in node.get("because", ()):
        yield from tree(below)


def test_the_chain_down_to_who_does_not_wait(area, bash):
    lock = area.make("a.lock")
    shell = bash("exec 8<a.lock; flock 8; echo ready; read x")
    waiter = spawn(["flock", lock.path, "true"])
    lock.await_waiters(1)
    for asked in (lock.path, waiter.pid):
        done = ipcctl("why", asked)
        assert done.code == 0, done
        assert f"{lock.path} is held (flock) by {shell.pid} (bash -c " in done.out
        assert "; taken by " in done.out and "which has ended" in done.out
        assert f"{shell.pid} (bash -c exec 8<a.lock; flock 8; echo ready; read x) waits for what is " \
            "written to its pipe\n" in done.out
        assert re.search(f"^ *{os.getpid()} \\(.*\\) (runs|sleeps, but)", done.out, re.M), done.out
        assert f"{waiter.pid} (flock {lock.path} true) waits for {lock.path} (flock), for " in done.out
    shell.kill()
    waiter.finish()


def test_a_holder_that_waits_for_its_children(area, bash):
    """Down to a grandchild, which has nothing to do with any object."""
    area.make("a.lock")
    holder = spawn(["flock", "-o", "a.lock", "sh", "-c", "sleep 1000; :"], cwd=area.dir)
    waiter = spawn(["flock", "a.lock", "true"], cwd=area.dir)
    area.obj("a.lock").await_waiters(1)
    shell, = eventually(lambda: children(holder.pid), 10)
    sleeper, = eventually(lambda: children(shell), 10)
    done = eventually(lambda: (lambda d: d if f"{sleeper} (sleep 1000) sleeps" in d.out else None)(
        ipcctl("why", waiter.pid)), 10)
    assert done.code == 0
    assert f"{holder.pid} (flock -o a.lock sh -c sleep 1000; :) waits for its child\n" in done.out
    for pid in (holder.pid, shell, sleeper):
        os.kill(pid, 9)
    waiter.finish()


def test_a_deadlock(area, bash):
    one, two = cross(area, bash)
    for asked in (area.path("a.lock"), area.path("b.lock"), one.pid, *children(two.pid)):
        done = ipcctl("why", asked)
        assert done.code == 8 and "see above; this is a deadlock" in done.out, done
        assert str(one.pid) in done.out and str(two.pid) in done.out
    found = json.loads(ipcctl("why", "-J", area.path("a.lock")).out)
    assert found["deadlock"] is True and found["nobody"] is False
    nodes = list(tree(found))[1:]
    assert {node.get("pid") for node in nodes} >= {one.pid, two.pid}
    assert [n["object"] for n in nodes if n["kind"] == "held"] == [area.path("a.lock"), area.path("b.lock")]


def test_deadlocks(area, bash):
    assert ipcctl("deadlocks", area.mount.dir) == (0, "", "")
    one, two = cross(area, bash)
    done = ipcctl("deadlocks", area.mount.dir)
    assert done.code == 8 and not done.err
    line, = done.out.splitlines()
    assert all(f"{shell.pid} (bash -c " in line for shell in (one, two))
    assert f"waits for {area.path('a.lock')} held by {one.pid}" in line
    found = json.loads(ipcctl("deadlocks", "--json", area.mount.dir).out)
    cycle, = found["deadlocks"]
    assert [step["held_by"] for step in cycle] == [step["pid"] for step in cycle[1:] + cycle[:1]]
    assert sorted(step["object"] or "" for step in cycle) == ["", "", area.path("a.lock"), area.path("b.lock")]


def test_who_waits_for_nobody(area):
    barrier = area.make("a.barrier")
    barrier.put(b"2\n")
    waiter = spawn(["cat", barrier.path])
    barrier.await_waiters(1)
    done = ipcctl("deadlocks", area.mount.dir)
    assert done.code == 9 and f"{waiter.pid} (cat {barrier.path}) waits for nobody: {barrier.path}" in done.out
    done = ipcctl("why", waiter.pid)
    assert done.code == 9 and "this is for nobody: " in done.out
    one, = json.loads(ipcctl("deadlocks", "-J", area.mount.dir).out)["nobody"]
    assert one["pid"] == waiter.pid and one["reason"].startswith("cannot fill (1 of 2 have come)")
    waiter.kill()


@pytest.mark.parametrize("name, op", [("a.queue", "until somebody puts a message"),
                                      ("a.event", "until it is set"), ("a.pipe", "until somebody writes"),
                                      ("a.sem", "until somebody gives it")])
def test_what_may_end_it(area, name, op):
    obj = area.make(name)
    waiter = spawn(["cat", obj.path])
    obj.await_waiters(1)
    done = ipcctl("why", obj.path)
    assert done.code == 0 and op in done.out
    waiter.kill()


def test_nothing_hangs(area):
    lock = area.make("a.lock")
    done = ipcctl("why", lock.path)
    assert done.code == 0 and "nobody holds it, and nobody waits for it" in done.out
    done = ipcctl("why", os.getpid())
    assert done.code == 0 and str(os.getpid()) in done.out


def test_mistakes(area, tmp_path):
    assert ipcctl("why").code == 2
    assert ipcctl("why", "a", "b").code == 2
    assert ipcctl("why", area.path("none.lock")).code == 1
    assert ipcctl("why", 2 ** 22 + 1).code == 1
    assert ipcctl("why", tmp_path).code == 1
    assert ipcctl("deadlocks", tmp_path).code == 1
    assert ipcctl("graph", tmp_path).code == 1
    assert ipcctl("graph", "--png").code == 2


def test_across_two_mounts(mount_with, bash):
    """Neither daemon knows of the cycle."""
    left, right = mount_with(), mount_with()
    left.make("a.lock"), right.make("b.lock")
    script = "exec 8<{}; flock 8; echo ready; read x; exec 9<{}; flock 9; :"
    one = bash(script.format(left.path("a.lock"), right.path("b.lock")))
    two = bash(script.format(right.path("b.lock"), left.path("a.lock")))
    one.say(), two.say()
    for obj in (left.obj("a.lock"), right.obj("b.lock")):
        obj.await_waiters(1)
    for mount in (left, right):
        assert ipcctl("deadlocks", mount.dir).code == 0
    done = eventually(lambda: (lambda d: d if d.code == 8 else None)(
        ipcctl("deadlocks", left.dir, right.dir)), 10)
    assert left.path("a.lock") in done.out and right.path("b.lock") in done.out
    assert ipcctl("why", one.pid).code == 8
    assert ipcctl("why", left.path("a.lock")).code == 8


def test_nobody_waits_for_a_stopped_daemon(mount_with, mount):
    lock = mount.make("a.lock")
    stopped = mount_with()
    stopped.make("b.lock")
    worker = stopped.worker()
    os.kill(worker, signal.SIGSTOP)
    try:
        assert ipcctl("why", stopped.path("b.lock")).code == 7
        for command in ("deadlocks", "graph"):
            done = ipcctl(command, stopped.dir)
            assert done.code == 7 and "does not answer" in done.err, done
        done = ipcctl("why", lock.path)
        assert done.code == 0 and "nobody holds it" in done.out, "the other one is left out"
    finally:
        os.kill(worker, signal.SIGCONT)


def test_graph_in_dot(area, bash):
    one, two = cross(area, bash)
    done = ipcctl("graph", area.mount.dir)
    assert done.code == 0 and done.out.startswith("digraph ") and done.out.endswith("}\n")
    assert f'p{one.pid} [shape=box, label="{one.pid}\\nbash -c ' in done.out
    child, = children(one.pid)
    red = [line for line in done.out.splitlines() if "color=red" in line]
    assert any(f"p{one.pid} -> p{child} [style=dashed" in line for line in red)
    assert sum('label="flock ' in line for line in red) == 6, "2 waits, 2 holds, each by a shell and its child"


@pytest.mark.skipif(not shutil.which("dot"), reason="no dot(1)")
def test_graph_in_svg(area, bash):
    one, _ = cross(area, bash)
    odd = area.make('say "a\\b"\n\t<&>.lock')
    waiter = spawn(["bash", "-c", 'exec 8<"$1"; flock 8; flock "$1" true; :', "x", odd.path])
    odd.await_waiters(1)
    done = ipcctl("graph", "--svg", area.mount.dir)
    assert done.code == 0, done
    root = xml.etree.ElementTree.fromstring(done.out)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert str(one.pid) in texts and any('say "a\\b"\\x0a\\x09<&>.lock' in text for text in texts), texts
    assert ipcctl("why", odd.path).code == 8
    for pid in children(waiter.pid):
        os.kill(pid, 9)
    waiter.finish()


def test_graph_without_dot(area, tmp_path):
    done = run(["env", f"PATH={tmp_path}", IPCCTL, "graph", "--svg", area.mount.dir])
    assert done.code == 1 and "graphviz" in done.err and not done.out


def test_names_that_break_lines(area):
    odd = area.make("a\nb\tc\\d.lock")
    waiter = spawn(["bash", "-c", 'exec 8<"$1"; flock 8; flock "$1" true; :', "x", odd.path])
    odd.await_waiters(1)
    text = read_all(area.mount.path(".ctl/graph")).decode()
    assert "/a\\012b\\011c\\134d.lock\t" in text
    kinds = {line.split("\t")[0] for line in text.splitlines()}
    assert kinds <= {"process", "object", "hold", "wait", "child", "stalled", "reads"}
    assert ipcctl("why", odd.path).code == 8
    for pid in children(waiter.pid):
        os.kill(pid, 9)
    waiter.finish()


def test_an_object_that_is_stalled(area):
    """Whoever keeps its lock is named, and nothing waits for it."""
    queue = area.make("q.queue")
    fd = queue.open()
    holder = Holder(queue)
    done = eventually(lambda: (lambda d: d if "is stalled" in d.out else None)(ipcctl("why", queue.path)), 10)
    assert done.code == 0 and str(holder.pid) in done.out and "is stopped" in done.out
    holder.go_on()
    os.close(fd)
