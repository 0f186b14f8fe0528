"""Mount option deadlock=error: who would wait for a lock for ever gets EDEADLK."""

import errno
import fcntl
import os
import signal
import subprocess
import threading
import time

import pytest

from kit import BUILD, IPCCTL, IPCFS, T, eventually, fork, read_all, run, sh, spawn

LIB = os.path.join(BUILD, "tests", "lib", "lib")
REFUSED = "Resource deadlock avoided"


@pytest.fixture
def strict(mount_with):
    return mount_with(deadlock="error")


def lock(obj):
    fd = obj.open()
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def refused(obj):
    """Takes it, or says that it may not."""
    try:
        lock(obj)
        return "taken"
    except OSError as error:
        return "EDEADLK" if error.errno == errno.EDEADLK else errno.errorcode[error.errno]


def test_what_it_may_say(tmp_path):
    done = run([IPCFS, "-o", "deadlock=perhaps", str(tmp_path)])
    assert done.code == 1 and "deadlock" in done.err
    assert "deadlock=" in run([IPCFS, "--help"]).out


@pytest.mark.parametrize("name", ["a.lock", "a.rlock", "a.value"])
def test_its_own_lock(strict, name):
    obj = strict.make(name)

    def twice():
        lock(obj)
        return refused(obj)

    assert fork(twice).result() == "EDEADLK"
    assert not obj.waiters() and not obj.holders()


def test_by_reading(strict):
    obj = strict.make("a.lock")

    def twice():
        one, other = obj.open(), obj.open()
        os.read(one, 2)
        try:
            return os.read(other, 2)
        except OSError as error:
            return error.errno

    assert fork(twice).result() == errno.EDEADLK


def test_flock_flock(strict):
    strict.make("a.lock")
    done = run(["flock", "a.lock", "flock", "a.lock", "true"], cwd=strict.dir)
    assert done.code and REFUSED in done.err


IDIOMS = {
    "flock sh -c": "flock {A} sh -c 'echo ready; read x; flock {B} true; echo $?'; :",
    "exec": "exec 8<{A} 9<{B}; flock 8; echo ready; read x; flock 9; echo $?",
    "ipcctl run": "{ipcctl} run {A} -- sh -c 'echo ready; read x; {ipcctl} run {B} true; echo $?'; :",
}


@pytest.mark.parametrize("idiom", IDIOMS)
def test_two_shells_crosswise(strict, idiom):
    """The second one is refused; the first one has both locks when that has ended."""
    strict.make("a.lock"), strict.make("b.lock")
    shells = [spawn(["bash", "-c", IDIOMS[idiom].format(A=a, B=b, ipcctl=IPCCTL)], cwd=strict.dir,
                    stdin=subprocess.PIPE) for a, b in (("a.lock", "b.lock"), ("b.lock", "a.lock"))]
    for shell in shells:
        assert shell.hear() == "ready"
    shells[0].say()
    strict.obj("b.lock").await_waiters(1)
    shells[1].say()
    one, two = (shell.finish() for shell in shells)
    assert one.out == "0\n" and not one.err
    assert two.out.strip() != "0" and REFUSED in two.err, two


def test_three_in_a_ring(strict):
    locks = [strict.make(f"{name}.lock") for name in "abc"]

    def hold_and_want(mine, wanted, gate):
        lock(mine)
        os.read(gate, 1)
        return refused(wanted)

    gates = [os.pipe() for _ in locks]
    clients = [fork(hold_and_want, locks[i], locks[(i + 1) % 3], gates[i][0], keep=[gates[i][0]])
               for i in range(3)]
    for obj in locks:
        eventually(lambda: obj.size == 0)
    for i in range(3):
        os.write(gates[i][1], b"x")
        if i < 2:
            locks[i + 1].await_waiters(1)
    assert [client.result() for client in clients] == ["taken", "taken", "EDEADLK"]
    for gate in gates:
        os.close(gate[0]), os.close(gate[1])


