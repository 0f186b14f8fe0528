"""A semaphore as the jobserver of make and cargo, whose jobs may be killed."""

import errno
import os
import select
import shutil
import signal

import pytest

from kit import eventually, fork, raises, run, spawn, unchanged

TOKENS = 4


@pytest.fixture
def js(area):
    return jobserver(area)


def jobserver(folder):
    sem = folder.make("jobs.sem", bound=TOKENS)
    sem.put(b"%d" % TOKENS)
    sem.set("jobserver", 1)
    return sem


def test_a_byte_a_permit(js):
    fd = js.open(os.O_RDWR | os.O_NONBLOCK)
    assert [os.read(fd, 1) for _ in range(TOKENS)] == [b"+"] * TOKENS
    with raises(errno.EAGAIN):
        os.read(fd, 1)
    assert os.write(fd, b"+") == 1
    assert os.write(fd, b"x\n") == 2
    assert js.size == 3
    with unchanged(js), raises(errno.ERANGE):
        os.write(fd, b"++")


def test_a_read_only_handle_gives_one_after_another(js):
    """make's 3< jobs.sem: not a file of answers, with one and then its end."""
    fd = js.open()
    assert [os.read(fd, 10) for _ in range(TOKENS)] == [b"+"] * TOKENS
    assert select.select([fd], [], [], 0)[0] == []
    js.put(b"+")
    assert select.select([fd], [], [], 0)[0] == [fd]


def test_a_waiter_is_given_a_byte(js):
    fd = js.open(os.O_RDWR)
    for _ in range(TOKENS):
        os.read(fd, 1)
    waiter = fork(js.get)
    js.await_waiters(1)
    os.write(fd, b"+")
    assert waiter.result() == b"+"


def test_a_close_gives_back(js):
    fd = js.open(os.O_RDWR)
    for _ in range(3):
        os.read(fd, 1)
    os.write(fd, b"+")
    os.close(fd)
    assert js.size == TOKENS


def test_reading_by_one_descriptor_and_writing_by_another(js):
    """make's pair: what the reader's handle took is given back by the writer's."""
    read, write = js.open(), js.open(os.O_WRONLY)
    os.read(read, 1)
    os.read(read, 1)
    os.write(write, b"+")
    assert (js.size, len(js.holders())) == (3, 1)
    os.write(write, b"+")
    assert (js.size, js.holders()) == (4, [])
    os.close(read)
    assert js.size == TOKENS, "and not once more"


def test_a_killed_job_gives_back_what_it_took_by_inherited_descriptors(js):
    read, write = js.open(), js.open(os.O_WRONLY)
    jobs = [fork(_take_and_stay, read, keep=[read, write]) for _ in range(3)]
    eventually(lambda: js.size == 1, 10)
    jobs[0].kill()
    eventually(lambda: js.size == 2, 10)
    os.read(read, 1)
    for job in jobs[1:]:
        job.kill()
    eventually(lambda: js.size == 3, 10, "ours is still out")
    os.write(write, b"+")
    assert js.size == TOKENS


def _take_and_stay(read):
    os.read(read, 1)
    signal.pause()


def test_the_librarys_calls_stay_as_they_are(js, area):
    """ctl/jobserver changes what files read and write; ipcctl run borrows by flock."""
    assert run(["flock", "-n", js.path, "true"]).code == 0
    assert js.size == TOKENS


@pytest.mark.skipif(not shutil.which("make"), reason="no make")
def test_make_by_inherited_descriptors(area, js, tmp_path):
    (tmp_path / "Makefile").write_text("all: 1 2 3 4 5 6\n1 2 3 4 5 6:\n\t@stat -c %s $(SEM)\n")
    done = run(["bash", "-c", f"MAKEFLAGS='-j --jobserver-auth=3,4' make -C {tmp_path} SEM={js.path} "
                f"3< {js.path} 4> {js.path}"])
    assert done.code == 0 and "jobserver" not in done.err, done
    sizes = [int(word) for word in done.out.split() if word.isdigit()]
    assert len(sizes) == 6 and min(sizes) < TOKENS, "it took tokens"
    assert (js.size, js.holders()) == (TOKENS, [])


@pytest.mark.skipif(not shutil.which("make"), reason="no make")
def test_a_killed_make_costs_no_token(area, js, tmp_path):
    os.mkfifo(tmp_path / "gate")
    (tmp_path / "Makefile").write_text("all: 1 2 3 4\n1 2 3 4:\n\t@cat gate\n")
    # the outer shell has the descriptors, as a parent make would
    shell = spawn(["bash", "-c", f"exec 3< {js.path} 4> {js.path}; export MAKEFLAGS='-j --jobserver-auth=3,4'; "
                   f"make -C {tmp_path} & echo $! > {area.path('pid.value')}; wait; "
                   f"read -r _ <> {area.path('go.event')}"])
    eventually(lambda: js.size == 1, 10, "three beside make's own job")
    with open(area.path("pid.value"), encoding="ascii") as file:
        os.kill(int(file.read()), signal.SIGKILL)
    eventually(lambda: js.size == TOKENS, 10, "every token comes back")
    assert shell.running, "though the shell has the descriptors still"
    shell.kill()


def test_tokens_outlive_a_restart(mount):
    sem = jobserver(mount)
    job = fork(_take_and_stay, (fd := sem.open(os.O_RDWR)), keep=[fd])
    eventually(lambda: sem.size == 3, 10)
    os.kill(mount.worker(), signal.SIGKILL)
    assert sem.size == 3
    job.kill()
    eventually(lambda: sem.size == TOKENS, 10)
