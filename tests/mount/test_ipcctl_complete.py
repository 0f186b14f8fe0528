"""Completion of ipcctl in bash, zsh and fish: what a user's Tab key gives."""

import os
import pty
import select
import shlex
import shutil
import signal
import time

import pytest

from kit import IPCCTL, T, run, spawn
from kit.proc import state_of
from kit.timing import eventually

pytestmark = pytest.mark.skipif(not os.access(IPCCTL, os.X_OK), reason=f"no {IPCCTL}: build first")

COMPLETIONS = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", "tools", "completions"))


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason=f"no {program}")


@pytest.fixture
def folder(area):
    os.mkdir(area.path("d"))
    os.mkdir(area.path("a folder"))
    for name in ("jobs.queue", "d/x.lock", "it's.sem"):
        area.make(name)
    return area


def words(folder, *typed):
    done = run([IPCCTL, "--complete", *typed], cwd=folder.dir)
    assert done.code == 0 and not done.err, done
    return [line.split("\t")[0] for line in done.out.splitlines()]


def test_what_ipcctl_offers(folder):
    assert words(folder, "sho") == ["show"]
    assert words(folder, "ls", "--typ") == ["--type="]
    assert words(folder, "ls", "--type=qu") == ["--type=queue"]
    assert words(folder, "ls", "-t", "lock,q") == ["lock,queue"]
    assert words(folder, "ls", "--sort=-mem") == ["--sort=-memory"]
    assert words(folder, "get", "--framing", "n") == ["null", "netstring"]
    assert words(folder, "show", "j") == ["jobs.queue"]
    assert words(folder, "show", "d/") == ["d/x.lock"]
    assert set(words(folder, "show", "")) >= {"a folder/", "d/", "it's.sem", "jobs.queue", folder.mount.dir + "/"}
    assert words(folder, "limits", "jobs.queue", "max") == ["maxsize=", "maxbytes=", "max_attempts="]
    assert "ack=" not in words(folder, "limits", "jobs.queue", "")
    assert words(folder, "limits", folder.mount.dir, "m") == ["memory=", "message="]
    assert words(folder, "run", "d/x.lock", "") == words(folder, "run", "d/x.lock", "--", "") == [":command"]
    assert words(folder, "run", "d/x.lock", "--", "ls", "") == [":file"]
    assert words(folder, "help", "drai") == ["drain"]
    assert words(folder, "nonsense", "") == []


def test_control_files(folder):
    assert words(folder, "show", "jobs.queue") == ["jobs.queue"]
    assert words(folder, "show", "jobs.queue.c") == ["jobs.queue.ctl/"]
    assert "jobs.queue.ctl/maxsize" in words(folder, "peek", "jobs.queue.ctl/max")
    assert words(folder, "show", "jobs.qeueu.c") == []


def test_who_waits_can_be_cancelled(folder):
    q = folder.obj("jobs.queue")
    program = spawn([IPCCTL, "get", q.path])
    q.await_waiters(1)
    assert words(folder, "cancel", "jobs.queue", "") == [str(q.waiters()[0].pid), "all"]
    program.kill()


def test_a_stopped_daemon_holds_up_nobody(mount):
    mount.make("jobs.queue")
    pid = mount.worker()
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: state_of(pid) == "T")
    try:
        begin = time.monotonic()
        done = run([IPCCTL, "--complete", "show", mount.dir + "/"])
        assert time.monotonic() - begin < T(4)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert done.out == "" and done.code


# --- by the Tab key --------------------------------------------------------------------------------

# In the terminal, ipcctl shows its arguments, one a line.
SHOWS = """#!/bin/sh
[ "$1" = --complete ] && exec "$IPCCTL" "$@"
printf '[%s]\\n' "$@"
"""

STARTS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source {}/ipcctl.bash; bind 'set bell-style none'"),
    "zsh": (["zsh", "-f", "-i"], "unsetopt beep; fpath=({} $fpath); autoload -U compinit; compinit -u -D"),
    "fish": (["fish", "--no-config", "-i"], "source {}/ipcctl.fish"),
}

# What is typed, and the arguments of the line that Tab makes of it.
TYPED = [("sho", ["show"]), ("show j", ["show", "jobs.queue"]), ("show d/", ["show", "d/x.lock"]),
         ("show a", ["show", "a folder/"]), ("show it", ["show", "it's.sem"]),
         ("ls --type=qu", ["ls", "--type=queue"]), ("ls -t lock,qu", ["ls", "-t", "lock,queue"]),
         ("limits jobs.queue maxs", ["limits", "jobs.queue", "maxsize="]),
         ("limits jobs.queue maxsize=3 fram", ["limits", "jobs.queue", "maxsize=3", "framing="]),
         ("show jobs.queue.c", ["show", "jobs.queue.ctl/"]),
         ("run d/x.lock -- mkfif", ["run", "d/x.lock", "--", "mkfifo"])]


class Terminal:
    def __init__(self, shell, cwd, tmp_path):
        argv, start = STARTS[shell]
        stub = tmp_path / "bin" / "ipcctl"
        stub.parent.mkdir()
        stub.write_text(SHOWS)
        stub.chmod(0o755)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.environ.update({"PATH": f"{stub.parent}:{os.environ['PATH']}", "IPCCTL": IPCCTL, "TERM": "dumb",
                               "HOME": str(tmp_path), "LC_ALL": "C.UTF-8", "IPCFS_SLOW": ""})
            os.execvp(argv[0], argv)
        self.enter(start.format(shlex.quote(COMPLETIONS)))

    def enter(self, line):
        """Until the shell has run it. (The echo as it is typed has quotes inside.)"""
        os.write(self.fd, f"{line}\necho do''ne\n".encode())
        seen, end = b"", time.monotonic() + T(30)
        while b"done\r\n" not in seen:
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            assert ready, seen.decode()
            seen += os.read(self.fd, 65536)
        return seen.decode()

    def arguments(self, typed):
        lines = self.enter(f"ipcctl {typed}\t").splitlines()
        return [line[1:-1] for line in lines if line.startswith("[") and line.endswith("]")]

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.mark.parametrize("shell", [pytest.param(name, marks=needs(name)) for name in STARTS])
def test_tab(folder, tmp_path, shell):
    terminal = Terminal(shell, folder.dir, tmp_path)
    try:
        for typed, become in TYPED:
            assert terminal.arguments(typed) == become, typed
    finally:
        terminal.close()
