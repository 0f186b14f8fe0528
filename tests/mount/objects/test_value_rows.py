"""Contract rows of the value: text, += -= cas, own result, typecodes, changed, its lock."""
import os
from errno import EAGAIN, EINTR, EINVAL, EMSGSIZE, ERANGE, ETIMEDOUT
from fcntl import LOCK_EX, LOCK_UN

import pytest

from helpers import ask
from kit import eventually, raises, unchanged


@pytest.fixture
def value(area):
    return area.make("v.value")


def text(value):
    return ask(value).decode()


def test_a_new_value_reads_as_a_bare_newline_and_counts_as_0(value):
    assert text(value) == "\n" and value.size == 0
    value.put(b"+=1\n")
    assert text(value) == "1\n"


def test_the_newline_is_taken_off_and_put_on(value):
    for written in (b"hello", b"hello\n"):
        value.put(written)
        assert text(value) == "hello\n"
    assert value.size == 5
    value.put(b"\n")
    assert text(value) == "\n"


def test_4096_bytes_and_no_more(value):
    value.put(b"x" * 4096)
    assert text(value) == "x" * 4096 + "\n"
    with unchanged(value), raises(EMSGSIZE, EINVAL, ERANGE):
        value.put(b"y" * 4097)
    assert text(value) == "x" * 4096 + "\n"


def test_a_read_only_handle_gives_one_text_then_eof_then_the_new_one_at_0(value, actors):
    value.put(b"one\n")
    handle = actors().open(value, os.O_RDONLY)
    assert [handle.read(), handle.read()] == ["one\n", ""]
    value.put(b"two\n")
    handle.seek(0)
    assert handle.read() == "two\n"


@pytest.mark.parametrize("before, command, after", [
    ("5", "+=3", "8"), ("5", "-=8", "-3"), ("5", "+=-2", "3"), ("-1", "+=1", "0"),
    ("", "-=1", "-1"), ("1.5", "+=2", "3.5"), ("5", "+=0.5", "5.5"), ("0.1", "+=0.2", None),
    ("9223372036854775806", "+=1", "9223372036854775807"),
    ("-9223372036854775807", "-=1", "-9223372036854775808")])
def test_add_and_subtract(value, before, command, after):
    value.put(before.encode() + b"\n")
    value.put(command.encode() + b"\n")
    got = text(value).strip()
    if after is None:
        assert float(got) == 0.1 + 0.2, "a printed double reads as the same double"
    elif "." in after:
        assert float(got) == float(after)
    else:
        assert got == after


@pytest.mark.parametrize("before, command, error", [
    ("9223372036854775807", "+=1", ERANGE), ("-9223372036854775808", "-=1", ERANGE),
    ("hello", "+=1", EINVAL), ("1 2", "-=1", EINVAL), ("5", "+=x", EINVAL),
    ("5", "+=", EINVAL), ("5", "cas 4 6", EAGAIN), ("hello", "cas world 1", EAGAIN),
    ("5", "cas 5", EINVAL)])
def test_a_refused_write_changes_nothing(value, before, command, error):
    value.put(before.encode())
    with unchanged(value), raises(error):
        value.put(command.encode() + b"\n")
    assert text(value) == before + "\n"


def test_cas(value):
    value.put(b"old\n")
    value.put(b"cas old new\n")
    assert text(value) == "new\n"
    value.put(b"cas new 7")
    assert text(value) == "7\n"


def test_a_read_where_an_own_write_left_the_position_gives_what_it_made(value, actors):
    mine, other = actors().open(value), actors().open(value)
    mine.write("+=1\n")
    other.write("+=10\n")
    assert mine.read() == "1\n", "the ticket that this handle drew"
    assert other.read() == "11\n"
    assert mine.read() == "", "its end"
    mine.seek()
    assert mine.read() == "11\n", "then the current text"


def test_own_result_of_the_last_write_only(value, actors):
    handle = actors().open(value)
    handle.write("+=1\n"), handle.write("+=1\n")
    value.put(b"100\n")
    assert [handle.read(), handle.read()] == ["2\n", ""]
    handle.seek()
    assert handle.read() == "100\n"


def test_a_failed_write_hands_out_no_result(value, actors):
    handle = actors().open(value)
    value.put(b"7\n")
    with raises(EAGAIN):
        handle.write("cas 6 8\n")
    assert handle.read() == "7\n"


# --- typecodes -----------------------------------------------------------------------------

RANGES = {"b": (-2**7, 2**7 - 1), "B": (0, 2**8 - 1), "h": (-2**15, 2**15 - 1),
          "H": (0, 2**16 - 1), "i": (-2**31, 2**31 - 1), "I": (0, 2**32 - 1),
          "l": (-2**63, 2**63 - 1), "L": (0, 2**64 - 1), "q": (-2**63, 2**63 - 1),
          "Q": (0, 2**64 - 1)}


