"""Contract rows of the two-way pipe: `mkdir x.pipe`, ends a and b."""
import errno
import os
import select
from errno import EAGAIN, EINVAL, EMSGSIZE, EPERM, EPIPE, ETIMEDOUT

import pytest

from kit import eventually, raises

RECORD = os.O_RDWR | os.O_DIRECT


@pytest.fixture
def pipe(area):
    os.mkdir(area.path("x.pipe"))
    return area.obj("x.pipe")


@pytest.fixture
def ends(pipe, actors):
    """Two processes, each with one end open for reading and writing."""
    return actors().open(pipe.path + "/a"), actors().open(pipe.path + "/b")


# --- the directory -------------------------------------------------------------------------

def test_mkdir_makes_a_directory_with_the_ends_a_and_b(pipe):
    assert sorted(os.listdir(pipe.path)) == ["a", "b"]
    assert not os.path.isfile(pipe.path) and os.path.isfile(pipe.path + "/a")
    assert pipe.ctl("type") == "pipe"


@pytest.mark.parametrize("remove", ["rmdir", "rm -r", "rm -rf"])
def test_rmdir_and_rm_r_remove_it(pipe, remove):
    assert os.system(f"{remove} '{pipe.path}'") == 0
    assert not os.path.exists(pipe.path)
    os.mkdir(pipe.path)
    assert sorted(os.listdir(pipe.path)) == ["a", "b"]


def test_open_ends_outlive_the_removal(pipe, ends):
    a, b = ends
    os.rmdir(pipe.path)
    a.write("still here")
    assert b.read() == "still here"


def test_nothing_else_can_be_made_in_it(pipe):
    for make in (lambda: os.mkdir(pipe.path + "/c"),
                 lambda: os.close(os.open(pipe.path + "/c.queue", os.O_CREAT | os.O_RDWR))):
        with raises(EINVAL, EPERM, errno.EACCES):
            make()
    assert sorted(os.listdir(pipe.path)) == ["a", "b"]


def test_ends_cannot_be_renamed_away(pipe, area):
    with raises(EPERM, EINVAL):
        os.rename(pipe.path + "/a", area.path("b.pipe"))
    assert sorted(os.listdir(pipe.path)) == ["a", "b"]


def test_mv_renames_the_pipe(pipe, area, ends):
    os.rename(pipe.path, area.path("y.pipe"))
    a, _ = ends
    a.write("hello\n")
    fd = os.open(area.path("y.pipe") + "/b", os.O_RDONLY | os.O_NONBLOCK)
    assert os.read(fd, 100) == b"hello\n"
    os.close(fd)


@pytest.mark.parametrize("name", ["x.queue", "x.lock", "x.event", "x.value"])
def test_no_other_suffix_makes_a_directory(area, name):
    with raises(EINVAL):
        os.mkdir(area.path(name))


# --- data ----------------------------------------------------------------------------------

def test_what_one_end_writes_the_other_reads(ends):
    a, b = ends
    a.write("ping\n"), b.write("pong\n")
    assert b.read() == "ping\n"
    assert a.read() == "pong\n"


def test_own_words_do_not_come_back(ends):
    a, b = ends
    a.write("mine\n")
    a.limit(0)
    with raises(EAGAIN):
        a.read()
    assert b.read() == "mine\n"


def test_a_waiting_read_does_not_hold_up_a_write_on_the_same_descriptor(ends):
    a, b = ends
    waiting = a.begin("read", 100, thread=True)
    a.write("question\n")
    assert b.read() == "question\n"
    b.write("answer\n")
    assert waiting.result() == "answer\n"


def test_bytes_by_default(ends):
    a, b = ends
    a.write("abc"), a.write("def")
    assert b.read() == "abcdef"
    a.write("abcdef")
    assert [b.read(2), b.read(100)] == ["ab", "cdef"]


@pytest.mark.parametrize("how", ["setting", "O_DIRECT"])
def test_record_framing_keeps_messages(pipe, actors, how):
    if how == "setting":
        pipe.set("framing", "record")
    flags = os.O_RDWR if how == "setting" else RECORD
    a, b = actors().open(pipe.path + "/a", flags), actors().open(pipe.path + "/b", flags)
    a.write("abc"), a.write("de\n\nf"), a.write("g")
    assert [b.read(), b.read(), b.read()] == ["abc", "de\n\nf", "g"]
    a.write("abcdef"), a.write("next")
    assert [b.read(4), b.read(), b.read()] == ["abcd", "ef", "next"]


