"""ipcctl work: a command for each message, and nothing lost whoever dies."""

import os
import pty
import re
import signal
import stat

import pytest

from kit import IPCCTL, eventually, run, sh, spawn
from kit.proc import children, state_of

pytestmark = pytest.mark.skipif(not os.access(IPCCTL, os.X_OK), reason=f"no {IPCCTL}: build first")


@pytest.fixture
def q(area):
    return area.make("jobs.queue")


def work(q, *args, code=0, **options):
    done = run([IPCCTL, "work", q.path, *map(str, args)], timeout=40, **options)
    assert code is None or done.code == code, done
    return done


def start(q, *args, **options):
    return spawn([IPCCTL, "work", q.path, *map(str, args)], **options)


def close(q):
    q.set("closed", 1)


def leased(q):
    return [line.split("\t") for line in q.ctl("leased").splitlines()]


def nothing_left(q):
    assert (q.size, q.number("unfinished"), q.ctl("leased"), q.ctl("dead")) == (0, 0, "", "")


# --- the command -----------------------------------------------------------------------------------

def test_each_message_once_until_closed(q):
    names = [f"job {i}" for i in range(200)]
    q.put("".join(f"{name}\n" for name in names).encode())
    close(q)
    done = work(q, "-j", 4, "--until-closed", "--", "echo", "did {}, {}")
    assert sorted(done.out.splitlines()) == sorted(f"did {n}, {n}" for n in names)
    nothing_left(q)


def test_without_a_place_the_message_is_the_last_argument(q):
    q.put(b"-n $HOME *\n")
    assert work(q, "--until-empty", "printf", "<%s>").out == "<-n $HOME *>"
    nothing_left(q)


def test_message_on_stdin(q):
    q.put(b"two\n\n")
    assert work(q, "--until-empty", "--stdin", "--", "od", "-An", "-c").out.split() == \
        ["t", "w", "o", "\\n", "\\n"]
    q.set("framing", "record")
    q.put(b"a\0b\nc")
    assert work(q, "--until-empty", "--stdin", "--", "od", "-An", "-c").out.split() == \
        ["a", "\\0", "b", "\\n", "c"]
    nothing_left(q)


def test_a_long_message_by_stdin_and_by_argument(q):
    q.put(b"x" * 900_000 + b"\n")
    assert work(q, "--until-empty", "--stdin", "wc", "-c").out.strip() == "900001"
    q.set("max_attempts", 1)
    q.put(b"x" * 900_000 + b"\nshort\n")
    done = work(q, "--until-empty", "--", "echo", code=1)
    assert "Argument list too long" in done.err
    assert done.out == "short\n", "only that message cannot be an argument"
    assert len(q.ctl("dead")) > 900_000


def test_a_message_with_a_nul_byte_is_no_argument(q):
    q.set("framing", "record")
    q.set("max_attempts", 1)
    q.put(b"a\0b")
    assert "NUL" in work(q, "--until-empty", "echo", code=1).err
    assert q.ctl("dead")


def test_the_job_knows_queue_and_id(q):
    q.put(b"m\n")
    out = work(q, "--until-empty", "--", "sh", "-c", 'echo "$IPCFS_QUEUE $IPCFS_JOB $1"', "sh").out
    queue, ident, message = out.split()
    assert (queue, message) == (q.path, "m") and ident.isdigit()


def test_as_many_at_a_time_as_asked(q, area):
    """Each of three waits for the other two."""
    barrier = area.make("all.barrier")
    barrier.put(b"3\n")
    q.put(b"1\n2\n3\n")
    done = work(q, "-j", 3, "--until-empty", "--", "sh", "-c", f"cat {barrier.path}", "sh")
    assert sorted(done.out.split()) == ["0", "1", "2"]
    nothing_left(q)


def test_mistakes(q, area):
    assert "needs a command" in work(q, code=125).err
    assert "number of jobs" in work(q, "-j", "many", "true", code=125).err
    q.put(b"1\n")
    assert "no such command" in work(q, "no-such-command-at-all", code=127).err
    assert q.size == 1 and q.ctl("leased") == "", "no attempt was lost"
    lock = area.make("x.lock")
    assert "not a queue" in work(lock, "true", code=125).err
    assert run([IPCCTL, "work", area.path("missing.queue"), "true"]).code == 125
    assert run([IPCCTL, "work", "--help"]).code == 0


# --- failures --------------------------------------------------------------------------------------

def test_a_failed_job_comes_back_until_it_succeeds(q, tmp_path):
    q.put(b"m\n")
    close(q)
    script = f'echo >> {tmp_path}/tries; [ "$(wc -l < {tmp_path}/tries)" -ge 3 ]'
    work(q, "--until-closed", "--retry-delay", 0, "--", "sh", "-c", script)
    assert (tmp_path / "tries").read_text().count("\n") == 3
    nothing_left(q)