@pytest.mark.parametrize("code", RANGES)
def test_whole_typecodes_have_their_range(value, code):
    value.set("typecode", code)
    low, high = RANGES[code]
    for number in (low, high, 0, 1):
        value.put(str(number).encode())
        assert text(value) == f"{number}\n"
    for number in (low - 1, high + 1):
        with unchanged(value), raises(ERANGE):
            value.put(str(number).encode())
    value.put(str(high).encode())
    with unchanged(value), raises(ERANGE):
        value.put(b"+=1\n")
    value.put(str(low).encode())
    with unchanged(value), raises(ERANGE):
        value.put(b"-=1\n")
    assert text(value) == f"{low}\n"


@pytest.mark.parametrize("code", [*RANGES, "f", "d"])
@pytest.mark.parametrize("wrong", ["x", "1x", "1 2", "--1"])
def test_what_is_no_number_is_refused(value, code, wrong):
    value.set("typecode", code)
    value.put(b"5\n")
    with unchanged(value), raises(EINVAL):
        value.put(wrong.encode())


def test_a_fraction_is_no_whole_number(value):
    value.set("typecode", "i")
    with raises(EINVAL):
        value.put(b"1.5\n")


@pytest.mark.parametrize("number", ["0.1", "1e300", "-2.5", "1e-300", "3", "123456789.123456789"])
def test_doubles_read_back_as_the_same_number(value, number):
    value.set("typecode", "d")
    value.put(number.encode())
    assert float(text(value)) == float(number)


def test_float_has_the_precision_and_range_of_a_float(value):
    value.set("typecode", "f")
    value.put(b"0.5\n")
    assert float(text(value)) == 0.5
    with unchanged(value), raises(ERANGE):
        value.put(b"1e39\n")


def test_a_number_never_set_is_0(value):
    value.set("typecode", "i")
    value.put(b"+=5\n")
    assert text(value) == "5\n"


def test_typecode_says_what_it_is_and_refuses_others(value):
    assert value.ctl("typecode") == "text"
    value.set("typecode", "h")
    assert value.ctl("typecode") == "h"
    with raises(EINVAL):
        value.set("typecode", "z")
    assert value.ctl("typecode") == "h"


@pytest.mark.parametrize("code, char", [("c", "A"), ("u", "ä")])
def test_characters(value, code, char):
    value.set("typecode", code)
    value.put(char.encode())
    assert text(value) == char + "\n"
    with unchanged(value), raises(EINVAL, ERANGE):
        value.put(b"AB")


# --- changed -------------------------------------------------------------------------------

@pytest.fixture
def watch(value, actors):
    def opened(flags=os.O_RDONLY, limit=None):
        path = value.ctl_path("changed") + (f"@{limit}" if limit is not None else "")
        return actors().open(path, flags)
    return opened


def waiting(value, handle):
    """Begin to read ctl/changed, and return when it waits."""
    job = handle.begin("read", 4096)
    eventually(lambda: job.done() or any(row.pid == handle.actor.pid for row in value.waiters()),
               10, "it waits for a change")
    assert not job.done()
    return job


def test_changed_waits_for_a_new_value(value, watch):
    value.put(b"1\n")
    job = waiting(value, watch())
    value.put(b"2\n")
    assert job.result() == "2\n"


def test_changed_does_not_return_for_the_same_value_again(value, watch):
    value.put(b"1\n")
    job = waiting(value, watch())
    value.put(b"1\n")
    assert not job.done()
    value.put(b"+=1\n")
    assert job.result() == "2\n"


def test_changed_between_open_and_read_is_not_missed(value, watch):
    handle = watch()
    value.put(b"news\n")
    assert handle.read() == "news\n"


def test_changed_compares_with_what_this_handle_last_saw(value, watch):
    value.put(b"1\n")
    handle = watch()
    value.put(b"2\n")
    assert handle.read() == "2\n"
    handle.seek(0)
    job = waiting(value, handle)
    value.put(b"3\n")
    assert job.result() == "3\n"


def test_changed_wakes_all_its_waiters(value, watch):
    jobs = [waiting(value, watch()) for _ in range(3)]
    value.put(b"go\n")
    assert [job.result() for job in jobs] == ["go\n"] * 3


def test_changed_with_a_time_limit(watch):
    with raises(ETIMEDOUT):
        watch(limit="0.05").read()
    with raises(EAGAIN):
        watch(limit=0).read()


def test_changed_is_interruptible(value, watch):
    handle = watch()
    job = waiting(value, handle)
    handle.actor.interrupt()
    with raises(EINTR):
        job.result()


# --- its lock ------------------------------------------------------------------------------

def test_its_lock_holds_up_lockers_and_nobody_else(value, actors):
    holder, other = actors().open(value), actors().open(value)
    holder.flock(LOCK_EX)
    locking = other.wait("flock", LOCK_EX)
    value.put(b"written\n")
    assert text(value) == "written\n"
    holder.flock(LOCK_UN)
    locking.result()


def test_its_lock_is_free_when_the_holder_dies(value, actors):
    holder, other = actors().open(value), actors().open(value)
    holder.flock(LOCK_EX)
    locking = other.wait("flock", LOCK_EX)
    holder.actor.kill()
    locking.result()