def test_largest_record_and_one_byte_more(pipe, actors):
    a, b = actors().open(pipe.path + "/a", RECORD), actors().open(pipe.path + "/b", RECORD)
    largest = 'x' * ((1 << 20) - 4096)
    with raises(EMSGSIZE):
        a.write(largest + "y")
    assert a.write(largest) == len(largest)
    assert b.read(1 << 20) == largest


def test_a_full_direction_blocks_its_writer_and_not_the_other(pipe, ends):
    pipe.set("maxbytes", 4096)
    a, b = ends
    a.write("x" * 4096)
    waiting = a.wait("write", "y" * 4096)
    assert b.write("y") == 1
    got = 0
    while got < 8192:
        got += len(b.read())
    assert waiting.result() == 4096
    assert a.read() == "y"


# --- ends of file --------------------------------------------------------------------------

@pytest.mark.parametrize("end", ["close", "kill"])
def test_eof_when_the_other_end_is_closed_after_the_rest_is_read(ends, end):
    a, b = ends
    a.write("last words")
    a.close() if end == "close" else a.actor.kill()
    assert b.read() == "last words"
    assert b.read() == ""


@pytest.mark.parametrize("end", ["close", "kill"])
def test_eof_reaches_a_reader_that_already_waits(ends, end):
    a, b = ends
    waiting = b.wait()
    a.close() if end == "close" else a.actor.kill()
    assert waiting.result() == ""


def test_before_it_saw_the_other_end_a_reader_waits(pipe, actors):
    b = actors().open(pipe.path + "/b")
    waiting = b.wait()
    a = actors().open(pipe.path + "/a")
    assert not waiting.done()
    a.close()
    assert waiting.result() == ""


def test_no_eof_while_any_handle_of_the_other_end_is_open(pipe, ends, actors):
    a, b = ends
    spare = actors().open(pipe.path + "/a")
    waiting = b.wait()
    a.actor.kill()
    assert not waiting.done()
    spare.close()
    assert waiting.result() == ""


def test_no_eof_while_a_child_keeps_the_descriptor(ends):
    a, b = ends
    a.keep()
    a.close()
    b.limit(0.1)
    with raises(ETIMEDOUT):
        b.read()
    a.actor.end_children()
    b.limit(None)
    assert b.read() == ""


@pytest.mark.parametrize("end", ["close", "kill"])
def test_epipe_when_the_other_end_is_closed(ends, end):
    a, b = ends
    a.write("seen")
    b.close() if end == "close" else b.actor.kill()
    with raises(EPIPE):
        a.write("nobody reads this")


def test_epipe_reaches_a_writer_that_already_waits(pipe, ends):
    pipe.set("maxbytes", 4096)
    a, b = ends
    a.write("x" * 4096)
    waiting = a.wait("write", "y" * 4096)
    b.actor.kill()
    with raises(EPIPE):
        waiting.result()


def test_what_was_written_before_the_other_end_came_is_kept(pipe, actors):
    a = actors().open(pipe.path + "/a")
    a.write("early\n")
    assert actors().open(pipe.path + "/b").read() == "early\n"


def test_poll_tells_data_room_and_end(ends):
    a, b = ends
    everything = select.POLLIN | select.POLLOUT
    assert a.poll(everything) == select.POLLOUT
    b.write("x")
    assert a.poll(everything) == everything
    a.read()
    job = a.begin("poll", select.POLLIN, 8000)
    b.close()
    assert job.result() & (select.POLLIN | select.POLLHUP)
    assert a.read() == ""


# --- facts ---------------------------------------------------------------------------------

def test_size_of_an_end_is_what_waits_to_be_read_there(pipe, ends):
    a, _ = ends
    a.write("12345")
    assert os.stat(pipe.path + "/b").st_size == 5
    assert os.stat(pipe.path + "/a").st_size == 0


def test_look_only_handles_take_nothing(pipe, ends):
    a, b = ends
    a.write("secret\n")
    fd = os.open(pipe.path + "/b", os.O_RDONLY | os.O_NOFOLLOW)
    assert b"secret" in os.read(fd, 100)
    os.close(fd)
    assert b.read() == "secret\n"


def test_time_limit_of_an_end_by_name(pipe, actors):
    a = actors().open(pipe.path + "/a")
    late = actors().open(pipe.path + "/b@0.05")
    with raises(ETIMEDOUT):
        late.read()
    a.write("now\n")
    assert late.read() == "now\n"


def test_a_killed_reader_has_taken_nothing_while_it_waited(pipe, ends, actors):
    a, b = ends
    other = actors().open(pipe.path + "/b")
    b.wait()
    b.actor.kill()
    eventually(lambda: not pipe.waiters(), 10, "the dead reader left the line")
    a.write("whole\n")
    assert other.read() == "whole\n"