def test_dead_letters_after_max_attempts(q):
    q.set("max_attempts", 2)
    q.put(b"good\nbad\n")
    close(q)
    done = work(q, "--until-closed", "--retry-delay", 0, "--", "test", "{}", "=", "good", code=1)
    assert done.out == ""
    assert [line.split("\t")[1] for line in q.ctl("dead").splitlines()] == ["bad"]
    assert q.number("unfinished") == 0


def test_the_delay_grows(q):
    """Attempt 1 fails: back after 0.2 s; attempt 2: after 0.4 s."""
    q.put(b"m\n")
    q.set("max_attempts", 3)
    close(q)
    done = work(q, "--until-closed", "--retry-delay", 0.2, "--", "sh", "-c", "date +%s.%N; exit 1", code=1)
    first, second, third = map(float, done.out.split())
    assert second - first >= 0.2 and third - second >= 0.4
    assert third - second > 0.9 * (second - first)


def test_a_job_that_takes_too_long(q):
    q.set("max_attempts", 1)
    q.put(b"m\n")
    child = 'trap "" TERM; sleep 1000 & echo $!; wait; wait'
    done = work(q, "--until-empty", "--timeout", 0.3, "--kill-after", 0.3, "--", "bash", "-c", child, code=1)
    assert "takes too long" in done.err
    eventually(lambda: state_of(int(done.out)) in (None, "Z"), 10, "its whole group is ended")
    assert q.ctl("dead")


