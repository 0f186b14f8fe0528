"""Contract rows of the array: a seekable file, items, length, typecode, data for mmap, lock."""
import mmap
import os
import struct
from errno import EFBIG, EINVAL, ENOSPC, ERANGE
from fcntl import LOCK_EX, LOCK_UN

import pytest

from kit import raises, unchanged


@pytest.fixture
def array(area):
    return area.make("a.array")


def typed(area, code, values):
    array = area.make(f"{code}.array", typecode=code)
    os.truncate(array, len(values) * struct.calcsize(code))
    with open(array, "r+b") as file:
        file.write(struct.pack(f"{len(values)}{code}", *values))
    return array


def items(array):
    return array.ctl("items").splitlines()


# --- bytes ---------------------------------------------------------------------------------

def test_a_new_array_is_empty_bytes(array):
    assert array.size == 0 and array.ctl("length") == "0" and array.ctl("typecode") == "B"


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR])
def test_seekable_either_way(array, flags):
    array.put(b"0123456789")
    fd = array.open(flags)
    assert os.lseek(fd, 4, os.SEEK_SET) == 4 and os.read(fd, 3) == b"456"
    assert os.lseek(fd, -1, os.SEEK_END) == 9 and os.read(fd, 3) == b"9"
    assert os.read(fd, 3) == b"" and os.pread(fd, 2, 0) == b"01"
    os.close(fd)


def test_writes_go_where_the_position_is(array):
    fd = array.open(os.O_RDWR)
    os.write(fd, b"aaaa"), os.lseek(fd, 1, os.SEEK_SET), os.write(fd, b"bb")
    assert os.pwrite(fd, b"c", 3) == 1
    assert os.pread(fd, 100, 0) == b"abbc"
    os.close(fd)


def test_append(array):
    array.put(b"one ")
    fd = array.open(os.O_WRONLY | os.O_APPEND)
    os.write(fd, b"two ")
    array.put(b"ONE ")
    os.write(fd, b"three")
    os.close(fd)
    assert array.take() == b"ONE two three"


def test_o_trunc_means_nothing(array):
    array.put(b"kept")
    os.close(array.open(os.O_WRONLY | os.O_TRUNC))
    assert array.take() == b"kept"


@pytest.mark.parametrize("how", ["truncate", "ftruncate"])
def test_truncate_sets_its_size(array, how):
    def resize(size):
        if how == "truncate":
            os.truncate(array, size)
        else:
            fd = array.open(os.O_RDWR)
            os.ftruncate(fd, size)
            os.close(fd)

    array.put(b"abcdef")
    resize(3)
    assert array.size == 3 and array.take() == b"abc"
    resize(6)
    assert array.take() == b"abc\0\0\0"
    resize(0)
    assert array.size == 0


@pytest.mark.parametrize("name", ["q.queue", "p.pipe", "e.event", "s.sem", "l.lock", "v.value"])
def test_truncate_is_for_arrays_alone(area, name):
    obj = area.make(name)
    with raises(EINVAL):
        os.truncate(obj, 100)


def test_an_array_beyond_the_memory_limit_is_refused(array):
    array.put(b"abc")
    with unchanged(array), raises(ENOSPC, EFBIG):
        os.truncate(array, 1 << 50)
    assert array.take() == b"abc"


def test_two_processes_see_the_same_bytes(array, actors):
    one, two = actors().open(array), actors().open(array)
    one.write("hello")
    assert two.read() == "hello"
    two.actor.call("pwrite", two.fd, "J", 0)
    assert one.actor.call("pread", one.fd, 5, 0) == "Jello"


def test_it_outlives_its_users(array, actors):
    actor = actors()
    actor.open(array).write("kept")
    actor.kill()
    assert array.take() == b"kept"


# --- items ---------------------------------------------------------------------------------

@pytest.mark.parametrize("code, values", [
    ("b", [-128, 0, 127]), ("B", [0, 255]), ("h", [-32768, 32767]), ("H", [0, 65535]),
    ("i", [-2**31, 2**31 - 1]), ("I", [0, 2**32 - 1]), ("l", [-2**63, 2**63 - 1]),
    ("L", [0, 2**64 - 1]), ("q", [-2**63, 1]), ("Q", [2**64 - 1])])
def test_items_is_the_text_view(area, code, values):
    array = typed(area, code, values)
    assert items(array) == [str(value) for value in values]
    assert array.ctl("length") == str(len(values))


