"""tests/watch: a test that hangs is named, seen where it is, and ended with all that it started."""

import os
import signal
import subprocess

import pytest

from kit import IPCFS, T
from kit.mount import WRAP, mounted_at
from kit.proc import children, state_of

WATCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "watch")


def watch(*words, script, **env):
    done = subprocess.run([WATCH, *words, "bash", "-c", script], capture_output=True, text=True,
                          timeout=T(60), check=False, env={**os.environ, **env})
    return done.returncode, done.stdout


@pytest.mark.parametrize("script, code", [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137)])
def test_it_gives_the_exit_code(script, code):
    assert watch("--each", "60", "--limit", "60", script=script) == (code, "")


def test_a_test_that_hangs(tmp_path):
    script = f"""
        echo good > $IPCFS_NOW; echo bad > $IPCFS_NOW
        sleep 1000 & echo $! > {tmp_path}/child
        (setsid sleep 1001 & echo $! > {tmp_path}/orphan)
        wait
    """
    code, out = watch("--each", "1", script=script, IPCFS_SLOW="1")
    assert code == 124
    assert "a test is not done after 1 s: bad" in out
    for name in ("child", "orphan"):
        pid = (tmp_path / name).read_text().strip()
        assert f"pid {pid} " in out and "nanosleep" in out, out
        assert state_of(int(pid)) is None, "and it is gone"


def test_the_time_begins_anew_with_each_test():
    script = "for i in 1 2 3; do echo $i > $IPCFS_NOW; sleep 2; done"
    assert watch("--each", "5", script=script, IPCFS_SLOW="1")[0] == 0
    assert watch("--limit", "1", script=script, IPCFS_SLOW="1")[0] == 124


def test_what_is_stopped_from_outside_leaves_nothing(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = subprocess.Popen([WATCH, "bash", "-c", f"sleep 1000 & echo $! > {pipe}; wait"])
    child = int(pipe.read_text())
    process.send_signal(signal.SIGTERM)
    assert process.wait(T(20)) == 128 + signal.SIGTERM
    assert state_of(child) is None


def test_a_mount_is_aborted(tmp_path):
    """So that nobody in the kernel is left who waits for a daemon that does not answer."""
    daemon = " ".join(WRAP + [IPCFS])
    script = f"""
        echo $TMPDIR $IPCFS_TEST_SHM > {tmp_path}/folders
        mkdir $TMPDIR/mnt $TMPDIR/state
        chmod 700 $TMPDIR/state
        {daemon} -o state=$TMPDIR/state $TMPDIR/mnt || exit
        sed -nE 's/^(supervisor|worker): //p' $TMPDIR/mnt/.ctl/status > {tmp_path}/pids
        kill -STOP $(cat {tmp_path}/pids)
        echo ls > $IPCFS_NOW
        ls $TMPDIR/mnt
    """
    code, out = watch("--each", "3", script=script)
    assert code == 124 and "fuse" in out, out
    for pid in (tmp_path / "pids").read_text().split():
        assert state_of(int(pid)) is None
    for folder in (tmp_path / "folders").read_text().split():
        assert mounted_at(f"{folder}/mnt") is None
        assert not os.path.exists(folder)


def test_two_have_a_turn_at_a_time(tmp_path):
    """The third begins when one of them ends; a watch in a watch has the outer one's turn."""
    turns, started = tmp_path / "turns", tmp_path / "started"
    turns.mkdir()
    os.mkfifo(started)
    script = f"{WATCH} true; exec 3<> {started}; echo $$ >&3; exec sleep 1000"
    with open(started, "r+b", buffering=0) as seen:
        watches = [subprocess.Popen([WATCH, "bash", "-c", script],
                                    env={**os.environ, "IPCFS_TURNS": str(turns)}) for _ in range(3)]
        first = [int(seen.readline()) for _ in range(2)]
        waits = [w for w in watches if not children(w.pid)]
        assert len(waits) == 1, "one waits"
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        third = int(seen.readline())
        os.kill(third, signal.SIGKILL)
    assert [w.wait(T(20)) for w in watches] == [137] * 3