def test_a_command_that_vanishes_costs_one_attempt_at_most(q, tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nrm -f $0\n")
    program.chmod(0o755)
    q.put(b"1\n2\n3\n")
    assert work(q, "--until-empty", program, code=127)
    assert q.number("unfinished") == 2 and q.ctl("leased") == ""


def test_exit_status_tells_of_the_last_attempt(q):
    q.put(b"m\n")
    q.set("max_attempts", 1)
    work(q, "--until-empty", "--", "false", code=1)
    q.set("revive", "all")
    work(q, "--until-empty", "--", "true", code=0)


# --- the end ---------------------------------------------------------------------------------------

def test_term_finishes_what_is_in_hand(q, area):
    go = area.make("go.event")
    worker = start(q, "-j", 2, "--", "sh", "-c", f"cat {go.path}; echo $1", "sh")
    q.put(b"a\nb\nc\n")
    go.await_waiters(2)
    os.kill(worker.pid, signal.SIGTERM)
    go.put(b"1\n")
    done = worker.finish(20)
    assert done.code == 0
    assert sorted(done.out.split()) == ["1", "1", "a", "b"]
    assert q.messages() == [b"c"]


def test_a_second_term_ends_what_is_in_hand(q):
    worker = start(q, "--", "sleep", "1000")
    q.put(b"0\n")
    eventually(lambda: leased(q) and children(worker.pid))
    job, = children(worker.pid)
    os.kill(worker.pid, signal.SIGTERM)
    assert state_of(job) not in (None, "Z")
    os.kill(worker.pid, signal.SIGINT)
    assert worker.finish(20).code == 1
    assert q.number("unfinished") == 1 and q.ctl("leased") == ""


def test_without_until_closed_it_waits_for_more(q):
    worker = start(q, "--", "echo")
    q.put(b"a\n")
    close(q)
    eventually(lambda: q.number("unfinished") == 0)
    q.set("closed", 0)
    q.put(b"b\n")
    eventually(lambda: q.number("unfinished") == 0)
    os.kill(worker.pid, signal.SIGTERM)
    assert worker.finish(20).out == "a\nb\n"


@pytest.mark.parametrize("whom", ("ipcctl", "job"))
def test_killed(q, whom):
    worker = start(q, "--retry-delay", 0, "--", "sleep", "1000")
    q.put(b"0\n")
    eventually(lambda: leased(q) and children(worker.pid))
    job, = children(worker.pid)
    os.kill(worker.pid if whom == "ipcctl" else job, signal.SIGKILL)
    if whom == "ipcctl":
        eventually(lambda: state_of(job) in (None, "Z"), 10, "the job ends, too")
        eventually(lambda: q.size == 1, 10, "the message is back")
    else:
        eventually(lambda: any(row[1] == "2" for row in leased(q)), 10, "a second attempt")
        os.kill(worker.pid, signal.SIGTERM)
        os.kill(worker.pid, signal.SIGINT)
        worker.finish(20)


def test_a_job_that_outlives_a_killed_ipcctl_keeps_its_message(q, area):
    go = area.make("go.event")
    worker = start(q, "--", "sh", "-c", f'trap "" TERM; cat {go.path}')
    q.put(b"m\n")
    go.await_waiters(1)
    worker.kill()
    assert leased(q) and q.size == 0, "nobody else gets it while somebody works on it"
    go.put(b"1\n")
    eventually(lambda: q.size == 1)


def test_two_workers_share(q):
    q.put("".join(f"{i}\n" for i in range(100)).encode())
    close(q)
    workers = [start(q, "-j", 2, "--until-closed", "--", "echo") for _ in range(2)]
    out = [line for worker in workers for line in worker.finish(40).out.split()]
    assert sorted(map(int, out)) == list(range(100))


def test_the_lease_is_kept_alive(q, area):
    """With ttr it would come back; a job that lives goes on having it."""
    q.set("ttr", 0.5)
    go = area.make("go.event")
    worker = start(q, "--", "sh", "-c", f"cat {go.path}; echo $1", "sh")
    q.put(b"m\n")
    go.await_waiters(1)
    with pytest.raises(AssertionError):
        eventually(lambda: [row[1] for row in leased(q)] != ["1"], 2)
    go.put(b"1\n")
    eventually(lambda: q.number("unfinished") == 0)
    os.kill(worker.pid, signal.SIGTERM)
    assert worker.finish(20).out == "1\nm\n"


# --- output ----------------------------------------------------------------------------------------

def test_outputs_do_not_mix(q):
    q.put(b"a\nb\nc\nd\n")
    script = 'for i in $(seq 50); do printf "$1"; printf "$1\\n"; echo "$1" >&2; done'
    done = work(q, "-j", 4, "--until-empty", "--", "sh", "-c", script, "sh")
    for text, times in ((done.out, 2), (done.err, 1)):
        parts = [(m * times + "\n") * 50 for m in "abcd"]
        assert sorted(re.findall("(?:(.)\\1*\n)(?:\\1+\n)*", text)) == list("abcd")
        assert sorted(text.split("\n")) == sorted("".join(parts).split("\n"))


def test_tag(q):
    q.put(b"one\ttab\n")
    done = work(q, "--tag", "--until-empty", "--", "printf", r"1\n2 %s")
    assert done.out == "one\\x09tab\t1\none\\x09tab\t2 one\ttab\n"


def test_results(q, tmp_path):
    results = tmp_path / "results"
    q.set("max_attempts", 1)
    q.put(b"0\n3\n")
    script = 'echo out $1; echo err $1 >&2; exit $1'
    done = work(q, "--results", results, "--until-empty", "--", "sh", "-c", script, "sh", code=1)
    assert sorted(done.out.splitlines()) == ["out 0", "out 3"]
    for folder in results.iterdir():
        message = (folder / "message").read_text()
        assert (folder / "stdout").read_text() == f"out {message}\n"
        assert (folder / "stderr").read_text() == f"err {message}\n"
        status = (folder / "status").read_text()
        assert f"exit: {message}\n" in status and re.search(r"^seconds: \d+\.\d{3}$", status, re.M)
    assert len(list(results.iterdir())) == 2


def test_ungroup_prints_at_once(q, area):
    go = area.make("go.event")
    q.put(b"m\n")
    worker = start(q, "-u", "--until-empty", "--", "sh", "-c", f"echo early; cat {go.path}")
    assert worker.hear() == "early"
    go.put(b"1\n")
    worker.finish(20)


def test_nobody_reads_the_output(q):
    q.put(b"1\n2\n3\n")
    sh(f"set -o pipefail; {IPCCTL} work {q.path} --until-empty -- sh -c 'seq 100000' | true", code=1)
    assert q.number("unfinished") == 2, "what was done is done, and it stops"


def test_progress_at_the_end(q):
    q.put(b"1\n2\n3\n")
    done = work(q, "--progress", "--until-empty", "true")
    assert done.err.startswith("3 done, 0 failed, 0 in hand, 0 waiting, ")


def test_progress_on_a_terminal(q):
    q.put(b"1\n2\n")
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(IPCCTL, [IPCCTL, "work", q.path, "--progress", "--until-empty", "--", "echo", "job"])
    text = b""
    while True:
        try:
            part = os.read(fd, 4096)
        except OSError:
            break
        if not part:
            break
        text += part
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert b"\x1b[K" in text and b"2 done, 0 failed, 0 in hand" in text
    assert text.count(b"job 1") == 1


# --- and everything at once ------------------------------------------------------------------------

@pytest.mark.limit(120)
def test_nothing_lost_whoever_is_killed(q, tmp_path):
    """Workers, jobs and the worker of the daemon die; each message is acknowledged once."""
    log = tmp_path / "log"
    script = f'echo "$1" >> {log}'
    names = [str(i) for i in range(300)]
    q.put("".join(f"{name}\n" for name in names).encode())
    close(q)
    workers = [start(q, "-j", 3, "--until-closed", "--retry-delay", 0, "--", "sh", "-c", script, "sh")
               for _ in range(2)]
    for i in range(12):
        eventually(lambda: leased(q) or not q.number("unfinished"), 20)
        victim = workers[i % 2]
        targets = [victim.pid] if i % 3 == 0 else list(children(victim.pid))
        for pid in targets[:1]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if i % 3 == 0:
            workers[i % 2] = start(q, "-j", 3, "--until-closed", "--retry-delay", 0, "--",
                                   "sh", "-c", script, "sh")
    for worker in workers:
        worker.finish(60)
    assert set(log.read_text().split()) == set(names)
    nothing_left(q)
    assert stat.S_ISREG(os.stat(q.path).st_mode)