@pytest.mark.parametrize("code, values", [("d", [0.1, -2.5, 1e300, 3.0, 5e-324]),
                                          ("f", [0.5, -3.25, 16777216.0])])
def test_printed_numbers_read_as_the_same_numbers(area, code, values):
    array = typed(area, code, values)
    assert [float(item) for item in items(array)] == values


def test_writing_index_and_value_sets_one(area):
    array = typed(area, "i", [1, 2, 3])
    array.set("items", "1 -20")
    assert items(array) == ["1", "-20", "3"]
    assert struct.unpack("3i", array.take()) == (1, -20, 3)


@pytest.mark.parametrize("line, errors", [
    ("3 1", (EINVAL, ERANGE)), ("-1 1", (EINVAL, ERANGE)), ("0 2147483648", (ERANGE,)),
    ("0 x", (EINVAL,)), ("0", (EINVAL,)), ("x 1", (EINVAL,)), ("0 1.5", (EINVAL,))])
def test_a_refused_item_changes_nothing(area, line, errors):
    array = typed(area, "i", [1, 2, 3])
    with raises(*errors):
        array.set("items", line)
    assert items(array) == ["1", "2", "3"]


def test_typecode_regroups_the_bytes(array):
    array.put(b"\x01\x00\x00\x00\x02\x00\x00\x00")
    assert array.ctl("length") == "8"
    array.set("typecode", "i")
    assert array.ctl("length") == "2" and items(array) == ["1", "2"]
    with raises(EINVAL):
        array.set("typecode", "z")
    assert array.ctl("typecode") == "i"


def test_length_can_be_set_in_elements_or_is_a_fact(array):
    array.set("typecode", "i")
    try:
        array.set("length", 10)
    except PermissionError:
        os.truncate(array, 40)
    assert array.ctl("length") == "10" and array.size == 40
    assert items(array) == ["0"] * 10


# --- data and mmap -------------------------------------------------------------------------

def test_data_is_a_symlink_to_the_plain_memory(area):
    array = typed(area, "i", [10, 20, 30])
    assert os.path.islink(array.ctl_path("data"))
    target = os.readlink(array.ctl_path("data"))
    assert os.path.isabs(target) and not target.startswith(area.dir)
    with open(array.ctl_path("data"), "rb") as file:
        assert struct.unpack("3i", file.read(12)) == (10, 20, 30)


def test_mmap_and_file_are_the_same_memory(area):
    array = typed(area, "i", [10, 20, 30])
    with open(array.ctl_path("data"), "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        struct.pack_into("i", memory, 4, -5)
        assert items(array) == ["10", "-5", "30"]
        array.set("items", "2 99")
        assert struct.unpack_from("i", memory, 8) == (99,)
        with open(array, "r+b") as plain:
            plain.write(struct.pack("i", 7))
        assert struct.unpack_from("i", memory, 0) == (7,)


def test_another_process_maps_the_same_memory(area, actors):
    array = typed(area, "q", [0])
    one, two = actors(), actors()
    for actor in (one, two, one):
        actor.call("mmap_add", array.ctl_path("data"), "q", 0, 5)
    assert items(array) == ["15"]


def test_mmap_under_its_lock_adds_up(area, start, output):
    """Four processes x 200 unlocked read-modify-writes, kept apart by the array's lock."""
    array = typed(area, "q", [0])
    script = """
import fcntl, mmap, struct, sys
with open(sys.argv[1], "r+b") as lock, open(sys.argv[1] + ".ctl/data", "r+b") as file:
    memory = mmap.mmap(file.fileno(), 0)
    for _ in range(200):
        fcntl.flock(lock, fcntl.LOCK_EX)
        n, = struct.unpack_from("q", memory)
        struct.pack_into("q", memory, 0, n + 1)
        fcntl.flock(lock, fcntl.LOCK_UN)
"""
    for worker in [start(["python3", "-c", script, array.path]) for _ in range(4)]:
        output(worker)
    assert items(array) == ["800"]


def test_its_lock_is_free_when_the_holder_dies(array, actors):
    holder, other = actors().open(array), actors().open(array)
    holder.flock(LOCK_EX)
    locking = other.wait("flock", LOCK_EX)
    assert array.put(b"x") == 1, "the lock holds up lockers only"
    holder.actor.kill()
    locking.result()
    other.flock(LOCK_UN)


def test_a_look_gives_the_bytes(array):
    array.put(b"look")
    fd = array.open(os.O_RDONLY | os.O_NOFOLLOW)
    assert os.read(fd, 100) == b"look"
    os.close(fd)