def held_and_wanted_by_a_thread(obj):
    """The process itself goes on, and gives the lock back."""
    fd = lock(obj)
    found = []
    thread = threading.Thread(target=lambda: found.append(refused(obj)))
    thread.start()
    obj.await_waiters(1)
    time.sleep(T(0.2))      # looks that could have found it
    os.close(fd)
    thread.join()
    return found


def test_a_thread_that_can_give_it_back(strict):
    assert fork(held_and_wanted_by_a_thread, strict.make("a.lock")).result() == ["taken"]


def test_a_time_limit_is_no_deadlock(strict):
    obj = strict.make("a.lock")

    def twice():
        lock(obj)
        try:
            fcntl.flock(obj.open(limit=0.3), fcntl.LOCK_EX)
        except OSError as error:
            return error.errno

    assert fork(twice).result() == errno.ETIMEDOUT


def test_a_job_in_the_background_is_no_deadlock(strict):
    obj = strict.make("a.lock")
    script = "exec 7<&0 8<a.lock; flock 8; (read x <&7; flock -u 8) & flock a.lock echo taken"
    shell = spawn(["bash", "-c", script + "; :"], cwd=strict.dir, stdin=subprocess.PIPE)
    obj.await_waiters(1)
    shell.say()
    assert shell.finish().out == "taken\n"


def test_a_parent_that_begins_to_wait_later(strict):
    """No request closes the cycle: the shell waits for a child that waits for it."""
    obj = strict.make("a.lock")
    script = "exec 8<a.lock; flock 8; flock a.lock true & echo ready; read x; wait $!; echo $?"
    shell = spawn(["bash", "-c", script], cwd=strict.dir, stdin=subprocess.PIPE)
    assert shell.hear() == "ready"
    obj.await_waiters(1)
    shell.say()
    done = shell.finish()
    assert REFUSED in done.err and done.out.strip() != "0"


def test_permits(strict):
    """Somebody may put one, unless all that there can be are held."""
    sem = strict.make("a.sem")
    sem.put(b"1\n")

    def twice():
        lock(sem)
        return refused(sem)

    unbounded = fork(twice)
    sem.await_waiters(1)
    sem.put(b"1\n")
    assert unbounded.result() == "taken"
    eventually(lambda: sem.size == 2)
    sem.set("bound", 2)

    def thrice():
        lock(sem), lock(sem)
        return refused(sem)

    assert fork(thrice).result() == "EDEADLK"


def test_direct_clients(strict):
    """Their waits are not requests; they are found all the same."""
    if not os.path.exists(LIB):
        pytest.skip("no client of libipcfs here")
    obj = strict.make("a.lock")
    done = run([LIB, "-twice", obj.path])
    assert done.code == 1 and REFUSED in done.err, done
    assert not obj.waiters()


def test_after_a_restart(strict):
    """The cycle is closed, without a request, while no worker runs."""
    obj = strict.make("a.lock")
    script = "exec 8<a.lock; flock 8; flock a.lock true & echo ready; read x; wait $!; echo $?"
    shell = spawn(["bash", "-c", script], cwd=strict.dir, stdin=subprocess.PIPE)
    assert shell.hear() == "ready"
    obj.await_waiters(1)
    os.kill(strict.worker(), signal.SIGKILL)
    shell.say()
    assert REFUSED in shell.finish().err


def test_many_who_wait_are_no_deadlock(strict):
    obj = strict.make("a.lock")

    def often():
        for _ in range(100):
            fd = lock(obj)
            os.close(fd)
        return True

    clients = [fork(often) for _ in range(8)]
    assert all(client.result(60) for client in clients)


def test_without_it_they_wait(mount_with):
    mount = mount_with(deadlock="wait")
    obj = mount.make("a.lock")
    outer = spawn(["flock", "a.lock", "flock", "a.lock", "true"], cwd=mount.dir)
    obj.await_waiters(1)
    assert read_all(mount.path(".ctl/deadlocks"))
    obj.set("cancel", "all")
    outer.finish()
    assert sh("echo 1").code == 0
